//! `cargo xtask autobahn`: the Autobahn testsuite as a client against our `/echo`, sections 1 to 10
//! without compression: 301 cases. By docker where an engine answers, else by Python 2.7.
//!
//! wstest exits with 0 whatever happens and leaves out the cases it could not run, so what counts
//! here is its report: the number of cases, and each case against `autobahn/expected-server.json`.

mod case;
pub(crate) mod docker;
mod expected;
mod spec;
mod table;
mod wstest;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use self::case::Case;
use self::expected::Expected;
use self::wstest::Engine;
use crate::{paths, server::Server, setup};

/// Cases of the sections 1 to 7, 9 and 10.
const CASES: usize = 301;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Use docker even if its engine does not seem to answer
    #[arg(long, conflicts_with = "no_docker")]
    docker: bool,
    /// Use Python 2.7 even if docker is there
    #[arg(long)]
    no_docker: bool,
    /// Only these cases, as `5.1,6.4.*`; a `*` matches any rest
    #[arg(long, value_delimiter = ',', conflicts_with = "bless")]
    cases: Vec<String>,
    /// Test the echo server at this URL instead of ours
    #[arg(long, value_name = "WS_URL")]
    url: Option<String>,
    /// Take this run's results as the expected ones from now on
    #[arg(long)]
    bless: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let expected = Expected::read()?;
    expected.check_names(&args.cases)?;
    let engine = engine(args)?;
    match &args.url {
        Some(url) => engine.run(url, &args.cases)?,
        None => against_ours(engine, &args.cases)?,
    }
    judge(args, &expected)
}

/// As a step of `cargo xtask test`.
pub(crate) fn step() -> Result<()> {
    run(&Args::default())
}

fn engine(args: &Args) -> Result<Engine> {
    if args.docker || (!args.no_docker && docker::answers()) {
        return Ok(Engine::Docker);
    }
    setup::autobahn::ensure_local()?;
    Ok(Engine::Python)
}

fn against_ours(engine: Engine, cases: &[String]) -> Result<()> {
    let server = Server::start()?;
    let ran = engine.run(&format!("ws://{}/echo", server.address()), cases);
    // A server that died is the better explanation of a failed run.
    server.stop()?;
    ran
}

fn judge(args: &Args, expected: &Expected) -> Result<()> {
    let cases = case::read(&reports())?;
    table::print(&cases);
    let codes = close_codes(&cases);
    println!("   report: {}", reports().join("index.html").display());
    if args.bless {
        check_count(&cases)?;
        return Expected::of(&cases, codes).write();
    }
    let full = args.cases.is_empty();
    if full {
        check_count(&cases)?;
    }
    let mut differing = cases
        .iter()
        .filter(|case| !expected.agrees(case))
        .peekable();
    if differing.peek().is_some() {
        differing.for_each(|case| explain(case, expected));
        bail!(
            "results differ from autobahn/expected-server.json; if that is right, run again with --bless"
        );
    }
    if full && codes < expected.close_codes {
        bail!(
            "{} explicit close codes expected, {codes} seen",
            expected.close_codes
        );
    }
    Ok(())
}

/// The suite is content when a server just drops the connection where the RFC says that it SHOULD
/// send a close frame with the reason. We are not: this counts the right codes.
fn close_codes(cases: &[Case]) -> usize {
    let must_fail = || cases.iter().filter(|case| case.must_fail());
    let right = must_fail()
        .filter(|case| case.close_code_is_right())
        .count();
    println!("   close codes: {right} of {}", must_fail().count());
    for case in must_fail().filter(|case| !case.close_code_is_right()) {
        println!(
            "      {} wants {:?}, got {:?}",
            case.id, case.close_codes, case.close_code
        );
    }
    right
}

fn check_count(cases: &[Case]) -> Result<()> {
    if cases.len() != CASES {
        bail!(
            "the report has {} cases instead of {CASES}: did the server die on the way?",
            cases.len()
        );
    }
    Ok(())
}

fn explain(case: &Case, expected: &Expected) {
    println!(
        "   {} is {}, expected {}",
        case.id,
        case.verdicts(),
        expected.shown(&case.id)
    );
    println!("      {}", case.description);
    println!("      {} {}", case.result, case.result_close);
    println!("      {}", paths::shown(&reports().join(&case.report)));
}

/// Where wstest writes.
fn reports() -> PathBuf {
    home().join("reports").join("server")
}

/// The folder with the committed files.
fn home() -> &'static Path {
    static HOME: std::sync::LazyLock<PathBuf> =
        std::sync::LazyLock::new(|| paths::root().join("autobahn"));
    &HOME
}

//! `cargo xtask autobahn`: the Autobahn testsuite's 517 cases, as a client against our `/echo` and as a server for our
//! client. By docker where an engine answers, else by Python 2.7.
//!
//! wstest exits with 0 whatever happens and leaves out the cases it could not run, so what counts here is its reports: the
//! number of cases, and each case against `autobahn/expected-server.json` or `autobahn/expected-client.json`.

mod case;
pub(crate) mod docker;
mod expected;
mod job;
mod judge;
mod select;
mod spec;
mod table;
mod wstest;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};

use self::expected::Expected;
use self::wstest::Engine;
use crate::{exec, paths, server, server::Server, setup};

/// More processes would be more than the one server answers.
const PROCESSES_MAX: usize = 4;

/// More cases that differ are not the machine's.
const AGAIN_MAX: usize = 5;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Only the test of the server
    #[arg(long)]
    server: bool,
    /// Only the test of the client
    #[arg(long, conflicts_with_all = ["server", "url"])]
    client: bool,
    /// Only these runs: `server`, `server-takeover`, `client`, `client-takeover`
    #[arg(long, value_name = "RUN", value_delimiter = ',')]
    only: Vec<String>,
    /// Without the cases that send megabytes through deflate: what `cargo xtask test` runs
    #[arg(long)]
    quick: bool,
    /// Only these cases, as `5.1,6.4.*`; a `*` stands for any characters
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Test the echo server at this URL instead of ours
    #[arg(long, value_name = "WS_URL")]
    url: Option<String>,
    /// Take this run's results as the expected ones from now on
    #[arg(long, conflicts_with_all = ["cases", "quick", "url"])]
    bless: bool,
    /// Use docker even if its engine does not seem to answer
    #[arg(long, conflicts_with = "no_docker")]
    docker: bool,
    /// Use Python 2.7 even if docker is there
    #[arg(long)]
    no_docker: bool,
    /// How many wstest processes at once; by default as many as there are cores, up to 4
    #[arg(long, value_name = "N")]
    processes: Option<usize>,
}

/// Which of ours is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// One configuration of ours through some of the cases.
#[derive(Debug)]
struct Run {
    /// As the folder of its report.
    name: String,
    side: Side,
    /// Whether both ends compress a message with what was sent before.
    takeover: bool,
    cases: Vec<String>,
}

impl Run {
    /// The folder of its reports, one folder a process.
    fn reports(&self) -> PathBuf {
        home().join("reports").join(&self.name)
    }
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let runs = runs(args)?;
    let engine = engine(args)?;
    let mut failed = Vec::new();
    for run in &runs {
        println!("\n   -- {}: {} cases", run.name, run.cases.len());
        let started = Instant::now();
        let result = hold(args, engine, run);
        println!("   {:.0} s", started.elapsed().as_secs_f64());
        if let Err(error) = result {
            println!("   FAILED: {error:#}");
            failed.push(format!("{}: {error:#}", run.name));
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!(failed.join("; ")),
    }
}

/// As a step of `cargo xtask test`.
pub(crate) fn step() -> Result<()> {
    run(&Args {
        quick: true,
        ..Args::default()
    })
}

/// What is to be run, nothing empty.
fn runs(args: &Args) -> Result<Vec<Run>> {
    let all = Expected::read(Side::Server)?.ids();
    let mut cases = select::choose(&all, &args.cases)?;
    cases.retain(|id| !args.quick || select::is_quick(id));
    // In the quick set, two sub-sections tell as much about a kept context as all.
    let few = |id: &str| !args.quick || id.starts_with("12.1.") || id.starts_with("13.1.");
    let keeps_context = |id: &&String| select::compresses(id) && few(id);
    let of_server: Vec<_> = cases.iter().filter(keeps_context).cloned().collect();
    let mut of_client = of_server.clone();
    of_client.retain(|id| !select::resets(id));
    let run = |name: &str, side, takeover, cases| Run {
        name: name.to_owned(),
        side,
        takeover,
        cases,
    };
    let mut runs = vec![
        run("server", Side::Server, false, cases.clone()),
        run("server-takeover", Side::Server, true, of_server),
        run("client", Side::Client, false, cases),
        run("client-takeover", Side::Client, true, of_client),
    ];
    runs.retain(|run| {
        let side = match run.side {
            Side::Server => !args.client && (args.url.is_none() || !run.takeover),
            Side::Client => !args.server && args.url.is_none(),
        };
        let named = args.only.is_empty() || args.only.contains(&run.name);
        side && named && !run.cases.is_empty()
    });
    if runs.is_empty() {
        bail!("no run and no case is left of the selection");
    }
    Ok(runs)
}

fn engine(args: &Args) -> Result<Engine> {
    if args.docker || (!args.no_docker && docker::answers()) {
        return Ok(Engine::Docker);
    }
    setup::autobahn::ensure_local()?;
    Ok(Engine::Python)
}

/// Runs the cases and judges them. Most of them have a second by the clock, in which a busy machine may do something else: a few that
/// differ are run again, alone, and count then.
fn hold(args: &Args, engine: Engine, run: &Run) -> Result<()> {
    perform(args, engine, run)?;
    let mut cases = judge::read(run)?;
    let differing = judge::differing(run, &cases)?;
    if !args.bless && (1..=AGAIN_MAX).contains(&differing.len()) {
        println!("   once more, alone: {}", differing.join(", "));
        let again = Run {
            name: format!("{}-again", run.name),
            cases: differing,
            ..*run
        };
        perform(args, engine, &again)?;
        cases.retain(|case| !again.cases.contains(&case.id));
        cases.extend(judge::read(&again)?);
    }
    judge::judge(run, &cases, args.bless)
}

fn perform(args: &Args, engine: Engine, run: &Run) -> Result<()> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let processes = args.processes.unwrap_or_else(|| cores().min(PROCESSES_MAX));
    match (run.side, &args.url) {
        (Side::Server, Some(url)) => engine.test_server(run, url, processes),
        (Side::Server, None) => against_ours(engine, run, processes),
        (Side::Client, _) => engine.test_client(run, &client()?, processes),
    }
}

fn against_ours(engine: Engine, run: &Run, processes: usize) -> Result<()> {
    let compression = if run.takeover { "context" } else { "on" };
    let server = Server::start(&["--compression", compression])?;
    let url = format!("ws://{}/echo", server.address());
    let ran = engine.test_server(run, &url, processes);
    // A server that died is the better explanation of a failed run.
    server.stop()?;
    ran
}

/// Builds the client as the server is built and returns the binary's path.
fn client() -> Result<PathBuf> {
    exec::run(&mut exec::cargo(&format!(
        "build --package xtask --bin autobahn-client --profile {}",
        server::PROFILE
    )))?;
    Ok(paths::target()
        .join(server::PROFILE)
        .join("autobahn-client"))
}

/// The folder with the committed files.
fn home() -> &'static Path {
    static HOME: std::sync::LazyLock<PathBuf> =
        std::sync::LazyLock::new(|| paths::root().join("autobahn"));
    &HOME
}

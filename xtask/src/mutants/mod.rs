//! `cargo xtask mutants`: changes the protocol crate in one small place after another with cargo-mutants, and looks whether
//! its unit tests and `protocol/tests` notice. Not a part of `cargo xtask test`: it takes an hour or more.
//!
//! Changes that make no difference are excluded in `.cargo/mutants.toml`, each with its reason.

mod copy;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{exec, paths, setup};

/// Of the mutants that build, so many of a hundred are to be caught.
const CAUGHT_PERCENT_MIN: usize = 90;

/// Seconds after which tests are taken to loop for ever; they take three.
const TIME_LIMIT: &str = "20";

/// How many inputs a property is tried with, where it does not say so itself: what a mutant breaks shows early.
const PROPTEST_CASES: &str = "64";

/// What a peer's bytes and our own go through.
const FILES: [&str; 14] = [
    "frame.rs",
    "message.rs",
    "close.rs",
    "utf8.rs",
    "deflate/*.rs",
    "handshake/*.rs",
    "connection/*.rs",
    "assembly.rs",
    "send.rs",
    "outbox.rs",
    "prepared.rs",
    "mask.rs",
    "event.rs",
    "error.rs",
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files of protocol/src, as `frame.rs` or `handshake/*.rs`; without one, all that matter
    files: Vec<String>,
    /// Only the mutants whose name matches this regular expression
    #[arg(long, value_name = "REGEX")]
    re: Option<String>,
    /// Print the mutants
    #[arg(long)]
    list: bool,
}

/// What became of the mutants of a file.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    caught: usize,
    missed: usize,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::cargo_tools::ensure_one("cargo-mutants")?;
    copy::make()?;
    let files = match args.files.is_empty() {
        true => FILES.map(str::to_owned).to_vec(),
        false => args.files.clone(),
    };
    let mut counts = Vec::new();
    for file in &files {
        counts.push((file, test(file, args)?));
    }
    if args.list {
        return Ok(());
    }
    summarize(&counts)
}

/// Runs the tests against each mutant of a file.
fn test(file: &str, args: &Args) -> Result<Count> {
    let reports = reports(file);
    fs::create_dir_all(&reports).with_context(|| paths::shown(&reports))?;
    let mut command = exec::command(setup::cargo_tools::binary("cargo-mutants"));
    command
        .current_dir(copy::folder())
        .env("CARGO_TARGET_DIR", copy::folder().join("target"))
        .env("PROPTEST_CASES", PROPTEST_CASES)
        .args(["mutants", "--in-place", "--package", "tidewire-protocol"])
        .args(["--profile", "mutants", "--timeout", TIME_LIMIT])
        .arg("--config")
        .arg(paths::root().join(".cargo/mutants.toml"))
        .args(["--file", &format!("protocol/src/{file}")])
        .arg("--output")
        .arg(&reports);
    if let Some(re) = &args.re {
        command.args(["--re", re]);
    }
    if args.list {
        command.arg("--list");
    }
    // Without the documentation's tests, which are slow to build and test little else.
    command.args(["--", "--lib", "--tests"]);
    println!("   $ {}", exec::line(&command));
    let status = command.status().context("cargo-mutants does not start")?;
    match status.code() {
        // 2: some were missed; 3: with some the tests did not end.
        Some(0 | 2 | 3) => count(&reports.join("mutants.out")),
        _ => bail!("cargo-mutants failed ({status})"),
    }
}

fn reports(file: &str) -> PathBuf {
    let name = file.replace(['/', '*'], "_");
    paths::target().join("mutation-reports").join(name)
}

/// Tests that do not end have noticed, too.
fn count(report: &Path) -> Result<Count> {
    let lines = |name: &str| match report.join(name) {
        path if path.exists() => fs::read_to_string(&path)
            .map(|text| text.lines().count())
            .with_context(|| paths::shown(&path)),
        _ => Ok(0),
    };
    Ok(Count {
        caught: lines("caught.txt")? + lines("timeout.txt")?,
        missed: lines("missed.txt")?,
    })
}

fn summarize(counts: &[(&String, Count)]) -> Result<()> {
    let mut all = Count::default();
    println!("\n   file                caught  missed");
    for (file, count) in counts {
        println!("   {file:18} {:7} {:7}", count.caught, count.missed);
        all.caught += count.caught;
        all.missed += count.missed;
    }
    let of = all.caught + all.missed;
    let percent = (100 * all.caught).checked_div(of).unwrap_or(100);
    println!("\n{} of {of} caught: {percent} %", all.caught);
    if percent < CAUGHT_PERCENT_MIN {
        bail!("fewer than {CAUGHT_PERCENT_MIN} % of the mutants were caught");
    }
    Ok(())
}

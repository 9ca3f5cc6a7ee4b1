//! `cargo xtask conformance`: the official test suites of Engine.IO v4 and Socket.IO v5, from the repository of Socket.IO, against the
//! server. Nothing of them is kept here: they are fetched at a commit that is known to pass, or taken from a checkout.
//!
//! They are written for a server on port 3000 with a heartbeat of 300 ms that echoes, which `--protocols conformance` is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::server::Server;
use crate::{exec, paths};

/// Where the suites are.
const REPOSITORY: &str = "https://github.com/socketio/socket.io.git";

/// The commit that the figures in docs/SOCKETIO.md are of.
const COMMIT: &str = "d2d753fed4435015c2d83fe62e676b44e07fa3f7";

/// Each suite, and how many tests it has.
const SUITES: [(&str, &str, u32); 2] = [
    ("Engine.IO v4", "docs/engine.io-protocol/v4-test-suite", 25),
    ("Socket.IO v5", "docs/socket.io-protocol/v5-test-suite", 32),
];

/// What the suites expect of a server: they have its port in them.
const OPTIONS: [&str; 8] = [
    "--listen",
    "127.0.0.1:3000",
    "--protocols",
    "conformance",
    "--heartbeat",
    "300ms",
    "--pong-wait",
    "200ms",
];

/// How often a suite is run until it passes: it has a test that cancels a request 5 ms after it was begun, which may not have left by
/// then, so that servers of reference miss it now and then.
const TRIES: u32 = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A checkout of github.com/socketio/socket.io, instead of fetching one
    #[arg(long, value_name = "DIR")]
    suite: Option<PathBuf>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    for program in ["node", "npm"] {
        if !exec::on_path(program) {
            bail!("`{program}` is not on the PATH: install Node.js 20 or newer");
        }
    }
    let checkout = match &args.suite {
        Some(directory) => directory
            .canonicalize()
            .with_context(|| format!("there is no directory {}", directory.display()))?,
        None => fetch()?,
    };
    for (_, folder, _) in SUITES {
        install(&checkout.join(folder))?;
    }
    let server = Server::start(&OPTIONS)
        .context("the suites need port 3000 of 127.0.0.1: is something else there?")?;
    for (name, folder, count) in SUITES {
        test(name, &checkout.join(folder), count)?;
    }
    server.stop()
}

/// The suites at [`COMMIT`], and nothing else of the repository.
fn fetch() -> Result<PathBuf> {
    let checkout = paths::target().join("conformance").join(COMMIT);
    let is_there = SUITES
        .iter()
        .all(|(_, folder, _)| checkout.join(folder).exists());
    if is_there {
        return Ok(checkout);
    }
    let advice = "the suites could not be fetched: give a checkout of github.com/socketio/socket.io as `--suite DIR`";
    let path = checkout.to_string_lossy();
    exec::run(exec::command("git").args(["init", "--quiet", &path]))?;
    let git = |words: &[&str]| {
        let mut command = exec::command("git");
        exec::run(command.args(["-C", &path]).args(words)).context(advice)
    };
    let folders: Vec<_> = SUITES.iter().map(|(_, folder, _)| *folder).collect();
    git(&[&["sparse-checkout", "set"], &folders[..]].concat())?;
    git(&[
        "fetch",
        "--quiet",
        "--depth=1",
        "--filter=blob:none",
        REPOSITORY,
        COMMIT,
    ])?;
    git(&["checkout", "--quiet", "FETCH_HEAD"])?;
    Ok(checkout)
}

/// Installs what a suite runs with, as its lock file says.
fn install(suite: &Path) -> Result<()> {
    if !suite.join("test-suite.js").exists() {
        bail!("there is no suite in {}", suite.display());
    }
    if suite.join("node_modules").exists() {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"])
        .current_dir(suite);
    exec::run(&mut npm).context("what the suites run with could not be installed by npm")
}

/// Runs a suite, several times if need be.
fn test(name: &str, suite: &Path, count: u32) -> Result<()> {
    for attempt in 1..=TRIES {
        println!("\n== {name}, run {attempt} of at most {TRIES} ==");
        let mut mocha = Command::new("node");
        mocha.args([
            "node_modules/mocha/bin/mocha",
            "--reporter",
            "json",
            "test-suite.js",
        ]);
        let output = mocha
            .current_dir(suite)
            .output()
            .context("mocha did not start")?;
        let report = Report::read(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        println!("   {} of {} pass", report.passes, report.tests);
        for failure in &report.failures {
            println!("   failed: {failure}");
        }
        if report.tests < count {
            bail!(
                "{name} has {} tests, which are less than the {count} known",
                report.tests
            );
        }
        if report.failures.is_empty() && report.passes == report.tests {
            return Ok(());
        }
    }
    bail!("{name}: not all tests passed in one of {TRIES} runs")
}

/// What mocha reports.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    tests: u32,
    passes: u32,
    failures: Vec<String>,
}

impl Report {
    /// Reads the report; a suite may print something before it.
    fn read(printed: &str) -> Result<Self> {
        let start = printed.find('{').context("mocha printed no report")?;
        let report: serde_json::Value = serde_json::from_str(&printed[start..])?;
        let count = |name: &str| {
            let count = report["stats"][name].as_u64();
            count
                .and_then(|count| u32::try_from(count).ok())
                .context("a report without counts")
        };
        let failures = report["failures"].as_array().into_iter().flatten();
        let told = |failure: &serde_json::Value| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            format!(
                "{}: {}",
                text(&failure["fullTitle"]),
                text(&failure["err"]["message"])
            )
        };
        Ok(Self {
            tests: count("tests")?,
            passes: count("passes")?,
            failures: failures.map(told).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_behind_whatever_is_printed_before_it() {
        let printed = "a warning\n{\"stats\":{\"tests\":2,\"passes\":1},\"failures\":[{\"fullTitle\":\"a b\",\"err\":{\"message\":\"no\"}}]}";
        let report = Report::read(printed).expect("it is a report");
        let failures = vec!["a b: no".to_owned()];
        assert_eq!(
            report,
            Report {
                tests: 2,
                passes: 1,
                failures
            }
        );
        assert!(Report::read("nothing").is_err() && Report::read("{}").is_err());
    }
}

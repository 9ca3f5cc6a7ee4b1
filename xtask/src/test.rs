//! `cargo xtask test`: the steps that CI runs, cheap ones first. Every step is complete in itself
//! (those that need the server build it, which is quick when it is there), so any one runs alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::instructions;
use crate::steps::{self, Step};
use crate::{
    arch, autobahn, differential, exec, fuzz, linear, paths, protobuf, rfc, schema, server, setup,
};

const STEPS: [Step; 21] = [
    Step {
        name: "setup",
        about: "what the tests need beyond Rust",
        run: setup::ensure,
    },
    Step {
        name: "fmt",
        about: "rustfmt has nothing to change",
        run: fmt,
    },
    Step {
        name: "clippy",
        about: "no lint of the workspace fires",
        run: clippy,
    },
    Step {
        name: "arch",
        about: "the layers hold, files are short and introduced",
        run: arch::check,
    },
    Step {
        name: "protobuf",
        about: "the code made from the schema is as the schema says",
        run: protobuf::step,
    },
    Step {
        name: "rfc",
        about: "every rule of the RFCs has code and a test, or a reason",
        run: rfc::step,
    },
    Step {
        name: "deny",
        about: "licenses, bans, sources, advisories of dependencies",
        run: deny,
    },
    Step {
        name: "unit",
        about: "unit tests, doc tests and examples",
        run: unit,
    },
    Step {
        name: "client",
        about: "the JavaScript client's own tests",
        run: client,
    },
    Step {
        name: "doc",
        about: "the documentation builds without a warning",
        run: doc,
    },
    Step {
        name: "build",
        about: "the server under test",
        run: build,
    },
    Step {
        name: "integration",
        about: "real processes, real clients",
        run: integration,
    },
    Step {
        name: "workers",
        about: "what a server does, with two workers",
        run: || workers("2"),
    },
    Step {
        name: "redis",
        about: "what the chat promises, with servers that have their logs in a Redis",
        run: || over("redis", &[]),
    },
    Step {
        name: "nats",
        about: "the same, and what several nodes promise, with logs in a NATS",
        run: || over("nats", &OF_NODES),
    },
    Step {
        name: "schema",
        about: "the HTTP API is as its description says",
        run: schema::step,
    },
    Step {
        name: "linear",
        about: "twice the size costs at most 2.3 times the instructions",
        run: linear::run,
    },
    Step {
        name: "instructions",
        about: "a message costs the server no more instructions than it did",
        run: instructions::step,
    },
    Step {
        name: "autobahn",
        about: "the Autobahn testsuite's quick set, both sides",
        run: autobahn::step,
    },
    Step {
        name: "differential",
        about: "two other implementations say the same",
        run: differential::step,
    },
    Step {
        name: "fuzz",
        about: "a short run of every fuzz target",
        run: fuzz::step,
    },
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these steps, as `clippy,unit`
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Print the steps
    #[arg(long)]
    list: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.list {
        STEPS
            .iter()
            .for_each(|step| println!("{:12} {}", step.name, step.about));
        return Ok(());
    }
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != **name))
    {
        bail!("there is no step {unknown}; `cargo xtask test --list` prints them");
    }
    let wanted =
        |step: &&Step| args.only.is_empty() || args.only.iter().any(|name| name == step.name);
    steps::run(&STEPS.iter().filter(wanted).collect::<Vec<_>>())
}

fn fmt() -> Result<()> {
    exec::run(&mut exec::cargo("fmt --all --check"))?;
    for apart in ["fuzz", "bench"] {
        let words = format!("fmt --all --manifest-path {apart}/Cargo.toml --check");
        exec::run(&mut exec::cargo(&words))?;
    }
    Ok(())
}

fn clippy() -> Result<()> {
    exec::run(&mut exec::cargo(
        "clippy --workspace --all-targets --features tidewire-protocol/fuzzing --keep-going -- -D warnings",
    ))
}

/// How long the download of the advisory database may take.
const DATABASE_LIMIT: Duration = Duration::from_secs(60);

fn deny() -> Result<()> {
    setup::cargo_tools::ensure_one("cargo-deny")?;
    let deny = |args: &[&str]| {
        let mut command = exec::command(setup::cargo_tools::binary("cargo-deny"));
        command.args(["--workspace"]).args(args);
        command
    };
    exec::run(&mut deny(&["check", "bans", "licenses", "sources"]))?;
    // The advisories come from GitHub, which not every machine may reach.
    println!("   $ cargo deny fetch db");
    if !exec::succeeds_within(DATABASE_LIMIT, &mut deny(&["fetch", "db"])) {
        println!("   NOT CHECKED: advisories, because the advisory database cannot be reached");
        return Ok(());
    }
    exec::run(&mut deny(&["check", "--disable-fetch", "advisories"]))
}

fn unit() -> Result<()> {
    exec::run(&mut exec::cargo(
        "test --workspace --exclude tidewire-tests --features tidewire-protocol/fuzzing --no-fail-fast",
    ))
}

fn client() -> Result<()> {
    exec::run(exec::command("node").args(["--test", "clients/js/"]))
}

fn doc() -> Result<()> {
    exec::run(exec::cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}

fn build() -> Result<()> {
    server::build().map(|binary| println!("   {}", paths::shown(&binary)))
}

/// A program of integration tests, and files of it.
type Part = (&'static str, &'static [&'static str]);

/// Those whose promises do not depend on who keeps the log.
const ELSEWHERE: [Part; 6] = [
    (
        "chat",
        &[
            "across_transports",
            "content",
            "errors",
            "limits",
            "over_http",
            "presence",
            "private_and_broadcast",
            "resume_matrix",
            "rooms",
            "sessions",
            "several_workers",
        ],
    ),
    ("clients", &["javascript"]),
    ("commands", &["chat"]),
    ("frames", &["reader_that_stops_reading"]),
    ("http", &["api", "readers"]),
    ("operator", &["drain"]),
];

/// Those in which a server of several workers may differ from one of a single one. The others are about what is in front of a server or
/// behind it, or say themselves how many there are.
const OF_WORKERS: [&str; 13] = [
    "attacks",
    "bad_input",
    "chat",
    "crowds",
    "durability",
    "frames",
    "http",
    "nodes",
    "operator",
    "soak",
    "tls",
    "tokens",
    "transports",
];

/// Runs all of them, against servers with one worker where a test does not say.
fn integration() -> Result<()> {
    exec::run(&mut integration_tests(&build_for_tests()?)).context("integration tests failed")
}

/// Runs some of them against servers with so many.
fn workers(count: &str) -> Result<()> {
    let mut test = integration_tests(&build_for_tests()?);
    test.env("TIDEWIRE_TEST_WORKERS", count);
    for program in OF_WORKERS {
        test.args(["--test", program]);
    }
    exec::run(&mut test).with_context(|| format!("integration tests failed with {count} workers"))
}

/// Tests of several nodes, which take a Redis if nobody says what else.
const OF_NODES: [Part; 1] = [("nodes", &["presence", "two_nodes"])];

/// Runs those with logs kept by `keeper`, and `more`.
fn over(keeper: &str, more: &[Part]) -> Result<()> {
    let binary = build_for_tests()?;
    let mut failed = Vec::new();
    for (program, files) in ELSEWHERE.iter().chain(more) {
        let mut test = integration_tests(&binary);
        test.env("TIDEWIRE_TEST_LOG", keeper);
        test.args(["--test", program, "--"]);
        test.args(files.iter().map(|file| format!("{file}::")));
        if exec::run(&mut test).is_err() {
            failed.push(*program);
        }
    }
    ensure!(
        failed.is_empty(),
        "integration tests failed over {keeper}: {}",
        failed.join(", ")
    );
    Ok(())
}

/// Builds what the integration tests need, and returns where the server is.
fn build_for_tests() -> Result<PathBuf> {
    let binary = server::build()?;
    exec::run(&mut exec::cargo(&format!(
        "build --package tidewire-protocol --examples --profile {}",
        server::PROFILE
    )))?;
    Ok(binary)
}

/// How many tests of a program run at once: most of what they do is wait, so more than there are processors.
const THREADS_OF_EACH: &str = "4";
const THREADS: &str = "RUST_TEST_THREADS";

/// The command that runs all of them, with this server.
fn integration_tests(binary: &Path) -> Command {
    let mut test = exec::cargo("test --package tidewire-tests --no-fail-fast");
    if std::env::var_os(THREADS).is_none() {
        test.env(THREADS, THREADS_OF_EACH);
    }
    test.env("TIDEWIRE_BIN", binary).env(
        "TIDEWIRE_EXAMPLES",
        paths::target().join(server::PROFILE).join("examples"),
    );
    test
}

//! `cargo xtask schema`: the API against its own description. schemathesis reads `/api/openapi.json` of a running server and
//! asks what the description allows and what it forbids; each answer must be one that is described, by its status, headers,
//! type and schema, and what is forbidden must be refused. What it is told about the API is `tests/schemathesis.toml`.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::server::Server;
use crate::setup::python::SCHEMATHESIS;
use crate::{exec, paths};

/// More than a thousand examples take.
const LIMIT: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many requests an operation gets in each phase, at most
    #[arg(long, default_value_t = 300)]
    examples: u32,
    /// Which ones: another seed, other requests
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Words for schemathesis, as `-- --include-path /poll`
    #[arg(last = true)]
    words: Vec<String>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    SCHEMATHESIS.ensure()?;
    let server = Server::start(&[])?;
    let mut command = exec::command(SCHEMATHESIS.program("schemathesis"));
    command
        .arg("--config-file")
        .arg(paths::root().join("tests/schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{}/api/openapi.json", server.address()))
        .args(["--checks", "all", "--generation-database", "none"])
        .args(["--max-examples", &args.examples.to_string()])
        .args(["--seed", &args.seed.to_string()])
        .args(&args.words)
        // What it remembers for `schemathesis replay` is not for the working tree.
        .current_dir(SCHEMATHESIS.folder());
    println!("   $ {}", exec::line(&command));
    let mut child = command.spawn()?;
    let status = exec::wait(&mut child, LIMIT, |_| ())?;
    // After what was sent to it, the server is as well as before.
    server.stop()?;
    match status.success() {
        true => Ok(()),
        false => anyhow::bail!(
            "schemathesis found something ({status}); it says above what, and how to ask it again"
        ),
    }
}

/// As a step of `cargo xtask test`: the same requests each time, most of them at the borders of what is described.
pub(crate) fn step() -> Result<()> {
    run(&Args {
        examples: 5,
        seed: 1,
        words: Vec::new(),
    })
    .context("the API is not as its description says")
}

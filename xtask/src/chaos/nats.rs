//! `cargo xtask chaos nats`: the integration test of three nodes on a NATS in trouble, many times.

use anyhow::{Context as _, Result};

use crate::setup::unpacked;
use crate::{exec, server};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds of each kind of trouble; nodes are killed twice as often, and NATS is held still half as often
    #[arg(long, value_name = "N", default_value_t = 50)]
    rounds: u64,
    /// How long NATS is held still, in seconds
    #[arg(long, value_name = "N", default_value_t = 30)]
    stopped: u64,
    /// Seed of the moments at which something goes wrong
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only kinds whose test has this in its name
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    unpacked::unpack(&[unpacked::NATS])?;
    let mut command = exec::cargo("test --package tidewire-tests --test nats_chaos --");
    command.args(args.only.as_deref());
    command.args(["--nocapture", "--test-threads=1"]);
    command.env("TIDEWIRE_BIN", server::build()?);
    for (name, value) in [
        ("TIDEWIRE_ROUNDS", args.rounds),
        ("TIDEWIRE_STOPPED_SECONDS", args.stopped),
        ("TIDEWIRE_SEED", args.seed),
    ] {
        command.env(name, value.to_string());
    }
    exec::run(&mut command).context("something was lost, doubled or put out of order")
}

//! `cargo xtask chaos badinput`: the integration test of bad input with more of it. The same seed sends the same again.

use anyhow::Result;

use crate::{exec, server};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many bad inputs
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    inputs: u64,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u8).range(1..=250))]
    connections: u8,
    /// Seed of what is sent
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Number of the first connection: to go on where another run ended, or to look at one again
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
}

/// The command. The test shows how far it is, and prints the table.
pub(crate) fn run(args: &Args) -> Result<()> {
    let binary = server::build()?;
    let mut test = exec::cargo("test --package tidewire-tests --test bad_input -- --nocapture");
    test.env("TIDEWIRE_BIN", binary);
    for (name, value) in [
        ("TIDEWIRE_BAD_INPUTS", args.inputs),
        ("TIDEWIRE_BAD_CONNECTIONS", args.connections.into()),
        ("TIDEWIRE_BAD_SEED", args.seed),
        ("TIDEWIRE_BAD_FIRST", args.first),
    ] {
        test.env(name, value.to_string());
    }
    exec::run(&mut test)
}

//! `cargo xtask chaos join`: the integration test of the seam between what was missed and what comes, many times over.

use anyhow::Result;

use crate::{exec, server};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many joins
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    joins: u64,
}

/// The command. The test shows how far it is.
pub(crate) fn run(args: &Args) -> Result<()> {
    let binary = server::build()?;
    let mut test = exec::cargo(
        "test --package tidewire-tests --test chat join_while_others_publish:: -- --nocapture",
    );
    test.env("TIDEWIRE_BIN", binary);
    test.env("TIDEWIRE_JOINS", args.joins.to_string());
    exec::run(&mut test)
}

//! `cargo xtask chaos`: what goes wrong in the field, many times and on purpose.

mod join;
mod kill;

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Kill the server with SIGKILL under load, restart it, and check that nothing acknowledged is lost
    Kill(kill::Args),
    /// Join a room while others publish as fast as they can
    Join(join::Args),
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Kill(args) => kill::run(args),
        What::Join(args) => join::run(args),
    }
}

//! `cargo xtask chaos`: what goes wrong in the field and in a data center, on purpose and many times.

mod bad_input;
mod crowds;
mod drain;
mod halfopen;
mod join;
mod kill;
mod nats;
mod pauses;
mod redis;
mod soak;
mod victim;

use anyhow::Result;
use clap::Subcommand;

use crate::exec;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Kill the server with SIGKILL under load, restart it, and check that nothing acknowledged is lost
    Kill(kill::Args),
    /// Send bad input of every kind over many connections at once, beside good clients that must notice nothing
    #[command(name = "badinput")]
    BadInput(bad_input::Args),
    /// Let clients come, talk and go for hours, and look at the slope of the server's memory
    Soak(soak::Args),
    /// Stop the server with SIGTERM under load, restart it, and check that nothing is lost or doubled
    Drain(drain::Args),
    /// Join a room while others publish as fast as they can
    Join(join::Args),
    /// Hold thousands of connections open half-way, in every way, while good clients come
    Slowloris(crowds::Slowloris),
    /// Let clients vanish behind a link that goes down, stop them, and stop the server
    Halfopen(halfopen::Args),
    /// Kill the server, and let all its clients come back at once
    Reconnect(crowds::Reconnect),
    /// Run the tests while everything stands still now and then, as on a machine that is paused
    Pauses(pauses::Args),
    /// Let three nodes share a Redis that is killed, forgets, stands still, is cut off, is slow and says no; and kill nodes
    Redis(redis::Args),
    /// Let three nodes share a NATS that is killed, stands still and forgets; and kill nodes
    Nats(nats::Args),
    /// Crash the log's store on a simulated disk that forgets, tears, reorders, fails and rots
    Power {
        /// How many crashes
        #[arg(long, default_value_t = 10_000)]
        crashes: u64,
        /// The first seed: that of a violation shows it again
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Kill(args) => kill::run(args),
        What::BadInput(args) => bad_input::run(args),
        What::Soak(args) => soak::run(args),
        What::Drain(args) => drain::run(args),
        What::Join(args) => join::run(args),
        What::Slowloris(args) => crowds::slowloris(args),
        What::Halfopen(args) => halfopen::run(args),
        What::Reconnect(args) => crowds::reconnect(args),
        What::Pauses(args) => pauses::run(args),
        What::Redis(args) => redis::run(args),
        What::Nats(args) => nats::run(args),
        What::Power { crashes, seed } => exec::run(
            exec::cargo("run --quiet --profile ci --package tidewire --features simulation")
                .args(["--example", "power_loss", "--"])
                .args([crashes.to_string(), seed.to_string()]),
        ),
    }
}

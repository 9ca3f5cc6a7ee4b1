//! The load of `cargo xtask bench publish` and `bench slow`: one thread, some thousand connections to a running server.
//! Progress goes to stderr, one line of JSON with the figures to stdout.
//!
//! `cargo run --release --example load -- publish 127.0.0.1:8080 --rate 5000`

mod fleet;
mod floor;
mod process;
mod publish;
mod slow;
mod spread;

use std::error::Error;

use clap::{Parser, Subcommand};

/// Loads a running server and measures it.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Publishers, each in a room of its own: how many acks a second, and how long each takes
    Publish(publish::Args),
    /// Readers of one room, with and without others that hardly read: what the latter cost
    Slow(slow::Args),
    /// The disk by itself: how long an `fdatasync` takes
    Floor(floor::Args),
}

fn main() -> Result<(), Box<dyn Error>> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let figures = match Cli::parse().what {
        What::Publish(args) => publish::run(&args)?,
        What::Slow(args) => slow::run(&args)?,
        What::Floor(args) => floor::run(&args)?,
    };
    println!("{figures}");
    Ok(())
}

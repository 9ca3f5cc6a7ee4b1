//! `cargo xtask chaos redis`: the integration test of three nodes on a Redis in trouble, at the size that proves something, one
//! kind of trouble after the other, and a table at the end.

use std::fs;

use anyhow::{Context as _, Result};

use crate::setup::unpacked;
use crate::{exec, paths, server};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds of each kind of trouble; nodes are killed twice as often, and Redis is held still half as often
    #[arg(long, value_name = "N", default_value_t = 50)]
    rounds: u64,
    /// Clients that send
    #[arg(long, value_name = "N", default_value_t = 200)]
    publishers: u64,
    /// Clients that only follow: eight of ten by WebSocket, one by an event stream, one by polls
    #[arg(long, value_name = "N", default_value_t = 2000)]
    followers: u64,
    /// Deliveries a second by WebSocket; those by HTTP come on top
    #[arg(long, value_name = "N", default_value_t = 5000)]
    deliveries: u64,
    /// How long Redis is held still, in seconds
    #[arg(long, value_name = "N", default_value_t = 30)]
    stopped: u64,
    /// The longest that it may take until all goes on, in seconds; 0: as long as it takes
    #[arg(long, value_name = "N", default_value_t = 5)]
    return_max: u64,
    /// Seed of the moments at which something goes wrong, and of the load
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only kinds whose test has this in its name
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    unpacked::unpack(&unpacked::REDIS)?;
    let binary = server::build()?;
    let table = paths::target().join("chaos-redis.md");
    let _ = fs::remove_file(&table);
    let mut command = exec::cargo("test --package tidewire-tests --test redis_chaos --");
    command.args(args.only.as_deref());
    command.args(["--nocapture", "--test-threads=1"]);
    command.env("TIDEWIRE_BIN", binary);
    command.env("TIDEWIRE_TABLE", &table);
    for (name, value) in [
        ("TIDEWIRE_ROUNDS", args.rounds),
        ("TIDEWIRE_PUBLISHERS", args.publishers),
        ("TIDEWIRE_FOLLOWERS", args.followers * 8 / 10),
        ("TIDEWIRE_HTTP_FOLLOWERS", args.followers / 10),
        ("TIDEWIRE_ROOMS", 100),
        ("TIDEWIRE_DELIVERIES", args.deliveries),
        ("TIDEWIRE_STOPPED_SECONDS", args.stopped),
        ("TIDEWIRE_RETURN_MAX", args.return_max),
        ("TIDEWIRE_CALM_SECONDS", 10),
        ("TIDEWIRE_SEED", args.seed),
    ] {
        command.env(name, value.to_string());
    }
    let outcome = exec::run(&mut command);
    // Also when something was found: the rows of the others are worth reading.
    let rows = fs::read_to_string(&table).unwrap_or_default();
    println!(
        "\n| trouble | rounds | acknowledged | lost, told | deliveries | violations | gaps | reconnects | acks again: max | \
         all goes on: p50, max | \
         away, max | ack p99: before, meanwhile | delivery p99: before, meanwhile |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n{rows}"
    );
    outcome.with_context(|| format!("the table is in {}", paths::shown(&table)))
}

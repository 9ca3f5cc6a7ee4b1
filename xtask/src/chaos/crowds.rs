//! `cargo xtask chaos slowloris` and `reconnect`: integration tests with crowds, at the size that proves something. Each process
//! needs a descriptor for each client: the server, and the test.

use anyhow::Result;

use crate::{exec, server};

#[derive(Debug, clap::Args)]
pub(crate) struct Slowloris {
    /// Connections of each kind that are held open half-way
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    slow: usize,
    /// Good clients that are served meanwhile, at least
    #[arg(long, value_name = "N", default_value_t = 1000)]
    good: usize,
    /// The time for a head, in seconds; a body has 0.06 s more, and who answers no ping a second
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reconnect {
    /// Clients that come back
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    clients: usize,
    /// Within how many seconds, each at a moment of its own
    #[arg(long, value_name = "N", default_value_t = 15)]
    jitter: u64,
}

/// The command: a line for each kind.
pub(crate) fn slowloris(args: &Slowloris) -> Result<()> {
    run(
        "slowloris",
        &[
            ("TIDEWIRE_SLOW", args.slow as u64),
            ("TIDEWIRE_GOOD", args.good as u64),
            ("TIDEWIRE_SLOW_SECONDS", args.seconds),
        ],
    )
}

/// The command.
pub(crate) fn reconnect(args: &Reconnect) -> Result<()> {
    run(
        "reconnect_storm",
        &[
            ("TIDEWIRE_CLIENTS", args.clients as u64),
            ("TIDEWIRE_JITTER_SECONDS", args.jitter),
        ],
    )
}

/// Runs a file of the integration tests of crowds, one test after the other, and shows what it says.
pub(super) fn run(file: &str, environment: &[(&str, u64)]) -> Result<()> {
    let binary = server::build()?;
    let mut command = exec::cargo(&format!(
        "test --package tidewire-tests --test crowds {file}:: -- --nocapture --test-threads=1"
    ));
    command.env("TIDEWIRE_BIN", binary);
    for (name, value) in environment {
        command.env(name, value.to_string());
    }
    exec::run(&mut command)
}

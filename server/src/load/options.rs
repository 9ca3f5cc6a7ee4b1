//! What `tidewire bench` is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::client::{Bearer, Trust};
use crate::config::values::time;

const EXAMPLES: &str = "\
Examples:
  tidewire bench localhost:8080
      1,000 messages a second on 50 connections to /echo, for ten seconds
  tidewire bench http://localhost:8080 --scenario fanout --connections 1000 --rooms 10 --rate 200
      20 messages a second in each of ten rooms with 100 members
  tidewire bench ws://localhost:8080 --scenario fanout --chat --size 1KiB
      the same through the chat, which keeps what is said
  tidewire bench ws://localhost:8080 --scenario idle --connections 10000 --duration 2m
  tidewire bench ws://localhost:8080 --scenario connect --rate 500 --json
  tidewire bench ws://echo.example:9001/ --connections 200 --rate 0 --svg echo.svg
      any echo server, as fast as it answers";

/// Load a server and tell how long its answers took.
///
/// Messages are due at fixed times, whatever becomes of those before (an open loop), and how long one took is counted from
/// when it was due: a server that stands still for a second is seen in every message of that second. With --rate 0 each
/// sender waits for what it sent before to arrive, which shows how much a server does, but hides how long it makes wait.
///
/// With a token all connections are its user, and share that one's limits.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The server, as http://HOST:PORT; with a path, the very WebSocket, as ws://HOST:PORT/PATH; https:// and wss:// with TLS
    pub url: String,
    #[command(flatten)]
    /// Whom to trust.
    pub trust: Trust,
    #[command(flatten)]
    /// By what right.
    pub bearer: Bearer,
    /// What is done
    #[arg(long, short, value_name = "NAME", default_value = "echo")]
    pub scenario: Scenario,
    /// Connections; of `connect` those under way at most [default: 50; fanout 100; idle and connect 1000]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: Option<u32>,
    /// Bytes that a message says
    #[arg(long, value_name = "BYTES", default_value = "125", value_parser = message_size)]
    pub size: usize,
    /// Messages, or handshakes, a second, of all together; 0: as fast as the answers come [default: 1000; fanout and connect 100]
    #[arg(long, short, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// How long it is measured
    #[arg(long, short, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub duration: Duration,
    /// How long it runs before that
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time_or_none)]
    pub warmup: Duration,
    /// Fan-out: rooms, among which the connections are dealt out
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rooms: u32,
    /// Fan-out: members of each room that speak
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub publishers: u32,
    /// Fan-out: through the chat at /ws, which keeps messages, instead of /relay
    #[arg(long)]
    pub chat: bool,
    /// Text messages, which is the default
    #[arg(long, conflicts_with = "binary")]
    pub text: bool,
    /// Binary messages
    #[arg(long, conflicts_with = "chat")]
    pub binary: bool,
    /// Offer permessage-deflate
    #[arg(long)]
    pub deflate: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Draw latency and throughput into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// What is done to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// What a connection sends comes back to it (/echo)
    Echo,
    /// What a member of a room says comes to all others (/relay, or /ws with --chat)
    Fanout,
    /// Connections that say nothing are held open (/ws)
    Idle,
    /// Connections come, shake hands and close (/echo)
    Connect,
}

impl Scenario {
    /// Its word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Fanout => "fanout",
            Self::Idle => "idle",
            Self::Connect => "connect",
        }
    }
}

/// The most that a message says: what `/echo` takes is four times as much.
const SIZE_MAX: u64 = 16 << 20;

/// A number of bytes that has room for a stamp.
fn message_size(text: &str) -> Result<usize, String> {
    let size = crate::config::values::size(text)?;
    let least = super::content::STAMP_BYTES as u64;
    if !(least..=SIZE_MAX).contains(&size) {
        return Err(format!(
            "a message has {least} bytes, in which it says when it was due, to 16MiB"
        ));
    }
    Ok(size as usize)
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| *rate == 0.0 || (0.001..=10_000_000.0).contains(rate))
        .ok_or_else(|| "write a number from 0.001 to 10000000, or 0".to_owned())
}

fn time_or_none(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => time(text),
    }
}

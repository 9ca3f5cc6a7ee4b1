//! The command line: `tidewire serve`, which is also what `tidewire` alone does.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Compression, Config};
use crate::log::Retention;
use crate::verify;

/// A chat and real-time messaging server that speaks WebSocket.
#[derive(Debug, Parser)]
#[command(
    name = "tidewire",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Serve),
    Verify(verify::Options),
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Task {
    /// To run a server.
    Serve(Config),
    /// To check one.
    Verify(verify::Options),
}

/// Run the server
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "TIDEWIRE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    listen: SocketAddr,
    /// Where rooms are kept: `memory` lasts as long as the process
    #[arg(long, env = "TIDEWIRE_DATA", value_name = "memory", default_value = "memory", value_parser = ["memory"])]
    data: String,
    /// Worker threads
    #[arg(long, env = "TIDEWIRE_WORKERS", value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1))]
    workers: u32,
    /// Most connections at once [default: what the limit on open files allows]
    #[arg(long, env = "TIDEWIRE_CONNECTIONS_MAX", value_name = "N")]
    connections_max: Option<usize>,
    /// Ping a client that was silent for this long
    #[arg(long, env = "TIDEWIRE_HEARTBEAT", value_name = "TIME", default_value = "30s", value_parser = time)]
    heartbeat: Duration,
    /// Close a client that does not answer a ping for this long
    #[arg(long, env = "TIDEWIRE_PONG_WAIT", value_name = "TIME", default_value = "10s", value_parser = time)]
    pong_wait: Duration,
    /// Time for a whole request head
    #[arg(long, env = "TIDEWIRE_HANDSHAKE_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = time)]
    handshake_timeout: Duration,
    /// Time that an HTTP connection may be idle between requests
    #[arg(long, env = "TIDEWIRE_KEEP_ALIVE", value_name = "TIME", default_value = "60s", value_parser = time)]
    keep_alive: Duration,
    /// Time for a client's part in closing
    #[arg(long, env = "TIDEWIRE_CLOSE_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = time)]
    close_timeout: Duration,
    /// Messages a second that a chat client may send, twice as many at once; 0 means no limit
    #[arg(
        long,
        env = "TIDEWIRE_MESSAGES_PER_SECOND",
        value_name = "N",
        default_value_t = 100
    )]
    messages_per_second: u32,
    /// Messages that a room keeps
    #[arg(long, env = "TIDEWIRE_HISTORY_ENTRIES", value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    history_entries: u64,
    /// Time that a message is kept
    #[arg(long, env = "TIDEWIRE_HISTORY_AGE", value_name = "TIME", default_value = "7d", value_parser = long_time)]
    history_age: Duration,
    /// Bytes of messages that a room keeps: 64MiB, 500KiB, 1GiB
    #[arg(long, env = "TIDEWIRE_HISTORY_BYTES", value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    history_bytes: u64,
    /// Close a client that has been behind in a room for this long; it can resume
    #[arg(long, env = "TIDEWIRE_LAG_MAX", value_name = "TIME", default_value = "30s", value_parser = time)]
    lag_max: Duration,
    /// Compress messages for clients that ask for it
    #[arg(
        long,
        env = "TIDEWIRE_COMPRESSION",
        value_name = "HOW",
        default_value = "on"
    )]
    compression: Compression,
}

impl Cli {
    /// What is to be done.
    #[must_use]
    pub fn into_task(self) -> Task {
        match self.command {
            Some(Command::Verify(options)) => Task::Verify(options),
            Some(Command::Serve(_)) | None => Task::Serve(self.into_config()),
        }
    }

    /// The settings of the server to run.
    #[must_use]
    pub fn into_config(self) -> Config {
        let serve = match self.command {
            Some(Command::Serve(serve)) => serve,
            Some(Command::Verify(_)) | None => self.serve,
        };
        Config {
            listen: serve.listen,
            connections_max: serve.connections_max,
            heartbeat: serve.heartbeat,
            pong_wait: serve.pong_wait,
            handshake_timeout: serve.handshake_timeout,
            keep_alive: serve.keep_alive,
            close_timeout: serve.close_timeout,
            messages_per_second: serve.messages_per_second,
            retention: Retention {
                entries_max: serve.history_entries,
                age_max: serve.history_age,
                bytes_max: serve.history_bytes,
            },
            lag_max: serve.lag_max,
            compression: serve.compression,
        }
    }
}

/// A time above zero and up to a day: `30s`, `1m 30s`, `500ms`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write 30s, 500ms or 1m 30s"))?;
    if time.is_zero() || time > Duration::from_secs(86_400) {
        return Err("a time is above zero and at most a day".to_owned());
    }
    Ok(time)
}

/// A time above zero, however long: `7d`, `52w`.
fn long_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write 7d, 12h or 30m"))?;
    if time.is_zero() {
        return Err("a time is above zero".to_owned());
    }
    Ok(time)
}

/// A number of bytes above zero, with a unit or without.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "B" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0);
    shift
        .and_then(|shift| number?.checked_mul(1 << shift))
        .ok_or_else(|| "write 64MiB, 500KiB, 1GiB or a number of bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn config(words: &[&str]) -> Result<Config, clap::error::ErrorKind> {
        let cli = Cli::try_parse_from([&["tidewire"], words].concat());
        cli.map(Cli::into_config).map_err(|error| error.kind())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_is_serve_with_defaults() {
        let expected = format!("{:?}", Config::default());
        assert_eq!(format!("{:?}", config(&[]).unwrap()), expected);
        assert_eq!(format!("{:?}", config(&["serve"]).unwrap()), expected);
    }

    #[test]
    fn flags_work_with_and_without_serve() {
        for words in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["--listen", "127.0.0.1:0"],
        ] {
            assert_eq!(config(words).unwrap().listen.port(), 0);
        }
        let all = [
            "--data",
            "memory",
            "--workers",
            "1",
            "--messages-per-second",
            "0",
            "--heartbeat",
            "500ms",
        ];
        let config = config(&all).unwrap();
        assert_eq!(
            (config.messages_per_second, config.heartbeat),
            (0, Duration::from_millis(500))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &["--heartbeat", "0s"][..],
            &["--workers", "2"],
            &["--data", "/tmp"],
            &["--listen", "x"],
            &["--history-bytes", "1MB"],
            &["--history-bytes", "0"],
            &["--history-bytes", "99999999999GiB"],
            &["--history-entries", "0"],
            &["--history-age", "0s"],
        ] {
            assert!(config(words).is_err(), "{words:?}");
        }
    }
}

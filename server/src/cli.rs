//! The command line: `tidewire serve`, which is also what `tidewire` alone does.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Compression, Config};
use crate::tools::log::Log;

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
    /// Look into a data directory
    Log(Log),
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
    /// Compress messages for clients that ask for it
    #[arg(
        long,
        env = "TIDEWIRE_COMPRESSION",
        value_name = "HOW",
        default_value = "on"
    )]
    compression: Compression,
}

/// What to do.
#[derive(Debug)]
pub enum Task {
    /// Run a server with these settings.
    Serve(Config),
    /// Look into a data directory.
    Log(Log),
}

impl Cli {
    /// What the words ask for.
    #[must_use]
    pub fn into_task(self) -> Task {
        match self.command {
            Some(Command::Serve(serve)) => Task::Serve(serve.into_config()),
            Some(Command::Log(log)) => Task::Log(log),
            None => Task::Serve(self.serve.into_config()),
        }
    }
}

impl Serve {
    fn into_config(self) -> Config {
        Config {
            listen: self.listen,
            connections_max: self.connections_max,
            heartbeat: self.heartbeat,
            pong_wait: self.pong_wait,
            handshake_timeout: self.handshake_timeout,
            keep_alive: self.keep_alive,
            close_timeout: self.close_timeout,
            messages_per_second: self.messages_per_second,
            compression: self.compression,
        }
    }
}

/// A time above zero and up to a day: `30s`, `1m 30s`, `500ms`.
fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write 30s, 500ms or 1m 30s"))?;
    if time.is_zero() || time > Duration::from_secs(86_400) {
        return Err("a time is above zero and at most a day".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn config(words: &[&str]) -> Result<Config, clap::error::ErrorKind> {
        let cli = Cli::try_parse_from([&["tidewire"], words].concat());
        cli.map(|cli| {
            cli.command.map_or(cli.serve, |command| match command {
                Command::Serve(serve) => serve,
                Command::Log(log) => panic!("{log:?}"),
            })
        })
        .map(Serve::into_config)
        .map_err(|error| error.kind())
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
        ] {
            assert!(config(words).is_err(), "{words:?}");
        }
    }
}

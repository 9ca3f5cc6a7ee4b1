//! What was understood of the command line: the same numbers for every part of a run.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;

use super::options::{Options, Scenario};
use super::report;
use crate::client::Trust;

/// The most senders: the field of the stamp has so many values.
const SENDERS_MAX: usize = 1 << 16;

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) url: String,
    pub(super) trust: Trust,
    pub(super) token: Option<String>,
    pub(super) scenario: Scenario,
    /// How many are open all the time, or of handshakes under way at once.
    pub(super) connections: usize,
    /// Bytes of a message.
    pub(super) size: usize,
    /// A second, of all senders together; none in a closed loop.
    pub(super) rate: Option<f64>,
    pub(super) duration: Duration,
    pub(super) warmup: Duration,
    pub(super) rooms: usize,
    /// How many members of a room speak.
    pub(super) publishers: usize,
    pub(super) chat: bool,
    pub(super) binary: bool,
    pub(super) deflate: bool,
    pub(super) json: bool,
    pub(super) svg: Option<PathBuf>,
}

impl Plan {
    /// Fills in what was not said.
    ///
    /// # Errors
    /// Flags that do not go together: print it and end with exit code 2.
    pub fn new(options: Options) -> Result<Self, clap::Error> {
        let scenario = options.scenario;
        let rate = options.rate.unwrap_or(match scenario {
            Scenario::Echo => 1000.0,
            Scenario::Fanout | Scenario::Connect => 100.0,
            Scenario::Idle => 0.0,
        });
        let rate = Some(rate).filter(|rate| *rate > 0.0);
        let connections = match (scenario, rate) {
            (Scenario::Echo, _) | (Scenario::Connect, None) => 50,
            (Scenario::Fanout, _) => 100,
            (Scenario::Idle, _) | (Scenario::Connect, Some(_)) => 1000,
        };
        let plan = Self {
            url: options.url,
            trust: options.trust,
            // Of a file, with the end of its line.
            token: options.bearer.token().map(str::to_owned),
            scenario,
            connections: options.connections.map_or(connections, |n| n as usize),
            size: options.size,
            rate,
            duration: options.duration,
            warmup: match scenario {
                // They are all there when it begins, and nothing has to get warm.
                Scenario::Idle => Duration::ZERO,
                Scenario::Echo | Scenario::Fanout | Scenario::Connect => options.warmup,
            },
            rooms: options.rooms as usize,
            publishers: options.publishers as usize,
            chat: options.chat,
            binary: options.binary,
            deflate: options.deflate,
            json: options.json,
            svg: options.svg,
        };
        match plan.contradiction() {
            None => Ok(plan),
            Some(told) => Err(clap::Error::raw(
                ErrorKind::ArgumentConflict,
                format!("{told}\n"),
            )),
        }
    }

    fn contradiction(&self) -> Option<String> {
        let is_fanout = self.scenario == Scenario::Fanout;
        if !is_fanout && (self.chat || self.rooms > 1 || self.publishers > 1) {
            return Some("--chat, --rooms and --publishers are for --scenario fanout".to_owned());
        }
        if is_fanout && self.connections < 2 * self.rooms {
            return Some(format!(
                "a room has a speaker and a listener: for {} rooms say --connections {} or more",
                self.rooms,
                2 * self.rooms
            ));
        }
        if is_fanout && self.connections / self.rooms < self.publishers {
            return Some(format!(
                "--publishers {} are more than the members of a room, {}",
                self.publishers,
                self.connections / self.rooms
            ));
        }
        (self.senders().count() > SENDERS_MAX)
            .then(|| format!("at most {SENDERS_MAX} connections can speak"))
    }

    /// The room of a connection.
    pub(super) const fn room(&self, number: usize) -> usize {
        number % self.rooms
    }

    /// The connections that speak.
    pub(super) fn senders(&self) -> std::ops::Range<usize> {
        match self.scenario {
            Scenario::Echo => 0..self.connections,
            Scenario::Fanout => 0..self.publishers * self.rooms,
            Scenario::Idle | Scenario::Connect => 0..0,
        }
    }

    /// Connections to open before anything is measured. Of those that come and go one, which shows that there is a server.
    pub(super) const fn opened_first(&self) -> usize {
        match self.scenario {
            Scenario::Echo | Scenario::Fanout | Scenario::Idle => self.connections,
            Scenario::Connect => 1,
        }
    }

    /// What a latency is of, in words.
    pub(super) const fn latency_of(&self) -> &'static str {
        match (self.scenario, self.rate) {
            (Scenario::Echo, Some(_)) => "from when a message was due to its echo",
            (Scenario::Echo, None) => "from sending a message to its echo",
            (Scenario::Fanout, Some(_)) => "from when a message was due to each delivery",
            (Scenario::Fanout, None) => "from sending a message to each delivery",
            (Scenario::Connect, Some(_)) => "from when a handshake was due to its end",
            (Scenario::Connect | Scenario::Idle, _) => {
                "from connecting to the end of the handshake"
            }
        }
    }

    /// What it does, in words.
    pub(super) fn told(&self) -> String {
        let count = report::count;
        let some = |number: usize, what: &str| {
            let end = if number == 1 { "" } else { "s" };
            format!("{} {what}{end}", count(number as u64))
        };
        let message = format!(
            "{} B {}{}",
            count(self.size as u64),
            if self.binary { "binary" } else { "text" },
            if self.deflate { ", deflate" } else { "" }
        );
        let loaded = |what: &str| match self.rate {
            Some(rate) => format!("{} {what} a second, open loop", report::rate(rate)),
            None => "closed loop, as fast as answers come".to_owned(),
        };
        let connections = some(self.connections, "connection");
        match self.scenario {
            Scenario::Echo => format!("echo, {connections}, {message}, {}", loaded("messages")),
            Scenario::Fanout => format!(
                "fan-out{}, {connections} in {}, {} speaking in each, {message}, {}",
                if self.chat { " of the chat" } else { "" },
                some(self.rooms, "room"),
                self.publishers,
                loaded("messages")
            ),
            Scenario::Idle => format!("idle, {connections}"),
            Scenario::Connect => format!("connect, {}", loaded("handshakes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn plan(words: &[&str]) -> Result<Plan, ErrorKind> {
        let words = [&["bench", "a:1"], words].concat();
        let cli = Cli::try_parse_from(words).map_err(|error| error.kind())?;
        Plan::new(cli.options).map_err(|error| error.kind())
    }

    #[test]
    fn what_is_not_said_depends_on_the_scenario() {
        let echo = plan(&[]).unwrap();
        assert_eq!((echo.connections, echo.rate), (50, Some(1000.0)));
        let idle = plan(&["--scenario", "idle"]).unwrap();
        assert_eq!((idle.connections, idle.rate), (1000, None));
        assert_eq!(idle.warmup, Duration::ZERO);
        let closed = plan(&["--rate", "0"]).unwrap();
        assert_eq!(closed.rate, None);
    }

    #[test]
    fn publishers_are_the_first_members_of_each_room() {
        let words = [
            "-s",
            "fanout",
            "-c",
            "9",
            "--rooms",
            "3",
            "--publishers",
            "2",
        ];
        let plan = plan(&words).unwrap();
        let rooms: Vec<_> = plan.senders().map(|number| plan.room(number)).collect();
        assert_eq!(rooms, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for words in [
            &["--rooms", "2"][..],
            &["--chat"],
            &["--binary", "--text"],
            &["-s", "fanout", "--chat", "--binary"],
            &["-s", "fanout", "-c", "5", "--rooms", "3"],
            &[
                "-s",
                "fanout",
                "-c",
                "6",
                "--rooms",
                "3",
                "--publishers",
                "3",
            ],
            &["-c", "70000"],
            &["--size", "15"],
            &["--size", "17MiB"],
            &["--rate", "-1"],
            &["--rate", "NaN"],
            &["--duration", "0s"],
        ] {
            assert!(plan(words).is_err(), "{words:?}");
        }
    }
}

//! Who keeps the log that several servers share, in tests that hold whoever that is: a Redis, or what `TIDEWIRE_TEST_LOG` says.

use crate::nats::Nats;
use crate::nodes::Nodes;
use crate::redis::Redis;
use crate::shared_log::{Keeper, wanted};

/// A running one; dropping it ends its process.
#[derive(Debug)]
pub enum LogServer {
    /// Redis.
    Redis(Redis),
    /// NATS with JetStream.
    Nats(Nats),
}

/// The same of each.
macro_rules! either {
    ($self:ident, $server:ident => $what:expr) => {
        match $self {
            Self::Redis($server) => $what,
            Self::Nats($server) => $what,
        }
    };
}

impl LogServer {
    /// One that loses nothing when it is killed.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        match wanted() {
            Some(Keeper::Nats) => Self::Nats(Nats::start()),
            Some(Keeper::Redis) | None => Self::Redis(Redis::start()),
        }
    }

    /// What a server is told beside `--log`: that this one loses nothing, if it does not find that out itself.
    #[must_use]
    pub const fn flags(&self) -> &'static [&'static str] {
        match self {
            Self::Redis(_) => &[],
            Self::Nats(_) => &["--nats-trust-restarts"],
        }
    }

    /// Servers on it.
    #[must_use]
    #[track_caller]
    pub fn nodes(&self, count: usize, arguments: &[&str]) -> Nodes {
        Nodes::on(&self.url(), count, &[arguments, self.flags()].concat())
    }

    /// What `--log` takes.
    #[must_use]
    pub fn url(&self) -> String {
        either!(self, server => server.url())
    }

    /// SIGKILL.
    #[track_caller]
    pub fn kill(&mut self) {
        either!(self, server => server.kill());
    }

    /// Starts it again with what it has, and waits until it answers.
    #[track_caller]
    pub fn come_back(&mut self) {
        either!(self, server => server.come_back());
    }

    /// Kills it and forgets its data; it is for the caller to start it again.
    #[track_caller]
    pub fn kill_and_empty(&mut self) {
        either!(self, server => server.kill_and_empty());
    }

    /// Holds its process still: nobody is told, and nothing is lost.
    #[track_caller]
    pub fn pause(&mut self) {
        either!(self, server => server.pause());
    }

    /// Lets it go on.
    #[track_caller]
    pub fn resume(&mut self) {
        either!(self, server => server.resume());
    }
}

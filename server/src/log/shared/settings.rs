//! What an operator says that holds whoever keeps the logs: who we are, what an acknowledgement means, and how long to wait.

use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

/// Settings of logs that several nodes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What this node is called; no other has the same name.
    pub node: String,
    /// What an acknowledgement means.
    pub ack: Ack,
    /// How long a message may wait for its place before its sender hears `unavailable`.
    pub timeout: Duration,
    /// A command without an answer for so long ends its link.
    pub command_timeout: Duration,
}

/// What an acknowledged message has behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ack {
    /// The primary has it, as safe as its `appendfsync` makes it.
    #[default]
    Primary,
    /// So many replicas have it, too (`WAIT`).
    Replicas(NonZeroU8),
    /// The primary has it on its disk, and so many replicas on theirs (`WAITAOF`, Redis 7.2).
    Aof {
        /// How many replicas.
        replicas: u8,
    },
}

/// A password: it can be used, and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A password.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The password, for Redis alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

//! What an operator says about the NATS that keeps the logs, parsed. Nothing here reads a URL or a flag.

use std::time::Duration;

use crate::log::remote::Target;
use crate::log::shared::{Ack, Secret, Settings};

/// Who a client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatsLogin {
    /// A user with its password.
    User(String, Secret),
    /// Whoever has this word.
    Token(Secret),
}

/// Settings of logs in NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsOptions {
    /// Servers of one NATS: another is tried when one cannot be reached.
    pub servers: Vec<Target>,
    /// Who we are, if it wants to know.
    pub login: Option<NatsLogin>,
    /// What all names of streams and subjects begin with.
    pub prefix: String,
    /// What this node is called; no other has the same name.
    pub node: String,
    /// How many servers of a cluster have each stream. Default 1.
    pub replicas: u8,
    /// A NATS that was restarted has all that it had acknowledged. Default: that is not sure, since it writes to its disk now and
    /// then only.
    pub trusts_restarts: bool,
    /// How long a message may wait for its place before its sender hears `unavailable`.
    pub timeout: Duration,
    /// A request without an answer for so long ends its link.
    pub command_timeout: Duration,
}

impl NatsOptions {
    /// What does not depend on who keeps the logs.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            node: self.node.clone(),
            // The answer to what is published comes once as many replicas have it as the stream has.
            ack: Ack::Primary,
            timeout: self.timeout,
            command_timeout: self.command_timeout,
        }
    }
}

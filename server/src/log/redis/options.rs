//! What an operator says about the Redis that keeps the logs, parsed: where it is, who we are there, and what an acknowledgement
//! means. Nothing here reads a URL or a flag, and nothing shows the password.

use std::time::Duration;

use crate::log::remote::Target;
use crate::log::shared::{Ack, Secret, Settings};

/// Settings of logs in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// Where it is.
    pub topology: Topology,
    /// Links speak TLS (`rediss`).
    pub tls: bool,
    /// The user of the ACL; `None`: Redis takes the password for that of `default`.
    pub user: Option<String>,
    /// The password, if it wants one.
    pub password: Option<Secret>,
    /// Who we are at the Sentinels, who have users of their own; `None` as with [`user`](Self::user).
    pub sentinel_user: Option<String>,
    /// The password there, if they want one.
    pub sentinel_password: Option<Secret>,
    /// What all keys and channels begin with. Default `tidewire:`, so that others may use the same Redis.
    pub prefix: String,
    /// What this node is called; no other has the same name.
    pub node: String,
    /// What an acknowledgement means. Default [`Ack::Primary`].
    pub ack: Ack,
    /// How long a message may wait for its place before its sender hears `unavailable`. Default 2 s: people send again after that.
    pub timeout: Duration,
    /// A command without an answer for so long ends its link. Default 5 s: beyond any pause of a Redis that is well.
    pub command_timeout: Duration,
}

/// Where Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One, and its replicas behind a name or an address that moves with its primary.
    Single {
        /// Where it is.
        target: Target,
        /// The number of the database in it.
        database: u32,
    },
    /// One of several, as Sentinels say; asked in this order.
    Sentinel {
        /// The Sentinels.
        sentinels: Vec<Target>,
        /// What they call the primary and its replicas.
        name: String,
    },
    /// A cluster; these of its nodes are asked for the others.
    Cluster {
        /// Some of its nodes.
        seeds: Vec<Target>,
    },
}

impl RedisOptions {
    /// The prefix that is used if none is given.
    pub const PREFIX: &'static str = "tidewire:";
    /// The default of [`timeout`](Self::timeout).
    pub const TIMEOUT: Duration = Duration::from_secs(2);
    /// The default of [`command_timeout`](Self::command_timeout).
    pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

    /// The defaults, for a Redis there and a node of that name.
    #[must_use]
    pub fn new(topology: Topology, node: String) -> Self {
        Self {
            topology,
            tls: false,
            user: None,
            password: None,
            sentinel_user: None,
            sentinel_password: None,
            prefix: Self::PREFIX.to_owned(),
            node,
            ack: Ack::default(),
            timeout: Self::TIMEOUT,
            command_timeout: Self::COMMAND_TIMEOUT,
        }
    }

    /// Whether Sentinels say where it is.
    #[must_use]
    pub const fn has_sentinels(&self) -> bool {
        matches!(self.topology, Topology::Sentinel { .. })
    }

    /// What does not depend on who keeps the logs.
    #[must_use]
    pub(super) fn settings(&self) -> Settings {
        Settings {
            node: self.node.clone(),
            ack: self.ack,
            timeout: self.timeout,
            command_timeout: self.command_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_by_what_holds_it() {
        let target = Target {
            host: "localhost".to_owned(),
            port: 6379,
        };
        let topology = Topology::Single {
            target,
            database: 0,
        };
        let mut options = RedisOptions::new(topology, "a".to_owned());
        options.password = Some(Secret::new("hunter2".to_owned()));
        let shown = format!("{options:?}");
        assert!(
            shown.contains("(hidden)") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

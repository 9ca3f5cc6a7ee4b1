//! Several servers that share a log: nodes, each a process with a name and a port of its own, which it has again when it comes
//! back.

use std::net::SocketAddr;

use crate::http::get;
use crate::launch::Launch;
use crate::server::Server;

/// Most tests are not about how long a sender waits: on a busy machine an answer takes what it takes.
const UNHURRIED: [&str; 2] = ["--log-timeout", "10s"];

/// Lines of a log that are shown.
const SHOWN: usize = 20;

/// Nodes; dropping them ends their processes.
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    launch: Launch,
    address: SocketAddr,
    /// `None` while it is away.
    server: Option<Server>,
}

impl Nodes {
    /// A node for each of the logs' addresses, with these arguments after `serve`. The addresses may be those of proxies before
    /// the same log. Who publishes is not refused soon where the log is slow, unless the arguments say when.
    ///
    /// # Panics
    ///
    /// When one does not start.
    #[must_use]
    #[track_caller]
    pub fn start(logs: &[String], arguments: &[&str]) -> Self {
        let launches = logs.iter().enumerate().map(|(index, log)| {
            let name = format!("n{}", index + 1);
            let hurries = arguments.contains(&"--log-timeout");
            Launch::default()
                .arguments(&["--log", log, "--node", &name])
                .arguments(arguments)
                .arguments(if hurries { &[] } else { &UNHURRIED })
        });
        let nodes = launches.map(|launch| {
            let server = launch.start();
            Node {
                address: server.address(),
                launch,
                server: Some(server),
            }
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// So many on one log.
    #[must_use]
    #[track_caller]
    pub fn on(log: &str, count: usize, arguments: &[&str]) -> Self {
        Self::start(&vec![log.to_owned(); count], arguments)
    }

    /// How many there are, with those that are away.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.nodes.len()
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// When it is away.
    #[must_use]
    #[track_caller]
    pub fn node(&self, index: usize) -> &Server {
        self.nodes[index].server.as_ref().expect("the node is here")
    }

    /// All that are here.
    pub fn all(&self) -> impl Iterator<Item = &Server> {
        self.nodes.iter().filter_map(|node| node.server.as_ref())
    }

    /// What each that is here says of itself, for whoever waited in vain.
    #[must_use]
    pub fn told(&self) -> String {
        let told = |node: &Server| {
            let ready = get(node.address(), "/ready");
            format!("{}: {ready:?}\n{}", node.address(), last_lines(&node.log()))
        };
        let told: Vec<_> = self.all().map(told).collect();
        told.join("\n")
    }

    /// Where they listen, also those that are away.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Ends one without any farewell.
    #[track_caller]
    pub fn kill(&mut self, index: usize) {
        if let Some(mut server) = self.nodes[index].server.take() {
            server.kill();
        }
    }

    /// Stops one with SIGTERM, and waits until it has let its clients go.
    ///
    /// # Panics
    ///
    /// When it does not end well.
    #[track_caller]
    pub fn drain(&mut self, index: usize) {
        if let Some(mut server) = self.nodes[index].server.take() {
            server.signal("TERM");
            let status = server.wait_for_exit();
            assert_eq!(status.code(), Some(0), "node {index}: {}", server.log());
        }
    }

    /// Starts one again on its port, under its name.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn come_back(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let launch = node.launch.clone().on_port(node.address.port());
        node.server = Some(launch.start());
    }
}

/// The end of a text.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

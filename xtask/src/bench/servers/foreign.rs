//! Servers that are not in Rust: how each is started for a cell, and what the load must know of it.

use super::cells::Group;
use super::start::Start;
use super::subjects::touch;
use super::{node, uwebsockets};
use crate::setup::unpacked;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Foreign {
    Uwebsockets,
    /// Node's `ws`.
    Node,
    Socketio,
    /// nginx with its module nchan.
    Nchan,
    Nats,
}

use Foreign::{Nats, Nchan, Node, Socketio, Uwebsockets};

/// What NATS is told first, on its protocol of lines.
const NATS_HELLO: &str =
    r#"CONNECT {"verbose":false,"pedantic":false,"protocol":1,"echo":true}\r\nSUB bench 1\r\n"#;

/// Where Socket.IO is spoken over WebSocket from the beginning.
pub(in crate::bench) const SOCKETIO: &str = "/socket.io/?EIO=4&transport=websocket";

/// How socket.io's room is spoken in: coming in, then an event.
pub(in crate::bench) const SOCKETIO_SPEAKS: [&str; 6] = [
    "--path",
    SOCKETIO,
    "--hello",
    "40",
    "--template",
    r#"42["m","{}"]"#,
];

impl Foreign {
    /// As in the tables and behind `--only`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Uwebsockets => "uwebsockets",
            Node => "node-ws",
            Socketio => "socketio",
            Nchan => "nchan",
            Nats => "nats",
        }
    }

    /// None if it does not do what the group wants.
    pub(super) fn start(self, group: Group) -> Option<Start> {
        match self {
            Uwebsockets => Some(uwebsockets_start(group)),
            Node => Some(node_start(group)),
            Socketio => socketio_start(group),
            Nchan => nchan(group),
            Nats => nats(group),
        }
    }

    /// Its program and version.
    pub(in crate::bench) fn version(self) -> Option<String> {
        match self {
            Uwebsockets => uwebsockets::version().ok(),
            Node => node::version("ws").ok(),
            Socketio => node::version("socket.io").ok(),
            Nchan => unpacked::version(unpacked::NCHAN),
            Nats => unpacked::version(unpacked::NATS),
        }
    }
}

fn uwebsockets_start(group: Group) -> Start {
    let mode = match group {
        Group::Fanout | Group::Latency => "relay",
        Group::Echo | Group::Connect | Group::Idle => "echo",
        Group::Deflate | Group::IdleDeflate => "deflate",
    };
    Start::new(
        uwebsockets::program(),
        format!("{mode} PORT"),
        touch(group).to_vec(),
    )
}

fn node_start(group: Group) -> Start {
    let how = match group {
        Group::Fanout | Group::Latency => "relay PORT",
        Group::Echo | Group::Connect | Group::Idle => "echo PORT",
        Group::Deflate | Group::IdleDeflate => "echo PORT deflate",
    };
    let script = node::folder().join("ws.js");
    Start::new(
        "node",
        format!("{} {how}", script.display()),
        touch(group).to_vec(),
    )
}

fn socketio_start(group: Group) -> Option<Start> {
    let load = match group {
        Group::Fanout | Group::Latency => SOCKETIO_SPEAKS.to_vec(),
        Group::Idle => SOCKETIO_SPEAKS[..4].to_vec(),
        Group::Echo | Group::Deflate | Group::Connect | Group::IdleDeflate => return None,
    };
    Some(socketio(load))
}

/// socket.io with a room for all, and this load.
pub(in crate::bench) fn socketio(load: Vec<&'static str>) -> Start {
    let script = node::folder().join("socketio.js");
    Start::new("node", format!("{} relay PORT", script.display()), load)
}

fn nchan(group: Group) -> Option<Start> {
    let mut load = vec!["--path", "/listen"];
    match group {
        Group::Fanout | Group::Latency => load.extend(["--publish-path", "/speak"]),
        Group::Idle => {}
        Group::Echo | Group::Deflate | Group::Connect | Group::IdleDeflate => return None,
    }
    let words = "-p DATA -e DATA/start.log -c CONFIG";
    let mut start = Start::new(unpacked::file(unpacked::NGINX), words, load);
    start.config = Some("nchan.conf");
    Some(start)
}

fn nats(group: Group) -> Option<Start> {
    let mut load = vec!["--binary", "--hello", NATS_HELLO];
    match group {
        Group::Fanout | Group::Latency => {
            load.extend([
                "--speak",
                "lines",
                "--template",
                r"PUB bench {len}\r\n{}\r\n",
            ]);
        }
        Group::Idle => {}
        Group::Echo | Group::Deflate | Group::Connect | Group::IdleDeflate => return None,
    }
    let mut start = Start::new(
        unpacked::file(unpacked::NATS),
        "-c CONFIG -l DATA/nats.log",
        load,
    );
    start.config = Some("nats.conf");
    // One processor's worth of it, as of the others.
    start.environment = vec![("GOMAXPROCS", "1".into())];
    Some(start)
}

//! Who is measured: the servers, how each is started for a cell, and what the load must know of it.

use std::path::{Path, PathBuf};

use super::cells::Group;
use crate::paths;

/// A server in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// What the kernel asks of anybody, in two ways: the better one counts.
    LimitA,
    LimitB,
    Tidewire,
    /// The chat with its log in memory.
    Chat,
    /// The chat with its log on the disk.
    Disk,
    Peer(&'static str),
    Node,
}

use Subject::{Chat, Disk, LimitA, LimitB, Node, Peer, Tidewire};

pub(super) const ALL: [Subject; 11] = [
    LimitA,
    LimitB,
    Tidewire,
    Chat,
    Disk,
    Peer("fastwebsockets"),
    Peer("tungstenite"),
    Peer("tokio-websockets"),
    Peer("axum"),
    Peer("sockudo-ws"),
    Node,
];

/// A command line: `PORT` and `DATA` stand for what is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) program: PathBuf,
    pub(super) words: String,
    /// Further options of the load.
    pub(super) load: Vec<&'static str>,
}

const TIDEWIRE: &str = "serve --listen 127.0.0.1:PORT --workers 1 --messages-per-second 0 --data";
const RELAY: [&str; 2] = ["--path", "/relay?room=bench&self=true"];
const CHAT: [&str; 2] = ["--path", "/ws?room=bench"];
const SPEAK: [&str; 3] = [
    "--without-sender",
    "--template",
    r#"{"type":"room_msg","roomId":"bench","content":"{}"}"#,
];

impl Subject {
    /// As in the tables and behind `--only`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            LimitA => "limit",
            LimitB => "limit-b",
            Tidewire => "tidewire",
            Chat => "tidewire-chat",
            Disk => "tidewire-disk",
            Peer(library) => library,
            Node => "node-ws",
        }
    }

    /// None if it does not do what the group wants.
    pub(super) fn start(self, group: Group) -> Option<Start> {
        match self {
            LimitA | LimitB => limit(self, group),
            Tidewire => {
                let path: &[_] = match group {
                    Group::Fanout | Group::Latency => &RELAY,
                    Group::Echo | Group::Deflate | Group::Connect => &["--path", "/echo"],
                    Group::Idle | Group::IdleDeflate => &["--path", "/echo", "--touch", "125"],
                };
                Some(tidewire("memory", path.to_vec()))
            }
            Chat => {
                let mut load = CHAT.to_vec();
                match group {
                    Group::Fanout | Group::Latency => load.extend(SPEAK),
                    Group::Idle | Group::IdleDeflate => {}
                    Group::Echo | Group::Deflate | Group::Connect => return None,
                }
                Some(tidewire("memory", load))
            }
            Disk if matches!(group, Group::Fanout | Group::Latency) => {
                Some(tidewire("DATA", [&CHAT[..], &SPEAK].concat()))
            }
            Disk => None,
            Peer(library) => peer(library, group),
            Node => Some(node(group)),
        }
    }

    /// Its version by what Cargo and npm have locked; none for what is ours.
    pub(super) fn package(self) -> Option<&'static str> {
        match self {
            LimitA | LimitB | Tidewire | Chat | Disk => None,
            Peer("tungstenite") => Some("tokio-tungstenite"),
            Peer(library) => Some(library),
            Node => Some("ws"),
        }
    }
}

fn limit(subject: Subject, group: Group) -> Option<Start> {
    let words = match (group, subject) {
        (Group::Echo, LimitA) | (Group::Connect, LimitA) => "echo level PORT",
        (Group::Echo, _) => "echo edge PORT",
        (Group::Fanout | Group::Latency, LimitA) => "relay each PORT",
        (Group::Fanout | Group::Latency, _) => "relay turn PORT",
        (Group::Connect | Group::Deflate | Group::Idle | Group::IdleDeflate, _) => return None,
    };
    let load = match group == Group::Echo {
        true => vec!["--dots"],
        false => Vec::new(),
    };
    Some(Start {
        program: built("limit"),
        words: words.to_owned(),
        load,
    })
}

fn tidewire(data: &str, load: Vec<&'static str>) -> Start {
    Start {
        program: paths::target().join("release/tidewire"),
        words: format!("{TIDEWIRE} {data}"),
        load,
    }
}

fn peer(library: &str, group: Group) -> Option<Start> {
    let mode = match group {
        Group::Fanout | Group::Latency => "relay",
        Group::Echo | Group::Connect | Group::Idle => "echo",
        // None of them has it.
        Group::Deflate | Group::IdleDeflate => return None,
    };
    Some(Start {
        program: built("peers"),
        words: format!("{library} {mode} PORT"),
        load: touch(group),
    })
}

fn node(group: Group) -> Start {
    let how = match group {
        Group::Fanout | Group::Latency => "relay PORT",
        Group::Echo | Group::Connect | Group::Idle => "echo PORT",
        Group::Deflate | Group::IdleDeflate => "echo PORT deflate",
    };
    Start {
        program: "node".into(),
        words: format!("{} {how}", node_folder().join("ws.js").display()),
        load: touch(group),
    }
}

fn touch(group: Group) -> Vec<&'static str> {
    match group.is_idle() {
        true => vec!["--touch", "125"],
        false => Vec::new(),
    }
}

/// A program of the benchmarks' workspace.
pub(super) fn built(name: &str) -> PathBuf {
    super::super::home().join("target/release").join(name)
}

/// Where Node's packages are.
pub(super) fn node_folder() -> PathBuf {
    Path::new(paths::root()).join("bench/peers/node")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_name_and_a_way_to_be_started() {
        let mut names = ALL.map(Subject::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for subject in ALL {
            let start = subject.start(Group::Fanout).expect("all have rooms");
            assert!(start.words.contains("PORT"), "{start:?}");
        }
    }

    #[test]
    fn only_who_compresses_is_asked_to() {
        let who = |group| {
            let who = ALL.iter().filter(|subject| subject.start(group).is_some());
            who.map(|subject| subject.name()).collect::<Vec<_>>()
        };
        assert_eq!(who(Group::Deflate), ["tidewire", "node-ws"]);
        assert_eq!(
            who(Group::IdleDeflate),
            ["tidewire", "tidewire-chat", "node-ws"]
        );
    }
}

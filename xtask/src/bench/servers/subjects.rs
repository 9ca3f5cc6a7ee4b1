//! Who is measured: the servers, how each is started for a cell, and what the load must know of it.

use super::super::stage::{built, tidewire as tidewire_program};
use super::cells::Group;
use super::foreign::Foreign as Other;
use super::start::Start;

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
    /// On a crate that others have written.
    Peer(&'static str),
    /// Not in Rust.
    Foreign(Other),
}

use Subject::{Chat, Disk, Foreign, LimitA, LimitB, Peer, Tidewire};

/// All that others have written.
pub(super) const PEERS: [Subject; 10] = [
    Foreign(Other::Uwebsockets),
    Peer("fastwebsockets"),
    Peer("tungstenite"),
    Peer("tokio-websockets"),
    Peer("axum"),
    Peer("sockudo-ws"),
    Foreign(Other::Node),
    Foreign(Other::Socketio),
    Foreign(Other::Nchan),
    Foreign(Other::Nats),
];

pub(super) const ALL: [Subject; 15] = [
    LimitA, LimitB, Tidewire, Chat, Disk, PEERS[0], PEERS[1], PEERS[2], PEERS[3], PEERS[4],
    PEERS[5], PEERS[6], PEERS[7], PEERS[8], PEERS[9],
];

pub(in crate::bench) const TIDEWIRE: &str =
    "serve --listen 127.0.0.1:PORT --workers 1 --messages-per-second 0 --data";
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
            Foreign(other) => other.name(),
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
            Foreign(other) => other.start(group),
        }
    }

    /// The crate whose version is to be told.
    pub(super) fn package(self) -> Option<&'static str> {
        match self {
            LimitA | LimitB | Tidewire | Chat | Disk | Foreign(_) => None,
            Peer("tungstenite") => Some("tokio-tungstenite"),
            Peer(library) => Some(library),
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
    Some(Start::new(built("limit"), words, load))
}

fn tidewire(data: &str, load: Vec<&'static str>) -> Start {
    Start::new(tidewire_program(), format!("{TIDEWIRE} {data}"), load)
}

fn peer(library: &str, group: Group) -> Option<Start> {
    let mode = match group {
        Group::Fanout | Group::Latency => "relay",
        Group::Echo | Group::Connect | Group::Idle => "echo",
        // None of them has it.
        Group::Deflate | Group::IdleDeflate => return None,
    };
    let words = format!("{library} {mode} PORT");
    Some(Start::new(built("peers"), words, touch(group).to_vec()))
}

/// What idle connections are asked for at the end, where the server echoes.
pub(super) const fn touch(group: Group) -> &'static [&'static str] {
    match group.is_idle() {
        true => &["--touch", "125"],
        false => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::home;

    #[test]
    fn everybody_has_a_name_and_a_way_to_be_started() {
        let mut names = ALL.map(Subject::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for subject in ALL {
            let start = subject.start(Group::Fanout).expect("all have rooms");
            let known = start.config.map_or(Ok(start.words.clone()), |config| {
                std::fs::read_to_string(home().join("peers/conf").join(config))
            });
            assert!(known.expect("a file").contains("PORT"), "{start:?}");
        }
    }

    #[test]
    fn brokers_have_rooms_and_no_echo() {
        for subject in ["socketio", "nchan", "nats"] {
            let broker = ALL.iter().find(|other| other.name() == subject);
            let broker = broker.expect("it is in the list");
            assert!(broker.start(Group::Idle).is_some());
            for group in [Group::Echo, Group::Deflate, Group::Connect] {
                assert_eq!(broker.start(group), None, "{subject}");
            }
        }
    }

    #[test]
    fn only_who_compresses_is_asked_to() {
        let who = |group| {
            let who = ALL.iter().filter(|subject| subject.start(group).is_some());
            who.map(|subject| subject.name()).collect::<Vec<_>>()
        };
        assert_eq!(who(Group::Deflate), ["tidewire", "uwebsockets", "node-ws"]);
        assert_eq!(
            who(Group::IdleDeflate),
            ["tidewire", "tidewire-chat", "uwebsockets", "node-ws"]
        );
    }
}

//! Who is measured: one room over each of Tidewire's transports, what the kernel asks of anybody, and the brokers that others have
//! written for two of them.

use super::super::servers::foreign::{self, Foreign};
use super::super::servers::start::Start;
use super::super::servers::subjects::TIDEWIRE;
use super::super::stage::{built, tidewire};
use crate::setup::unpacked;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The limit in two ways: the better one counts.
    LimitA,
    LimitB,
    Json,
    Protobuf,
    Events,
    Poll,
    Mqtt,
    Mosquitto,
    SocketIo,
    SocketIoOnNode,
}

use Subject::{
    Events, Json, LimitA, LimitB, Mosquitto, Mqtt, Poll, Protobuf, SocketIo, SocketIoOnNode,
};

pub(super) const ALL: [Subject; 10] = [
    LimitA,
    LimitB,
    Json,
    Protobuf,
    Events,
    Poll,
    Mqtt,
    Mosquitto,
    SocketIo,
    SocketIoOnNode,
];

/// Ours beside theirs.
pub(super) const RIVALS: [(Subject, Subject); 2] = [(Mqtt, Mosquitto), (SocketIo, SocketIoOnNode)];

/// What a client of the chat sends that publishes.
const SPEAK: &str = r#"{"type":"room_msg","roomId":"bench","content":"{}"}"#;

impl Subject {
    /// As behind `--only`, and in the JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            LimitA => "limit",
            LimitB => "limit-b",
            Json => "json",
            Protobuf => "protobuf",
            Events => "sse",
            Poll => "long-poll",
            Mqtt => "mqtt",
            Mosquitto => "mosquitto",
            SocketIo => "socket.io",
            SocketIoOnNode => "node-socket.io",
        }
    }

    /// As in the table.
    pub(super) const fn title(self) -> &'static str {
        match self {
            LimitA | LimitB => "limit",
            Json => "JSON",
            Protobuf => "Protobuf",
            Events => "SSE",
            Poll => "long-poll",
            Mqtt => "MQTT",
            Mosquitto => "*Mosquitto*",
            SocketIo => "Socket.IO",
            SocketIoOnNode => "*socket.io on Node*",
        }
    }

    /// How it is started, with what the load must know of it.
    pub(super) fn start(self) -> Start {
        match self {
            LimitA => Start::new(built("limit"), "relay each PORT", Vec::new()),
            LimitB => Start::new(built("limit"), "relay turn PORT", Vec::new()),
            Json => ours(&[
                "--path",
                "/ws?room=bench",
                "--without-sender",
                "--template",
                SPEAK,
            ]),
            Protobuf => ours(&[
                "--path",
                "/ws?room=bench",
                "--without-sender",
                "--speak",
                "protobuf",
            ]),
            Events => over_http(&["--path", "/sse?room=bench", "--speak", "events"]),
            Poll => over_http(&["--path", "/poll?room=bench&timeout=60", "--speak", "poll"]),
            Mqtt => ours(&["--path", "/mqtt", "--speak", "mqtt"]),
            Mosquitto => mosquitto(),
            SocketIo => ours(&[
                "--path",
                foreign::SOCKETIO,
                "--hello",
                "40",
                "--hello",
                r#"42["join","bench"]"#,
                "--without-sender",
                "--template",
                r#"42["msg","bench","{}"]"#,
            ]),
            SocketIoOnNode => foreign::socketio(foreign::SOCKETIO_SPEAKS.to_vec()),
        }
    }

    /// Its version.
    pub(super) fn version(self) -> Option<String> {
        match self {
            Mosquitto => unpacked::version(unpacked::MOSQUITTO[0]),
            SocketIoOnNode => Foreign::Socketio.version(),
            LimitA | LimitB | Json | Protobuf | Events | Poll | Mqtt | SocketIo => None,
        }
    }
}

fn ours(load: &[&'static str]) -> Start {
    Start::new(tidewire(), format!("{TIDEWIRE} memory"), load.to_vec())
}

/// Followers over HTTP, and a publisher over WebSocket, which hears nothing since it speaks alone.
fn over_http(load: &[&'static str]) -> Start {
    let speaks = ["--publish-path", "/ws?room=bench", "--template", SPEAK];
    ours(&[load, &speaks].concat())
}

fn mosquitto() -> Start {
    let mut start = Start::new(
        unpacked::file(unpacked::MOSQUITTO[0]),
        "-c CONFIG",
        vec!["--path", "/mqtt", "--speak", "mqtt"],
    );
    start.config = Some("mosquitto.conf");
    start.environment = vec![("LD_LIBRARY_PATH", unpacked::libraries().into())];
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::home;

    #[test]
    fn everybody_has_a_name_and_is_told_a_port() {
        let mut names = ALL.map(Subject::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for subject in ALL {
            let start = subject.start();
            let known = start.config.map_or(Ok(start.words.clone()), |config| {
                std::fs::read_to_string(home().join("peers/conf").join(config))
            });
            assert!(known.expect("a file").contains("PORT"), "{start:?}");
        }
    }

    #[test]
    fn a_peer_stands_beside_ours() {
        let place = |wanted| ALL.iter().position(|one| *one == wanted);
        for (ours, theirs) in RIVALS {
            assert_eq!(place(theirs), place(ours).map(|place| place + 1));
        }
    }
}

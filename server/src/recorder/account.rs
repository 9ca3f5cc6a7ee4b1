//! What is known of one connection, as compact as it is kept: ten thousand that have ended are.

use std::net::SocketAddr;

use tidewire_protocol::{Closed, Recorder};

use super::cause::EndCause;
use crate::ids::{ConnId, UserName};

/// One connection, at a moment: now, or at its end.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: ConnId,
    pub(crate) worker: usize,
    /// The other end.
    pub(crate) peer: SocketAddr,
    pub(crate) kind: Kind,
    /// Who it was; the hub knows.
    pub(crate) user: Option<UserName>,
    /// How many rooms it was in.
    pub(crate) rooms: usize,
    /// When it came, in milliseconds since 1970.
    pub(crate) opened_ms: u64,
    /// The moment of this account.
    pub(crate) now_ms: u64,
    /// The moment from which the recorder counts.
    pub(crate) clock_ms: u64,
    /// Bytes that the kernel had not taken.
    pub(crate) unsent_bytes: usize,
    /// For how long it was behind in a log.
    pub(crate) behind_ms: Option<u64>,
    /// The recorder, where that is on and the connection is a WebSocket.
    pub(crate) recorder: Option<Box<Recorder>>,
    pub(crate) tcp: Option<TcpState>,
    /// Why it ended; `None` while it is open.
    pub(crate) end: Option<End>,
}

/// How a connection ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) cause: EndCause,
    /// What the WebSocket says of it.
    pub(crate) closed: Option<Box<Closed>>,
    /// What the socket said, if it failed.
    pub(crate) error: Option<String>,
    /// The status of the last HTTP answer; 0 for none.
    pub(crate) status: u16,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A WebSocket that chats.
    Chat,
    /// A WebSocket that chats in MQTT.
    Mqtt,
    /// A session of Socket.IO, with a WebSocket or without.
    SocketIo,
    /// A WebSocket of the relay.
    Relay,
    /// A WebSocket that is echoed.
    Echo,
    /// An event stream.
    Stream,
    /// Any other HTTP.
    Http,
}

impl Kind {
    /// The word for it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Mqtt => "mqtt",
            Self::SocketIo => "socket.io",
            Self::Relay => "relay",
            Self::Echo => "echo",
            Self::Stream => "stream",
            Self::Http => "http",
        }
    }
}

/// What the kernel says of a TCP connection (`TCP_INFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TcpState {
    /// The smoothed round trip, in microseconds.
    pub(crate) rtt_us: u32,
    /// How much that varies.
    pub(crate) rtt_var_us: u32,
    /// Times that the oldest segment was sent again without an answer.
    pub(crate) retransmits: u8,
    /// Times that any was.
    pub(crate) retransmits_in_all: u32,
    /// Segments that are out and not acknowledged.
    pub(crate) unacked: u32,
    /// Segments that are taken for lost.
    pub(crate) lost: u32,
    /// Probes of a window that the peer keeps shut.
    pub(crate) probes: u8,
    /// Segments that may be out at once.
    pub(crate) congestion_window: u32,
    /// Since data was sent, in milliseconds.
    pub(crate) last_sent_ms: u32,
    /// Since data came.
    pub(crate) last_received_ms: u32,
    /// Since anything was acknowledged.
    pub(crate) last_ack_ms: u32,
}

impl Account {
    /// What it costs to keep it.
    pub(crate) fn bytes(&self) -> usize {
        let end = self.end.as_ref();
        let closed = end.and_then(|end| end.closed.as_deref());
        let reasons = closed.map_or(0, |closed| {
            let frames = [&closed.sent, &closed.received];
            let reason = |frame: &&Option<_>| {
                let frame: &Option<tidewire_protocol::CloseFrame> = frame;
                frame.as_ref().map_or(0, |frame| frame.reason.len())
            };
            size_of::<Closed>() + frames.iter().map(reason).sum::<usize>()
        });
        let error = end
            .and_then(|end| end.error.as_ref())
            .map_or(0, String::len);
        let recorder = self.recorder.as_ref().map_or(0, |_| size_of::<Recorder>());
        size_of::<Self>() + reasons + error + recorder
    }
}

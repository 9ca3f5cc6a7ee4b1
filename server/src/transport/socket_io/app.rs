//! What a session of Engine.IO is for: the chat by Socket.IO, or the echoes that the official suites are run against.

use std::time::{Duration, Instant};

use tidewire_protocol::CloseCode;

use super::engine::{Body, Line};
use super::socket::{Chat, Echoes};
use crate::chat::Event;
use crate::clock::Now;
use crate::ids::LogName;
use crate::transport::dialect::{Encoding, Out};
use crate::transport::feeds::Shared;

/// What a session is for.
#[derive(Debug)]
pub(crate) enum App {
    /// Each message comes back.
    Echo,
    /// What the suite of Socket.IO expects of a server.
    Echoes(Echoes),
    /// The chat.
    Chat(Box<Chat>),
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// What came is no packet.
    BadPacket,
    /// The client said goodbye.
    Left,
    /// It connected to no namespace in time.
    NoConnect,
}

impl App {
    /// The session is open; a namespace is to be connected to in this time.
    pub(super) fn opened(&mut self, now: Now, connect_time: Duration) {
        let until = now.instant + connect_time;
        match self {
            Self::Echo => {}
            Self::Echoes(echoes) => echoes.opened(until),
            Self::Chat(chat) => chat.opened(until),
        }
    }

    pub(super) fn message(
        &mut self,
        body: &Body<'_>,
        now: Now,
        line: &mut Line,
        out: &mut Out,
    ) -> Result<(), End> {
        match (self, body) {
            (Self::Echo, Body::Text(text)) => line.send_text(format!("4{text}"), out),
            (Self::Echo, Body::Binary(bytes)) => line.send_binary(bytes.to_vec(), out),
            (Self::Echoes(echoes), body) => return echoes.message(body, line, out),
            (Self::Chat(chat), body) => return chat.message(body, now, line, out),
        }
        Ok(())
    }

    pub(super) fn told(&mut self, event: &Event, line: &mut Line, out: &mut Out) {
        if let Self::Chat(chat) = self {
            chat.told(event, line, out);
        }
    }

    pub(super) fn entry(&mut self, entry: &Shared, line: &mut Line, out: &mut Out) {
        if let Self::Chat(chat) = self {
            chat.entry(entry, line, out);
        }
    }

    pub(super) fn shares(&self, log: &LogName) -> Option<Encoding> {
        match self {
            Self::Chat(chat) => chat.shares(log),
            Self::Echo | Self::Echoes(_) => None,
        }
    }

    /// When [`timeout`](Self::timeout) is to be called.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self {
            Self::Echo => None,
            Self::Echoes(echoes) => echoes.due_at(),
            Self::Chat(chat) => chat.due_at(),
        }
    }

    pub(super) fn timeout(&mut self, line: &mut Line, out: &mut Out) -> Result<(), End> {
        match self {
            Self::Echo => Ok(()),
            Self::Echoes(_) => Err(End::NoConnect),
            Self::Chat(chat) => chat.timeout(line, out),
        }
    }

    /// What waited was given to who polls.
    pub(super) fn handed_over(&mut self) {
        if let Self::Chat(chat) = self {
            chat.handed_over();
        }
    }

    /// ... and has arrived, since it polls again.
    pub(super) fn arrived(&mut self, out: &mut Out) {
        if let Self::Chat(chat) = self {
            chat.arrived(out);
        }
    }

    pub(super) fn closing(
        &mut self,
        code: CloseCode,
        reason: &str,
        line: &mut Line,
        out: &mut Out,
    ) {
        if let Self::Chat(chat) = self {
            chat.closing(code, reason, line, out);
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Echo => 0,
            Self::Echoes(echoes) => echoes.held_bytes(),
            Self::Chat(chat) => chat.held_bytes(),
        }
    }
}

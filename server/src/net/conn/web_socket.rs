//! A connection that speaks WebSocket: what its messages are for, and in which language.

use std::time::Instant;

use tidewire_protocol::{Connection, Transport};

use super::{Conn, State, WAITING_BYTES_HIGH};
use crate::ids::{LogName, RoomName};
use crate::limit::Spent;
use crate::net::receipt::Receipt;
use crate::transport::dialect::{Dialect, Encoding, Protocol, Session};

/// Unsent bytes above which a connection is not read: who does not take answers may not ask for more.
const UNSENT_BYTES_HIGH: usize = 64 << 10;

/// A WebSocket and what it is for.
#[derive(Debug)]
pub(in crate::net) struct WebSocket {
    pub(in crate::net) connection: Connection,
    pub(in crate::net) app: App,
    /// What of the messages has arrived.
    pub(in crate::net) receipt: Receipt,
    /// What it asked of the log and has no answer to yet, in bytes that the questions or the answers may have.
    pub(in crate::net) waiting_bytes: u32,
}

/// What the messages of a WebSocket are for.
#[derive(Debug)]
pub(in crate::net) enum App {
    Echo,
    Relay(Box<RelayPlace>),
    Chat(Dialect),
    /// It has ended; nobody is told about it any more.
    Gone,
}

/// Where a connection of the relay is.
#[derive(Debug)]
pub(in crate::net) struct RelayPlace {
    pub(in crate::net) room: RoomName,
    /// It gets its own messages, too.
    pub(in crate::net) include_sender: bool,
    /// What it has sent of late.
    pub(in crate::net) spent: Spent,
    /// It has sent too much, and is not heard for a moment.
    pub(in crate::net) is_held: bool,
}

impl App {
    /// Whether this is what is spoken.
    pub(in crate::net) fn speaks(&self, protocol: Protocol) -> bool {
        matches!(self, Self::Chat(Dialect::Session(session)) if session.protocol() == Some(protocol))
    }
}

impl Conn {
    pub(super) fn session_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::WebSocket(WebSocket {
                app: App::Chat(Dialect::Session(session)),
                ..
            }) => session.poll_timeout(),
            State::WebSocket(_) | State::Http(_) => None,
        }
    }

    /// Whether a session of another protocol can take an entry now; whoever has none can.
    pub(in crate::net) fn has_room(&self) -> bool {
        match &self.state {
            State::WebSocket(WebSocket {
                app: App::Chat(Dialect::Session(session)),
                ..
            }) => session.has_room(),
            State::WebSocket(_) | State::Http(_) => true,
        }
    }

    /// The encoding in which it gets the entries of a log, if they are sent just so.
    pub(in crate::net) fn encoding_of(&self, log: &LogName) -> Option<Encoding> {
        match &self.state {
            State::WebSocket(WebSocket {
                app: App::Chat(dialect),
                ..
            }) => match dialect {
                Dialect::Session(session) => session.has_room().then(|| session.shares(log))?,
                Dialect::Json | Dialect::Protobuf => dialect.encoding(),
            },
            State::WebSocket(_) | State::Http(_) => None,
        }
    }
}

impl WebSocket {
    /// A new one.
    pub(in crate::net) fn new(connection: Connection, app: App) -> Self {
        Self {
            connection,
            app,
            receipt: Receipt::default(),
            waiting_bytes: 0,
        }
    }

    /// The machine of another protocol than the chat's own, if it speaks one.
    pub(in crate::net) fn session(&mut self) -> Option<&mut dyn Session> {
        match &mut self.app {
            App::Chat(Dialect::Session(session)) => Some(&mut ***session),
            App::Chat(Dialect::Json | Dialect::Protobuf)
            | App::Echo
            | App::Relay(_)
            | App::Gone => None,
        }
    }

    /// Whether it says itself what has arrived.
    pub(in crate::net) fn confirms(&mut self) -> bool {
        self.session().is_some_and(|session| session.confirms())
    }

    /// The encoding of all that the chat tells it, if it is one.
    pub(in crate::net) const fn encoding(&self) -> Option<Encoding> {
        match &self.app {
            App::Chat(dialect) => dialect.encoding(),
            App::Echo | App::Relay(_) | App::Gone => None,
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        let session = match &self.app {
            App::Chat(Dialect::Session(session)) => session.held_bytes(),
            App::Chat(Dialect::Json | Dialect::Protobuf)
            | App::Echo
            | App::Relay(_)
            | App::Gone => 0,
        };
        session + self.connection.held_bytes()
    }

    /// Whether so much is unsent, or on its way to the log and back, that nothing more is to be answered.
    pub(in crate::net) fn is_full(&self) -> bool {
        let is_held = matches!(&self.app, App::Relay(place) if place.is_held);
        (is_held
            || self.connection.unsent_bytes() > UNSENT_BYTES_HIGH
            || self.waiting_bytes > WAITING_BYTES_HIGH)
            && self.connection.transport() == Transport::Keep
    }
}

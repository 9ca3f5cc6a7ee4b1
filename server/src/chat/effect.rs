//! What the chat wants done: values that the loop carries out, in order.

use serde_json::value::RawValue;

use crate::ids::{ConnId, LogName, RoomName, Session, UserName};
use crate::log::Draft;

/// What a connection says of itself in its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joiner {
    /// The name; a guest without.
    pub user: Option<UserName>,
    /// The session; a random one without.
    pub session: Option<Session>,
    /// Rooms to join at once; the first is where messages without a type go.
    pub rooms: Vec<RoomName>,
    /// The position behind which those rooms' messages are missing.
    pub since: Option<String>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Send a text to one connection.
    Send(ConnId, String),
    /// Send a text to many.
    Announce {
        /// Who follows.
        to: Audience,
        /// Whom to leave out.
        except: Option<ConnId>,
        /// The JSON text.
        text: String,
    },
    /// Give a message its place, and call [`Hub::appended`](super::Hub::appended) or [`Hub::not_appended`](super::Hub::not_appended).
    Append(Append),
    /// Find a room's head, and call [`Hub::followed`](super::Hub::followed).
    Follow(Follow),
    /// Close a connection.
    Close(ConnId, Parting),
}

/// A group of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Those in a room.
    Room(RoomName),
    /// Those of a user.
    User(UserName),
    /// All that chat.
    Everyone,
}

impl Audience {
    /// The name of the log that they follow.
    #[must_use]
    pub fn log(&self) -> LogName {
        match self {
            Self::Room(room) => room.log(),
            Self::User(user) => user.log(),
            Self::Everyone => LogName::broadcast(),
        }
    }
}

/// A message on its way into a log.
#[derive(Debug)]
pub struct Append {
    /// The log.
    pub log: LogName,
    pub(super) to: Audience,
    pub(super) conn: ConnId,
    pub(super) from: UserName,
    pub(super) session: Session,
    pub(super) content: Box<RawValue>,
    pub(super) seq: Option<Box<RawValue>>,
    pub(super) id: Option<Box<RawValue>>,
}

impl Append {
    /// What goes into the log.
    #[must_use]
    pub fn draft(&self, time: u64) -> Draft {
        Draft {
            log: self.log.clone(),
            from: self.from.clone(),
            session: self.session.clone(),
            seq: self.seq.clone(),
            content: self.content.clone(),
            time,
        }
    }
}

/// A cursor to be placed in a room's log.
#[derive(Debug)]
pub struct Follow {
    /// The log.
    pub log: LogName,
    pub(super) conn: ConnId,
    pub(super) room: RoomName,
    pub(super) since: Option<String>,
    pub(super) id: Option<Box<RawValue>>,
}

/// Why the chat ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// A newer connection has its session.
    Replaced,
    /// It sent too many messages in a row that are no command.
    BadMessages,
}

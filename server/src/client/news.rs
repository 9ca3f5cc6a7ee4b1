//! What a [`Chat`](super::Chat) tells its owner, and how its owner may end a socket of it.

use super::message::Entry;
use super::socket::End;
use crate::log::Position;

/// Something that happened; rooms are named by their place in the list that the client was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The server welcomed the client on another socket.
    Opened {
        /// What it is called there.
        user: String,
    },
    /// The client follows a room from here on; from the oldest entry if that is nothing.
    Following(usize, Option<Position>),
    /// A socket ended; there will be another one.
    Lost(End),
    /// Everything up to here was shown.
    Joined {
        /// The room.
        room: usize,
        /// The head.
        position: Position,
        /// Who is there.
        members: Vec<String>,
    },
    /// An entry was shown.
    Entry(usize, Entry),
    /// A private message or a broadcast was shown. It may come again on another socket, with the same place.
    Personal(Entry),
    /// Somebody came to a room.
    Came(usize, String),
    /// Somebody left a room.
    Left(usize, String),
    /// Who is in a room, as was asked.
    Presence(usize, Vec<String>),
    /// Something of a log that is no room is missing: `@user` or `*`.
    PersonalGap {
        /// The log.
        log: String,
        /// The server's word for why.
        reason: String,
    },
    /// Something is missing.
    Gap {
        /// The room.
        room: usize,
        /// Behind this, as the server said it.
        from: String,
        /// Up to and with this.
        to: Position,
        /// The server's word for why.
        reason: String,
    },
    /// A message has its place.
    Ack {
        /// Its number.
        seq: u64,
        /// The room's name, as the server said it.
        room: String,
        /// The place.
        position: Position,
        /// It had it already.
        dup: bool,
    },
    /// A message was refused: [`Chat::resend`](super::Chat::resend) tries again, [`Chat::forget`](super::Chat::forget) does
    /// not.
    Refused {
        /// Its number.
        seq: u64,
        /// The server's word for why.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// Something else than a message was refused.
    Denied {
        /// The server's word for why.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// A page of a room's log.
    History {
        /// The room.
        room: usize,
        /// Oldest first.
        entries: Vec<Entry>,
        /// Where to read on.
        position: Position,
        /// There is more.
        more: bool,
    },
    /// The server said what it should not.
    Nonsense(String),
}

/// How to end a socket on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// With a Close frame.
    Close,
    /// By ending the transport (FIN).
    Finish,
    /// By resetting the transport (RST), which destroys what is on its way.
    Reset,
}

/// Whether what was refused with this code may be asked again after a while: it came too fast, or the server's log is out of reach.
#[must_use]
pub fn is_for_later(code: &str) -> bool {
    matches!(code, "rate_limited" | "unavailable")
}

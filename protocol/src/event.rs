//! What a connection tells its owner.

use std::borrow::Cow;

use crate::close::CloseFrame;
use crate::error::Error;
use crate::message::Message;

/// Something that happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A piece of a message, with [`Delivery::Pieces`](crate::Delivery::Pieces).
    Piece(Piece<'a>),
    /// A ping with this payload; its pong is queued already.
    Ping(Cow<'a, [u8]>),
    /// A pong with this payload, asked for or not.
    Pong(Cow<'a, [u8]>),
    /// The last event: no message follows and none can be sent.
    Closed(Closed),
}

/// The next bytes of a message that is handed over as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The bytes; a piece of text never ends inside a character. The last piece may be empty.
    pub content: Message<'a>,
    /// A message begins with it.
    pub first: bool,
    /// The message ends with it.
    pub last: bool,
}

impl Event<'_> {
    /// The same event, borrowing nothing from the input: to keep it, or to hand it to another thread.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Message(message) => Event::Message(message.into_owned()),
            Self::Piece(piece) => Event::Piece(Piece {
                content: piece.content.into_owned(),
                ..piece
            }),
            Self::Ping(payload) => Event::Ping(Cow::Owned(payload.into_owned())),
            Self::Pong(payload) => Event::Pong(Cow::Owned(payload.into_owned())),
            Self::Closed(closed) => Event::Closed(closed),
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Who closed first.
    pub initiator: Initiator,
    /// The Close frame that we sent, if we did.
    pub sent: Option<CloseFrame>,
    /// The Close frame that the peer sent, if it did.
    pub received: Option<CloseFrame>,
    /// Why we failed the connection, if we did.
    pub error: Option<Error>,
}

/// Who began to end a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiator {
    /// We did: by `close`, or by failing the connection.
    Local,
    /// The peer did, with a Close frame.
    Peer,
    /// The transport ended without a Close frame.
    Transport,
}

impl Closed {
    /// "The WebSocket Connection Close Code" (RFC 6455 §7.1.5): the code of the peer's Close frame, 1005 where it had
    /// none, 1006 where no Close frame was received.
    #[must_use]
    pub fn code(&self) -> u16 {
        match &self.received {
            Some(frame) => frame.code.map_or(1005, crate::CloseCode::get),
            None => 1006,
        }
    }

    /// Whether both sides sent a Close frame and nobody broke a rule ("closed cleanly", §7.1.4).
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.sent.is_some() && self.received.is_some() && self.error.is_none()
    }
}

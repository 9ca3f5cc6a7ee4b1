//! A message that is sent together with its memory.

use bytes::Bytes;

use crate::frame::Opcode;
use crate::message::Message;

/// A message to send together with its memory, so that a server need not copy it: made of a `String`, a `Vec<u8>`, [`Bytes`]
/// or a [`Message`] that owns its payload, as one that was received in parts does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedMessage {
    /// Text.
    Text(String),
    /// Bytes, which others may share.
    Binary(Bytes),
}

impl OwnedMessage {
    /// [`Opcode::Text`] or [`Opcode::Binary`].
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::Text(_) => Opcode::Text,
            Self::Binary(_) => Opcode::Binary,
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<String> for OwnedMessage {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for OwnedMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for OwnedMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Message<'_>> for OwnedMessage {
    /// Copies the payload unless the message owns it.
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.into_owned()),
            Message::Binary(bytes) => bytes.into_owned().into(),
        }
    }
}

//! A message encoded once, to be sent over many connections without a copy for each.

use bytes::Bytes;

use crate::frame::{Header, Opcode};
use crate::message::Message;

/// A whole message as the frame that a server sends; cloning it shares the bytes.
///
/// Servers send these very bytes. A client makes a frame of its own from them, since "a client MUST mask all frames"
/// (RFC 6455 §5.1) with a fresh key for each (§5.3).
///
/// ```
/// use tidewire_protocol::{Message, Prepared};
/// let prepared = Prepared::new(&Message::text("Hello"));
/// assert_eq!(prepared.frame().as_ref(), b"\x81\x05Hello");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    frame: Bytes,
    opcode: Opcode,
    header_len: usize,
}

impl Prepared {
    /// Encodes a message.
    #[must_use]
    pub fn new(message: &Message<'_>) -> Self {
        let payload = message.payload();
        let mut frame = Vec::with_capacity(payload.len() + 10);
        Header::unmasked(message.opcode(), payload.len()).encode(&mut frame);
        let header_len = frame.len();
        frame.extend_from_slice(payload);
        Self {
            frame: frame.into(),
            opcode: message.opcode(),
            header_len,
        }
    }

    /// The bytes that a server puts on the wire.
    #[must_use]
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// Text or binary.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The message without its header.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.frame.split_at(self.header_len).1
    }
}

//! A message encoded once, to be sent over many connections without a copy for each.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::deflate::{Compression, with_output_buffer};
use crate::frame::{Header, Opcode};
use crate::message::Message;
use crate::recorder::Noted;

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
///
/// With permessage-deflate it is compressed once, on first use, for all connections without context takeover and with the
/// window of the first or a larger one; the others get it as it is.
#[derive(Debug, Clone)]
pub struct Prepared {
    frame: Bytes,
    opcode: Opcode,
    header_len: usize,
    deflated: OnceLock<Deflated>,
}

/// The same message compressed.
#[derive(Debug, Clone)]
struct Deflated {
    window_bits: u8,
    /// `None` where it does not become smaller.
    frame: Option<Bytes>,
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
            deflated: OnceLock::new(),
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

    /// What a recorder notes of it where it is not compressed.
    pub(crate) const fn noted(&self) -> Noted {
        Noted::plain(self.opcode, self.frame.len() - self.header_len)
    }

    /// The bytes for a connection that compresses: compressed if that can be shared and is worth it.
    pub(crate) fn frame_for(&self, compression: &Compression) -> &Bytes {
        if !compression.is_shareable() || !compression.is_worth_it(self.payload().len()) {
            return &self.frame;
        }
        let deflated = self.deflated.get_or_init(|| self.deflate(compression));
        match &deflated.frame {
            // A larger window can read what a smaller one wrote.
            Some(frame) if deflated.window_bits <= compression.window_bits() => frame,
            _ => &self.frame,
        }
    }

    fn deflate(&self, compression: &Compression) -> Deflated {
        let window_bits = compression.window_bits();
        let frame = with_output_buffer(|compressed| {
            compression
                .compress_alone(self.payload(), compressed)
                .then(|| {
                    let mut frame = Vec::with_capacity(compressed.len() + 10);
                    let header = Header::unmasked(self.opcode, compressed.len()).with_rsv1();
                    header.encode(&mut frame);
                    frame.extend_from_slice(compressed);
                    frame.into()
                })
        });
        Deflated { window_bits, frame }
    }
}

impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        self.frame == other.frame
    }
}

impl Eq for Prepared {}

//! A message that does not lie whole in the input, on its way together: one contiguous buffer, text checked as it comes.

use crate::deflate::Corrupt;
use crate::error::{Error, LimitError, PeerError};
use crate::event::Piece;
use crate::frame::Opcode;
use crate::message::Message;
use crate::utf8::{InvalidUtf8, Utf8Decoder};
use std::borrow::Cow;

/// The first allocation for a message that does not lie whole in the input, in bytes; from there it grows with what
/// *arrived*, not with what a header announced.
const FIRST_BUFFER_BYTES: usize = 4096;

/// Once this much of a message in one frame has come, [`LARGE_FACTOR`] times as much is reserved as came: memory of this
/// size is of pages that cost nothing before they are written.
const LARGE_BYTES_MIN: usize = 32 << 10;
const LARGE_FACTOR: usize = 16;

/// The message so far.
#[derive(Debug)]
pub(crate) struct Assembly {
    content: Content,
    compressed: bool,
    /// Payload bytes so far as they came over the wire, those of a character that is still cut included.
    wire_bytes: u64,
    /// Payload bytes so far behind the decompression.
    inflated_bytes: u64,
    fragments: u32,
    /// A piece was handed over.
    begun: bool,
}

#[derive(Debug)]
enum Content {
    Text { text: String, decoder: Utf8Decoder },
    Binary(Vec<u8>),
}

impl Assembly {
    pub(crate) fn new(opcode: Opcode, compressed: bool) -> Self {
        // "MUST note the /type/ of the data as defined by the opcode" of the first frame (§6.2). [6455-6.2-3]
        let content = match opcode {
            Opcode::Text => Content::Text {
                text: String::new(),
                decoder: Utf8Decoder::default(),
            },
            Opcode::Binary | Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {
                Content::Binary(Vec::new())
            }
        };
        Self {
            content,
            compressed,
            wire_bytes: 0,
            inflated_bytes: 0,
            fragments: 1,
            begun: false,
        }
    }

    pub(crate) const fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// What it holds in memory, in bytes.
    pub(crate) const fn held_bytes(&self) -> usize {
        match &self.content {
            Content::Text { text, .. } => text.capacity(),
            Content::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Payload bytes so far as they came over the wire.
    pub(crate) const fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    pub(crate) const fn count_wire_bytes(&mut self, bytes: usize) {
        self.wire_bytes += bytes as u64;
    }

    /// One more frame; empty ones count.
    pub(crate) const fn count_fragment(&mut self, max: u32) -> Result<(), LimitError> {
        if self.fragments >= max {
            return Err(LimitError::Fragments { max });
        }
        self.fragments += 1;
        Ok(())
    }

    /// Makes room for `added` bytes; `to_come` is what the message still lacks behind them, once its last frame has told.
    pub(crate) fn reserve(&mut self, added: usize, to_come: Option<u64>) {
        match &mut self.content {
            Content::Text { text, decoder } => {
                // The beginning of a cut character is not in `text` yet, and will be.
                let added = decoder.waiting_bytes() + added;
                text.reserve_exact(growth(text.len(), text.capacity(), added, to_come));
            }
            Content::Binary(bytes) => {
                let (len, capacity) = (bytes.len(), bytes.capacity());
                bytes.reserve_exact(growth(len, capacity, added, to_come));
            }
        }
    }

    /// Appends a piece, for which [`reserve`](Self::reserve) made room.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        match &mut self.content {
            Content::Text { text, decoder } => decoder.push(piece, text),
            Content::Binary(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Appends a piece that came out of the decompression. The limit is absolute, and holds before the memory is spent: a
    /// ratio would refuse honest messages, which are known to shrink to a hundredth.
    pub(crate) fn push_inflated(&mut self, piece: &[u8], bytes_max: u64) -> Result<(), Error> {
        let room = bytes_max - self.inflated_bytes;
        if piece.len() as u64 > room {
            // What still fits is looked at: the first thing wrong is what is told, wherever the pieces end.
            let (fits, _) = piece.split_at(room as usize);
            self.push(fits)?;
            return Err(LimitError::MessageBytes { max: bytes_max }.into());
        }
        self.inflated_bytes += piece.len() as u64;
        self.reserve(piece.len(), None);
        Ok(self.push(piece)?)
    }

    /// What came since the last piece; `None` if that is nothing, and not the end.
    pub(crate) fn take_piece<'b>(&mut self, last: bool) -> Result<Option<Piece<'b>>, Error> {
        let content = match &mut self.content {
            Content::Text { text, decoder } => {
                // [6455-5.6-1]
                if last {
                    decoder.finish()?;
                }
                Message::Text(Cow::Owned(std::mem::take(text)))
            }
            Content::Binary(bytes) => Message::Binary(Cow::Owned(std::mem::take(bytes))),
        };
        if content.payload().is_empty() && !last {
            return Ok(None);
        }
        let first = !std::mem::replace(&mut self.begun, true);
        Ok(Some(Piece {
            content,
            first,
            last,
        }))
    }

    /// The whole message.
    pub(crate) fn into_message<'b>(self) -> Result<Message<'b>, Error> {
        match self.content {
            Content::Text { text, decoder } => {
                decoder.finish()?;
                Ok(Message::Text(Cow::Owned(text)))
            }
            Content::Binary(bytes) => Ok(Message::Binary(Cow::Owned(bytes))),
        }
    }
}

/// How much to reserve for `added` bytes: nothing if they fit, else twice what is there, so that a message in many small
/// fragments is not copied for each of them; of a large one more, so that it is hardly copied at all; but not more than the
/// message can still get, where its last frame has told.
fn growth(len: usize, capacity: usize, added: usize, to_come: Option<u64>) -> usize {
    if capacity - len >= added {
        return 0;
    }
    let there = len.saturating_add(added);
    let grown = match to_come {
        Some(_) if there >= LARGE_BYTES_MIN => there.saturating_mul(LARGE_FACTOR),
        _ => capacity.saturating_mul(2).max(FIRST_BUFFER_BYTES),
    };
    let to_come = to_come.map_or(usize::MAX, |bytes| {
        usize::try_from(bytes).unwrap_or(usize::MAX)
    });
    (grown - len).min(added.saturating_add(to_come)).max(added)
}

impl From<InvalidUtf8> for Error {
    fn from(_: InvalidUtf8) -> Self {
        // "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in fact, a
        // valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_" (§8.1). [6455-8.1-1]
        Self::Peer(PeerError::InvalidUtf8)
    }
}

impl From<Corrupt> for Error {
    fn from(_: Corrupt) -> Self {
        Self::Peer(PeerError::CorruptDeflate)
    }
}

//! Messages that came together, to be sent over many connections as one run of bytes.

use bytes::Bytes;

use crate::frame::Opcode;
use crate::prepared::Prepared;
use crate::recorder::Noted;

/// Several [`Prepared`] messages, in order, with their frames one behind the other.
///
/// A connection that has a hundred messages to send writes a hundred pieces of memory; when a thousand connections have the same
/// ones, it pays to put those together once.
///
/// ```
/// use tidewire_protocol::{Batch, Message, Prepared};
/// let prepared = ["one", "two"].map(|text| Prepared::new(&Message::text(text)));
/// let batch = Batch::new(prepared.into());
/// assert_eq!(batch.frames().as_ref(), b"\x81\x03one\x81\x03two");
/// ```
#[derive(Debug, Clone)]
pub struct Batch {
    messages: Vec<Prepared>,
    frames: Bytes,
    noted: Noted,
}

impl Batch {
    /// Puts messages together. One alone is not copied.
    #[must_use]
    pub fn new(messages: Vec<Prepared>) -> Self {
        let (frames, noted) = match &messages[..] {
            [message] => (message.frame().clone(), message.noted()),
            messages => {
                let lengths = messages.iter().map(|message| message.frame().len());
                let mut frames = Vec::with_capacity(lengths.sum());
                for message in messages {
                    frames.extend_from_slice(message.frame());
                }
                let opcode = messages.first().map_or(Opcode::Text, Prepared::opcode);
                let noted = Noted::batch(opcode, messages.len(), frames.len());
                (frames.into(), noted)
            }
        };
        Self {
            messages,
            frames,
            noted,
        }
    }

    /// The messages, in order.
    #[must_use]
    pub fn messages(&self) -> &[Prepared] {
        &self.messages
    }

    /// The bytes that a server puts on the wire where nothing is compressed.
    #[must_use]
    pub const fn frames(&self) -> &Bytes {
        &self.frames
    }

    /// What a recorder notes of it where nothing is compressed: made once, since thousands may get it.
    pub(crate) const fn noted(&self) -> Noted {
        self.noted
    }
}

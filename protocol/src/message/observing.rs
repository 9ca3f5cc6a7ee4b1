//! What somebody has to know of the receiving half who looks on from the middle of a connection.

use super::Receiver;

impl Receiver {
    /// Whether the next byte begins a message, or a control frame outside of one.
    pub(crate) const fn is_between_messages(&self) -> bool {
        self.cut.is_none() && self.assembly.is_none()
    }

    /// Whether messages are decompressed with what came before; `None` if they are not compressed.
    pub(crate) fn context_takeover(&self) -> Option<bool> {
        Some(self.decompression.as_ref()?.context_takeover())
    }
}

//! The beginning of a header, or of a control frame's payload, that the end of an input cut. It is no buffer for messages: those
//! are put together in an assembly.

/// The beginning of something that has `MAX` bytes at most.
#[derive(Debug)]
pub(crate) struct Beginning<const MAX: usize> {
    bytes: [u8; MAX],
    len: u8,
}

impl<const MAX: usize> Beginning<MAX> {
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.split_at(self.len()).0
    }

    /// Appends what comes next, as far as there is room: the others are of something else.
    pub(crate) fn push(&mut self, next: &[u8]) {
        let (_, free) = self.bytes.split_at_mut(usize::from(self.len));
        let added = free.len().min(next.len());
        for (slot, byte) in free.iter_mut().zip(next) {
            *slot = *byte;
        }
        self.len += added as u8;
    }
}

impl<const MAX: usize> Default for Beginning<MAX> {
    fn default() -> Self {
        Self {
            bytes: [0; MAX],
            len: 0,
        }
    }
}

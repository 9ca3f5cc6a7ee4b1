//! What is to leave, and what is held in memory until it has.

use std::io::IoSlice;

use super::{Http, Phase};

impl Http {
    /// The next unsent bytes; returns how many slices there are.
    pub(crate) fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match slices.first_mut() {
            Some(slice) if self.unsent_bytes() > 0 => {
                *slice = IoSlice::new(&self.out[self.sent..]);
                1
            }
            _ => 0,
        }
    }

    /// The socket took the next `bytes` bytes.
    pub(crate) fn transmitted(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent == self.out.len() {
            (self.out, self.sent) = (Vec::new(), 0);
        }
    }

    /// What it holds in memory of what came and of what is to leave, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let body = match &self.phase {
            Phase::Collecting(collecting) => collecting.held_bytes(),
            Phase::Reading
            | Phase::Receiving(_)
            | Phase::Waiting
            | Phase::Sending { .. }
            | Phase::Streaming { .. }
            | Phase::Closing { .. }
            | Phase::Done => 0,
        };
        self.out.capacity() + self.stash.capacity() + body
    }

    /// Bytes queued and not sent.
    pub(crate) const fn unsent_bytes(&self) -> usize {
        self.out.len() - self.sent
    }

    /// What is still to be sent when the connection speaks HTTP no more.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }
}

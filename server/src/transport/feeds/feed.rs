//! A log that is followed and talked about: what is in memory of it, and who is at its head.

use super::ring::Ring;
use crate::chat::ConnSet;
use crate::log::Position;

/// A log that somebody follows.
#[derive(Debug)]
pub(super) struct Feed {
    /// Tells it from an earlier one of the same log, which may have known what this one does not.
    pub(super) number: u32,
    pub(super) ring: Ring,
    /// The newest position that was announced; unknown before the first page.
    pub(super) head: Option<Position>,
    /// Followers at the head.
    pub(super) live: ConnSet,
    /// Followers with a cursor.
    pub(super) behind: ConnSet,
}

impl Feed {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            ring: Ring::default(),
            head: None,
            live: ConnSet::default(),
            behind: ConnSet::default(),
        }
    }

    /// A page tells of a head. Where nobody followed for a while, entries were not announced that it knows of; and it may be older
    /// than what was announced since.
    pub(super) fn note_head(&mut self, head: Position) {
        let is_older = |known: Position| known.epoch == head.epoch && known.offset < head.offset;
        if self.head.is_none_or(is_older) {
            self.head = Some(head);
        }
    }

    /// Nothing is known any more of what comes next: all followers are behind, as a new feed's with this number. Returns what the
    /// head was.
    pub(super) fn break_off(&mut self, number: u32) -> Option<Position> {
        let live = std::mem::take(&mut self.live);
        live.iter().for_each(|slot| {
            self.behind.insert(slot);
        });
        self.ring = Ring::default();
        self.number = number;
        self.head.take()
    }

    /// One follower that is at the head, and nothing in memory.
    pub(super) fn is_quiet(&self) -> bool {
        self.behind.is_empty() && self.live.len() == 1 && self.ring.is_empty()
    }
}

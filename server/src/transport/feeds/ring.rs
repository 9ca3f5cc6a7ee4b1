//! The newest entries of a log in memory, each with its encodings, shared by all who follow.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use tidewire_protocol::Prepared;

use crate::chat::Shown;
use crate::log::{Entry, Position};
use crate::transport::dialect::{Encoding, Encodings};

/// Entries that a ring holds.
const ENTRIES_MAX: usize = 256;

/// Bytes of content that a ring holds, beside its newest entry.
const BYTES_MAX: usize = 1 << 20;

/// An entry and its encodings, each made on first use and once.
#[derive(Debug)]
pub struct Shared {
    /// The entry.
    pub entry: Arc<Entry>,
    encodings: Encodings,
    text: OnceLock<String>,
}

impl Shared {
    /// An entry with no encoding yet.
    #[must_use]
    pub const fn new(entry: Arc<Entry>) -> Self {
        Self {
            entry,
            encodings: Encodings::new(),
            text: OnceLock::new(),
        }
    }

    /// The message that it is in an encoding.
    pub fn prepared(&self, encoding: Encoding) -> &Prepared {
        self.encodings
            .get(encoding, || encoding.of_entry(&self.entry))
    }

    /// The JSON text, for those who read over HTTP.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| Shown::new(&self.entry).to_text())
    }
}

/// The newest entries, without a hole and of one epoch.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Arc<Shared>>,
    bytes: usize,
}

impl Ring {
    /// Adds the newest and lets go of what is too much.
    pub(super) fn push(&mut self, shared: Arc<Shared>) {
        let position = shared.entry.position;
        let follows = self.entries.back().is_none_or(|last| {
            let last = last.entry.position;
            last.epoch == position.epoch && last.offset + 1 == position.offset
        });
        if !follows {
            (self.entries, self.bytes) = (VecDeque::new(), 0);
        }
        self.bytes += bytes_of(&shared);
        self.entries.push_back(shared);
        while self.entries.len() > ENTRIES_MAX || (self.bytes > BYTES_MAX && self.entries.len() > 1)
        {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= bytes_of(&oldest);
            }
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether an entry of this position is there.
    pub(super) fn holds(&self, position: Position) -> bool {
        let before = position.offset.checked_sub(1);
        before.is_some_and(|offset| self.behind(Position { offset, ..position }).is_some())
    }

    /// The entry behind a position, if the ring reaches back that far.
    pub(super) fn behind(&self, position: Position) -> Option<&Arc<Shared>> {
        let first = self.entries.front()?.entry.position;
        let index = (position.offset + 1).checked_sub(first.offset)?;
        self.entries
            .get(usize::try_from(index).ok()?)
            .filter(|_| first.epoch == position.epoch)
    }
}

fn bytes_of(shared: &Shared) -> usize {
    shared.entry.draft.content.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LogName, Session, UserName};
    use crate::log::{Draft, Epoch};
    use serde_json::value::RawValue;

    fn shared(epoch: u32, offset: u64, bytes: usize) -> Arc<Shared> {
        let draft = Draft {
            log: LogName::broadcast(),
            from: UserName::new("a").unwrap(),
            session: Session::new("s").unwrap(),
            seq: None,
            content: RawValue::from_string(format!("\"{}\"", "x".repeat(bytes - 2))).unwrap(),
            time: 0,
        };
        let position = at(epoch, offset);
        Arc::new(Shared::new(Arc::new(Entry { position, draft })))
    }

    fn at(epoch: u32, offset: u64) -> Position {
        Position {
            epoch: Epoch::new(epoch),
            offset,
        }
    }

    fn offset_behind(ring: &Ring, position: Position) -> Option<u64> {
        ring.behind(position)
            .map(|shared| shared.entry.position.offset)
    }

    #[test]
    fn it_holds_so_many_entries() {
        let mut ring = Ring::default();
        assert_eq!(offset_behind(&ring, at(1, 0)), None);
        (1..=ENTRIES_MAX as u64 + 3).for_each(|offset| ring.push(shared(1, offset, 10)));
        assert_eq!(offset_behind(&ring, at(1, 2)), None);
        assert_eq!(offset_behind(&ring, at(1, 3)), Some(4));
        let newest = ENTRIES_MAX as u64 + 3;
        assert_eq!(offset_behind(&ring, at(1, newest - 1)), Some(newest));
        assert_eq!(offset_behind(&ring, at(1, newest)), None);
        assert_eq!(offset_behind(&ring, at(2, newest - 1)), None);
    }

    #[test]
    fn it_holds_so_many_bytes_but_always_the_newest() {
        let mut ring = Ring::default();
        (1..=3).for_each(|offset| ring.push(shared(1, offset, BYTES_MAX / 2)));
        assert_eq!(offset_behind(&ring, at(1, 0)), None);
        assert_eq!(offset_behind(&ring, at(1, 1)), Some(2));
        ring.push(shared(1, 4, 2 * BYTES_MAX));
        assert_eq!(offset_behind(&ring, at(1, 2)), None);
        assert_eq!(offset_behind(&ring, at(1, 3)), Some(4));
    }

    #[test]
    fn a_new_epoch_begins_a_new_ring() {
        let mut ring = Ring::default();
        (1..=3).for_each(|offset| ring.push(shared(1, offset, 10)));
        ring.push(shared(2, 1, 10));
        assert_eq!(offset_behind(&ring, at(1, 1)), None);
        assert_eq!(offset_behind(&ring, at(2, 0)), Some(1));
    }
}

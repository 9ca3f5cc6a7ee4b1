//! Which entry has a key: a table of hashes, 12 bytes an entry, that never says yes by itself.
//!
//! What it finds is a candidate; whether it is the same key is seen in the record. So an entry that is gone may stay in the
//! table for a while, which saves reading the record of each entry that the retention lets go of.

use hashbrown::HashTable;

use crate::log::Key;

/// Turns keys into hashes that a client cannot foretell.
pub(super) type KeyHasher = foldhash::fast::RandomState;

/// The hash of a key, the same in all logs.
pub(super) fn hash_key(hasher: &KeyHasher, key: &Key<'_>) -> u64 {
    use std::hash::BuildHasher as _;
    hasher.hash_one((key.from, key.session, key.seq))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    hash: u32,
    log: u32,
    /// The low bits: a log does not keep so many entries that they would be ambiguous.
    offset: u32,
}

impl Slot {
    fn new(log: u32, key: u64, offset: u64) -> Self {
        let mixed = (key ^ u64::from(log).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .wrapping_mul(0xD6E8_FEB8_6659_FD93);
        Self {
            hash: (mixed >> 32) as u32,
            log,
            offset: offset as u32,
        }
    }

    /// The 32 bits spread over 64, which the table takes its buckets and tags from.
    fn spread(&self) -> u64 {
        u64::from(self.hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// The keys of all logs.
#[derive(Debug, Default)]
pub(super) struct Keys {
    table: HashTable<Slot>,
    /// How many are known to be of entries that are gone.
    stale: usize,
}

impl Keys {
    pub(super) fn with_capacity(keys: usize) -> Self {
        Self {
            table: HashTable::with_capacity(keys),
            stale: 0,
        }
    }

    pub(super) fn insert(&mut self, log: u32, key: u64, offset: u64) {
        let slot = Slot::new(log, key, offset);
        self.table.insert_unique(slot.spread(), slot, Slot::spread);
    }

    /// Whether just this is in the table.
    pub(super) fn contains(&self, log: u32, key: u64, offset: u64) -> bool {
        let slot = Slot::new(log, key, offset);
        self.table
            .find(slot.spread(), |other| *other == slot)
            .is_some()
    }

    pub(super) fn remove(&mut self, log: u32, key: u64, offset: u64) {
        let slot = Slot::new(log, key, offset);
        if let Ok(found) = self.table.find_entry(slot.spread(), |other| *other == slot) {
            found.remove();
        }
    }

    /// The offsets of entries that may have this key, in a log whose oldest kept offset is `oldest`.
    pub(super) fn candidates(
        &self,
        log: u32,
        key: u64,
        oldest: u64,
    ) -> impl Iterator<Item = u64> + '_ {
        let wanted = Slot::new(log, key, 0);
        self.table
            .iter_hash(wanted.spread())
            .filter(move |slot| slot.hash == wanted.hash && slot.log == log)
            .map(move |slot| widen(slot.offset, oldest))
    }

    /// Notes that an entry with a key is gone.
    pub(super) fn note_stale(&mut self) {
        self.stale += 1;
    }

    /// Once half of it is stale, drops what is; `oldest` is that of a log, or `None` for one that is no more.
    pub(super) fn sweep(&mut self, oldest: impl Fn(u32) -> Option<(u64, u64)>) {
        if self.stale < 1024 || self.stale * 2 < self.table.len() {
            return;
        }
        self.table.retain(|slot| {
            oldest(slot.log).is_some_and(|(first, next)| widen(slot.offset, first) < next)
        });
        self.table.shrink_to(self.table.len() * 2, Slot::spread);
        self.stale = 0;
    }

    /// The bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        self.table.allocation_size()
    }
}

/// The offset with these low bits that is `oldest` or the first behind it.
fn widen(low: u32, oldest: u64) -> u64 {
    oldest + u64::from(low.wrapping_sub(oldest as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(keys: &Keys, log: u32, key: u64, oldest: u64) -> Vec<u64> {
        keys.candidates(log, key, oldest).collect()
    }

    #[test]
    fn a_key_is_found_in_its_log() {
        let mut keys = Keys::default();
        keys.insert(1, 77, 5);
        keys.insert(2, 77, 6);
        keys.insert(1, 78, 7);
        assert_eq!(found(&keys, 1, 77, 1), [5]);
        assert_eq!(found(&keys, 2, 77, 1), [6]);
        assert_eq!(found(&keys, 3, 77, 1), [0; 0]);
        assert!(keys.contains(1, 77, 5) && !keys.contains(1, 77, 6));
        keys.remove(1, 77, 5);
        assert_eq!(found(&keys, 1, 77, 1), [0; 0]);
    }

    #[test]
    fn offsets_beyond_32_bits_are_whole_again() {
        let mut keys = Keys::default();
        let offset = (7 << 32) + 3;
        keys.insert(1, 77, offset);
        assert_eq!(found(&keys, 1, 77, offset - 10), [offset]);
    }

    #[test]
    fn what_is_stale_is_swept_once_it_is_half() {
        let mut keys = Keys::default();
        (1..=4000).for_each(|offset| keys.insert(1, offset, offset));
        (1..=1999).for_each(|_| keys.note_stale());
        keys.sweep(|_| Some((2000, 4001)));
        assert_eq!(keys.table.len(), 4000);
        keys.note_stale();
        keys.sweep(|_| Some((2001, 4001)));
        assert_eq!(keys.table.len(), 2000);
        assert_eq!(found(&keys, 1, 2001, 2001), [2001]);
    }
}

//! What the next commit will write: the bytes of a group, and what is to change in the index once they are saved.

use super::format::{GROUP_HEADER, Location, put_record};
use super::index::Place;
use super::record::{Body, EntryBody};
use crate::log::StoreError;

/// The most bytes of one group.
pub(super) const GROUP_BYTES_MAX: usize = 1 << 30;

/// A group in the making.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// Begins with room for the group's header; empty if there is nothing.
    bytes: Vec<u8>,
    /// Where the first of them will be.
    base: Location,
    count: u32,
    pub(super) entries: Vec<StagedEntry>,
    pub(super) copies: Vec<Copied>,
    /// Logs whose state is in the group, and their oldest offset.
    pub(super) states: Vec<(u32, u64)>,
    /// Logs that began with the group.
    pub(super) new_logs: Vec<u32>,
    /// Why the group must not be saved.
    pub(super) refused: Option<StoreError>,
}

/// A new entry.
#[derive(Debug)]
pub(super) struct StagedEntry {
    pub(super) log: u32,
    pub(super) offset: u64,
    pub(super) key: Option<u64>,
}

/// An entry that is being moved forward.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) log: u32,
    pub(super) offset: u64,
    pub(super) from: Place,
    pub(super) to: Place,
}

impl Staged {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Begins a group at `base`, if none has begun, and returns whether it did.
    pub(super) fn begin(&mut self, base: Location) -> bool {
        let begins = self.bytes.is_empty();
        if begins {
            self.base = base;
            self.bytes.resize(GROUP_HEADER as usize, 0);
        }
        begins
    }

    /// Adds an entry's record and returns its place.
    pub(super) fn put_entry(&mut self, entry: &EntryBody<'_>) -> Place {
        self.count += 1;
        let length = entry.encoded_len();
        let range = put_record(&mut self.bytes, self.base, length, |out| entry.encode(out));
        let at = Location::new(self.base.segment, self.base.at + range.start as u64);
        Place::new(at, entry.time, entry.content.len(), entry.key().is_some())
    }

    /// Adds another record.
    pub(super) fn put(&mut self, body: &Body<'_>) {
        self.count += 1;
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        put_record(&mut self.bytes, self.base, bytes.len(), |out| {
            out.extend_from_slice(&bytes)
        });
    }

    /// The bytes from a place in the group on.
    pub(super) fn bytes_at(&self, location: Location) -> &[u8] {
        let at = location.at.checked_sub(self.base.at);
        let at = at.and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }

    /// The whole group, with room for its header.
    pub(super) fn group(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Back to nothing; a buffer that was needed once for very much is given back.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(1 << 20);
        self.entries.clear();
        self.copies.clear();
        self.states.clear();
        self.new_logs.clear();
        self.count = 0;
        self.refused = None;
    }
}

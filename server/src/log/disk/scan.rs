//! Reads a whole segment: every record that is intact, and where something is not.
//!
//! What is behind damage is found again: the next group by its magic, the next record by being one. So a flipped bit costs
//! the record it is in, never its neighbours.

use std::collections::HashMap;
use std::ops::Range;

use super::format::{self, GROUP_HEADER, GROUP_MAGIC, GroupHeader, Location, SEGMENT_HEADER};
use super::index::Place;
use super::keys::{KeyHasher, hash_key};
use super::record::Body;
use crate::log::extent::Era;
use crate::log::{Epoch, Position};

/// What is in a segment.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) segment: u64,
    /// The names of logs, which items mean by their index.
    pub(super) names: Vec<Box<str>>,
    pub(super) items: Vec<Item>,
    /// Bytes that are not what was written.
    pub(super) damage: Vec<Range<u64>>,
    /// The end of the last group that is whole.
    pub(super) whole_to: u64,
    /// Items and damage up to there; what follows is from behind the last whole group.
    pub(super) whole_items: usize,
    pub(super) whole_damage: usize,
    /// Behind the last whole group is nothing but zeros.
    pub(super) tail_is_blank: bool,
    /// The number for the next group.
    pub(super) next_group: u64,
}

/// A record, as far as an index needs it.
#[derive(Debug)]
pub(super) enum Item {
    Entry(EntryItem),
    State(Box<StateItem>),
    Forget { log: u32 },
}

#[derive(Debug)]
pub(super) struct EntryItem {
    pub(super) log: u32,
    pub(super) epoch: Epoch,
    pub(super) offset: u64,
    /// The hash of its key, if the place says that it has one.
    pub(super) key: u64,
    pub(super) place: Place,
    pub(super) copy: bool,
}

#[derive(Debug)]
pub(super) struct StateItem {
    pub(super) log: u32,
    pub(super) at: u64,
    pub(super) head: u64,
    pub(super) oldest: u64,
    pub(super) eras: Vec<Era>,
    pub(super) mark: Option<Position>,
}

impl Scan {
    /// Forgets what is from behind the last whole group.
    pub(super) fn cut_tail(&mut self) {
        self.items.truncate(self.whole_items);
        self.damage.truncate(self.whole_damage);
    }
}

/// Reads a segment's bytes from its beginning.
pub(super) fn scan(bytes: &[u8], segment: u64, hasher: &KeyHasher) -> Scan {
    let mut scanner = Scanner {
        bytes,
        hasher,
        logs: HashMap::default(),
        scan: Scan {
            segment,
            whole_to: SEGMENT_HEADER.min(bytes.len() as u64),
            tail_is_blank: true,
            next_group: 1,
            ..Scan::default()
        },
    };
    // A guess at the number of records saves growing step by step.
    scanner.scan.items.reserve(bytes.len() / 256);
    scanner.groups();
    scanner.scan
}

/// Where the next whole group header is, from `from` on.
pub(super) fn find_group(bytes: &[u8], segment: u64, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        let first = rest
            .windows(GROUP_MAGIC.len())
            .position(|window| window == GROUP_MAGIC)?;
        at += first;
        if group_at(bytes, segment, at).is_some() {
            return Some(at);
        }
        at += 1;
    }
}

/// The records of the group at `at`, if its header is good and its end is there.
fn group_at(bytes: &[u8], segment: u64, at: usize) -> Option<(GroupHeader, Range<usize>)> {
    let header = GroupHeader::decode(&bytes[at..], Location::new(segment, at as u64))?;
    let start = at + GROUP_HEADER as usize;
    let end = start.checked_add(header.bytes as usize)?;
    (end <= bytes.len()).then_some((header, start..end))
}

/// Checks the record at `at` and reads it.
pub(super) fn record_at(bytes: &[u8], location: Location) -> Option<(Body<'_>, usize)> {
    let body = format::body_range(bytes)?;
    let record = bytes.get(..body.end)?;
    // Reading first: where no record is, it fails sooner than the checksum.
    let read = Body::decode(&record[body.clone()])?;
    format::is_intact(record, location).then_some((read, body.end))
}

struct Scanner<'a> {
    bytes: &'a [u8],
    hasher: &'a KeyHasher,
    logs: HashMap<&'a str, u32, foldhash::fast::RandomState>,
    scan: Scan,
}

impl Scanner<'_> {
    fn groups(&mut self) {
        let segment = self.scan.segment;
        let mut at = self.scan.whole_to as usize;
        while at < self.bytes.len() {
            if let Some((header, records)) = group_at(self.bytes, segment, at) {
                at = records.end;
                let before = self.scan.items.len();
                let whole = self.records(records);
                self.scan.next_group = self.scan.next_group.max(header.number + 1);
                if whole && self.scan.items.len() - before == header.count as usize {
                    self.note_whole(at);
                } else {
                    self.scan.tail_is_blank = false;
                }
                continue;
            }
            if self.bytes[at..].iter().all(|byte| *byte == 0) {
                return;
            }
            let next = find_group(self.bytes, segment, at + 1).unwrap_or(self.bytes.len());
            self.records(at..next);
            self.scan.tail_is_blank = false;
            at = next;
        }
    }

    fn note_whole(&mut self, end: usize) {
        self.scan.whole_to = end as u64;
        self.scan.whole_items = self.scan.items.len();
        self.scan.whole_damage = self.scan.damage.len();
        self.scan.tail_is_blank = true;
    }

    /// Reads the records in a range, whatever else there is, and returns whether there is nothing else.
    fn records(&mut self, range: Range<usize>) -> bool {
        let mut damaged_from = None;
        let mut whole = true;
        let mut at = range.start;
        while at < range.end {
            match self.record(at, range.end) {
                Some(end) => {
                    self.note_damage(damaged_from.take(), at);
                    at = end;
                }
                None => {
                    whole = false;
                    damaged_from.get_or_insert(at);
                    at += 1;
                }
            }
        }
        self.note_damage(damaged_from, range.end);
        whole
    }

    fn note_damage(&mut self, from: Option<usize>, to: usize) {
        if let Some(from) = from {
            self.scan.damage.push(from as u64..to as u64);
        }
    }

    /// Reads the record at `at` and returns its end.
    fn record(&mut self, at: usize, end: usize) -> Option<usize> {
        let location = Location::new(self.scan.segment, at as u64);
        let bytes = &self.bytes[at..end];
        let (body, length) = record_at(bytes, location)?;
        let item = match body {
            Body::Entry(entry) => {
                let key = entry.key();
                Item::Entry(EntryItem {
                    log: self.log(entry.log),
                    epoch: entry.position.epoch,
                    offset: entry.position.offset,
                    key: key.as_ref().map_or(0, |key| hash_key(self.hasher, key)),
                    place: Place::new(location, entry.time, entry.content.len(), key.is_some()),
                    copy: entry.copy,
                })
            }
            Body::State(state) => Item::State(Box::new(StateItem {
                log: self.log(state.log),
                at: at as u64,
                head: state.head,
                oldest: state.oldest,
                eras: state.eras,
                mark: state.mark,
            })),
            Body::Forget(log) => Item::Forget { log: self.log(log) },
        };
        self.scan.items.push(item);
        Some(at + length)
    }
}

impl<'a> Scanner<'a> {
    fn log(&mut self, name: &'a str) -> u32 {
        if let Some(&log) = self.logs.get(name) {
            return log;
        }
        let log = self.scan.names.len() as u32;
        self.scan.names.push(name.into());
        self.logs.insert(name, log);
        log
    }
}

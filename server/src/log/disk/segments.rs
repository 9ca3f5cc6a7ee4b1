//! The segments and how much in each still matters, which tells when one can go.

use std::collections::VecDeque;

use super::chain::Link;
use super::index::{Logs, Place};

/// What an entry takes besides its content, about.
const RECORD_BYTES: u64 = 48;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) live_entries: u64,
    live_bytes: u64,
}

/// All files, oldest first.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
}

impl Segments {
    /// From what recovery found; files that do not count are to go in their turn, too.
    pub(super) fn of(links: &[Link], void: &[(u64, u64)], logs: &Logs) -> Self {
        let links = links.iter().map(|link| (link.number, link.file_bytes));
        let mut files: Vec<_> = links.chain(void.iter().copied()).collect();
        files.sort_unstable();
        let mut segments = Self::default();
        for (number, bytes) in files {
            segments.add(number, bytes);
        }
        let places = logs.iter().flat_map(|(_, log)| &log.places);
        places.for_each(|place| segments.gain(*place));
        segments
    }

    /// A new, newest one.
    pub(super) fn add(&mut self, number: u64, bytes: u64) {
        self.list.push_back(Segment {
            number,
            bytes,
            live_entries: 0,
            live_bytes: 0,
        });
    }

    /// The newest has become this long.
    pub(super) fn grow(&mut self, number: u64, bytes: u64) {
        match self.find(number) {
            Some(segment) => segment.bytes = bytes,
            None => self.add(number, bytes),
        }
    }

    pub(super) fn gain(&mut self, place: Place) {
        if let Some(segment) = self.find(place.location().segment) {
            segment.live_entries += 1;
            segment.live_bytes += place.content_bytes() + RECORD_BYTES;
        }
    }

    pub(super) fn lose(&mut self, place: Place) {
        if let Some(segment) = self.find(place.location().segment) {
            segment.live_entries -= 1;
            segment.live_bytes -= place.content_bytes() + RECORD_BYTES;
        }
    }

    pub(super) fn oldest(&self) -> Option<&Segment> {
        self.list.front()
    }

    pub(super) fn remove_oldest(&mut self) {
        self.list.pop_front();
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Bytes on the disk, and those of them that matter.
    pub(super) fn usage(&self) -> (u64, u64) {
        let sum = |of: fn(&Segment) -> u64| self.list.iter().map(of).sum();
        (
            sum(|segment| segment.bytes),
            sum(|segment| segment.live_bytes),
        )
    }

    fn find(&mut self, number: u64) -> Option<&mut Segment> {
        // Mostly it is the newest or the oldest.
        if self
            .list
            .back()
            .is_some_and(|newest| newest.number == number)
        {
            return self.list.back_mut();
        }
        let index = self
            .list
            .binary_search_by_key(&number, |segment| segment.number)
            .ok()?;
        self.list.get_mut(index)
    }
}

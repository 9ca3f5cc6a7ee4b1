//! Logs that one connection follows, at the head, and that nobody has written to meanwhile: nearly all logs of users. Each is
//! one small record here instead of a feed.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;
use slab::Slab;

use crate::ids::{ConnId, LogName};
use crate::log::{Epoch, Position};

/// All quiet logs.
#[derive(Debug, Default)]
pub(super) struct QuietLogs {
    logs: Slab<QuietLog>,
    /// Their places in the slab, by name.
    places: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
}

/// What there is to know of one.
#[derive(Debug)]
pub(super) struct QuietLog {
    pub(super) log: LogName,
    pub(super) follower: ConnId,
    /// The number of the feed that it was, and will be.
    pub(super) number: u32,
    epoch: Epoch,
    offset: u64,
}

impl QuietLog {
    pub(super) const fn new(log: LogName, follower: ConnId, number: u32, head: Position) -> Self {
        Self {
            log,
            follower,
            number,
            epoch: head.epoch,
            offset: head.offset,
        }
    }

    /// The newest position that was announced.
    pub(super) const fn head(&self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.offset,
        }
    }
}

impl QuietLogs {
    /// Adds a log that is not here.
    pub(super) fn insert(&mut self, log: QuietLog) {
        let hash = self.hasher.hash_one(log.log.as_str());
        // There are never 2^32 connections.
        let place = self.logs.insert(log) as u32;
        let (logs, hasher) = (&self.logs, &self.hasher);
        let hash_of = |place: &u32| hasher.hash_one(logs[*place as usize].log.as_str());
        self.places.insert_unique(hash, place, hash_of);
    }

    pub(super) fn get(&self, log: &str) -> Option<&QuietLog> {
        let place = self.places.find(self.hasher.hash_one(log), self.is(log))?;
        self.logs.get(*place as usize)
    }

    /// Takes a log out, if it is here.
    pub(super) fn take(&mut self, log: &str) -> Option<QuietLog> {
        let hash = self.hasher.hash_one(log);
        let logs = &self.logs;
        let is_it = |place: &u32| logs[*place as usize].log.as_str() == log;
        let (place, _) = self.places.find_entry(hash, is_it).ok()?.remove();
        let taken = self.logs.try_remove(place as usize);
        if self.logs.is_empty() {
            (self.logs, self.places) = (Slab::new(), HashTable::new());
        }
        taken
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    fn is<'a>(&'a self, log: &'a str) -> impl Fn(&u32) -> bool + 'a {
        move |place| self.logs[*place as usize].log.as_str() == log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(number: u32) -> LogName {
        LogName::new(&format!("@{number}")).unwrap()
    }

    #[test]
    fn each_is_found_by_its_name_until_it_is_taken() {
        let mut quiet = QuietLogs::default();
        for number in 0..1000 {
            let follower = ConnId {
                index: number,
                generation: 1,
            };
            let head = Position {
                epoch: Epoch::new(7),
                offset: number.into(),
            };
            quiet.insert(QuietLog::new(log(number), follower, number, head));
        }
        for number in (0..1000).step_by(2) {
            let taken = quiet.take(log(number).as_str()).unwrap();
            assert_eq!((taken.number, taken.follower.index), (number, number));
        }
        for number in 0..1000 {
            let found = quiet.get(log(number).as_str());
            let offset = found.map(|found| found.head().offset);
            assert_eq!(offset, (number % 2 == 1).then_some(number.into()));
        }
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<QuietLog>(), 32);
    }
}

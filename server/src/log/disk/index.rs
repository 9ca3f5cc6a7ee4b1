//! What a store knows of its logs without asking the disk: for each entry 16 bytes that say where it is, and no content.

use std::collections::{HashMap, VecDeque};

use super::format::Location;
use super::keys::Keys;
use super::record::{ERAS_MAX, StateBody};
use crate::ids::LogName;
use crate::log::extent::{Era, Extent};
use crate::log::{Epoch, Position, Retention};

const SEGMENT_BITS: u32 = 32;
const AT_BITS: u32 = 32;
const TIME_BITS: u32 = 43;
const SIZE_BITS: u32 = 20;

/// Where an entry is, when it came, how much content it has, and whether it has a key.
///
/// Packed, because there is one for each message: a segment's number and a byte in it of 32 bits each, 43 bits of
/// milliseconds since 1970 (to the year 2248), 20 bits of content length (what is longer counts as 1 MiB), one bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    location: u64,
    about: u64,
}

impl Place {
    pub(super) fn new(location: Location, time: u64, content_bytes: usize, keyed: bool) -> Self {
        debug_assert!(location.segment >> SEGMENT_BITS == 0 && location.at >> AT_BITS == 0);
        let size = (content_bytes as u64).min((1 << SIZE_BITS) - 1);
        let time = time.min((1 << TIME_BITS) - 1);
        Self {
            location: location.segment << AT_BITS | location.at,
            about: time << (SIZE_BITS + 1) | size << 1 | u64::from(keyed),
        }
    }

    /// For an entry that is known to have been, and is nowhere.
    pub(super) fn missing(time: u64) -> Self {
        Self::new(Location::new(0, 0), time, 0, false)
    }

    pub(super) fn is_missing(self) -> bool {
        self.location == 0
    }

    pub(super) fn location(self) -> Location {
        Location::new(
            self.location >> AT_BITS,
            self.location & ((1 << AT_BITS) - 1),
        )
    }

    pub(super) fn time(self) -> u64 {
        self.about >> (SIZE_BITS + 1)
    }

    pub(super) fn content_bytes(self) -> u64 {
        self.about >> 1 & ((1 << SIZE_BITS) - 1)
    }

    pub(super) fn is_keyed(self) -> bool {
        self.about & 1 == 1
    }
}

/// A log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) name: LogName,
    /// Oldest first, never empty.
    pub(super) eras: Vec<Era>,
    /// The first kept offset, that of the first place.
    pub(super) oldest: u64,
    /// The last committed offset; places behind it are of entries that are not committed.
    pub(super) head: u64,
    pub(super) places: VecDeque<Place>,
    pub(super) content_bytes: u64,
    pub(super) mark: Option<Position>,
    /// The segment with the newest record of its state, 0 if there is none.
    pub(super) state_segment: u64,
    /// The first kept offset by that record.
    pub(super) oldest_saved: u64,
    /// Some entries are copies, so the segments do not hold them in order.
    pub(super) has_copies: bool,
}

impl Log {
    pub(super) fn new(name: LogName, epoch: Epoch) -> Self {
        Self {
            name,
            eras: vec![Era { first: 1, epoch }],
            oldest: 1,
            head: 0,
            places: VecDeque::new(),
            content_bytes: 0,
            mark: None,
            state_segment: 0,
            oldest_saved: 1,
            has_copies: false,
        }
    }

    pub(super) fn extent(&self) -> Extent<'_> {
        Extent {
            eras: &self.eras,
            oldest: self.oldest.min(self.head + 1),
            head: self.head,
        }
    }

    /// The position of the next entry.
    pub(super) fn next_position(&self) -> Position {
        Position {
            epoch: self.eras[self.eras.len() - 1].epoch,
            offset: self.next_offset(),
        }
    }

    pub(super) fn next_offset(&self) -> u64 {
        self.oldest + self.places.len() as u64
    }

    pub(super) fn place(&self, offset: u64) -> Option<Place> {
        let index = usize::try_from(offset.checked_sub(self.oldest)?).ok()?;
        self.places.get(index).copied()
    }

    pub(super) fn place_mut(&mut self, offset: u64) -> Option<&mut Place> {
        let index = usize::try_from(offset.checked_sub(self.oldest)?).ok()?;
        self.places.get_mut(index)
    }

    /// Drops what is not committed.
    pub(super) fn undo(&mut self) {
        while self.next_offset() > self.head + 1
            && let Some(place) = self.places.pop_back()
        {
            self.content_bytes -= place.content_bytes();
        }
    }

    /// Lets go of the oldest entry.
    pub(super) fn forget_oldest(&mut self) -> Option<Place> {
        let place = self.places.pop_front()?;
        self.oldest += 1;
        self.content_bytes -= place.content_bytes();
        while let Some(next) = self.eras.get(1)
            && next.first <= self.oldest
            && self.oldest <= self.head
        {
            self.eras.remove(0);
        }
        Some(place)
    }

    /// Whether there is more than the retention allows.
    pub(super) fn is_over(&self, retention: &Retention) -> bool {
        let committed = (self.head + 1).saturating_sub(self.oldest);
        committed > retention.entries_max
            || (self.content_bytes > retention.bytes_max && committed > 1)
    }

    /// Begins a new epoch at the next offset.
    pub(super) fn begin_era(&mut self, epoch: Epoch) {
        if self.eras.len() == ERAS_MAX {
            self.eras.remove(0);
        }
        let first = self.head + 1;
        self.eras.push(Era { first, epoch });
    }

    /// What a record of its state says.
    pub(super) fn state(&self) -> StateBody<'_> {
        StateBody {
            log: self.name.as_str(),
            head: self.next_offset() - 1,
            oldest: self.oldest,
            eras: self.eras.clone(),
            mark: self.mark,
        }
    }
}

/// All logs, by number and by name.
#[derive(Debug, Default)]
pub(super) struct Logs {
    slots: Vec<Option<Log>>,
    free: Vec<u32>,
    names: HashMap<LogName, u32, foldhash::fast::RandomState>,
    pub(super) keys: Keys,
}

impl Logs {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn number(&self, name: &LogName) -> Option<u32> {
        self.names.get(name.as_str()).copied()
    }

    pub(super) fn named(&self, name: &LogName) -> Option<&Log> {
        self.get(self.number(name)?)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Log> {
        self.slots.get(number as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Log> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn insert(&mut self, log: Log) -> u32 {
        let name = log.name.clone();
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = Some(log);
                number
            }
            None => {
                self.slots.push(Some(log));
                self.slots.len() as u32 - 1
            }
        };
        self.names.insert(name, number);
        number
    }

    /// Adds what recovery found under this number; `None` keeps the number free.
    pub(super) fn push(&mut self, log: Option<Log>) {
        let number = self.slots.len() as u32;
        match &log {
            Some(log) => {
                self.names.insert(log.name.clone(), number);
            }
            None => self.free.push(number),
        }
        self.slots.push(log);
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Log> {
        let log = self.slots.get_mut(number as usize)?.take()?;
        self.names.remove(log.name.as_str());
        self.free.push(number);
        Some(log)
    }

    /// All numbers that there may be a log of.
    pub(super) fn numbers(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Log)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(number, log)| Some((number as u32, log.as_ref()?)))
    }

    pub(super) fn sweep_keys(&mut self) {
        let slots = &self.slots;
        self.keys.sweep(|number| {
            let log = slots.get(number as usize)?.as_ref()?;
            Some((log.oldest, log.next_offset()))
        });
    }

    /// The bytes of memory for places and keys.
    pub(super) fn memory(&self) -> usize {
        let places = self.iter().map(|(_, log)| log.places.capacity());
        places.sum::<usize>() * size_of::<Place>() + self.keys.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_16_bytes_and_keeps_what_it_was_given() {
        assert_eq!(size_of::<Place>(), 16);
        let location = Location::new(u64::from(u32::MAX), 67_108_000);
        let place = Place::new(location, 1_790_000_000_123, 200, true);
        assert_eq!(place.location(), location);
        assert_eq!(
            (place.time(), place.content_bytes()),
            (1_790_000_000_123, 200)
        );
        assert!(place.is_keyed() && !place.is_missing());
        let missing = Place::missing(5);
        assert!(missing.is_missing() && !missing.is_keyed() && missing.time() == 5);
        assert_eq!(
            Place::new(location, 0, 5 << 20, false).content_bytes(),
            (1 << 20) - 1
        );
    }

    #[test]
    fn an_era_is_dropped_with_its_last_entry() {
        let mut log = Log::new(LogName::new("a").unwrap(), Epoch::new(1));
        (0..3).for_each(|_| log.places.push_back(Place::missing(0)));
        log.head = 3;
        log.begin_era(Epoch::new(2));
        log.places.push_back(Place::missing(0));
        log.head = 4;
        assert_eq!(
            log.next_position(),
            Position {
                epoch: Epoch::new(2),
                offset: 5
            }
        );
        log.forget_oldest();
        log.forget_oldest();
        assert_eq!((log.eras.len(), log.oldest), (2, 3));
        log.forget_oldest();
        assert_eq!((log.eras.len(), log.oldest), (1, 4));
    }
}

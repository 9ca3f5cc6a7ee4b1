//! Puts what was found in the segments together to logs.
//!
//! Entries mostly come in order and make one run. A copy that was moved forward, or a hole, begins another run; the runs are
//! laid over each other at the end, the later over the earlier.

use std::collections::{HashMap, VecDeque};

use super::format::Location;
use super::index::{Log, Logs, Place};
use super::keys::Keys;
use super::scan::{EntryItem, Item, Scan, StateItem};
use crate::ids::LogName;
use crate::log::extent::Era;
use crate::log::{Epoch, LOGS_MAX, Retention, Rules};

/// The most entries that may be missing in a log without being taken for expired: a bound on memory.
const MISSING_MAX: u64 = 1 << 20;

/// Logs in the making.
#[derive(Debug, Default)]
pub(super) struct Builder {
    names: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    logs: Vec<Building>,
    keys: Keys,
}

#[derive(Debug)]
struct Building {
    name: LogName,
    runs: Vec<Run>,
    state: Option<Box<StateItem>>,
    state_segment: u64,
    /// The last place that tells how far the log had come.
    proof: Location,
    /// The epoch of the newest entry that is no copy.
    last: Option<Epoch>,
    has_copies: bool,
}

/// Entries with consecutive offsets in one epoch.
#[derive(Debug)]
struct Run {
    first: u64,
    epoch: Epoch,
    places: Vec<Place>,
}

impl Run {
    fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }
}

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) logs: Logs,
    /// Logs of which the newest entries may be lost.
    pub(super) uncertain: Vec<u32>,
}

impl Builder {
    /// Makes room for the keys of so many bytes of segments.
    pub(super) fn for_bytes(bytes: u64) -> Self {
        Self {
            keys: Keys::with_capacity(usize::try_from(bytes / 320).unwrap_or(0)),
            ..Self::default()
        }
    }

    /// Adds a segment; the oldest comes first.
    pub(super) fn add(&mut self, scan: Scan) {
        let Scan {
            segment,
            names,
            items,
            ..
        } = scan;
        let numbers: Vec<_> = names.into_iter().map(|name| self.number(name)).collect();
        for item in items {
            match item {
                Item::Entry(entry) => {
                    if let Some(log) = numbers[entry.log as usize] {
                        self.add_entry(log, &entry);
                    }
                }
                Item::State(state) => {
                    if let Some(log) = numbers[state.log as usize] {
                        self.logs[log as usize].add_state(segment, state);
                    }
                }
                Item::Forget { log } => {
                    if let Some(log) = numbers[log as usize] {
                        self.logs[log as usize].forget();
                    }
                }
            }
        }
    }

    fn number(&mut self, name: Box<str>) -> Option<u32> {
        if let Some(&number) = self.names.get(&name) {
            return Some(number);
        }
        // The checksum was right, so these are names that we wrote.
        let log = Building::new(LogName::saved(&name).ok()?);
        let number = u32::try_from(self.logs.len()).ok()?;
        debug_assert!(self.logs.len() <= LOGS_MAX * 2);
        self.logs.push(log);
        self.names.insert(name, number);
        Some(number)
    }

    fn add_entry(&mut self, number: u32, entry: &EntryItem) {
        // A copy's key is that of the original, which may still be there.
        let is_known = || self.keys.contains(number, entry.key, entry.offset);
        if entry.place.is_keyed() && !(entry.copy && is_known()) {
            self.keys.insert(number, entry.key, entry.offset);
        }
        self.logs[number as usize].add_entry(entry);
    }

    /// Makes the logs. Those are uncertain that say nothing of themselves behind `damage`, the last place where something
    /// was lost.
    pub(super) fn finish(self, rules: &Rules, damage: Option<Location>) -> Built {
        let mut built = Built::default();
        built.logs.keys = self.keys;
        for (number, building) in self.logs.into_iter().enumerate() {
            let is_uncertain = damage.is_some_and(|damage| building.proof < damage);
            let retention = rules.of(building.name.as_str()).retention;
            let log = building.finish(&retention);
            if is_uncertain && log.is_some() {
                built.uncertain.push(number as u32);
            }
            built.logs.push(log);
        }
        built
    }
}

impl Building {
    fn new(name: LogName) -> Self {
        Self {
            name,
            runs: Vec::new(),
            state: None,
            state_segment: 0,
            proof: Location::default(),
            last: None,
            has_copies: false,
        }
    }

    fn add_entry(&mut self, entry: &EntryItem) {
        if entry.copy {
            self.has_copies = true;
        } else {
            self.note_original(entry);
        }
        match self.runs.last_mut() {
            Some(run) if run.end() == entry.offset && run.epoch == entry.epoch => {
                run.places.push(entry.place);
            }
            _ => self.runs.push(Run {
                first: entry.offset,
                epoch: entry.epoch,
                places: vec![entry.place],
            }),
        }
    }

    fn note_original(&mut self, entry: &EntryItem) {
        // Not whatever goes back: a commit that was undone is read again if the header that voids it is damaged.
        let is_other = |epoch| epoch != entry.epoch;
        if entry.offset == 1 && self.last.is_some_and(is_other) {
            // It begins anew, and the record that it was forgotten is damaged.
            self.forget();
        }
        self.last = Some(entry.epoch);
        self.proof = entry.place.location();
    }

    fn add_state(&mut self, segment: u64, state: Box<StateItem>) {
        self.proof = Location::new(segment, state.at);
        self.state_segment = segment;
        self.state = Some(state);
    }

    fn forget(&mut self) {
        self.runs.clear();
        self.last = None;
        self.state = None;
        self.state_segment = 0;
        self.has_copies = false;
    }

    fn finish(mut self, retention: &Retention) -> Option<Log> {
        let first = self.runs.iter().map(|run| run.first).min();
        let last = self.runs.iter().map(|run| run.end() - 1).max();
        let (state_oldest, state_head) = match &self.state {
            Some(state) => (Some(state.oldest), state.head),
            None => (None, 0),
        };
        let first = first.or(state_oldest)?;
        let head = last.unwrap_or(0).max(state_head);
        let eras = self.eras(first);
        let oldest = first
            .max(state_oldest.unwrap_or(0))
            .max(self.oldest_by(retention, head));
        let places = self.places(oldest, head);
        let skipped = places.iter().take_while(|place| place.is_missing()).count();
        let mut log = Log {
            name: self.name,
            eras,
            oldest,
            head,
            content_bytes: places.iter().map(|place| place.content_bytes()).sum(),
            places,
            mark: self.state.as_ref().and_then(|state| state.mark),
            state_segment: self.state_segment,
            oldest_saved: state_oldest.unwrap_or(1),
            has_copies: self.has_copies,
        };
        // What is missing at the front has expired, unless there is nothing else.
        if skipped < log.places.len() {
            for _ in 0..skipped {
                log.forget_oldest();
            }
        }
        while log.is_over(retention) {
            log.forget_oldest();
        }
        Some(log)
    }

    /// The oldest offset that can be kept.
    fn oldest_by(&self, retention: &Retention, head: u64) -> u64 {
        let present: u64 = self.runs.iter().map(|run| run.places.len() as u64).sum();
        let most = retention.entries_max.min(present + MISSING_MAX);
        (head + 1).saturating_sub(most)
    }

    /// The eras that its state tells of, and those that only entries do.
    fn eras(&self, first: u64) -> Vec<Era> {
        let mut eras = match &self.state {
            Some(state) => state.eras.clone(),
            None => Vec::new(),
        };
        let mut runs: Vec<_> = self.runs.iter().collect();
        runs.sort_by_key(|run| run.first);
        for run in runs {
            if eras.iter().all(|era| era.epoch != run.epoch) {
                let first = if run.first == first && eras.is_empty() {
                    1
                } else {
                    run.first
                };
                eras.push(Era {
                    first,
                    epoch: run.epoch,
                });
            }
        }
        eras.sort_by_key(|era| era.first);
        eras
    }

    /// The places from `oldest` to `head`.
    fn places(&mut self, oldest: u64, head: u64) -> VecDeque<Place> {
        if let [run] = &mut self.runs[..]
            && run.first == oldest
            && run.end() == head + 1
        {
            return std::mem::take(&mut run.places).into();
        }
        let time = self
            .runs
            .last()
            .and_then(|run| run.places.last())
            .map_or(0, |place| place.time());
        let count = usize::try_from((head + 1).saturating_sub(oldest)).unwrap_or(0);
        let mut places = vec![Place::missing(time); count];
        for run in &self.runs {
            let skip = usize::try_from(oldest.saturating_sub(run.first)).unwrap_or(usize::MAX);
            let start = usize::try_from(run.first.saturating_sub(oldest)).unwrap_or(usize::MAX);
            let Some(onto) = places.get_mut(start..) else {
                continue;
            };
            for (place, new) in onto.iter_mut().zip(run.places.iter().skip(skip)) {
                *place = *new;
            }
        }
        places.into()
    }
}

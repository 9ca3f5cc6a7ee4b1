//! Lives of a store: commits, reads, expiry, faults, and crashes at any operation; after each, every promise is checked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::super::chain::ChainError;
use super::super::{DiskStore, Options, Recovery};
use super::dice::Dice;
use super::disk::{Crash, Faults, SimulatedDisk};
use super::model::{Broken, Message, Model, empty_log, log_name, promise};
use crate::log::{Placed, Position, Retention, Rule, Rules, Store as _, StoreError};

const LOGS: usize = 5;

/// What a life was like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Crashes that the store came back from.
    pub crashes: u64,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Commits that failed and were undone.
    pub failed_commits: u64,
    /// Bits that were flipped.
    pub flips: u64,
    /// Times that an unfinished end was cut off.
    pub cuts: u64,
    /// Segments that were removed or began, by their highest number.
    pub segments: u64,
}

/// A promise was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What to call [`run`] with to see it again.
    pub seed: u64,
    /// After so many crashes.
    pub crashes: u64,
    /// What is wrong.
    pub sentence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            crashes,
            sentence,
        } = self;
        write!(f, "seed {seed}, after {crashes} crashes: {sentence}")
    }
}

impl std::error::Error for Violation {}

/// Lives a life with so many crashes.
///
/// # Errors
/// A promise was not kept.
pub fn run(seed: u64, crashes: u64) -> Result<Outcome, Violation> {
    let mut life = Life::new(seed);
    let result = life.live(crashes);
    result.map(|()| life.outcome).map_err(|sentence| Violation {
        seed,
        crashes: life.outcome.crashes,
        sentence,
    })
}

struct Life {
    dice: Dice,
    disk: SimulatedDisk,
    options: Options,
    model: Model,
    clock: u64,
    /// This life has bit flips; others are held to losing nothing at all.
    has_flips: bool,
    /// What marks may be, by log: the one that was committed, and those set later.
    marks: Vec<Vec<Position>>,
    /// The position of a log without entries, while nothing may have changed it.
    empty_head: Option<Position>,
    last_crash: Option<Crash>,
    /// Writes failed in the run before, perhaps also that of the statement of what was saved.
    had_faults: bool,
    outcome: Outcome,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let retention = Retention {
            entries_max: [8, 30, 1000][dice.below(3) as usize],
            age_max: Duration::from_secs(20),
            bytes_max: 1 << 20,
        };
        Self {
            disk: SimulatedDisk::new(dice.next()),
            options: Options {
                rules: Arc::new(Rules::new(Rule {
                    retention,
                    ..Rule::default()
                })),
                segment_bytes: [600, 4096, 16_384][dice.below(3) as usize],
            },
            model: Model::new(retention),
            clock: 1_000_000,
            has_flips: dice.percent(25),
            marks: vec![Vec::new(); LOGS],
            empty_head: None,
            last_crash: None,
            had_faults: false,
            outcome: Outcome::default(),
            dice,
        }
    }

    fn live(&mut self, crashes: u64) -> Result<(), Broken> {
        while self.outcome.crashes < crashes {
            // Now and then recovery itself is cut short.
            let armed = self.dice.percent(15);
            if armed {
                self.disk.crash_in(self.dice.below(12));
            }
            match DiskStore::open_on(Arc::new(self.disk.clone()), &self.options) {
                Ok((store, recovery)) => self.serve(store, &recovery)?,
                Err(ChainError::Version(version)) => return Err(format!("version {version}")),
                Err(ChainError::Io(error)) => {
                    promise!(self.disk.has_crashed(), "the store does not open: {error}");
                    // What it settled, and would have reported, is settled.
                    self.empty_head = None;
                }
            }
            self.crash();
        }
        Ok(())
    }

    fn crash(&mut self) {
        let crash = match self.dice.percent(50) {
            true => Crash::Kill,
            false => Crash::PowerLoss,
        };
        // A loss of power that follows a kill is what counts.
        let both = self.last_crash == Some(Crash::PowerLoss);
        self.disk = self.disk.restart(crash);
        self.last_crash = Some(if both { Crash::PowerLoss } else { crash });
        self.disk.set_faults(Faults::default());
        self.outcome.crashes += 1;
        if self.has_flips && self.dice.percent(20) {
            self.flip();
        }
    }

    fn flip(&mut self) {
        let only_segments = self.dice.percent(90);
        if self.disk.flip(only_segments).is_some() {
            self.model.flips += 1;
            self.outcome.flips += 1;
            self.empty_head = None;
        }
    }

    fn serve(&mut self, mut store: DiskStore, recovery: &Recovery) -> Result<(), Broken> {
        self.check_recovery(&store, recovery)?;
        self.last_crash = None;
        self.had_faults = false;
        self.check(&store)?;
        if self.dice.percent(70) {
            self.disk.crash_in(self.dice.below(120));
        }
        for _ in 0..self.dice.below(40) {
            self.step(&mut store)?;
            if self.disk.has_crashed() {
                // What is left of the process must not undo anything.
                return Ok(());
            }
        }
        // Half of the ends without a crash are clean.
        if self.dice.percent(50) {
            self.disk.set_faults(Faults::default());
            drop(store);
        } else {
            self.disk.crash_in(0);
            drop(store);
        }
        Ok(())
    }

    fn step(&mut self, store: &mut DiskStore) -> Result<(), Broken> {
        self.clock += self.dice.below(300);
        match self.dice.below(100) {
            0..60 => self.commit(store),
            60..75 => self.expire(store),
            75..82 => {
                self.set_mark(store);
                Ok(())
            }
            82..90 => {
                self.change_faults();
                Ok(())
            }
            90..92 if self.has_flips => {
                self.flip();
                Ok(())
            }
            92 => {
                self.clock += 15_000;
                Ok(())
            }
            _ => self.check(store),
        }
    }

    fn change_faults(&mut self) {
        let mut chance = || [0, 0, 0, 20][self.dice.below(4) as usize];
        let mut faults = Faults {
            write: chance(),
            sync: chance(),
            truncate: chance() * 3,
            capacity: None,
        };
        if self.dice.percent(20) {
            faults.capacity = Some(self.disk.used() + self.dice.below(3000));
        }
        if faults.write + faults.sync > 0 {
            // The new epoch may have been saved in spite of the error.
            self.empty_head = None;
            self.had_faults = true;
        }
        self.disk.set_faults(faults);
    }

    fn expire(&mut self, store: &mut DiskStore) -> Result<(), Broken> {
        let age = self.model.retention.age_max.as_millis() as u64;
        self.model.oldest_time = self.clock.saturating_sub(age);
        let expired = store.expire(self.clock);
        let is_quiet = self.empty_head.is_some();
        self.empty_head = Some(store.head(&empty_log())).filter(|_| is_quiet && expired.is_ok());
        Ok(())
    }

    fn set_mark(&mut self, store: &mut DiskStore) {
        let log = self.dice.below(LOGS as u64) as usize;
        let head = store.head(&log_name(log));
        if head.offset > 0 {
            store.set_mark(&log_name(log), head);
            self.marks[log].push(head);
        }
    }

    /// A new message, or one that was sent before.
    fn pick(&mut self) -> usize {
        let count = self.model.messages.len();
        if count > 0 && self.dice.percent(20) {
            return count - 1 - self.dice.below(count.min(30) as u64) as usize;
        }
        let length = match self.dice.percent(8) {
            true => 2000 + self.dice.below(4000),
            false => self.dice.below(300),
        };
        self.model.messages.push(Message {
            log: self.dice.below(LOGS as u64) as usize,
            content: format!("\"{count}:{}\"", "x".repeat(length as usize)),
            time: self.clock,
            place: None,
            is_gone: false,
        });
        count
    }

    fn commit(&mut self, store: &mut DiskStore) -> Result<(), Broken> {
        let mut placed = Vec::new();
        for _ in 0..=self.dice.below(6) {
            let number = self.pick();
            let is_known = self.model.is_known(store, number);
            let message = &self.model.messages[number];
            let (before, log) = (message.place, message.log);
            if before.is_some() && !is_known {
                continue;
            }
            let position = match store.append(self.model.draft(number)?) {
                Ok(Placed::New(entry)) => {
                    // After a crash, it may not be known that a message is there before it was read.
                    promise!(
                        before.is_none() || self.disk.has_crashed(),
                        "message {number} of log {log}, acknowledged at {before:?}, is stored again"
                    );
                    entry.position
                }
                Ok(Placed::Duplicate { position, time }) => {
                    let first = self.model.messages[number].time;
                    promise!(
                        time == first,
                        "message {number} came at {first} and is said to have come at {time}"
                    );
                    promise!(
                        before.is_none_or(|before| before == position),
                        "message {number} was at {before:?} and is said to be at {position}"
                    );
                    position
                }
                Err(error) => return Err(format!("{error:?}")),
            };
            placed.push((number, position));
        }
        match store.commit() {
            Ok(()) => self.acknowledge(store, &placed),
            Err(error) => self.note_failed(store, &error),
        }
    }

    fn acknowledge(
        &mut self,
        store: &DiskStore,
        placed: &[(usize, Position)],
    ) -> Result<(), Broken> {
        for &(number, position) in placed {
            self.model.settle(number, position)?;
            self.outcome.acknowledged += 1;
        }
        for &(number, _) in placed {
            let log = self.model.messages[number].log;
            self.model.hand_out(log, store.head(&log_name(log)));
        }
        for marks in &mut self.marks {
            marks.drain(..marks.len().saturating_sub(1));
        }
        Ok(())
    }

    fn note_failed(&mut self, store: &DiskStore, error: &StoreError) -> Result<(), Broken> {
        if self.disk.has_crashed() {
            return Ok(());
        }
        self.outcome.failed_commits += 1;
        let is_explained = self.disk.has_faults();
        promise!(is_explained, "a commit fails without a fault: {error}");
        self.check(store)
    }

    fn check(&mut self, store: &DiskStore) -> Result<(), Broken> {
        if self.disk.has_crashed() {
            return Ok(());
        }
        for log in 0..LOGS {
            self.model.check_log(store, log)?;
        }
        let now = store.head(&empty_log());
        if let Some(before) = self.empty_head {
            promise!(
                before == now,
                "a log without entries was at {before} and is at {now}"
            );
        }
        self.empty_head = Some(now).filter(|_| !self.disk.has_faults());
        Ok(())
    }

    fn check_recovery(&mut self, store: &DiskStore, recovery: &Recovery) -> Result<(), Broken> {
        let is_unsure = recovery
            .cut
            .as_ref()
            .is_some_and(|cut| !cut.never_acknowledged);
        self.outcome.cuts += u64::from(recovery.cut.is_some());
        self.outcome.segments = self.outcome.segments.max(recovery.segments as u64);
        if is_unsure {
            self.empty_head = None;
        }
        if self.outcome.flips > 0 {
            if is_unsure || !recovery.damage.is_empty() {
                self.empty_head = None;
            }
            if is_unsure {
                // The bit may have been in the last commit, which is then cut off whole.
                self.model.flips += 1000;
            }
            return Ok(());
        }
        promise!(
            recovery.damage.is_empty(),
            "damage without a flipped bit: {recovery}"
        );
        let was_killed = self.last_crash == Some(Crash::Kill) && !self.had_faults;
        promise!(
            !was_killed || recovery.new_epochs == 0,
            "a new epoch after a kill: {recovery}"
        );
        promise!(!was_killed || !is_unsure, "unsure after a kill: {recovery}");
        self.check_marks(store)
    }

    fn check_marks(&mut self, store: &DiskStore) -> Result<(), Broken> {
        for (log, marks) in self.marks.iter_mut().enumerate() {
            let name = log_name(log);
            let mark = store.mark(&name);
            let known = mark.is_none_or(|mark| marks.contains(&mark));
            // Without a mark, it was never committed, or the log was forgotten.
            promise!(known, "log {log}: the mark is {mark:?} and was {marks:?}");
            *marks = mark.into_iter().collect();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_promise_is_broken_in_300_crashes() {
        let mut all = Outcome::default();
        for seed in 0..30 {
            let outcome = run(seed, 10).unwrap_or_else(|violation| panic!("{violation}"));
            all.acknowledged += outcome.acknowledged;
            all.failed_commits += outcome.failed_commits;
            all.cuts += outcome.cuts;
            all.flips += outcome.flips;
        }
        // It did what it is for.
        assert!(all.acknowledged > 3000, "{all:?}");
        assert!(
            all.failed_commits > 30 && all.cuts > 10 && all.flips > 5,
            "{all:?}"
        );
    }

    #[test]
    fn a_seed_does_the_same_again() {
        assert_eq!(run(7, 10), run(7, 10));
    }
}

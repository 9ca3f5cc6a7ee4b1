//! What others append to a watched log: it is announced that there is more, which is read from where the log was handed on.

use std::sync::Arc;

use crate::ids::LogName;
use crate::log::redis::engine::core::{Ask, Core};
use crate::log::redis::engine::links::Purpose;
use crate::log::redis::engine::pages::head;
use crate::log::redis::{Bucket, Command, Extracted, From};
use crate::log::{Entry, PageMax, Position};

/// What is read at once of what others appended.
const FILL_MAX: PageMax = PageMax {
    entries: 256,
    bytes: 256 << 10,
};

impl<C> Core<C> {
    /// Something was announced of a log: that it ends there or did; `None`: that it is not what it was.
    pub(in super::super) fn announced(&mut self, name: &LogName, end: Option<Position>) {
        self.counts.announcements += 1;
        let bucket = Bucket::of(name);
        self.note_announced(bucket, name, end);
    }

    pub(in super::super) fn note_announced(
        &mut self,
        bucket: Bucket,
        name: &LogName,
        end: Option<Position>,
    ) {
        let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str()) else {
            return;
        };
        if !log.is_watched() {
            return;
        }
        log.announced = match (log.announced, end) {
            // It is looked at anyway.
            (Some(None), _) => Some(None),
            (Some(Some(known)), Some(end)) if known.epoch == end.epoch => {
                Some(Some(if known.offset > end.offset {
                    known
                } else {
                    end
                }))
            }
            (Some(Some(_)), Some(_)) => Some(None),
            (None, end) => Some(end),
            (Some(Some(_)), None) => Some(None),
        };
        self.go_on(bucket, name);
    }

    pub(super) fn fill(&mut self, bucket: Bucket, name: &LogName, number: u64) {
        let log = self.shelf(bucket).logs.get(name.as_str());
        let Some(delivered) = log.and_then(|log| log.delivered) else {
            return;
        };
        self.counts.fills += 1;
        let page = Command::Page {
            log: name.clone(),
            from: From::Behind(delivered.offset),
            max: FILL_MAX,
            epoch: self.new_epoch(),
        };
        self.ask(
            bucket,
            Ask::Command(page),
            Purpose::Fill(name.clone(), number),
        );
    }

    /// What was to be read will not come.
    pub(in super::super) fn fill_lost(&mut self, name: &LogName, number: u64) {
        let bucket = Bucket::of(name);
        let log = self.shelf(bucket).logs.get_mut(name.as_str());
        if let Some(log) = log.filter(|log| log.number == number) {
            log.is_filling = false;
            // The next look at its head begins again.
        }
    }

    /// What others appended, or what became of a log.
    pub(in super::super) fn filled(&mut self, name: &LogName, number: u64, extracted: Extracted) {
        let bucket = Bucket::of(name);
        let log = self.shelf(bucket).logs.get_mut(name.as_str());
        let Some(log) = log.filter(|log| log.number == number) else {
            return;
        };
        log.is_filling = false;
        let end = head(&extracted);
        let Some(before) = log.delivered else {
            return;
        };
        // Our own were there before this was read.
        let is_lost = log.held.keys().any(|&offset| offset > end.offset);
        if is_lost
            || log.is_broken_by(end)
            || (extracted.oldest > before.offset + 1 && end.offset > before.offset)
        {
            return self.break_off(bucket, name);
        }
        for entry in extracted.entries {
            if !self.hand_on_read(bucket, name, entry) {
                break;
            }
        }
        let log = self.log(bucket, name);
        let is_stuck = log.delivered == Some(before)
            && !log.held.contains_key(&(before.offset + 1))
            && end.offset > before.offset;
        if is_stuck {
            return self.break_off(bucket, name);
        }
        // What was found in vain is a new message now, or will be told as one that was there.
        log.announced = log.announced.or(Some(Some(end)));
        self.go_on(bucket, name);
    }

    /// Hands on an entry that was read; `false`: it, and what is behind it, is not to be yet.
    fn hand_on_read(&mut self, bucket: Bucket, name: &LogName, entry: Entry) -> bool {
        let log = self.log(bucket, name);
        let Some(delivered) = log.delivered else {
            return false;
        };
        let position = entry.position;
        if position.offset <= delivered.offset {
            return true;
        }
        if position.offset != delivered.offset + 1 {
            return false;
        }
        if log
            .held
            .get(&position.offset)
            .is_some_and(|held| !held.is_certain)
        {
            return false;
        }
        let held = log.held.remove(&position.offset);
        log.delivered = Some(position);
        // No message has the number 0.
        let number = held.map_or(0, |held| held.number);
        self.hand_on(bucket, number, Arc::new(entry), true);
        true
    }
}

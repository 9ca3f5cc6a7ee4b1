//! Reads of what others appended to watched logs, one at a time of each, and how what they bring is handed on. When one is needed,
//! [`watched`](super::watched) says.

use std::sync::Arc;

use super::core::{Ask, Core};
use super::masters::Purpose;
use super::pages::head;
use crate::ids::LogName;
use crate::log::shared::{Bucket, Command, Extracted, From};
use crate::log::{Entry, PageMax};

/// What is read at once of what others appended.
const FILL_MAX: PageMax = PageMax {
    entries: 256,
    bytes: 256 << 10,
};

impl<C> Core<C> {
    /// Reads what is behind what was handed on.
    pub(super) fn fill(&mut self, bucket: Bucket, name: &LogName, number: u64) {
        let log = self.shelf(bucket).logs.get(name.as_str());
        let Some(delivered) = log.and_then(|log| log.delivered) else {
            return;
        };
        self.traffic.catch_ups += 1;
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
    pub(super) fn fill_lost(&mut self, name: &LogName, number: u64) {
        let bucket = Bucket::of(name);
        let log = self.shelf(bucket).logs.get_mut(name.as_str());
        if let Some(log) = log.filter(|log| log.number == number) {
            log.is_filling = false;
            // The next look at its head begins again.
        }
    }

    /// What others appended, or what became of a log.
    pub(super) fn filled(&mut self, name: &LogName, number: u64, extracted: Extracted) {
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

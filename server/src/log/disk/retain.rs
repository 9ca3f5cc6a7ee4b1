//! Lets go of what is too old, and of segments in which nothing matters any more.
//!
//! Segments are removed from the oldest on, so that a missing number in between is a sign of damage. What still matters in
//! the oldest is copied forward when the files take more than twice what is in them.

use super::format::segment_name;
use super::index::Place;
use super::staged::Copied;
use super::{DiskStore, store_error};
use crate::log::{Epoch, StoreError};

/// Files may take twice the bytes that matter, and so many full segments more.
const SPARE_SEGMENTS: u64 = 4;

/// The most bytes of content that are copied at once, so that messages do not wait long for it.
const COPY_BYTES_MAX: u64 = 4 << 20;

/// The most segments that are removed at once.
const REMOVE_MAX: usize = 16;

impl DiskStore {
    pub(super) fn let_go(&mut self, unix_ms: u64) -> Result<(), StoreError> {
        if !self.staged.is_empty() {
            // A commit here would be one that nobody is told of.
            return Ok(());
        }
        self.drop_old_entries(unix_ms);
        self.forget_empty_logs()?;
        self.clean_oldest_segment()?;
        self.remove_dead_segments()
    }

    fn drop_old_entries(&mut self, unix_ms: u64) {
        for number in self.logs.numbers() {
            let Some(log) = self.logs.get_mut(number) else {
                continue;
            };
            let age_max = self.rules.of(log.name.as_str()).retention.age_max;
            let age_max = u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX);
            let oldest_time = unix_ms.saturating_sub(age_max);
            let is_old = |place: &Place| place.time() < oldest_time;
            while let Some(log) = self.logs.get_mut(number)
                && log.places.front().is_some_and(is_old)
            {
                let place = log.forget_oldest();
                self.note_gone(place);
            }
        }
        self.logs.sweep_keys();
    }

    pub(super) fn note_gone(&mut self, place: Option<Place>) {
        let Some(place) = place else { return };
        self.segments.lose(place);
        if place.is_keyed() {
            self.logs.keys.note_stale();
        }
    }

    /// Forgets logs without entries. Whoever invents them again begins in another epoch, which is saved before that.
    fn forget_empty_logs(&mut self) -> Result<(), StoreError> {
        let empty = self.logs.iter().filter(|(_, log)| log.places.is_empty());
        let empty: Vec<u32> = empty.map(|(number, _)| number).collect();
        if !empty.is_empty() {
            let epoch = Epoch::new(self.meta.epoch.number().wrapping_add(1));
            self.save_epoch(epoch)
                .map_err(|error| store_error(&error))?;
            for number in empty {
                self.unsaved_states.remove(&number);
                self.unsaved_forgets
                    .extend(self.logs.remove(number).map(|log| log.name));
            }
        }
        self.save_staged()
    }

    /// Copies forward what matters in the oldest segment, if there is much in the files that does not.
    fn clean_oldest_segment(&mut self) -> Result<(), StoreError> {
        let (bytes, live) = self.segments.usage();
        let spare = SPARE_SEGMENTS * self.writer.segment_bytes;
        let Some(oldest) = self.segments.oldest() else {
            return Ok(());
        };
        let segment = oldest.number;
        if bytes <= 2 * live + spare || oldest.live_entries == 0 || self.is_newest(segment) {
            return Ok(());
        }
        let numbers = self.logs.numbers();
        if self.clean_at.0 != segment || self.clean_at.1 >= numbers.end {
            self.clean_at = (segment, 0);
        }
        let mut budget = COPY_BYTES_MAX;
        while budget > 0 && self.clean_at.1 < numbers.end {
            let number = self.clean_at.1;
            let copied = self.copy_log(number, segment, budget)?;
            budget = budget.saturating_sub(copied.bytes);
            if copied.is_all {
                self.clean_at.1 += 1;
            }
        }
        self.save_staged()
    }

    /// Stages copies of a log's entries that are in a segment.
    fn copy_log(
        &mut self,
        number: u32,
        segment: u64,
        budget: u64,
    ) -> Result<CopiedLog, StoreError> {
        let mut done = CopiedLog {
            bytes: 0,
            is_all: true,
        };
        let Some(log) = self.logs.get(number) else {
            return Ok(done);
        };
        let is_there = |place: &Place| place.location().segment == segment;
        // Without copies, what is in the oldest segment comes first.
        let in_front = log
            .places
            .iter()
            .take_while(|place| log.has_copies || is_there(place));
        let offsets = (log.oldest..).zip(in_front.copied());
        let mut wanted: Vec<(u64, Place)> = Vec::new();
        for (offset, place) in offsets.filter(|(_, place)| is_there(place)) {
            if done.bytes >= budget {
                done.is_all = false;
                break;
            }
            done.bytes += place.content_bytes() + 64;
            wanted.push((offset, place));
        }
        let places: Vec<_> = wanted.iter().map(|(_, place)| *place).collect();
        self.stage_copies(number, &wanted, &places)?;
        Ok(done)
    }

    fn stage_copies(
        &mut self,
        number: u32,
        wanted: &[(u64, Place)],
        places: &[Place],
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let mut wanted = wanted.iter();
        let mut damaged = Vec::new();
        self.begin_group();
        let staged = &mut self.staged;
        let read = self.files.read(places, |entry| {
            let Some(&(offset, from)) = wanted.next() else {
                return;
            };
            match entry {
                Some(mut entry) => {
                    entry.copy = true;
                    let to = staged.put_entry(&entry);
                    staged.copies.push(Copied {
                        log: number,
                        offset,
                        from,
                        to,
                    });
                }
                None => damaged.push(offset),
            }
        });
        read.map_err(|error| store_error(&error))?;
        for offset in damaged {
            self.note_missing(number, offset);
        }
        Ok(())
    }

    /// An entry turned out to be damaged, and its segment is going.
    fn note_missing(&mut self, number: u32, offset: u64) {
        let Some(log) = self.logs.get_mut(number) else {
            return;
        };
        // Its successors would seem to be all there is, if nothing said where the log begins.
        self.unsaved_states.insert(number);
        if let Some(place) = log.place_mut(offset) {
            let gone = std::mem::replace(place, Place::missing(place.time()));
            log.content_bytes -= gone.content_bytes();
            self.segments.lose(gone);
        }
    }

    fn remove_dead_segments(&mut self) -> Result<(), StoreError> {
        for _ in 0..REMOVE_MAX {
            let Some(oldest) = self.segments.oldest() else {
                break;
            };
            let number = oldest.number;
            if oldest.live_entries > 0 || self.is_newest(number) {
                break;
            }
            self.save_states_of(number)?;
            let removed = self.writer.disk.remove(&segment_name(number));
            // Each by itself: if the second were gone for good and the first not, it would look like damage.
            let removed = removed.and_then(|()| self.writer.disk.sync_directory());
            removed.map_err(|error| store_error(&error))?;
            self.files.close(number);
            self.segments.remove_oldest();
        }
        Ok(())
    }

    /// Saves anew what is known of logs only from a segment that is going, or would be understood wrongly without it.
    fn save_states_of(&mut self, segment: u64) -> Result<(), StoreError> {
        let numbers = self.logs.iter().filter(|(_, log)| {
            log.state_segment == segment || (log.has_copies && log.oldest > log.oldest_saved)
        });
        self.unsaved_states
            .extend(numbers.map(|(number, _)| number));
        self.save_staged()
    }

    fn is_newest(&self, segment: u64) -> bool {
        segment >= self.writer.end.segment
    }
}

/// How far copying came.
struct CopiedLog {
    bytes: u64,
    is_all: bool,
}

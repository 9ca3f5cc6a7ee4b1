//! How far a follower has come that is not at the head, and how it goes on.

use std::sync::Arc;
use std::time::Instant;

use super::kept::Kept;
use super::{Feed, Step};
use crate::chat::{Event, Follow};
use crate::ids::LogName;
use crate::log::{Entry, Gap, GapReason, Position, ReadFrom, Since};

/// What a message has beside its content, roughly: what is handed out is counted in bytes that are to be sent.
const ENVELOPE_BYTES: usize = 192;

/// A follower's place in a log, before the head.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) log: LogName,
    /// It goes on behind this; unknown before the first page.
    pub(super) after: Option<Position>,
    /// Its page is on the way.
    pub(super) reading: bool,
    /// Tells its page from one that was asked for earlier.
    pub(super) ticket: u32,
    /// Since when it has been behind; `None` while it reads what it missed before it came.
    pub(super) fell_behind: Option<Instant>,
    /// Where the ring does not reach back, it goes on at the newest.
    pub(super) jumps: bool,
    /// What to say once it is at the head for the first time.
    pub(super) follow: Option<Box<Follow>>,
    /// Something was missing.
    pub(super) gap: bool,
    /// It is at the head for the first time, and has not been told so yet.
    pub(super) waits: bool,
    /// What it is told once it has been.
    pub(super) held_back: Vec<Event>,
    /// Entries that it sent itself while it was behind: their acks were its copies.
    pub(super) own: Vec<u64>,
}

impl Cursor {
    /// One that goes on behind a position, if that is known yet.
    pub(super) const fn at(log: LogName, after: Option<Position>, ticket: u32) -> Self {
        Self {
            log,
            after,
            reading: false,
            ticket,
            fell_behind: None,
            jumps: false,
            follow: None,
            gap: false,
            waits: false,
            held_back: Vec::new(),
            own: Vec::new(),
        }
    }

    /// Takes what is in memory, up to `bytes_max` and the rest of an entry; returns how much that was.
    pub(super) fn take(
        &mut self,
        feed: &Feed,
        kept: &Kept,
        bytes_max: usize,
        steps: &mut Vec<Step>,
    ) -> usize {
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(after) = self.after.filter(|_| !self.is_waiting())
            && let Some(shared) = feed.ring.behind(after).or_else(|| {
                // Who jumps to the newest reads nothing older than the ring.
                let kept = (!self.jumps).then_some(kept);
                kept?.behind(&self.log, after)
            })
        {
            self.after = Some(shared.entry.position);
            if !self.is_own(&shared.entry) {
                bytes += shared.entry.draft.content.get().len() + ENVELOPE_BYTES;
                steps.push(Step::Entry(Arc::clone(shared)));
            }
        }
        bytes
    }

    /// Where memory does not reach back so far: jumps to the head, or begins to wait for a page, and returns from where.
    pub(super) fn leave_memory(&mut self, feed: &Feed, steps: &mut Vec<Step>) -> Option<ReadFrom> {
        let from = self.after.filter(|_| !self.is_waiting())?;
        match feed.head {
            Some(head) if head == from => None,
            Some(to) if self.jumps => {
                self.after = Some(to);
                let (log, reason) = (self.log.clone(), GapReason::Skipped);
                let gap = Gap { from, to, reason };
                let from = None;
                steps.push(Step::Gap { log, from, gap });
                None
            }
            Some(_) | None => {
                self.reading = true;
                Some(ReadFrom::Since(Since::After(from)))
            }
        }
    }

    /// Whether something must come before it can go on.
    pub(super) const fn is_waiting(&self) -> bool {
        self.reading || self.waits
    }

    fn is_own(&self, entry: &Entry) -> bool {
        self.own.binary_search(&entry.position.offset).is_ok()
    }
}

//! When what a session is goes into its log, so that it outlives the process: what has changed, what of it is on its way, what is there.
//! What is written is in [`saved`](super::saved).
//!
//! ```text
//! change ──▶ asked ──the log answers──▶ tried, and saved if the log took it
//! ```
//!
//! Changes are counted. What a client is answered for waits until its change was tried, at once; how far it has come in its logs may be
//! some seconds old. One entry of a session is on its way at a time.

use std::time::{Duration, Instant};

/// How old what is known of acknowledgements may be in the log: what a server that was killed sends again.
pub(super) const SAVE_EVERY: Duration = Duration::from_secs(5);

/// A session with a connection is written anew after this time, whatever happens: it is seen by that that it has not ended.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(3600);

/// An entry of an older connection of the session is on its way: it is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Packet identifiers that are given before the session is written again ...
const IDS_SOON: u64 = 8192;

/// ... and before no more are given until it is. A client that comes back to what was written is given others than those: at QoS 2 it would take a message for
/// one that it has, if that had the same.
pub(super) const IDS_AHEAD_MAX: u64 = 16_384;

/// What is known of a session's log.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// Which life of the session this is: of two entries that of the later one holds.
    pub(super) term: u64,
    /// Of the newest entry in this life.
    number: u64,
    /// Changes, those that were not to wait, those that are on their way, that were, and that are in the log.
    changes: u64,
    urgent: u64,
    asked: u64,
    tried: u64,
    saved: u64,
    asked_at: Option<Instant>,
    /// An entry is on its way, which says that the session is there, or is not any more.
    out: Option<bool>,
    /// A client that comes back would find the session in the log.
    has_entry: bool,
    /// The log did not take the last entry.
    has_failed: bool,
    /// Packet identifiers that were given, those of them that the entry on its way knows, and those that the log knows.
    ids: u64,
    ids_asked: u64,
    ids_saved: u64,
    /// The connection has ended while an entry was on its way: how long the session waits.
    last: Option<Duration>,
}

impl Keeping {
    /// Of a session whose log has an entry or not.
    pub(super) fn new(term: u64, has_entry: bool) -> Self {
        Self {
            term,
            has_entry,
            ..Self::default()
        }
    }

    /// Something has changed that may wait.
    pub(super) const fn change(&mut self) {
        self.changes += 1;
    }

    /// Something has changed that is written at once; returns the number of the change.
    pub(super) const fn change_now(&mut self) -> u64 {
        self.changes += 1;
        self.urgent = self.changes;
        self.changes
    }

    /// A packet identifier was given.
    pub(super) const fn give_id(&mut self) {
        self.ids += 1;
        if self.ids - self.ids_asked >= IDS_SOON && self.urgent <= self.tried {
            self.change_now();
        }
    }

    /// Whether so many identifiers were given that the log is to know of them before more are.
    pub(super) const fn is_ahead(&self) -> bool {
        self.has_entry && !self.has_failed && self.ids - self.ids_saved >= IDS_AHEAD_MAX
    }

    /// Whether the log has a change, or has refused it.
    pub(super) const fn is_settled(&self, change: u64) -> bool {
        self.tried >= change
    }

    /// What the log was found to have.
    pub(super) const fn set_has_entry(&mut self, has_entry: bool) {
        self.has_entry = has_entry;
    }

    /// Whether a client that comes back would find the session in the log.
    pub(super) const fn has_entry(&self) -> bool {
        self.has_entry
    }

    /// Whether the log did not take the last entry.
    pub(super) const fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// When it is to be written, or looked at.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let is_dirty = self.saved < self.changes;
        if self.out.is_some() {
            return is_dirty.then_some(now + LOOK_AGAIN_AFTER);
        }
        if self.tried < self.urgent {
            return Some(now);
        }
        let after = |pause| self.asked_at.map_or(now, |at| at + pause);
        if is_dirty {
            return Some(after(SAVE_EVERY));
        }
        self.has_entry.then(|| after(RENEW_EVERY))
    }

    /// Whether an entry is on its way.
    pub(super) const fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// Nothing of the changes is worth an entry.
    pub(super) const fn skip(&mut self) {
        self.asked = self.changes;
        self.tried = self.changes;
        self.saved = self.changes;
    }

    /// An entry with all changes goes out, by which the session is there or not: returns its number.
    pub(super) fn begin(&mut self, is_there: bool, now: Instant) -> u64 {
        self.number += 1;
        self.asked = self.changes;
        self.ids_asked = self.ids;
        self.asked_at = Some(now);
        self.out = Some(is_there);
        self.number
    }

    /// The log has answered to the entry of this life and number; to another one it is nothing.
    pub(super) fn answered(&mut self, (term, number): (u64, u64), is_kept: bool) {
        if (term, number) != (self.term, self.number) {
            return;
        }
        let Some(is_there) = self.out.take() else {
            return;
        };
        self.tried = self.asked;
        self.has_failed = !is_kept;
        if is_kept {
            self.saved = self.asked;
            self.ids_saved = self.ids_asked;
            self.has_entry = is_there;
        }
    }

    /// The connection has ended, and the session waits for so long: that is written once nothing is on its way.
    pub(super) const fn end(&mut self, expiry: Duration) {
        self.last = Some(expiry);
    }

    /// What is left to be written of a connection that has ended.
    pub(super) const fn take_last(&mut self) -> Option<Duration> {
        self.last.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_wait_is_written_every_few_seconds_and_what_may_not_at_once() {
        let now = Instant::now();
        let mut keeping = Keeping::new(1, false);
        assert_eq!(keeping.due(now), None);
        keeping.change();
        assert_eq!(keeping.due(now), Some(now), "the first");
        let number = keeping.begin(true, now);
        assert_eq!(keeping.due(now), Some(now + LOOK_AGAIN_AFTER));
        keeping.answered((1, number), true);
        assert_eq!(keeping.due(now), Some(now + RENEW_EVERY));
        keeping.change();
        assert_eq!(keeping.due(now), Some(now + SAVE_EVERY));
        let change = keeping.change_now();
        assert_eq!(keeping.due(now), Some(now));
        assert!(!keeping.is_settled(change));
        let number = keeping.begin(true, now);
        keeping.answered((1, number - 1), true);
        assert!(!keeping.is_settled(change), "that was another one");
        keeping.answered((1, number), false);
        assert!(keeping.is_settled(change) && keeping.has_failed() && keeping.has_entry());
        assert_eq!(
            keeping.due(now),
            Some(now + SAVE_EVERY),
            "it is tried again"
        );
    }

    #[test]
    fn identifiers_are_given_no_further_than_the_log_knows_of() {
        let now = Instant::now();
        let mut keeping = Keeping::new(1, true);
        for _ in 1..IDS_SOON {
            keeping.give_id();
        }
        let number = keeping.begin(true, now);
        keeping.answered((1, number), true);
        assert_eq!(keeping.due(now), Some(now + RENEW_EVERY));
        for _ in 0..IDS_SOON {
            keeping.give_id();
        }
        assert_eq!(keeping.due(now), Some(now));
        let number = keeping.begin(true, now);
        for _ in 0..IDS_SOON {
            keeping.give_id();
        }
        assert!(keeping.is_ahead());
        keeping.answered((1, number), true);
        assert!(!keeping.is_ahead());
        let number = keeping.begin(true, now);
        keeping.answered((1, number), false);
        for _ in 0..IDS_AHEAD_MAX {
            keeping.give_id();
        }
        assert!(!keeping.is_ahead(), "a log that refuses holds nobody up");
    }
}

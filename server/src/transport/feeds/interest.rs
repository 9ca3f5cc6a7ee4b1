//! Which logs a worker's connections follow, roughly: enough for others to know what it need not hear of.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::FixedState;

use crate::ids::LogName;

/// Counters; logs that share one are not told apart.
const COUNTERS: usize = 4096;

/// How many logs are followed, by a hash of their names.
///
/// A worker counts a log before it asks for its first page, and whoever answers looks here after that: so nothing that comes
/// behind the page is missed.
#[derive(Debug)]
pub struct Interest {
    logs: Box<[AtomicU32]>,
    /// Connections that are to hear of every log that begins.
    lookers: AtomicU32,
}

impl Default for Interest {
    fn default() -> Self {
        Self {
            logs: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(),
            lookers: AtomicU32::new(0),
        }
    }
}

impl Interest {
    /// Whether somebody may follow the log: if not, nobody does.
    #[must_use]
    pub fn may_be_in(&self, log: &LogName) -> bool {
        let counter = self.counter(log);
        counter.is_some_and(|counter| counter.load(Ordering::Acquire) > 0)
    }

    /// Whether somebody is to hear of every log that begins.
    #[must_use]
    pub fn is_looking(&self) -> bool {
        self.lookers.load(Ordering::Acquire) > 0
    }

    /// One more is, or one less.
    pub(super) fn look(&self, begins: bool) {
        if begins {
            self.lookers.fetch_add(1, Ordering::Release);
        } else {
            self.lookers.fetch_sub(1, Ordering::Release);
        }
    }

    /// Somebody follows the log.
    pub(super) fn add(&self, log: &LogName) {
        if let Some(counter) = self.counter(log) {
            counter.fetch_add(1, Ordering::Release);
        }
    }

    /// Nobody does any more.
    pub(super) fn remove(&self, log: &LogName) {
        if let Some(counter) = self.counter(log) {
            counter.fetch_sub(1, Ordering::Release);
        }
    }

    fn counter(&self, log: &LogName) -> Option<&AtomicU32> {
        let hash = FixedState::default().hash_one(log.as_str());
        self.logs.get(hash as usize % COUNTERS)
    }
}

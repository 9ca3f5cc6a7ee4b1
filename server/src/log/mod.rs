//! The room log: where an entry gets its place for good.
//!
//! A log is known by its name: a room's, a user's (`@name`) or the broadcast's (`*`). Its entries have the offsets 1, 2,
//! 3, …, and an epoch that changes whenever a tail of them may have been lost.

mod memory;

use std::fmt;
use std::sync::Arc;

pub use memory::MemoryLog;

/// A name for one life of the logs: offsets of different epochs have nothing to do with each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// An epoch from a random number.
    #[must_use]
    pub fn new(random: u32) -> Self {
        Self(format!("{random:08x}").into())
    }

    /// The text that clients see.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// There is no room for another log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogsFull;

/// A place in a log: that of an entry, or of the head, behind which is what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The life of the log in which the offset holds.
    pub epoch: Epoch,
    /// The number of the entry, from 1; 0 before the first.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.0, self.offset)
    }
}

//! The room log: where an entry gets its place for good.
//!
//! A log is known by its name: a room's, a user's (`@name`) or the broadcast's (`*`). Its entries have the offsets 1, 2,
//! 3, …, and an epoch that changes whenever a tail of them may have been lost. A [`Store`] keeps logs; one thread has it.

mod activity;
mod broker;
pub mod disk;
mod entry;
mod extent;
mod memory;
pub mod nats;
mod position;
pub mod redis;
pub mod remote;
mod routed;
mod rules;
mod select;
pub mod shared;
#[cfg(test)]
pub(crate) mod store_tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use activity::{Activity, Traffic};
pub use broker::{AppendError, Broker, Part, ReadFrom, Reply, Request};
pub use disk::DiskStore;
pub use entry::{Draft, Entry, Key};
pub use memory::MemoryStore;
pub use position::{BadPosition, Epoch, Position, Positions, Since};
pub use routed::RoutedStore;
pub use rules::{Keep, Pattern, Rule, Rules, Slow};
pub use select::{FOUND_MAX, Select};

use crate::ids::LogName;

/// The most logs there can be: a name is some 100 bytes, and anybody may invent one.
pub const LOGS_MAX: usize = 1 << 20;

/// Keeps logs. Appending is in two steps, so that many messages share one wait for the disk: what is appended is there for
/// good, and may be shown to others, only after the next [`commit`](Self::commit) returned.
pub trait Store: Send {
    /// Gives a message its place, or finds the one that it has: the first with the same log and [`Key`].
    ///
    /// # Errors
    /// The log would be a new one, and there are [`LOGS_MAX`].
    fn append(&mut self, draft: Draft) -> Result<Placed, LogsFull>;

    /// Makes all that was appended since the last call durable.
    ///
    /// # Errors
    /// It could not be saved: then nothing of it is kept, its places and keys are free again, and what was committed before
    /// can still be read. A later commit may succeed.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// The position of the newest committed entry; offset 0 where there is none.
    fn head(&self, log: &LogName) -> Position;

    /// The committed entries behind `since`, oldest first.
    ///
    /// # Errors
    /// The log cannot be read at all. A damaged entry is no error but a [`Gap`].
    fn read(&self, log: &LogName, since: &Since, max: PageMax) -> Result<Page, StoreError>;

    /// The newest committed entries before `before` (`None`: up to the head), oldest first. [`Page::gap`] tells of damaged
    /// ones only.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_before(
        &self,
        log: &LogName,
        before: Option<&Position>,
        max: PageMax,
    ) -> Result<Page, StoreError>;

    /// Up to where a log's owner has seen it, if that was ever said.
    fn mark(&self, log: &LogName) -> Option<Position>;

    /// Notes up to where a log's owner has seen it; saved along with the next commit, and not worth one of its own.
    fn set_mark(&mut self, log: &LogName, position: Position);

    /// Goes by other rules from now on, by which each log is still kept [in the same place](Rules::keep_like).
    fn set_rules(&mut self, rules: Arc<Rules>);

    /// Lets go of what the retention says, at `unix_ms`; to be called every few seconds.
    ///
    /// # Errors
    /// The disk refused something; nothing is lost by it, and the next call tries again.
    fn expire(&mut self, unix_ms: u64) -> Result<(), StoreError>;

    /// Names and heads of all logs that have entries, in no particular order.
    fn logs(&self) -> Vec<(LogName, Position)>;

    /// What the logs take.
    fn usage(&self) -> Usage;
}

/// What logs take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub logs: u64,
    /// Their bytes, on the disk or in memory.
    pub bytes: u64,
    /// Those of them that are still kept.
    pub live_bytes: u64,
}

/// What became of a draft.
#[derive(Debug, Clone)]
pub enum Placed {
    /// It is a new entry.
    New(Arc<Entry>),
    /// It was there already, perhaps not yet committed.
    Duplicate {
        /// The place of the first.
        position: Position,
        /// When that was appended, in milliseconds since 1970.
        time: u64,
    },
}

impl Placed {
    /// The place.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::New(entry) => entry.position,
            Self::Duplicate { position, .. } => *position,
        }
    }
}

/// There is no room for another log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogsFull;

/// Why something could not be saved or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// There is no space left on the device.
    Full,
    /// The device failed: what it said.
    Failed(String),
    /// The logs are elsewhere, and cannot be reached at the moment.
    Unavailable,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no space is left where the logs are kept"),
            Self::Failed(what) => write!(f, "the logs' storage failed: {what}"),
            Self::Unavailable => f.write_str("the logs cannot be reached at the moment"),
        }
    }
}

impl std::error::Error for StoreError {}

/// How much to read at once. At least one entry is read, however large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMax {
    /// Entries.
    pub entries: usize,
    /// Bytes of content.
    pub bytes: usize,
}

/// Some entries of a log, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What is missing before or between the entries; at most one: a page ends before a second one.
    pub gap: Option<Gap>,
    /// The entries; if there is a gap, all of them are behind it.
    pub entries: Vec<Arc<Entry>>,
    /// Where to read on: the position of the last entry, or of the gap's end, or where reading began.
    pub next: Position,
    /// The newest committed entry.
    pub head: Position,
    /// The offset of the oldest kept entry; that behind the head where nothing is kept.
    pub oldest: u64,
}

impl Page {
    /// Where its entries begin: behind this is the first of them; without one, [`next`](Self::next).
    #[must_use]
    pub fn begin(&self) -> Position {
        self.entries.first().map_or(self.next, |first| Position {
            epoch: first.position.epoch,
            offset: first.position.offset - 1,
        })
    }

    /// For a reader that came from nobody knows where: all that was before this page.
    #[must_use]
    pub fn whole_gap(&self) -> Gap {
        let before = self.begin();
        Gap {
            from: before,
            to: before,
            reason: GapReason::EpochChanged,
        }
    }
}

/// What a reader is told it will not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Behind this it is missing: the position that was asked for.
    pub from: Position,
    /// Up to and with this.
    pub to: Position,
    /// Why.
    pub reason: GapReason,
}

/// Why something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// The retention let go of it.
    Expired,
    /// The log has another epoch: what was behind the position may have been lost, and reading goes on where it can.
    EpochChanged,
    /// It cannot be read back from the disk.
    Damaged,
    /// It was left out for a reader that was too slow and wants the newest.
    Skipped,
}

impl GapReason {
    /// The word that clients see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::EpochChanged => "epoch_changed",
            Self::Damaged => "damaged",
            Self::Skipped => "skipped",
        }
    }
}

/// How long entries are kept; the first limit that is reached counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Entries of a log. Default 10,000.
    pub entries_max: u64,
    /// Age of an entry. Default 7 days.
    pub age_max: Duration,
    /// Bytes of content in a log. Default 64 MiB.
    pub bytes_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            entries_max: 10_000,
            age_max: Duration::from_secs(7 * 24 * 3600),
            bytes_max: 64 << 20,
        }
    }
}

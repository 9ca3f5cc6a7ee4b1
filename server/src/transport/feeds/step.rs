//! What is to be done for followers: what to send and what to read.

use std::sync::Arc;

use super::feed::Feed;
use super::ring::Shared;
use crate::chat::Follow;
use crate::ids::{ConnId, LogName};
use crate::log::{Gap, Position, ReadFrom};

/// Whose page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The connection.
    pub conn: ConnId,
    pub(super) ticket: u32,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The log.
    pub log: LogName,
    /// From where on.
    pub from: ReadFrom,
    /// Who can share it: the followers that know the same announcements.
    pub(super) of: u32,
}

/// A page to be read; to be given back with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where it begins.
    pub place: Place,
    /// One entry is enough: so many are being read.
    pub is_short: bool,
}

/// What is to be done for a follower.
#[derive(Debug)]
pub enum Step {
    /// Send an entry.
    Entry(Arc<Shared>),
    /// Tell what is missing; `from` is what the follower said, where that is no position.
    Gap {
        /// The log.
        log: LogName,
        /// What it said.
        from: Option<String>,
        /// What is missing.
        gap: Gap,
    },
    /// It is at the head for the first time.
    AtHead {
        /// How it came.
        follow: Box<Follow>,
        /// The head.
        position: Position,
        /// Nothing was missing.
        whole: bool,
    },
    /// Read a page for it.
    Read(Read),
    /// It was so slow that the log let go of what comes next.
    OffTheLog {
        /// It had come so far.
        position: Position,
    },
}

impl Place {
    /// What an owner has seen changes with what it confirms, so that a page from there is for one follower.
    pub(super) fn new(log: LogName, from: ReadFrom, feed: &Feed, reader: Reader) -> Self {
        let of = match from {
            ReadFrom::Since(_) => feed.number,
            ReadFrom::Mark => reader.ticket,
        };
        Self { log, from, of }
    }
}

impl Read {
    pub(super) const fn whole(place: Place) -> Self {
        let is_short = false;
        Self { place, is_short }
    }
}

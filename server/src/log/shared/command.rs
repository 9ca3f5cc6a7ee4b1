//! What is asked of Redis and what it answers, as values: the engine and the simulation of Redis speak these, `wire` turns them
//! into bytes.
//!
//! # Runs
//! A Redis that was restarted, or a replica that took its place, may have lost its tail, and nothing in its data says so. So each
//! process of Redis ("run", by its `run_id`) is first told what nodes have seen ([`Command::Vouch`]); before that it takes
//! nothing new. A log whose tail somebody has seen and Redis has not begins a new era: who was beyond that, or just there, is told
//! of a gap. Nodes wait for each other before they [open](Command::Open) a run; if one that was there does not come in time, every log
//! begins a new era with its next message, since that one might have seen more of it.

use std::fmt;
use std::time::Duration;

use crate::ids::LogName;
use crate::log::remote::Target;
use crate::log::{Draft, Epoch, PageMax, Position, Retention};

/// A part of the data: all keys of the logs in it have the same hash tag, so that one script can use them, and one channel is
/// where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u8);

impl Bucket {
    /// How many there are: enough for the primaries of a cluster, and few enough that what is appended to many logs at once goes to a
    /// few of them, each of which costs a call something. Data that was written with another number is not found again.
    pub const COUNT: usize = 16;

    /// Where a log is: FNV-1a of its name, the same in every node.
    #[must_use]
    pub fn of(log: &LogName) -> Self {
        let hash = log.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Self(((hash ^ hash >> 16) % Self::COUNT as u32) as u8)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// What a bucket knows of the process of Redis that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Larger with each process that had it.
    pub number: u64,
    /// Whether it takes messages.
    pub state: RunState,
}

/// Whether a run takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Not before nodes have told what they have seen.
    Pending,
    /// It does.
    Open(Trust),
}

/// What holds for logs that have not begun a new era in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// They are taken for whole: nobody who may have seen more of them is missing, and Redis is one that saves each message before
    /// it answers (`appendfsync always`), as it was when they were written.
    Whole,
    /// They begin a new era with their next message, those that a node has vouched for, too: another may have seen more of them.
    Doubtful,
}

/// A message for Redis.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The message.
    pub draft: Draft,
    /// How long its log keeps messages. 0 entries: it is delivered, and not kept for who comes later.
    pub retention: Retention,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Behind this offset, the oldest first.
    Behind(u64),
    /// Behind what the log's owner has seen, or at the oldest if that was never said.
    Mark,
    /// At the oldest that is kept.
    Oldest,
    /// At the head: no entries.
    Head,
    /// The newest before this offset; before the end, if not said.
    Before(Option<u64>),
}

/// What is asked of Redis.
#[derive(Debug, Clone)]
pub enum Command {
    /// This process of Redis has the bucket: is that known? Answered by [`Answer::Run`]: a new one is [`Pending`](RunState::Pending).
    Greet {
        /// The bucket.
        bucket: Bucket,
        /// What Redis calls this process of itself (`run_id` of `INFO server`).
        run_id: String,
        /// It saves each message before it answers.
        saves_always: bool,
    },
    /// A node has seen these logs up to there. Answered by [`Answer::Broken`]: those that have lost something of it, which begin
    /// a new era with this epoch, and are announced.
    Vouch {
        /// The bucket that they are in.
        bucket: Bucket,
        /// The run that is asked.
        run: u64,
        /// What was seen.
        seen: Vec<(LogName, Position)>,
        /// The epoch for those that have lost something.
        epoch: Epoch,
    },
    /// Nodes have said what they have seen, or did not come in time. Answered by [`Answer::Run`]; the first one counts.
    Open {
        /// The bucket.
        bucket: Bucket,
        /// The run that is opened.
        run: u64,
        /// Whether somebody is missing. [`Trust::Whole`] is taken as such only where Redis saves always.
        trust: Trust,
    },
    /// Append messages of one bucket, in order, and announce them. Answered by [`Answer::Appended`], one for each.
    Append {
        /// The bucket that they are in.
        bucket: Bucket,
        /// The run that is asked.
        run: u64,
        /// For logs that are new or begin a new era.
        epoch: Epoch,
        /// The messages.
        messages: Vec<Stored>,
    },
    /// Read a page. Answered by [`Answer::Page`].
    Page {
        /// The log.
        log: LogName,
        /// From where on.
        from: From,
        /// How much.
        max: PageMax,
        /// For a log that is new, so that its head is a position.
        epoch: Epoch,
    },
    /// Where logs end. Answered by [`Answer::Heads`], one for each.
    Heads {
        /// The bucket that they are in.
        bucket: Bucket,
        /// The logs.
        logs: Vec<LogName>,
    },
    /// Owners have seen their logs up to there. Answered by [`Answer::Done`]; an older one than is known changes nothing.
    Mark {
        /// The bucket that they are in.
        bucket: Bucket,
        /// The logs, and up to where.
        marks: Vec<(LogName, Position)>,
    },
    /// This node is there. Answered by [`Answer::Nodes`]: those that have said so of late, with this one.
    Beat {
        /// What it is called.
        node: String,
        /// How long that holds.
        lease: Duration,
        /// The processes of Redis that it has told what it has seen: their `run_id` and a number.
        vouched: Vec<String>,
        /// It leaves: it is not there any more.
        leaves: bool,
    },
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The run is not the one that was meant, or is not open: greet it.
    Stale,
    /// The bucket is elsewhere in the cluster: where (`MOVED`). Without a host it is at that of the link.
    Moved(Target),
    /// It is on its way elsewhere: this command is to be asked there, and no other (`ASK`).
    Asked(Target),
    /// Redis cannot do it now, and may later: it loads its data, is a replica, its disk or memory is full (`LOADING`, `READONLY`,
    /// `MASTERDOWN`, `MISCONF`, `OOM`, `NOREPLICAS`, `CLUSTERDOWN`, `TRYAGAIN`, `BUSY`); what it said.
    Unable(String),
    /// It does not know the script any more (`NOSCRIPT`): the link is to begin again.
    NoScript,
    /// It refuses (`NOAUTH`, `NOPERM`, `WRONGPASS`), or said what nobody understands: what it said.
    Refused(String),
}

impl fmt::Display for Failure {
    /// Why, as a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved(place) | Self::Asked(place) => write!(f, "its data is at {place}"),
            Self::Unable(what) | Self::Refused(what) => write!(f, "it said: {what}"),
            Self::NoScript => f.write_str("it does not know the scripts any more"),
            Self::Stale => f.write_str("it was restarted"),
        }
    }
}

/// What Redis answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To [`Command::Greet`] and [`Command::Open`].
    Run(Run),
    /// To [`Command::Vouch`]: these logs have lost something.
    Broken(Vec<LogName>),
    /// To [`Command::Append`].
    Appended(Vec<Appended>),
    /// To [`Command::Page`].
    Page(Extracted),
    /// To [`Command::Heads`]; `None` for a log that there is not.
    Heads(Vec<Option<Position>>),
    /// To [`Command::Mark`].
    Done,
    /// To [`Command::Beat`].
    Nodes(Vec<Node>),
    /// To any: it was not done.
    Failed(Failure),
}

/// A node that has said that it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is called.
    pub name: String,
    /// The processes of Redis that it has told what it has seen.
    pub vouched: Vec<String>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log.
    At(Position),
    /// It was there already.
    Before {
        /// The place of the first.
        position: Position,
        /// Its time, in milliseconds since 1970.
        time: u64,
    },
    /// There are too many logs.
    LogsFull,
    /// It is not taken, and others of its batch may be.
    Refused,
}

/// A part of a log, and what is needed to tell what is missing before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Extracted {
    /// The eras of the log, oldest first: the first offset of each, and its epoch. Never empty.
    pub eras: Vec<(u64, Epoch)>,
    /// The first offset that is kept; that behind the head where nothing is.
    pub oldest: u64,
    /// The last offset; 0 before the first.
    pub head: u64,
    /// Up to where its owner has seen it.
    pub mark: Option<Position>,
    /// Entries, oldest first: those that the command asked for, as many as fit.
    pub entries: Vec<crate::log::Entry>,
    /// Whether there are more in that direction.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_in_the_same_bucket_everywhere_and_logs_are_spread() {
        assert_eq!(Bucket::of(&LogName::broadcast()).number(), 1);
        let mut sizes = [0; Bucket::COUNT];
        for number in 0..3200 {
            let log = LogName::new(&format!("room-{number}")).unwrap();
            sizes[usize::from(Bucket::of(&log).number())] += 1;
        }
        assert!(
            sizes.iter().all(|size| (130..=270).contains(size)),
            "{sizes:?}"
        );
        assert_eq!(Bucket::all().count(), Bucket::COUNT);
    }
}

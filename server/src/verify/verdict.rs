//! What was found: how often each kind of violation, and the first of each with what is needed to find it.

use std::fmt;

/// How a server can break its promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Acknowledged, but not in the final history.
    Lost,
    /// There, but never sent so.
    Phantom,
    /// One message at two places.
    StoredTwice,
    /// One place shown twice to a follower that had said it had it.
    DeliveredTwice,
    /// Later before earlier: by one publisher, or for one follower.
    Reordered,
    /// Sent after another one was acknowledged, but placed before it.
    BeforeAcked,
    /// One place with two messages.
    Reused,
    /// Shown to somebody, but not in the final history.
    Unkept,
    /// Missing for a follower, without a gap that says so.
    Hole,
    /// A gap that does not name what is missing.
    WrongGap,
    /// A sender got its own message back.
    Echo,
    /// Not shown to a follower by the end.
    Undelivered,
    /// Not acknowledged by the end.
    Unacknowledged,
    /// The server said what the protocol does not have.
    Nonsense,
}

impl Kind {
    /// All kinds, in the order of the report.
    pub const ALL: [Self; 14] = [
        Self::Lost,
        Self::Phantom,
        Self::StoredTwice,
        Self::DeliveredTwice,
        Self::Reordered,
        Self::BeforeAcked,
        Self::Reused,
        Self::Unkept,
        Self::Hole,
        Self::WrongGap,
        Self::Echo,
        Self::Undelivered,
        Self::Unacknowledged,
        Self::Nonsense,
    ];

    /// A few words for the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "acknowledged, but lost",
            Self::Phantom => "never sent",
            Self::StoredTwice => "stored twice",
            Self::DeliveredTwice => "delivered twice",
            Self::Reordered => "out of order",
            Self::BeforeAcked => "before what was acknowledged first",
            Self::Reused => "place used twice",
            Self::Unkept => "shown, but not kept",
            Self::Hole => "missing without a gap",
            Self::WrongGap => "gap that is wrong",
            Self::Echo => "sender's own copy",
            Self::Undelivered => "not delivered by the end",
            Self::Unacknowledged => "not acknowledged by the end",
            Self::Nonsense => "not understood",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub kind: Kind,
    /// Who, what and where.
    pub what: String,
}

/// How many examples of a kind are kept: the first ones lead to the cause.
const EXAMPLES_MAX: u64 = 5;

/// All that was found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    counts: [u64; Kind::ALL.len()],
    told: u64,
    examples: Vec<Violation>,
}

impl Findings {
    /// Notes a violation; `what` is made only where it is kept.
    pub fn add(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        let Some(count) = self.counts.get_mut(kind as usize) else {
            return;
        };
        *count += 1;
        if *count <= EXAMPLES_MAX {
            let what = what();
            self.examples.push(Violation { kind, what });
        }
    }

    /// Notes an acknowledged message that is lost, which somebody was told of.
    pub const fn tell(&mut self) {
        self.told += 1;
    }

    /// How many acknowledged messages are lost, which somebody was told of: no violations.
    #[must_use]
    pub const fn told(&self) -> u64 {
        self.told
    }

    /// How many of a kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts.get(kind as usize).copied().unwrap_or_default()
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The first of each kind, in the order in which they were found.
    #[must_use]
    pub fn examples(&self) -> &[Violation] {
        &self.examples
    }
}

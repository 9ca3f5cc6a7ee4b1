//! What a log holds.

use serde_json::value::RawValue;

use super::Position;
use crate::ids::{LogName, Session, UserName};

/// A message on its way into a log.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The log.
    pub log: LogName,
    /// Who sends it.
    pub from: UserName,
    /// The sender's session.
    pub session: Session,
    /// The sender's number of the message: a JSON number or string, of at most 128 bytes.
    pub seq: Option<Box<RawValue>>,
    /// Any JSON value.
    pub content: Box<RawValue>,
    /// When it came, in milliseconds since 1970.
    pub time: u64,
}

/// The idempotency key of a message in its log: a second one with the same is the first one sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// Who sends it.
    pub from: &'a str,
    /// The sender's session.
    pub session: &'a str,
    /// The sender's number of the message, as it was written.
    pub seq: &'a str,
}

/// A message that has its place.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The place.
    pub position: Position,
    /// The message.
    pub draft: Draft,
}

impl Draft {
    /// The idempotency key; a message without a `seq` has none.
    #[must_use]
    pub fn key(&self) -> Option<Key<'_>> {
        self.seq.as_deref().map(|seq| Key {
            from: self.from.as_str(),
            session: self.session.as_str(),
            seq: seq.get(),
        })
    }
}

impl PartialEq for Entry {
    /// Same place, same sender, same bytes.
    fn eq(&self, other: &Self) -> bool {
        let parts = |entry: &Self| {
            let draft = &entry.draft;
            (
                entry.position,
                draft.time,
                draft.seq.as_deref().map(|seq| seq.get().to_owned()),
                draft.content.get().to_owned(),
            )
        };
        (&self.draft.log, &self.draft.from, &self.draft.session)
            == (&other.draft.log, &other.draft.from, &other.draft.session)
            && parts(self) == parts(other)
    }
}

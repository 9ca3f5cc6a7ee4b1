//! Wills: what a connection wants published when it ends without having said goodbye. The hub has them, since a connection may end
//! where nobody can ask it any more; who says goodbye takes its will back first.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::cluster::Tag;
use crate::ids::{ConnId, LogName, Session, UserName};

/// Wills that wait until their time has come: more of them are published at once.
const WAITING_MAX: usize = 16_384;

/// A message that is to be published.
#[derive(Debug)]
pub(super) struct Will {
    pub(super) log: LogName,
    pub(super) content: Box<RawValue>,
    /// How long its session may take to come back before that.
    pub(super) delay: Duration,
}

/// A will whose connection has ended.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) conn: ConnId,
    pub(super) user: UserName,
    pub(super) session: Session,
    pub(super) will: Will,
}

/// The wills of connections, and those that wait for their session.
#[derive(Debug, Default)]
pub(super) struct Wills {
    of: HashMap<ConnId, Will, foldhash::fast::RandomState>,
    waiting: BTreeMap<(Instant, u64), Orphan>,
    due: HashMap<Tag, (Instant, u64), foldhash::fast::RandomState>,
    count: u64,
}

impl Wills {
    /// A connection has this will from now on, or none.
    pub(super) fn set(&mut self, conn: ConnId, will: Option<Will>) {
        match will {
            Some(will) => self.of.insert(conn, will),
            None => self.of.remove(&conn),
        };
    }

    /// The connection has ended; returns what is to be published at once.
    pub(super) fn ended(
        &mut self,
        conn: ConnId,
        user: UserName,
        session: Session,
        now: Instant,
    ) -> Option<Orphan> {
        let will = self.of.remove(&conn)?;
        let (at, tag) = (now + will.delay, Tag::of(&user, &session));
        let orphan = Orphan {
            conn,
            user,
            session,
            will,
        };
        if at <= now || self.waiting.len() >= WAITING_MAX {
            return Some(orphan);
        }
        self.count += 1;
        let key = (at, self.count);
        self.waiting.insert(key, orphan);
        let earlier = self.due.insert(tag, key);
        // One of a session's is enough.
        earlier.and_then(|earlier| self.waiting.remove(&earlier))
    }

    /// The session is back in time.
    pub(super) fn came_back(&mut self, user: &UserName, session: &Session) {
        if !self.due.is_empty()
            && let Some(key) = self.due.remove(&Tag::of(user, session))
        {
            self.waiting.remove(&key);
        }
    }

    /// When the first that waits is to be published.
    pub(super) fn until(&self) -> Option<Instant> {
        let ((at, _), _) = self.waiting.first_key_value()?;
        Some(*at)
    }

    /// Takes one whose time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Orphan> {
        let (key, orphan) = self.waiting.pop_first()?;
        if key.0 > now {
            self.waiting.insert(key, orphan);
            return None;
        }
        self.due.remove(&Tag::of(&orphan.user, &orphan.session));
        Some(orphan)
    }
}

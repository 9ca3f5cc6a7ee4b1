//! Claims of sessions: which of this node's are not in the log yet, and which of its connections wait to hear where their
//! sessions were. Of two claims of a session the one that is later in the log holds, for all nodes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::delta::{Claim, Tag};
use crate::ids::{ConnId, UserName};

/// Claims that may wait for the log. Beyond that they are not made: the older connection stays, too.
const CLAIMS_MAX: usize = 65_536;

/// How long a connection waits to hear where its session was: several times what the log takes.
pub(super) const WAITS_FOR: Duration = Duration::from_secs(10);

/// This node's claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pending: HashMap<Tag, Pending, foldhash::fast::RandomState>,
    claimants: HashMap<ConnId, Claimant, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Pending {
    user: UserName,
    waits: bool,
    /// The note that it is in, once it is in one.
    number: Option<u64>,
}

/// A connection that has claimed its session.
#[derive(Debug)]
struct Claimant {
    tag: Tag,
    /// It has said that it wants to be where it was.
    has_said: bool,
    until: Instant,
}

impl Claims {
    /// Notes a claim; `false` if there are too many.
    pub(super) fn make(&mut self, tag: Tag, user: UserName, waits: bool) -> bool {
        let is_room = self.pending.len() < CLAIMS_MAX;
        if is_room {
            let pending = Pending {
                user,
                waits,
                number: None,
            };
            self.pending.insert(tag, pending);
        }
        is_room
    }

    /// Who made it will be in all its rooms again, should it not have gone out yet.
    pub(super) fn will_wait(&mut self, tag: Tag) {
        if let Some(pending) = self.pending.get_mut(&tag) {
            pending.waits = true;
        }
    }

    /// It goes out with this note.
    pub(super) fn going_out(&mut self, tag: Tag, number: u64) -> Option<Claim> {
        let pending = self.pending.get_mut(&tag)?;
        pending.number = Some(number);
        Some(Claim {
            user: pending.user.clone(),
            tag,
            waits: pending.waits,
        })
    }

    /// All up to this note are in the log.
    pub(super) fn came_back(&mut self, number: u64) {
        if !self.pending.is_empty() {
            let is_on_its_way =
                |pending: &Pending| pending.number.is_none_or(|later| later > number);
            self.pending.retain(|_, pending| is_on_its_way(pending));
        }
    }

    /// Whether this node's claim will be behind all that have come from others.
    pub(super) fn is_newer_here(&self, tag: Tag) -> bool {
        self.pending.contains_key(&tag)
    }

    /// Those that have to go out again, since what waited was forgotten.
    pub(super) fn to_be_told(&self) -> Vec<Tag> {
        let untold = self.pending.iter();
        let untold = untold.filter(|(_, pending)| pending.number.is_none());
        untold.map(|(tag, _)| *tag).collect()
    }

    // ---- those who wait for an answer ----

    /// A connection has claimed a session.
    pub(super) fn await_places(&mut self, conn: ConnId, tag: Tag, has_said: bool, now: Instant) {
        let until = now + WAITS_FOR;
        let claimant = Claimant {
            tag,
            has_said,
            until,
        };
        self.claimants.insert(conn, claimant);
    }

    /// A connection says that it wants to be where its session was. Returns that, if it waits to hear of it.
    pub(super) fn has_said(&mut self, conn: ConnId) -> Option<Tag> {
        let claimant = self.claimants.get_mut(&conn)?;
        claimant.has_said = true;
        Some(claimant.tag)
    }

    /// Whether a connection waits to hear where this session was, and if so, whether it is to be there at once.
    pub(super) fn waits(&self, conn: ConnId, tag: Tag) -> Option<bool> {
        let claimant = self.claimants.get(&conn);
        claimant
            .filter(|claimant| claimant.tag == tag)
            .map(|claimant| claimant.has_said)
    }

    /// It is gone.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.claimants.remove(&conn);
    }

    /// Forgets those that have waited for long enough.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.claimants.retain(|_, claimant| now < claimant.until);
    }
}

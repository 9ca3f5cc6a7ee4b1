//! How a session comes out of its log and goes into it: what is read before CONNACK, what is written while the client is there, and what
//! waits for that.
//!
//! CONNACK says whether there is a session, and that is not known before its log was read. A log that cannot be read is no log without a
//! session: the client is told to come back later. Who begins anew, or wants nothing kept from now on, is let in once the log has that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connect::Entering;
use super::machine::{Mqtt, Phase};
use super::reason::Reason;
use super::saved::newest;
use super::store::Claim;
use crate::clock::Now;
use crate::ids::Session;
use crate::log::{Entry, StoreError};
use crate::transport::dialect::Out;

/// How long CONNACK waits for the log.
const RECALL_WAIT: Duration = Duration::from_secs(5);

/// A log that is away is asked again after this time.
const RECALL_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// A client whose session is read.
#[derive(Debug)]
pub(super) struct Recalling {
    entering: Entering,
    session: Session,
    until: Instant,
    again_at: Option<Instant>,
    /// It was read, and something is written.
    forgets: bool,
    is_present: bool,
}

impl Recalling {
    /// When it is to be looked at.
    pub(super) fn wake_at(&self) -> Instant {
        self.again_at
            .map_or(self.until, |again| again.min(self.until))
    }
}

impl Mqtt {
    // ---- before CONNACK ----

    /// The client's session is looked for in its log.
    pub(super) fn recall(&mut self, entering: Entering, session: Session, now: Now, out: &mut Out) {
        let Some(log) = self.claim.as_ref().and_then(Claim::log) else {
            return self.admit(entering, &session, false, now, out);
        };
        out.recall(log.clone());
        self.phase = Phase::Recalling(Box::new(Recalling {
            entering,
            session,
            until: now.instant + RECALL_WAIT,
            again_at: None,
            forgets: false,
            is_present: false,
        }));
    }

    /// Its newest entries are there, or cannot be read.
    pub(super) fn was_recalled(
        &mut self,
        found: Result<&[Arc<Entry>], StoreError>,
        now: Now,
        out: &mut Out,
    ) {
        let (Phase::Recalling(recalling), Some(claim)) = (&mut self.phase, &self.claim) else {
            return;
        };
        let entries = match found {
            Ok(entries) => entries,
            Err(StoreError::Unavailable) => {
                recalling.again_at = Some(now.instant + RECALL_AGAIN_AFTER);
                return;
            }
            Err(StoreError::Full | StoreError::Failed(_)) => return self.refuse_unread(out),
        };
        let clean = recalling.entering.clean;
        let Some(is_present) = self.sessions.restore(claim, newest(entries), clean, now) else {
            // Who has it now has come later: this connection is about to be closed.
            return;
        };
        recalling.is_present = is_present;
        let Some(mut state) = claim.state() else {
            return;
        };
        if state.keeping.has_entry() && (clean || self.expiry.is_zero()) {
            recalling.forgets = true;
            let memo = claim.memo(&mut state, self.expiry, now.instant);
            drop(state);
            return memo.into_iter().for_each(|memo| out.keep(memo));
        }
        drop(state);
        self.let_in(now, out);
    }

    /// All that CONNACK waited for is done.
    fn let_in(&mut self, now: Now, out: &mut Out) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Recalling(recalling) => {
                let Recalling {
                    entering,
                    session,
                    is_present,
                    ..
                } = *recalling;
                self.admit(entering, &session, is_present, now, out);
                self.go_on(now, out);
                self.keep_on(now, out);
            }
            other @ (Phase::Awaiting(_) | Phase::Entering(_) | Phase::Open | Phase::Over) => {
                self.phase = other;
            }
        }
    }

    /// What is due of that.
    pub(super) fn recall_again(&mut self, now: Now, out: &mut Out) {
        let (Phase::Recalling(recalling), Some(claim)) = (&mut self.phase, &self.claim) else {
            return;
        };
        if recalling.until <= now.instant {
            return self.refuse_unread(out);
        }
        if recalling.again_at.is_some_and(|at| at <= now.instant) {
            recalling.again_at = None;
            claim
                .log()
                .cloned()
                .into_iter()
                .for_each(|log| out.recall(log));
        }
    }

    fn refuse_unread(&mut self, out: &mut Out) {
        let why = "the session is in a log that cannot be reached at the moment";
        self.end(Reason::ServerUnavailable, why, out);
    }

    // ---- while it is there ----

    /// Whether its session outlives the process.
    pub(super) fn keeps(&self) -> bool {
        let log = self.claim.as_ref().and_then(Claim::log);
        log.is_some() && !self.expiry.is_zero()
    }

    /// Something has changed that the log is to have at once.
    pub(super) fn note_change(&self) {
        if let Some(mut state) = self.claim.as_ref().and_then(Claim::state) {
            state.keeping.change_now();
        }
    }

    /// Writes what is due, and answers what waited for it.
    pub(super) fn keep_on(&mut self, now: Now, out: &mut Out) {
        let Phase::Open = self.phase else {
            return;
        };
        if !self.keeps() {
            return;
        }
        let Some(claim) = &self.claim else {
            return;
        };
        let Some(mut state) = claim.state() else {
            return;
        };
        if state.is_empty() && !state.keeping.has_entry() && !state.keeping.is_out() {
            state.keeping.skip();
        }
        let mut due = state.keeping.due(now.instant);
        if due.is_some_and(|at| at <= now.instant) {
            let memo = claim.memo(&mut state, self.expiry, now.instant);
            memo.into_iter().for_each(|memo| out.keep(memo));
            due = state.keeping.due(now.instant);
        }
        drop(state);
        self.keep_at = due;
        self.answer_pending(out);
    }

    /// The log has answered to what was written.
    pub(super) fn was_kept(&mut self, now: Now, out: &mut Out) {
        let state = self.claim.as_ref().and_then(Claim::state);
        let Some(has_failed) = state.map(|state| state.keeping.has_failed()) else {
            return;
        };
        match &self.phase {
            Phase::Recalling(recalling) if !recalling.forgets => {}
            Phase::Recalling(_) if has_failed => self.refuse_unread(out),
            Phase::Recalling(_) => self.let_in(now, out),
            Phase::Open => {
                self.look_for_room();
                self.keep_on(now, out);
            }
            Phase::Awaiting(_) | Phase::Entering(_) | Phase::Over => {}
        }
    }
}

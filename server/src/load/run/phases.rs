//! The phases of a run, and what leads from one to the next.
//!
//! ```text
//!   Opening ──all are open──▶ Running ──time is up──▶ Draining ──all has come──▶ Closing ──all have closed──▶ Over
//! ```
//!
//! *Running* is the warm-up and what is measured; the tally knows the difference. `^C` goes on to *Draining*, and from there
//! to *Closing*. None of the last two takes longer than its bound.

use std::time::Duration;

use super::{QUIET_MAX, Run};
use crate::load::alarm::processor_time;
use crate::load::error::BenchError;
use crate::load::options::Scenario;
use crate::load::schedule::Schedule;

/// Who opens no connection for so long opens no more: longer than a handshake may take.
const OPENING_QUIET_MAX: Duration = Duration::from_secs(15);

/// How long what was due in time, and could not be sent in time, is still sent.
const CATCHING_UP_MAX: Duration = Duration::from_secs(2);

/// How long the closing handshakes of all connections may take.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load) enum Phase {
    Opening,
    Running,
    Draining,
    Closing,
    Over,
}

impl Run<'_> {
    /// Changes the phase if it is time for it.
    pub(super) fn go_on(&mut self) -> Result<(), BenchError> {
        match self.phase {
            Phase::Opening if self.interrupts > 0 => self.close_all(),
            Phase::Opening => {
                self.check_somebody_is_let_in()?;
                if self.peers.begun() == self.plan.opened_first() && self.peers.under_way() == 0 {
                    self.begin_running();
                }
            }
            Phase::Running => self.end_running(),
            Phase::Draining => {
                let has_all = match self.plan.scenario {
                    Scenario::Echo | Scenario::Fanout => self.tally.missing() == 0,
                    Scenario::Idle => true,
                    // The last have to close, too.
                    Scenario::Connect => false,
                };
                if has_all || self.peers.count() == 0 || self.has_waited(QUIET_MAX) {
                    self.close_all();
                }
            }
            Phase::Closing => {
                if self.peers.count() == 0 || self.has_waited(CLOSING_MAX) {
                    self.phase = Phase::Over;
                }
            }
            Phase::Over => {}
        }
        Ok(())
    }

    fn has_waited(&self, max: Duration) -> bool {
        self.interrupts > 1 || self.clock.now.saturating_sub(self.since) >= max.as_nanos() as u64
    }

    /// The first connection shows whether there is a server at all.
    fn check_somebody_is_let_in(&self) -> Result<(), BenchError> {
        let first = self.tally.errors.keys().next();
        let first = first.filter(|_| self.tally.opened == 0);
        let is_silent = self.has_waited(OPENING_QUIET_MAX);
        let silent = is_silent.then_some("the server lets nobody in");
        match first.map(String::as_str).or(silent) {
            None => Ok(()),
            Some(why) => Err(BenchError::Refused {
                url: self.peers.url(),
                why: why.to_owned(),
            }),
        }
    }

    /// The time is up, `^C` was pressed, or nobody is left.
    fn end_running(&mut self) {
        let (now, window) = (self.clock.now, &mut self.tally.window);
        let is_alone = self.peers.count() == 0 && self.plan.scenario != Scenario::Connect;
        if self.interrupts > 0 || is_alone {
            // What was sent in this moment belongs to it.
            window.end = (now + 1).clamp(window.start, window.end);
        }
        let end = window.end;
        let schedule = self.schedule.as_ref();
        let left = schedule.map_or(0, |schedule| schedule.left(end));
        let has_caught_up = left == 0 || now >= end + CATCHING_UP_MAX.as_nanos() as u64;
        if now >= end && has_caught_up {
            if left > 0 {
                let told = "not sent: this generator was too late for it";
                self.tally.fail_times(told, left);
            }
            (self.phase, self.since) = (Phase::Draining, now);
        }
    }

    /// All are there: the warm-up begins, and behind it what is measured.
    fn begin_running(&mut self) {
        let now = self.clock.now;
        let begin = now + self.plan.warmup.as_nanos() as u64;
        self.tally.window = begin..begin + self.plan.duration.as_nanos() as u64;
        (self.phase, self.since) = (Phase::Running, now);
        self.processor = processor_time();
        self.schedule = self.plan.rate.map(|rate| Schedule::new(rate, now));
        if self.schedule.is_none() {
            (0..self.messages.senders()).for_each(|sender| self.say(sender, now));
        }
    }

    fn close_all(&mut self) {
        (self.phase, self.since) = (Phase::Closing, self.clock.now);
        self.peers.close_all(&self.clock);
    }
}

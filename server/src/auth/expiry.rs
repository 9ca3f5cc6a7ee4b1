//! When tokens end: of each connection that has shown one, or has yet to, when it is to be told and when to be closed. No timers
//! and no clock: the loop asks what is due. A connection without a token costs nothing here.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::access::Identity;
use crate::clock::Now;
use crate::ids::ConnId;

/// How long before its end a token's holder is told, where it holds for ten times that; else in its last tenth. As the JavaScript
/// client renews it by itself.
const NOTICE_MS: u64 = 60_000;

/// What people's clocks say may be set anew: they are looked at again after that.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// What is due for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its token ends so soon.
    Notice {
        /// Whole seconds, and what is left of one.
        seconds: u64,
    },
    /// Its token has ended.
    End,
    /// It has shown none in time.
    NoToken,
}

/// Connections and the ends of their tokens.
#[derive(Debug, Default)]
pub struct Expiries {
    held: HashMap<ConnId, Held, foldhash::fast::RandomState>,
    due: BTreeSet<Entry>,
}

/// When to look, and at which connection.
type Entry = (Instant, u32, u32);

#[derive(Debug)]
struct Held {
    at: Instant,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Awaited,
    Good {
        notice_ms: u64,
        expires_ms: u64,
        ends_ms: u64,
    },
    Told {
        ends_ms: u64,
    },
}

impl Expiries {
    /// A connection has shown this token; an earlier one of it counts no more.
    pub fn hold(&mut self, conn: ConnId, identity: &Identity, now: Now) {
        let (expires_ms, ends_ms) = (identity.expires_ms(), identity.ends_ms());
        let left_ms = expires_ms.saturating_sub(now.unix_ms);
        let notice_ms = expires_ms - NOTICE_MS.min(left_ms / 10);
        let stage = Stage::Good {
            notice_ms,
            expires_ms,
            ends_ms,
        };
        self.insert(conn, stage, at(notice_ms, now));
    }

    /// A connection is to show a token until then.
    pub fn wait_for(&mut self, conn: ConnId, until: Instant) {
        self.insert(conn, Stage::Awaited, until);
    }

    /// The connection is gone, or does nothing any more that needs a token.
    pub fn forget(&mut self, conn: ConnId) {
        if let Some(held) = self.held.remove(&conn) {
            self.due.remove(&entry(held.at, conn));
        }
    }

    /// When to ask what is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _, _)| *at)
    }

    /// What is due now; call it until there is nothing.
    pub fn take_due(&mut self, now: Now) -> Option<(ConnId, Due)> {
        while let Some(&(at, index, generation)) = self.due.first()
            && at <= now.instant
        {
            let conn = ConnId { index, generation };
            let Some(held) = self.held.get(&conn) else {
                self.due.pop_first();
                continue;
            };
            if let Some(due) = self.advance(conn, held.stage, now) {
                return Some((conn, due));
            }
        }
        None
    }

    /// Moves a connection whose time has come on to its next stage.
    fn advance(&mut self, conn: ConnId, stage: Stage, now: Now) -> Option<Due> {
        match stage {
            Stage::Awaited => {
                self.forget(conn);
                Some(Due::NoToken)
            }
            Stage::Good { notice_ms, .. } if now.unix_ms < notice_ms => {
                self.insert(conn, stage, at(notice_ms, now));
                None
            }
            Stage::Good {
                expires_ms,
                ends_ms,
                ..
            } => {
                self.insert(conn, Stage::Told { ends_ms }, at(ends_ms, now));
                let left_ms = expires_ms.saturating_sub(now.unix_ms);
                let seconds = left_ms.div_ceil(1000);
                Some(Due::Notice { seconds })
            }
            Stage::Told { ends_ms } if now.unix_ms < ends_ms => {
                self.insert(conn, stage, at(ends_ms, now));
                None
            }
            Stage::Told { .. } => {
                self.forget(conn);
                Some(Due::End)
            }
        }
    }

    fn insert(&mut self, conn: ConnId, stage: Stage, at: Instant) {
        self.forget(conn);
        self.held.insert(conn, Held { at, stage });
        self.due.insert(entry(at, conn));
    }
}

const fn entry(at: Instant, conn: ConnId) -> Entry {
    (at, conn.index, conn.generation)
}

/// The moment when it is that late, or when to look again.
fn at(unix_ms: u64, now: Now) -> Instant {
    let wait = Duration::from_millis(unix_ms.saturating_sub(now.unix_ms));
    now.instant + wait.min(LOOK_AGAIN_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserName;

    const CONN: ConnId = ConnId {
        index: 1,
        generation: 2,
    };

    struct Clock(Now);

    impl Clock {
        fn new() -> Self {
            Self(Now {
                instant: Instant::now(),
                unix_ms: 1_000_000,
            })
        }

        /// So much later, on both clocks.
        fn after(&self, seconds: u64) -> Now {
            Now {
                instant: self.0.instant + Duration::from_secs(seconds),
                unix_ms: self.0.unix_ms + 1000 * seconds,
            }
        }
    }

    fn identity(expires_s: u64, leeway_s: u64) -> Identity {
        Identity {
            user: UserName::new("ada").unwrap(),
            rooms: None,
            is_server: false,
            is_admin: false,
            expires_ms: 1000 * expires_s,
            ends_ms: 1000 * (expires_s + leeway_s),
        }
    }

    #[test]
    fn a_holder_is_told_a_minute_before_or_in_the_last_tenth() {
        let clock = Clock::new();
        for (lifetime, told_at, seconds) in [(7200, 7140, 60), (100, 90, 10), (5, 5, 1)] {
            let mut expiries = Expiries::default();
            expiries.hold(CONN, &identity(1000 + lifetime, 3), clock.0);
            assert_eq!(expiries.take_due(clock.0), None);
            if lifetime > 5 {
                assert_eq!(
                    expiries.take_due(clock.after(told_at - 1)),
                    None,
                    "{lifetime}"
                );
                let told = Some((CONN, Due::Notice { seconds }));
                assert_eq!(expiries.take_due(clock.after(told_at)), told);
            } else {
                let half = Now {
                    instant: clock.0.instant + Duration::from_millis(4500),
                    unix_ms: clock.0.unix_ms + 4500,
                };
                let told = Some((CONN, Due::Notice { seconds }));
                assert_eq!(expiries.take_due(half), told);
            }
            assert_eq!(
                expiries.take_due(clock.after(lifetime + 2)),
                None,
                "the leeway"
            );
            let ended = Some((CONN, Due::End));
            assert_eq!(expiries.take_due(clock.after(lifetime + 3)), ended);
            assert_eq!((expiries.next(), expiries.held.len()), (None, 0));
        }
    }

    #[test]
    fn a_fresh_token_takes_the_place_of_the_one_before() {
        let clock = Clock::new();
        let mut expiries = Expiries::default();
        expiries.hold(CONN, &identity(1010, 0), clock.0);
        expiries.hold(CONN, &identity(1100, 0), clock.after(9));
        assert_eq!(expiries.take_due(clock.after(20)), None);
        assert_eq!(expiries.due.len(), 1);
        expiries.forget(CONN);
        assert_eq!(expiries.next(), None);
    }

    #[test]
    fn who_shows_no_token_in_time_is_named() {
        let clock = Clock::new();
        let mut expiries = Expiries::default();
        expiries.wait_for(CONN, clock.after(10).instant);
        assert_eq!(expiries.take_due(clock.after(9)), None);
        let late = Some((CONN, Due::NoToken));
        assert_eq!(expiries.take_due(clock.after(10)), late);
        assert_eq!(expiries.take_due(clock.after(10)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_is_believed() {
        let clock = Clock::new();
        let mut expiries = Expiries::default();
        expiries.hold(CONN, &identity(1100, 0), clock.0);
        let set_back = Now {
            instant: clock.after(90).instant,
            unix_ms: clock.0.unix_ms,
        };
        assert_eq!(expiries.take_due(set_back), None);
        assert!(expiries.next() > Some(set_back.instant));
        // A token for a year is looked at every hour.
        expiries.hold(CONN, &identity(31_536_000, 0), clock.0);
        let next = expiries.next().unwrap();
        assert_eq!(next, clock.0.instant + LOOK_AGAIN_AFTER);
    }
}

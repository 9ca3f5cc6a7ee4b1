//! How a server that stops lets its clients go: few at once, many in batches, and each with a time to come back at, so that the
//! next server is not asked for more than this one has been able to take. This is arithmetic; `worker/stopping.rs` does it.
//!
//! ```text
//!   began        paced             spread                         drain
//!     ├─ batches ──┤                                                │ the process has ended
//!     │            ├─ restart ─┤─ clients come back ─┤              │
//! ```

use std::time::{Duration, Instant};

use super::shutdown::Stop;
use crate::ids::ConnId;

/// So many connections are let go at once: the next server takes them in a fraction of a second.
const AT_ONCE_MAX: usize = 256;

/// How often a batch is let go.
pub(super) const BATCH_EVERY: Duration = Duration::from_millis(50);

/// What a service manager takes to start a server again.
const RESTART: Duration = Duration::from_millis(300);

/// Nobody is sent away for longer than this.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// How long connections have to end after somebody was impatient.
pub(super) const HURRY: Duration = Duration::from_secs(1);

/// A stop, and what follows from when for everybody: the same at all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drain {
    /// Who asked for it.
    pub(super) stop: Stop,
    began: Instant,
    /// Over how long connections are closed.
    paced: Duration,
    /// Over how long clients come back after that.
    spread: Duration,
    /// After how long the process is to have ended.
    time: Duration,
}

impl Drain {
    /// Lets so many connections go, by a server that has been able to take so many a second, in the time that there is.
    pub(super) fn new(
        stop: Stop,
        began: Instant,
        connections: usize,
        per_second: u64,
        time: Duration,
    ) -> Self {
        let wanted = Duration::from_secs_f64(connections as f64 / per_second.max(1) as f64);
        let is_paced = stop == Stop::Terminate && connections > AT_ONCE_MAX;
        let paced = if is_paced {
            wanted.min(time / 2)
        } else {
            Duration::ZERO
        };
        let spread = wanted.min(AWAY_MAX.saturating_sub(paced + RESTART));
        Self {
            stop,
            began,
            paced,
            spread,
            time,
        }
    }

    /// The same for all workers, from one whose clock is so much behind.
    pub(super) fn everywhere(self, behind: Duration) -> Self {
        Self {
            began: self.began + behind,
            ..self
        }
    }

    /// What came from another worker, for one whose clock is so much behind.
    pub(super) fn here(self, behind: Duration) -> Self {
        Self {
            began: self.began.checked_sub(behind).unwrap_or(self.began),
            ..self
        }
    }

    /// Whether connections are closed in batches.
    pub(super) fn is_paced(&self) -> bool {
        !self.paced.is_zero()
    }

    /// Over how long.
    pub(super) const fn paced(&self) -> Duration {
        self.paced
    }

    /// Over how long clients come back.
    pub(super) const fn spread(&self) -> Duration {
        self.spread
    }

    /// How many of `connections` are to have been let go by now.
    pub(super) fn due(&self, connections: usize, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.began);
        if passed >= self.paced {
            return connections;
        }
        let part = passed.as_secs_f64() / self.paced.as_secs_f64();
        (connections as f64 * part) as usize
    }

    /// When to look again: behind the last batch, for home to say that it was.
    pub(super) fn next_batch(&self, now: Instant) -> Instant {
        let (next, last) = (now + BATCH_EVERY, self.began + self.paced);
        if now < last { next.min(last) } else { next }
    }

    /// Whether the last batch is due.
    pub(super) fn is_last(&self, now: Instant) -> bool {
        now >= self.began + self.paced
    }

    /// When a client is to come back that is let go now: when the server can be there again, and not all at once. Multiples of
    /// the golden ratio fall evenly into the time, however many there are of them, so that no worker has to know of the others'.
    pub(super) fn come_back_after(&self, id: ConnId, now: Instant) -> Duration {
        let place = (f64::from(id.index) * 0.618_033_988_749_895).fract();
        let paced = (self.began + self.paced).saturating_duration_since(now);
        paced + RESTART + self.spread.mul_f64(place)
    }

    /// When what has no answer yet is waited for no longer.
    pub(super) fn answers_until(&self) -> Instant {
        self.began + self.time * 3 / 4
    }

    /// When what has not ended yet is waited for no longer: the rest of the time is for logs to be synced.
    pub(super) fn closes_until(&self) -> Instant {
        self.began + self.time * 15 / 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(connections: usize, per_second: u64, seconds: u64) -> (Drain, Instant) {
        let now = Instant::now();
        let time = Duration::from_secs(seconds);
        let drain = Drain::new(Stop::Terminate, now, connections, per_second, time);
        (drain, now)
    }

    #[test]
    fn few_are_let_go_at_once_and_many_in_half_of_the_time_at_most() {
        let (few, now) = drain(AT_ONCE_MAX, 100, 30);
        assert_eq!((few.is_paced(), few.due(7, now)), (false, 7));
        let (many, now) = drain(5_000, 1_000, 30);
        assert_eq!(many.paced(), Duration::from_secs(5));
        let dues = [0, 1, 2, 5, 9].map(|s| many.due(1_000, now + Duration::from_secs(s)));
        assert_eq!(dues, [0, 200, 400, 1_000, 1_000]);
        assert_eq!(many.next_batch(now), now + BATCH_EVERY);
        let last = now + many.paced();
        assert_eq!(many.next_batch(last - Duration::from_millis(1)), last);
        assert_eq!(many.next_batch(last), last + BATCH_EVERY, "it would spin");
        let (crowd, _) = drain(1_000_000, 1_000, 30);
        assert_eq!(crowd.paced(), Duration::from_secs(15));
        let interrupted = Drain::new(Stop::Interrupt, now, 5_000, 1_000, Duration::from_secs(30));
        assert!(!interrupted.is_paced());
    }

    #[test]
    fn clients_come_back_evenly_once_all_have_gone_and_within_a_minute() {
        for (connections, per_second) in [(500, 1_000), (10_000, 500), (1_000_000, 100)] {
            let (drain, now) = drain(connections, per_second, 30);
            let id = |index| ConnId {
                index,
                generation: 1,
            };
            let mut times: Vec<_> = (0..500)
                .map(|index| drain.come_back_after(id(index), now))
                .collect();
            times.sort_unstable();
            let first = drain.paced() + RESTART;
            assert!(first <= times[0] && times[499] <= AWAY_MAX, "{times:?}");
            let even = drain.spread() / 500;
            let largest = times
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .max()
                .unwrap();
            assert!(largest < even * 3, "{largest:?} where {even:?} is even");
            // Who goes with a later batch waits less.
            let later = now + drain.paced();
            let (early, late) = (times[0], drain.come_back_after(id(0), later));
            assert_eq!(early - late, drain.paced());
        }
    }

    #[test]
    fn every_wait_ends_before_the_time_does() {
        for seconds in [1, 30, 3_600] {
            let (drain, now) = drain(1_000_000, 1, seconds);
            let ends = [
                now + drain.paced(),
                drain.answers_until(),
                drain.closes_until(),
            ];
            assert!(ends.is_sorted());
            assert!(ends[2] < now + Duration::from_secs(seconds));
        }
    }
}

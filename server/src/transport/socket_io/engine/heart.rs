//! The heartbeat of Engine.IO: the server pings, and who does not answer in time is gone.

use std::time::{Duration, Instant};

/// When the next ping is due, or the answer to the last.
#[derive(Debug)]
pub(super) struct Heart {
    interval: Duration,
    patience: Duration,
    is_pinged: bool,
    at: Instant,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    Ping,
    /// The answer has not come.
    Stop,
}

impl Heart {
    /// It beats from now on: a ping each `interval`, which is answered within `patience`.
    pub(super) fn new(interval: Duration, patience: Duration, now: Instant) -> Self {
        Self {
            interval,
            patience,
            is_pinged: false,
            at: now + interval,
        }
    }

    /// What is due, one thing a call. How late a ping goes out does not move the end: who comes after it finds nobody, whenever
    /// that is looked at.
    pub(super) fn beat(&mut self, now: Instant) -> Option<Beat> {
        if now < self.at {
            return None;
        }
        if self.is_pinged {
            return Some(Beat::Stop);
        }
        self.is_pinged = true;
        self.at += self.patience;
        Some(Beat::Ping)
    }

    /// The answer came.
    pub(super) fn pong(&mut self, now: Instant) {
        self.is_pinged = false;
        self.at = now + self.interval;
    }

    /// When something is due.
    pub(super) const fn at(&self) -> Instant {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_answered_in_time_or_it_stops() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut heart = Heart::new(
            Duration::from_millis(300),
            Duration::from_millis(200),
            start,
        );
        assert_eq!(heart.beat(after(299)), None);
        assert_eq!(heart.beat(after(310)), Some(Beat::Ping));
        assert_eq!((heart.beat(after(499)), heart.at()), (None, after(500)));
        heart.pong(after(450));
        assert_eq!((heart.beat(after(749)), heart.at()), (None, after(750)));
        // Nobody looked for a while.
        assert_eq!(heart.beat(after(2000)), Some(Beat::Ping));
        assert_eq!(heart.beat(after(2000)), Some(Beat::Stop));
    }
}

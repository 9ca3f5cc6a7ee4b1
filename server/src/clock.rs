//! The time of a loop turn: read once, at its beginning, and handed to everything in it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One moment, on the clock that never jumps and on the one that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For timestamps, in milliseconds since 1970.
    pub unix_ms: u64,
}

impl Now {
    /// Reads both clocks.
    #[must_use]
    pub fn read() -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            instant: Instant::now(),
            unix_ms: since_1970.as_millis() as u64,
        }
    }
}

/// How much later than it was to go on a loop may be before it is taken for one that was stopped.
const STALLED_FROM: Duration = Duration::from_secs(1);

/// The clock of a loop, which stands still while the loop does: for deadlines, the time in which the process was stopped, or the
/// machine had no time for it, has not been. Else a server that was stopped for a minute would blame its clients for it, who
/// were all silent for as long as it could not hear them.
#[derive(Debug)]
pub(crate) struct LoopClock {
    start: Instant,
    /// When it was read last, as the clocks had it.
    read_at: Instant,
    stood_for: Duration,
}

impl LoopClock {
    /// It begins now.
    pub(crate) const fn new(now: Now) -> Self {
        Self {
            start: now.instant,
            read_at: now.instant,
            stood_for: Duration::ZERO,
        }
    }

    /// Reads the clocks, at most `planned` after the last time if all goes well.
    pub(crate) fn read(&mut self, planned: Option<Duration>) -> Now {
        self.at(Now::read(), planned)
    }

    fn at(&mut self, real: Now, planned: Option<Duration>) -> Now {
        let passed = real.instant.saturating_duration_since(self.read_at);
        self.read_at = real.instant;
        // Where nothing was due, nobody is blamed.
        let late = passed.saturating_sub(planned.unwrap_or(passed));
        if late >= STALLED_FROM {
            self.stood_for += late;
        }
        Now {
            instant: real.instant - self.stood_for,
            ..real
        }
    }

    /// How much it is behind the clocks by now. Each worker's is behind by another time: what they share counts in the time
    /// that all have, which is this one's and so much more.
    pub(crate) const fn stood_for(&self) -> Duration {
        self.stood_for
    }

    /// How long ago it was read: to measure by, when a turn is over; nothing is decided by it. What it stood still for before
    /// is no part of the turn.
    pub(crate) fn since_read(&self) -> Duration {
        self.read_at.elapsed()
    }

    /// The time that it went since it began.
    pub(crate) fn since_start(&self) -> Duration {
        (self.read_at - self.stood_for).saturating_duration_since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_which_a_loop_stood_still_has_not_been() {
        let start = Now::read();
        let at = |seconds: f32| Now {
            instant: start.instant + Duration::from_secs_f32(seconds),
            ..start
        };
        let mut clock = LoopClock::new(start);
        let mut seconds = |real: f32, planned: Option<u64>| {
            let now = clock.at(at(real), planned.map(Duration::from_secs));
            let passed = (now.instant - start.instant).as_secs_f32();
            assert_eq!(clock.since_start().as_secs_f32(), passed);
            passed
        };
        assert_eq!(seconds(3.0, Some(5)), 3.0);
        // A turn that takes a while is none that was stopped.
        assert_eq!(seconds(3.5, Some(0)), 3.5);
        assert_eq!(seconds(10.0, Some(6)), 10.0);
        // Stopped for a minute while it waited for five seconds.
        assert_eq!(seconds(70.0, Some(5)), 15.0);
        assert_eq!(seconds(71.0, Some(5)), 16.0);
        // Again; and however long where nothing was due.
        assert_eq!(seconds(81.0, Some(0)), 16.0);
        assert_eq!(seconds(1081.0, None), 1016.0);
    }
}

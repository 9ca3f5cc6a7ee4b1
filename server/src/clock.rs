//! The time of a loop turn: read once, at its beginning, and handed to everything in it. The clock that people read is asked ten
//! times a second, and taken to go on as the other one does between.

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
        Self {
            instant: Instant::now(),
            unix_ms: since_1970().as_millis() as u64,
        }
    }
}

/// What the clock says that people read, and that is set now and then.
fn since_1970() -> Duration {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.unwrap_or(Duration::ZERO)
}

/// How long the clock that people read is taken to go as fast as the other one: a loop that turns more often reads one of them.
const UNIX_READ_EVERY: Duration = Duration::from_millis(100);

/// How much later than it was to go on a loop may be before it is taken for one that was stopped.
const STALLED_FROM: Duration = Duration::from_secs(1);

/// The clock of a loop, which stands still while the loop does: for deadlines, the time in which the process was stopped, or the
/// machine had no time for it, has not been. Else a server that was stopped for a minute would blame its clients for it, who
/// were all silent for as long as it could not hear them.
#[derive(Debug)]
pub(crate) struct LoopClock {
    /// When it was read last, as the clocks had it.
    read_at: Instant,
    /// How long it went until then.
    since_start: Duration,
    stood_for: Duration,
    /// It stood still before it was read.
    has_stood: bool,
    /// Since 1970, and how long ago that was read.
    since_1970: Duration,
    since_1970_read: Duration,
}

impl LoopClock {
    /// It begins now.
    pub(crate) const fn new(now: Now) -> Self {
        Self {
            read_at: now.instant,
            since_start: Duration::ZERO,
            stood_for: Duration::ZERO,
            has_stood: false,
            since_1970: Duration::ZERO,
            // It is read with the first turn.
            since_1970_read: UNIX_READ_EVERY,
        }
    }

    /// Reads the clocks, at most `planned` after the last time if all goes well.
    pub(crate) fn read(&mut self, planned: Option<Duration>) -> Now {
        self.at(Instant::now(), since_1970, planned)
    }

    fn at(
        &mut self,
        real: Instant,
        since_1970: impl FnOnce() -> Duration,
        planned: Option<Duration>,
    ) -> Now {
        let passed = real.saturating_duration_since(self.read_at);
        self.read_at = real;
        self.since_start += passed;
        self.since_1970 += passed;
        self.since_1970_read += passed;
        if self.since_1970_read >= UNIX_READ_EVERY {
            (self.since_1970, self.since_1970_read) = (since_1970(), Duration::ZERO);
        }
        // Where nothing was due, nobody is blamed.
        let late = planned.map_or(Duration::ZERO, |planned| passed.saturating_sub(planned));
        self.has_stood = late >= STALLED_FROM;
        if self.has_stood {
            self.stood_for += late;
            self.since_start -= late;
        }
        // Nearly always there is nothing to take away.
        let instant = match self.stood_for.is_zero() {
            true => real,
            false => real - self.stood_for,
        };
        Now {
            instant,
            unix_ms: self.since_1970.as_millis() as u64,
        }
    }

    /// Whether it stood still before it was read last.
    pub(crate) const fn has_stood(&self) -> bool {
        self.has_stood
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
    pub(crate) const fn since_start(&self) -> Duration {
        self.since_start
    }
}

/// The earlier of two moments, either of which may never come.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_which_a_loop_stood_still_has_not_been() {
        let start = Now::read();
        let at = |seconds: f32| start.instant + Duration::from_secs_f32(seconds);
        let mut clock = LoopClock::new(start);
        let mut seconds = |real: f32, planned: Option<u64>| {
            let planned = planned.map(Duration::from_secs);
            let now = clock.at(at(real), || Duration::ZERO, planned);
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

    #[test]
    fn the_time_that_people_read_is_asked_for_now_and_then_and_goes_on_between() {
        let start = Now::read();
        let mut clock = LoopClock::new(start);
        let mut at = |millis: u64, unix: u64| {
            let real = start.instant + Duration::from_millis(millis);
            clock.at(real, || Duration::from_millis(unix), None).unix_ms
        };
        assert_eq!(at(1, 5_000), 5_000);
        assert_eq!(at(3, 7_777), 5_002);
        assert_eq!(at(100, 7_777), 5_099);
        // It was set meanwhile.
        assert_eq!(at(101, 7_777), 7_777);
        assert_eq!(at(102, 9_999), 7_778);
    }
}

//! The open loop's clock: something is due at even times, whatever became of what was due before.

use std::time::Duration;

/// When the next is due, in nanoseconds since the run began.
#[derive(Debug)]
pub(super) struct Schedule {
    begin: u64,
    /// Nanoseconds between two.
    interval: f64,
    /// How many were taken.
    count: u64,
}

impl Schedule {
    /// So many a second from `begin` on.
    pub(super) fn new(rate: f64, begin: u64) -> Self {
        Self {
            begin,
            interval: Duration::from_secs(1).as_nanos() as f64 / rate,
            count: 0,
        }
    }

    /// When the next is due.
    pub(super) fn next(&self) -> u64 {
        self.begin + (self.count as f64 * self.interval) as u64
    }

    /// How many that are due before `end` were not taken.
    pub(super) fn left(&self, end: u64) -> u64 {
        if self.next() >= end {
            return 0;
        }
        let all = end.saturating_sub(self.begin) as f64 / self.interval;
        (all.ceil() as u64).saturating_sub(self.count).max(1)
    }

    /// The next one, if it is due: its number and since when.
    pub(super) fn take(&mut self, now: u64) -> Option<(u64, u64)> {
        let due = self.next();
        (due <= now).then(|| {
            let number = self.count;
            self.count += 1;
            (number, due)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_due_since_its_time() {
        let mut schedule = Schedule::new(1000.0, 500);
        for number in 0..3 {
            let due = 500 + number * 1_000_000;
            assert_eq!(schedule.take(2_500_500), Some((number, due)));
        }
        assert_eq!(schedule.take(2_500_500), None);
        assert_eq!(schedule.left(3_000_500), 0);
        assert_eq!(schedule.left(5_000_501), 3);
        assert_eq!(schedule.left(0), 0);
        assert_eq!(schedule.next(), 3_000_500);
    }

    #[test]
    fn the_rate_is_kept_over_hours() {
        let mut schedule = Schedule::new(3.0, 0);
        let hour = 3_600_000_000_000;
        let taken = std::iter::from_fn(|| schedule.take(hour - 1)).count();
        assert_eq!((taken, schedule.left(hour)), (3 * 3600, 0));
    }
}

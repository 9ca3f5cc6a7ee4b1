//! The open loop's clock: messages are due at even times, whatever becomes of those before.

use crate::meter;

pub(crate) struct Schedule {
    interval: f64,
    begin: u64,
    /// Messages that have been due.
    count: u64,
}

/// What there is to do by the clock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The message of this number, since then.
    Now { number: usize, since: u64 },
    /// Nothing for so many nanoseconds.
    In(u64),
}

impl Schedule {
    /// So many messages a second, from now on.
    pub(crate) fn new(rate: f64) -> Self {
        Self {
            interval: 1e9 / rate,
            begin: meter::now(),
            count: 0,
        }
    }

    /// Call this again until nothing is due.
    pub(crate) fn next(&mut self, now: u64) -> Due {
        let since = self.begin + (self.count as f64 * self.interval) as u64;
        if since > now {
            return Due::In(since - now);
        }
        let number = self.count as usize;
        self.count += 1;
        Due::Now { number, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_due_since_its_time() {
        let mut schedule = Schedule::new(1000.0);
        let begin = schedule.begin;
        for number in 0..3 {
            let since = begin + number as u64 * 1_000_000;
            assert_eq!(schedule.next(begin + 2_500_000), Due::Now { number, since });
        }
        assert_eq!(schedule.next(begin + 2_500_000), Due::In(500_000));
    }
}

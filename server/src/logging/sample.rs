//! Which of many like events are logged: an attack can cause a warning with each connection, and must not fill a disk.

use std::time::Duration;

use crate::clock::Now;
use crate::limit::{Allowance, Rate, Spent};

/// Of one kind of event; what is left out is counted by a metric, and told with the next line.
const ALLOWANCE: Allowance = Allowance {
    messages: Rate {
        per_second: 1.0,
        burst: 10.0,
    },
    bytes: Rate::NONE,
};

/// Says whether an event of a kind is to be logged.
#[derive(Debug)]
pub(crate) struct Samples {
    spent: Spent,
    suppressed: u64,
}

impl Samples {
    /// Nothing was logged yet.
    pub(crate) const fn new(now: Now) -> Self {
        Self {
            spent: Spent::nothing(&ALLOWANCE, since_1970(now)),
            suppressed: 0,
        }
    }

    /// How many were left out since the last one that was logged, if this one is to be.
    pub(crate) fn take(&mut self, now: Now) -> Option<u64> {
        let spent = self.spent.take(&ALLOWANCE, 1.0, 0.0, since_1970(now));
        if spent.is_ok() {
            return Some(std::mem::take(&mut self.suppressed));
        }
        self.suppressed += 1;
        None
    }
}

const fn since_1970(now: Now) -> Duration {
    Duration::from_millis(now.unix_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_some_are_logged_and_the_rest_is_told() {
        let mut now = Now::read();
        let mut samples = Samples::new(now);
        let logged = (0..1000).filter(|_| samples.take(now).is_some()).count();
        assert_eq!(logged, 10);
        now.unix_ms += 1000;
        assert_eq!(samples.take(now), Some(990));
        assert_eq!(samples.take(now), None);
    }
}

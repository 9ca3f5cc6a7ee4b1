//! The memory budget: what is done at which fill, in a declared order. Pure: who measures and acts is `net/memory.rs`.
//!
//! ```text
//!   Enough ──── above 85 % ───► Short: new connections are turned away
//!     ▲                          │   ▲
//!     └────── below 80 % ────────┘   │ below 90 %
//!                                │   │
//!                     above 95 % └───┴─► Critical: and those that hold the most are closed
//! ```
//!
//! What is short for 5 s does not become enough by itself: then those that hold the most are closed, too, until it is. Else a few
//! who hold much and do nothing would keep everybody else out.
//!
//! The gaps between the limits up and down keep it from changing with each connection.

use std::time::Duration;

/// How long new connections are turned away before others are closed for them.
const SHORT_MAX: Duration = Duration::from_secs(5);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// Nothing.
    Enough,
    /// New connections are turned away.
    Short,
    /// ... and those that hold the most are closed.
    Critical,
}

impl From<u8> for Level {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Enough,
            1 => Self::Short,
            _ => Self::Critical,
        }
    }
}

/// What follows from a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// From now on.
    pub(crate) level: Level,
    /// It was another before.
    pub(crate) has_changed: bool,
    /// Bytes to be freed at once.
    pub(crate) excess: u64,
}

/// A budget, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    max: u64,
    level: Level,
    /// When it was enough the last time.
    enough_at: Duration,
}

impl Budget {
    /// So many bytes.
    pub(crate) const fn new(max: u64) -> Self {
        Self {
            max,
            level: Level::Enough,
            enough_at: Duration::ZERO,
        }
    }

    /// The bytes of it.
    pub(crate) const fn max(&self) -> u64 {
        self.max
    }

    /// Whether this is so much that it is worth while to give back first what is only kept for later.
    pub(crate) const fn is_tight(&self, used: u64) -> bool {
        used >= self.percent(85) || !matches!(self.level, Level::Enough)
    }

    /// So much is in use, at a time since a start that the caller chooses.
    pub(crate) fn measure(&mut self, used: u64, now: Duration) -> Step {
        let before = self.level;
        self.level = match before {
            _ if used >= self.percent(95) => Level::Critical,
            Level::Critical if used >= self.percent(90) => Level::Critical,
            Level::Critical | Level::Short if used >= self.percent(80) => Level::Short,
            Level::Enough if used >= self.percent(85) => Level::Short,
            Level::Enough | Level::Short | Level::Critical => Level::Enough,
        };
        if self.level == Level::Enough {
            self.enough_at = now;
        }
        let is_long = self.enough_at + SHORT_MAX <= now;
        let excess = match self.level {
            Level::Enough => 0,
            Level::Short | Level::Critical if is_long => used.saturating_sub(self.percent(75)),
            Level::Short => 0,
            Level::Critical => used.saturating_sub(self.percent(90)),
        };
        Step {
            level: self.level,
            has_changed: self.level != before,
            excess,
        }
    }

    const fn percent(&self, percent: u64) -> u64 {
        (self.max as u128 * percent as u128 / 100) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_shedding_is_as_declared() {
        let mut budget = Budget::new(1000);
        let mut levels = |series: &[u64]| {
            let steps = series
                .iter()
                .map(|used| budget.measure(*used, Duration::ZERO).level);
            steps.collect::<Vec<_>>()
        };
        use Level::{Critical, Enough, Short};
        assert_eq!(
            levels(&[0, 849, 850, 849, 800]),
            [Enough, Enough, Short, Short, Short]
        );
        assert_eq!(levels(&[799, 849, 950]), [Enough, Enough, Critical]);
        assert_eq!(
            levels(&[949, 900, 899, 949, 950]),
            [Critical, Critical, Short, Short, Critical]
        );
        assert_eq!(levels(&[100]), [Enough]);
    }

    #[test]
    fn what_is_to_be_freed_is_what_is_above_ninety_percent() {
        let mut budget = Budget::new(1000);
        let mut measure = |used| budget.measure(used, Duration::ZERO);
        assert_eq!(measure(949).excess, 0);
        let step = measure(1100);
        assert_eq!((step.excess, step.has_changed), (200, true));
        let step = measure(901);
        assert_eq!((step.excess, step.has_changed), (1, false));
        assert_eq!(measure(899).excess, 0);
    }

    #[test]
    fn what_stays_short_is_made_enough() {
        let mut budget = Budget::new(1000);
        let mut excess = |used, seconds| {
            let step = budget.measure(used, Duration::from_secs(seconds));
            (step.level, step.excess)
        };
        assert_eq!(excess(100, 100), (Level::Enough, 0));
        assert_eq!(excess(870, 101), (Level::Short, 0));
        assert_eq!(excess(870, 104), (Level::Short, 0));
        assert_eq!(excess(870, 105), (Level::Short, 120));
        assert_eq!(excess(810, 106), (Level::Short, 60));
        assert_eq!(excess(750, 107), (Level::Enough, 0));
        assert_eq!(excess(870, 108), (Level::Short, 0), "it begins anew");
    }

    #[test]
    fn it_is_tight_from_where_something_would_be_done() {
        let mut budget = Budget::new(1000);
        assert!(!budget.is_tight(849) && budget.is_tight(850));
        budget.measure(850, Duration::ZERO);
        assert!(budget.is_tight(1), "until it has been measured again");
        assert_eq!(Level::from(Level::Short as u8), Level::Short);
    }
}

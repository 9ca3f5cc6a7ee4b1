//! How much of something is allowed in a time.

use std::time::Instant;

/// A rate and how far it may be overdrawn at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Units a second; 0 means no limit.
    pub per_second: f32,
    /// Units that may come at once after a pause.
    pub burst: f32,
}

/// A token bucket: full at first, filled again at its rate.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    tokens: f32,
    filled_at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub const fn full(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.burst, filled_at: now }
    }

    /// Takes one unit; `false` when there is none.
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        if rate.per_second == 0.0 {
            return true;
        }
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f32();
        self.tokens = elapsed.mul_add(rate.per_second, self.tokens).min(rate.burst);
        self.filled_at = now;
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RATE: Rate = Rate { per_second: 10.0, burst: 3.0 };

    #[test]
    fn the_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(RATE, start);
        let passed = |bucket: &mut TokenBucket, now| (0..10).filter(|_| bucket.take(RATE, now)).count();
        assert_eq!(passed(&mut bucket, start), 3);
        assert_eq!(passed(&mut bucket, start + Duration::from_millis(250)), 2);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(60)), 3);
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let none = Rate { per_second: 0.0, burst: 0.0 };
        let now = Instant::now();
        let mut bucket = TokenBucket::full(none, now);
        assert!((0..10_000).all(|_| bucket.take(none, now)));
    }
}

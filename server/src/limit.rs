//! How much of something is allowed in a time.

use std::time::Duration;

/// A rate and how far it may be overdrawn at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Units a second; 0 means no limit.
    pub per_second: f32,
    /// Units that may come at once after a pause.
    pub burst: f32,
}

/// A token bucket: full at first, filled again at its rate. Time is what passed since a start that the caller chooses, the same
/// for each call. There is one for each connection: so it counts milliseconds, and who is silent for 49 days may find less in
/// it than belongs there.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    tokens: f32,
    filled_at_ms: u32,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub const fn full(rate: Rate, now: Duration) -> Self {
        Self {
            tokens: rate.burst,
            filled_at_ms: now.as_millis() as u32,
        }
    }

    /// Takes one unit; `false` when there is none.
    pub fn take(&mut self, rate: Rate, now: Duration) -> bool {
        if rate.per_second == 0.0 {
            return true;
        }
        let now_ms = now.as_millis() as u32;
        let elapsed = now_ms.wrapping_sub(self.filled_at_ms) as f32 / 1000.0;
        self.tokens = elapsed
            .mul_add(rate.per_second, self.tokens)
            .min(rate.burst);
        self.filled_at_ms = now_ms;
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

    const RATE: Rate = Rate {
        per_second: 10.0,
        burst: 3.0,
    };

    #[test]
    fn the_burst_passes_and_then_the_rate() {
        let start = Duration::from_secs(7);
        let mut bucket = TokenBucket::full(RATE, start);
        let passed =
            |bucket: &mut TokenBucket, now| (0..10).filter(|_| bucket.take(RATE, now)).count();
        assert_eq!(passed(&mut bucket, start), 3);
        assert_eq!(passed(&mut bucket, start + Duration::from_millis(250)), 2);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(60)), 3);
    }

    #[test]
    fn however_often_it_is_asked_no_time_is_lost() {
        let mut bucket = TokenBucket::full(RATE, Duration::ZERO);
        let micros = (0..10_000_000).step_by(300);
        let passed = micros.filter(|micros| bucket.take(RATE, Duration::from_micros(*micros)));
        assert_eq!(passed.count(), 102, "three and ten a second");
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let none = Rate {
            per_second: 0.0,
            burst: 0.0,
        };
        let now = Duration::ZERO;
        let mut bucket = TokenBucket::full(none, now);
        assert!((0..10_000).all(|_| bucket.take(none, now)));
    }
}

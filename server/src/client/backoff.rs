//! How long to wait before the next try: twice as long each time, and never as long as the others who lost the same server.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// The first wait is up to this.
const FIRST: Duration = Duration::from_millis(50);

/// Waits between tries to connect.
#[derive(Debug)]
pub struct Backoff {
    longest: Duration,
    tries: u32,
    random: StdRng,
}

impl Backoff {
    /// Waits of up to `longest`.
    #[must_use]
    pub fn new(longest: Duration, seed: u64) -> Self {
        Self {
            longest,
            tries: 0,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// How long to wait now: at random between half and the whole of 50 ms, 100 ms, 200 ms, … and the longest.
    pub fn next_wait(&mut self) -> Duration {
        let whole = FIRST
            .saturating_mul(1 << self.tries.min(16))
            .min(self.longest);
        self.tries += 1;
        whole.mul_f64(self.random.random_range(0.5..=1.0))
    }

    /// It worked: the next wait is a short one.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ_between_clients() {
        let longest = Duration::from_secs(1);
        let waits = |seed| {
            let mut backoff = Backoff::new(longest, seed);
            (0..40).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        let (one, other) = (waits(1), waits(2));
        assert_ne!(one, other);
        for (index, wait) in one.iter().enumerate() {
            let whole = (FIRST * (1 << index.min(10))).min(longest);
            assert!((whole / 2..=whole).contains(wait), "{index}: {wait:?}");
        }
        let mut backoff = Backoff::new(longest, 3);
        let _ = (0..10).map(|_| backoff.next_wait()).max();
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }
}

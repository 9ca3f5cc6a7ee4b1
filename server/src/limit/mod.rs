//! How much of something is allowed: in a time (token buckets), from an address, and of the machine's memory. Pure: who keeps
//! these values and what becomes of who has too much is the chat's and the loop's business.

mod addresses;
mod memory;

use std::time::Duration;

pub(crate) use addresses::{AddressLimits, Addresses, Pass, Refused};
pub(crate) use memory::{Budget, Level, Step};

/// A rate and how far it may be overdrawn at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Units a second; 0 means no limit.
    pub per_second: f32,
    /// Units that may come at once after a pause.
    pub burst: f32,
}

impl Rate {
    /// No limit.
    pub const NONE: Self = Self {
        per_second: 0.0,
        burst: 0.0,
    };

    /// So many a second, and twice as many at once; 0 means no limit.
    #[must_use]
    pub const fn per_second(units: f32) -> Self {
        Self {
            per_second: units,
            burst: 2.0 * units,
        }
    }

    /// Whether there is no limit.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.per_second == 0.0
    }

    /// What is there after `elapsed`, of what was there before.
    fn filled(self, tokens: f32, elapsed: Duration) -> f32 {
        elapsed
            .as_secs_f32()
            .mul_add(self.per_second, tokens)
            .min(self.burst)
    }

    /// How long until `units` are there, if they are not. More than the burst is as much as that: it would never come.
    fn lacks(self, tokens: f32, units: f32) -> Option<Duration> {
        let lacking = units.min(self.burst) - tokens;
        let waits = !self.is_none() && lacking > 0.0;
        waits.then(|| {
            let seconds = (lacking / self.per_second).min(SECONDS_MAX);
            // Up: who comes back then does not come too early.
            Duration::from_millis((1000.0 * seconds).ceil() as u64)
        })
    }
}

/// The longest time that anybody is told to wait, in seconds.
const SECONDS_MAX: f32 = 3600.0;

/// What may be sent in a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// Messages.
    pub messages: Rate,
    /// Their bytes.
    pub bytes: Rate,
}

impl Allowance {
    /// No limit.
    pub const NONE: Self = Self {
        messages: Rate::NONE,
        bytes: Rate::NONE,
    };

    /// Whether there is no limit.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.messages.is_none() && self.bytes.is_none()
    }
}

/// Two token buckets, full at first, for an [`Allowance`]. Time is what passed since a start that the caller chooses, the same
/// for each call. There is one for each connection: so it counts milliseconds, and who is silent for 49 days may find less in
/// it than belongs there.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    messages_left: f32,
    bytes_left: f32,
    filled_at_ms: u32,
}

impl Spent {
    /// Nothing has been sent yet.
    #[must_use]
    pub const fn nothing(allowance: &Allowance, now: Duration) -> Self {
        Self {
            messages_left: allowance.messages.burst,
            bytes_left: allowance.bytes.burst,
            filled_at_ms: now.as_millis() as u32,
        }
    }

    /// Takes so many messages and bytes.
    ///
    /// # Errors
    /// There are not as many, and nothing is taken: the time after which there will be.
    pub fn take(
        &mut self,
        allowance: &Allowance,
        messages: f32,
        bytes: f32,
        now: Duration,
    ) -> Result<(), Duration> {
        self.fill(allowance, now);
        match self.lacks(allowance, messages, bytes) {
            None => {
                self.messages_left -= messages.min(allowance.messages.burst);
                self.bytes_left -= bytes.min(allowance.bytes.burst);
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }

    /// Takes what was sent already, and returns how long its sender is to pause for that.
    pub fn overdraw(&mut self, allowance: &Allowance, bytes: f32, now: Duration) -> Duration {
        if allowance.is_none() {
            return Duration::ZERO;
        }
        self.fill(allowance, now);
        self.messages_left -= 1.0;
        self.bytes_left -= bytes;
        self.lacks(allowance, 0.0, 0.0).unwrap_or_default()
    }

    /// Whether all that may be sent at once may be sent again: then nothing is lost by forgetting it.
    #[must_use]
    pub fn is_rested(mut self, allowance: &Allowance, now: Duration) -> bool {
        self.fill(allowance, now);
        let Allowance { messages, bytes } = allowance;
        self.lacks(allowance, messages.burst, bytes.burst).is_none()
    }

    fn fill(&mut self, allowance: &Allowance, now: Duration) {
        let now_ms = now.as_millis() as u32;
        let elapsed_ms = now_ms.wrapping_sub(self.filled_at_ms);
        // Messages that come together are of one moment.
        if elapsed_ms == 0 {
            return;
        }
        let elapsed = Duration::from_millis(elapsed_ms.into());
        self.messages_left = allowance.messages.filled(self.messages_left, elapsed);
        self.bytes_left = allowance.bytes.filled(self.bytes_left, elapsed);
        self.filled_at_ms = now_ms;
    }

    fn lacks(&self, allowance: &Allowance, messages: f32, bytes: f32) -> Option<Duration> {
        let messages = allowance.messages.lacks(self.messages_left, messages);
        let bytes = allowance.bytes.lacks(self.bytes_left, bytes);
        messages.max(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        messages: Rate {
            per_second: 10.0,
            burst: 3.0,
        },
        bytes: Rate {
            per_second: 1000.0,
            burst: 2000.0,
        },
    };

    fn passed(spent: &mut Spent, bytes: f32, now: Duration) -> usize {
        let takes = (0..10).filter(|_| spent.take(&ALLOWANCE, 1.0, bytes, now).is_ok());
        takes.count()
    }

    #[test]
    fn the_burst_passes_and_then_the_rate() {
        let start = Duration::from_secs(7);
        let mut spent = Spent::nothing(&ALLOWANCE, start);
        assert_eq!(passed(&mut spent, 0.0, start), 3);
        assert_eq!(
            passed(&mut spent, 0.0, start + Duration::from_millis(250)),
            2
        );
        assert_eq!(passed(&mut spent, 0.0, start + Duration::from_secs(60)), 3);
    }

    #[test]
    fn bytes_count_beside_messages() {
        let start = Duration::from_secs(7);
        let mut spent = Spent::nothing(&ALLOWANCE, start);
        assert_eq!(passed(&mut spent, 900.0, start), 2);
        let wait = spent.take(&ALLOWANCE, 1.0, 900.0, start).unwrap_err();
        assert!((700..=701).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(spent.take(&ALLOWANCE, 1.0, 900.0, start + wait), Ok(()));
        // More than can ever be there is let pass when all is there.
        let later = start + Duration::from_secs(60);
        assert_eq!(spent.take(&ALLOWANCE, 9.0, 9000.0, later), Ok(()));
        assert_eq!(passed(&mut spent, 1.0, later), 0);
    }

    #[test]
    fn however_often_it_is_asked_no_time_is_lost() {
        let mut spent = Spent::nothing(&ALLOWANCE, Duration::ZERO);
        let micros = (0..10_000_000).step_by(300);
        let passed = micros.filter(|micros| {
            let now = Duration::from_micros(*micros);
            spent.take(&ALLOWANCE, 1.0, 0.0, now).is_ok()
        });
        assert_eq!(passed.count(), 102, "three and ten a second");
    }

    #[test]
    fn what_was_overdrawn_is_waited_for() {
        let start = Duration::ZERO;
        let mut spent = Spent::nothing(&ALLOWANCE, start);
        assert_eq!(spent.overdraw(&ALLOWANCE, 100.0, start), Duration::ZERO);
        let pause = spent.overdraw(&ALLOWANCE, 4900.0, start);
        assert_eq!(pause, Duration::from_secs(3));
        assert_eq!(
            spent.overdraw(&ALLOWANCE, 0.0, start + pause),
            Duration::ZERO
        );
    }

    #[test]
    fn who_rests_for_long_enough_can_be_forgotten() {
        let start = Duration::ZERO;
        let mut spent = Spent::nothing(&ALLOWANCE, start);
        assert!(spent.is_rested(&ALLOWANCE, start));
        spent.take(&ALLOWANCE, 1.0, 1500.0, start).unwrap();
        assert!(!spent.is_rested(&ALLOWANCE, start + Duration::from_secs(1)));
        assert!(spent.is_rested(&ALLOWANCE, start + Duration::from_secs(2)));
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let now = Duration::ZERO;
        let mut spent = Spent::nothing(&Allowance::NONE, now);
        assert!((0..10_000).all(|_| spent.take(&Allowance::NONE, 1.0, 1e6, now).is_ok()));
        assert_eq!(spent.overdraw(&Allowance::NONE, 1e9, now), Duration::ZERO);
        assert!(spent.is_rested(&Allowance::NONE, now));
    }
}

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

    /// How long ago this was: to measure by, when a turn is over; nothing is decided by it.
    #[must_use]
    pub fn since(self) -> Duration {
        self.instant.elapsed()
    }
}

//! What time it is in Redis. By their times messages are let go, for all nodes: so one whose clock is wrong goes by that one.

use super::core::Core;
use crate::clock::Now;

/// A node's clock that differs so much from that of Redis is wrong; less may be what a link took.
const CLOCK_DIFFERS_MS: u64 = 60_000;

impl<C> Core<C> {
    /// What time it is in Redis.
    pub(super) fn note_clock(&mut self, unix_ms: Option<u64>) {
        let instant = self.now.instant;
        self.clock = unix_ms.map(|unix_ms| Now { instant, unix_ms });
        let ours = self.now.unix_ms;
        if self.time_of_redis(ours) != ours {
            tracing::warn!(
                event = "clock_differs",
                seconds = unix_ms.unwrap_or(ours).abs_diff(ours) / 1000,
                "this node's clock is not that of Redis: messages get the time of Redis"
            );
        }
    }

    /// A time of this node's clock, or that of Redis, if the two are far apart: by their times messages are let go, so one node's
    /// wrong clock would end what others said.
    pub(super) fn time_of_redis(&self, time: u64) -> u64 {
        let Some(clock) = self.clock else {
            return time;
        };
        let since = self.now.instant.saturating_duration_since(clock.instant);
        let there = clock.unix_ms + since.as_millis() as u64;
        if there.abs_diff(time) > CLOCK_DIFFERS_MS {
            there
        } else {
            time
        }
    }
}

//! What is counted. A message belongs to what is measured if it was due in that time, whenever it then arrived.

use std::collections::BTreeMap;
use std::ops::Range;

use super::series::Series;
use crate::histogram::Histogram;

/// How many different causes are told apart; a server's reasons may be of any kind.
const CAUSES_MAX: usize = 32;

/// The counts of a run.
#[derive(Debug)]
pub(super) struct Tally {
    /// The time that is measured, in nanoseconds since the run began; empty before.
    pub(super) window: Range<u64>,
    /// Messages, or handshakes that were begun.
    pub(super) sent: u64,
    /// How many are to arrive.
    pub(super) expected: u64,
    /// How many have.
    pub(super) received: u64,
    /// Messages that are no answer: what a server says by itself, or what was changed on its way.
    pub(super) unexpected: u64,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) pings: u64,
    /// Connections that were opened, and that were lost without our closing them.
    pub(super) opened: u64,
    pub(super) lost: u64,
    pub(super) errors: BTreeMap<String, u64>,
    /// From when something was due, or in a closed loop sent, to its answer.
    pub(super) latency: Histogram,
    /// From when something was due to when it was handed to the kernel.
    pub(super) lateness: Histogram,
    /// From connecting to the end of the handshake.
    pub(super) handshakes: Histogram,
    pub(super) series: Series,
    /// When the last answer came that belongs to what is measured.
    pub(super) heard_at: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            window: 0..0,
            sent: 0,
            expected: 0,
            received: 0,
            unexpected: 0,
            sent_bytes: 0,
            received_bytes: 0,
            pings: 0,
            opened: 0,
            lost: 0,
            errors: BTreeMap::new(),
            latency: Histogram::default(),
            lateness: Histogram::default(),
            handshakes: Histogram::default(),
            series: Series::default(),
            heard_at: 0,
        }
    }

    /// Something that was due then is on its way to so many.
    pub(super) fn sent(&mut self, due: u64, bytes: usize, expected: u64) {
        if let Some(slot) = self.series.at(due, &self.window) {
            slot.expected += expected;
            self.sent += 1;
            self.sent_bytes += bytes as u64;
            self.expected += expected;
        }
    }

    /// An answer to it has come.
    pub(super) fn received(&mut self, due: u64, bytes: usize, now: u64) {
        if !self.window.contains(&due) {
            return;
        }
        self.received += 1;
        self.received_bytes += bytes as u64;
        self.latency.add(now.saturating_sub(due), 1);
        self.heard_at = now;
        if let Some(slot) = self.series.at(now, &self.window) {
            slot.received += 1;
        }
    }

    /// So many that were due then or later went to the kernel only now.
    pub(super) fn handed_over(&mut self, due: u64, count: u64, now: u64) {
        if self.window.contains(&due) {
            self.lateness.add(now.saturating_sub(due), count);
        }
    }

    /// Something failed.
    pub(super) fn fail(&mut self, cause: &str) {
        self.fail_times(cause, 1);
    }

    /// As much failed for the same cause.
    pub(super) fn fail_times(&mut self, cause: &str, times: u64) {
        let is_known = self.errors.contains_key(cause) || self.errors.len() < CAUSES_MAX;
        let cause = if is_known { cause } else { "other causes" };
        *self.errors.entry(cause.to_owned()).or_default() += times;
    }

    /// Something that was due then failed.
    pub(super) fn fail_due(&mut self, due: u64, cause: &str) {
        if self.window.contains(&due) {
            self.fail(cause);
        }
    }

    /// What was sent and has not come.
    pub(super) const fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    pub(super) fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_due_in_the_window_counts_but_whenever_it_comes() {
        let mut tally = Tally::new();
        tally.window = 1000..2000;
        for due in [999, 1000, 1999, 2000] {
            tally.sent(due, 10, 3);
            tally.received(due, 10, 5000);
            tally.fail_due(due, "x");
        }
        assert_eq!((tally.sent, tally.expected, tally.received), (2, 6, 2));
        assert_eq!((tally.missing(), tally.errors_total()), (4, 2));
        assert_eq!(tally.latency.count(), 2);
        assert!(tally.latency.min() >= 3000);
    }

    #[test]
    fn causes_are_bounded() {
        let mut tally = Tally::new();
        (0..1000).for_each(|number| tally.fail(&number.to_string()));
        assert_eq!(tally.errors.len(), CAUSES_MAX + 1);
        assert_eq!(tally.errors["other causes"], 1000 - CAUSES_MAX as u64);
    }
}

//! Whether messages arrive: what is known of the canary, which the first worker sends through the log every few seconds and
//! each worker has delivered to a follower of its own; and whether there is memory for who comes. Health says that the process runs,
//! this that it is of use.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Canaries that may be missing before the server is not ready: one can be late without anything being wrong.
const INTERVALS_MAX: u32 = 3;

/// The reason before the first canaries have come back.
pub(crate) const STARTING: &str = "starting";

/// Why the log did not take the newest canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Failure {
    /// It did.
    None,
    /// The disk is full.
    StorageFull,
    /// The disk failed.
    StorageFailed,
    /// The logs are elsewhere, and cannot be reached.
    Unavailable,
}

/// What all workers know.
#[derive(Debug)]
pub(crate) struct Readiness {
    interval: Duration,
    workers: Box<[Heard]>,
    failure: AtomicU8,
    /// New connections are turned away for want of memory.
    is_memory_short: AtomicBool,
}

/// The newest canary that a worker heard.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Heard {
    /// When, in nanoseconds since the start; 0 before the first.
    at: AtomicU64,
    /// How long it took, in nanoseconds.
    latency: AtomicU64,
}

/// What `/ready` tells.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Answer {
    status: &'static str,
    /// A stable word, if it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// A sentence, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    canary: Canary,
}

#[derive(Debug, PartialEq, Serialize)]
struct Canary {
    /// Since the newest was heard, by the worker for which that is longest ago.
    age_ms: Option<u64>,
    /// How long the newest took, where it took longest.
    latency_ms: Option<f64>,
    interval_ms: u64,
}

impl Answer {
    pub(crate) const fn is_ready(&self) -> bool {
        self.reason.is_none()
    }

    /// Whether the first canaries have yet to come back.
    pub(crate) fn is_starting(&self) -> bool {
        self.reason == Some(STARTING)
    }

    /// Why not.
    pub(crate) const fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// The same, as a sentence.
    pub(crate) const fn message(&self) -> Option<&'static str> {
        self.message
    }
}

impl Readiness {
    /// Nothing was heard yet.
    pub(crate) fn new(workers: usize, interval: Duration) -> Self {
        Self {
            interval,
            workers: (0..workers).map(|_| Heard::default()).collect(),
            failure: AtomicU8::new(Failure::None as u8),
            is_memory_short: AtomicBool::new(false),
        }
    }

    /// A worker had a canary delivered at this time since the start.
    pub(crate) fn heard(&self, worker: usize, at: Duration, latency: Duration) {
        if let Some(heard) = self.workers.get(worker) {
            heard
                .latency
                .store(latency.as_nanos() as u64, Ordering::Relaxed);
            heard
                .at
                .store((at.as_nanos() as u64).max(1), Ordering::Relaxed);
        }
    }

    /// The process was stopped until this time since the start: what was heard before counts as heard now.
    pub(crate) fn excuse(&self, until: Duration) {
        let until = until.as_nanos() as u64;
        for heard in &self.workers {
            let later = |at: u64| (at > 0).then_some(at.max(until));
            let _ = heard
                .at
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        }
    }

    /// The log took the newest canary, or did not.
    pub(crate) fn placed(&self, failure: Failure) {
        self.failure.store(failure as u8, Ordering::Relaxed);
    }

    /// New connections are turned away for want of memory from now on, or no longer.
    pub(crate) fn memory_is_short(&self, is_short: bool) {
        self.is_memory_short.store(is_short, Ordering::Relaxed);
    }

    /// For each worker, the time since it heard one, or since the start.
    pub(crate) fn ages(&self, uptime: Duration) -> impl Iterator<Item = Duration> {
        let heard = self.workers.iter();
        heard.map(move |heard| {
            let at = Duration::from_nanos(heard.at.load(Ordering::Relaxed));
            uptime.saturating_sub(at)
        })
    }

    fn have_all_heard(&self) -> bool {
        let mut heard = self.workers.iter();
        heard.all(|heard| heard.at.load(Ordering::Relaxed) > 0)
    }

    /// How long the newest canary took, where it took longest; `None` before every worker has heard one.
    pub(crate) fn latency(&self) -> Option<Duration> {
        let latencies = self.workers.iter();
        let latencies = latencies.map(|heard| heard.latency.load(Ordering::Relaxed));
        let longest = latencies.max().filter(|_| self.have_all_heard());
        longest.map(Duration::from_nanos)
    }

    /// The same, or how long the next is overdue at this time since the start, if that is longer: a plot of the last one alone
    /// would be calm while none comes any more.
    pub(crate) fn delay(&self, uptime: Duration) -> Option<Duration> {
        let age = self.ages(uptime).max().unwrap_or_default();
        let overdue = age.saturating_sub(self.interval);
        self.latency().map(|latency| latency.max(overdue))
    }

    /// What is to be told at this time since the start.
    pub(crate) fn answer(&self, is_draining: bool, uptime: Duration) -> Answer {
        let all_heard = self.have_all_heard();
        let age = self.ages(uptime).max().unwrap_or_default();
        let failure = self.failure.load(Ordering::Relaxed);
        let is_late = age > INTERVALS_MAX * self.interval;
        let reason = match () {
            () if is_draining => Some(("draining", "The server is stopping.")),
            () if failure == Failure::StorageFull as u8 => {
                Some(("storage_full", "No space is left where the logs are kept."))
            }
            () if failure == Failure::StorageFailed as u8 => {
                Some(("storage_failed", "The logs' storage fails."))
            }
            () if failure == Failure::Unavailable as u8 => {
                Some(("unavailable", "The logs cannot be reached."))
            }
            () if is_late => Some(("canary_lost", "Messages do not come back from the log.")),
            () if !all_heard => Some((STARTING, "No message has come back from the log yet.")),
            () if self.is_memory_short.load(Ordering::Relaxed) => Some((
                "memory_short",
                "Memory is short: new connections are turned away.",
            )),
            () => None,
        };
        Answer {
            status: if reason.is_none() { "ready" } else { "unready" },
            reason: reason.map(|(word, _)| word),
            message: reason.map(|(_, sentence)| sentence),
            canary: Canary {
                age_ms: all_heard.then_some(age.as_millis() as u64),
                latency_ms: self
                    .latency()
                    .map(|latency| latency.as_nanos() as f64 / 1e6),
                interval_ms: self.interval.as_millis() as u64,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reason(readiness: &Readiness, uptime: Duration) -> Option<&'static str> {
        readiness.answer(false, uptime).reason()
    }

    #[test]
    fn it_is_ready_while_every_worker_hears_canaries() {
        let readiness = Readiness::new(2, 2 * SECOND);
        assert_eq!(reason(&readiness, SECOND), Some("starting"));
        assert_eq!(readiness.delay(SECOND), None, "none has come back");
        readiness.heard(0, SECOND, Duration::from_micros(1500));
        assert_eq!(reason(&readiness, SECOND), Some("starting"));
        readiness.heard(1, SECOND, Duration::ZERO);
        let expected = serde_json::json!({"status": "ready",
            "canary": {"age_ms": 1000, "latency_ms": 1.5, "interval_ms": 2000}});
        let answer = readiness.answer(false, 2 * SECOND);
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
        let delay = |uptime| readiness.delay(uptime);
        assert_eq!(delay(2 * SECOND), Some(Duration::from_micros(1500)));
        assert_eq!(delay(7 * SECOND), Some(4 * SECOND), "the next is overdue");
        readiness.heard(1, 5 * SECOND, Duration::ZERO);
        assert_eq!(reason(&readiness, 7 * SECOND), None);
        assert_eq!(
            reason(&readiness, 8 * SECOND),
            Some("canary_lost"),
            "the first heard none"
        );
        readiness.heard(0, 8 * SECOND, Duration::ZERO);
        assert_eq!(reason(&readiness, 8 * SECOND), None);
    }

    #[test]
    fn a_log_that_takes_none_and_a_drain_are_told_at_once() {
        let readiness = Readiness::new(1, 2 * SECOND);
        readiness.heard(0, SECOND, SECOND);
        readiness.placed(Failure::StorageFull);
        assert_eq!(reason(&readiness, SECOND), Some("storage_full"));
        readiness.placed(Failure::StorageFailed);
        assert_eq!(reason(&readiness, SECOND), Some("storage_failed"));
        assert_eq!(readiness.answer(true, SECOND).reason(), Some("draining"));
        readiness.placed(Failure::None);
        assert_eq!(reason(&readiness, SECOND), None);
    }

    #[test]
    fn who_comes_while_memory_is_short_is_to_go_elsewhere() {
        let readiness = Readiness::new(1, 2 * SECOND);
        readiness.memory_is_short(true);
        assert_eq!(
            reason(&readiness, SECOND),
            Some("starting"),
            "or it never would"
        );
        readiness.heard(0, SECOND, SECOND);
        assert_eq!(reason(&readiness, SECOND), Some("memory_short"));
        assert_eq!(
            reason(&readiness, 9 * SECOND),
            Some("canary_lost"),
            "is worse"
        );
        readiness.memory_is_short(false);
        assert_eq!(reason(&readiness, SECOND), None);
    }

    #[test]
    fn a_server_that_never_heard_one_is_not_starting_for_ever() {
        let readiness = Readiness::new(1, SECOND);
        assert_eq!(reason(&readiness, 3 * SECOND), Some("starting"));
        assert_eq!(reason(&readiness, 4 * SECOND), Some("canary_lost"));
    }
}

//! What all workers have counted, put together: each publishes its own numbers for the others, and tells the sum to whoever asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::histogram::SharedBuckets;
use super::readiness::{self, Readiness};
use super::{Counters, Durations};
use crate::clock::Now;
use crate::log::Activity;
use crate::recorder::EndCounts;

/// A worker may have a part of so much more than the one with the fewest connections.
const SHARE_EXCEEDED_BY: u64 = 32;

/// What all workers have published, and what else the whole server counts.
#[derive(Debug)]
pub(crate) struct Board {
    workers: Box<[Published]>,
    /// Whether messages arrive.
    pub(crate) readiness: Readiness,
    /// What the log's thread counts.
    pub(super) log: Arc<Activity>,
    /// When the server began.
    pub(super) started: Now,
}

/// What one has; cache lines of its own, since it is written in each turn.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Published {
    counters: [AtomicU64; Counters::COUNT],
    durations: [SharedBuckets; Durations::COUNT],
}

impl Published {
    fn counters(&self) -> Counters {
        Counters::from_numbers(
            self.counters
                .each_ref()
                .map(|number| number.load(Ordering::Relaxed)),
        )
    }

    pub(super) fn durations(&self) -> Durations {
        let [turn, delivery, canary] = self.durations.each_ref().map(SharedBuckets::load);
        Durations {
            turn,
            delivery,
            canary,
        }
    }
}

impl Board {
    /// For so many workers, which have counted nothing yet.
    pub(crate) fn new(
        workers: usize,
        readiness: Readiness,
        log: Arc<Activity>,
        started: Now,
    ) -> Arc<Self> {
        let published = || Published {
            counters: [const { AtomicU64::new(0) }; Counters::COUNT],
            durations: Default::default(),
        };
        Arc::new(Self {
            workers: (0..workers).map(|_| published()).collect(),
            readiness,
            log,
            started,
        })
    }

    /// One of a server that does nothing.
    #[cfg(test)]
    pub(crate) fn quiet(workers: usize) -> Arc<Self> {
        let readiness = Readiness::new(workers, Duration::from_secs(2));
        Self::new(workers, readiness, Arc::default(), Now::read())
    }

    /// How long the server has run, by a clock that never stood still.
    fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started.instant)
    }
}

/// What `/health` tells, seen from one worker.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    /// `up`, or `draining` once the server was told to stop.
    pub(crate) status: &'static str,
    /// How many connections there can be, of all workers together.
    pub(crate) connections_max: usize,
    /// This worker's own numbers.
    pub(crate) own: Counters,
    /// ... and durations.
    pub(crate) durations: Durations,
    /// Which this is.
    pub(crate) worker: usize,
    /// How much this worker's clock is behind that of the board.
    behind: Duration,
    pub(crate) board: Arc<Board>,
    /// Why connections ended, of all workers.
    pub(crate) ends: EndCounts,
}

/// The JSON document.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    workers: usize,
    connections_max: usize,
    #[serde(flatten)]
    sum: Counters,
}

impl Status {
    /// A server that is up, and has counted nothing yet.
    pub(crate) fn up(connections_max: usize, worker: usize, board: Arc<Board>) -> Self {
        Self {
            status: "up",
            connections_max,
            own: Counters::default(),
            durations: Durations::default(),
            ends: EndCounts::default(),
            worker,
            behind: Duration::ZERO,
            board,
        }
    }

    /// Notes how much this worker's clock is behind by now. If that is more than before, it has stood still, and nobody was
    /// silent meanwhile.
    pub(crate) fn set_behind(&mut self, behind: Duration, now: Instant) {
        if std::mem::replace(&mut self.behind, behind) < behind {
            self.board.readiness.excuse(self.uptime(now));
        }
    }

    /// How long the server has run, where this worker's clock says `now`.
    pub(crate) fn uptime(&self, now: Instant) -> Duration {
        self.board.uptime(now + self.behind)
    }

    /// The same, which counts ends where other workers do.
    pub(crate) fn with_ends(self, ends: EndCounts) -> Self {
        Self { ends, ..self }
    }

    /// This worker's own numbers with those that follow from others, which are not worth counting in each turn.
    fn counted(&self) -> Counters {
        let own = self.own;
        let others = own.chat_sockets
            + own.mqtt_sockets
            + own.socket_io_sessions
            + own.echo_sockets
            + own.relay_sockets
            + own.streams
            + own.polls;
        Counters {
            plain: own.connections.saturating_sub(others),
            busy: self.durations.turn.sum_nanoseconds(),
            ..own
        }
    }

    /// Tells the other workers.
    pub(crate) fn publish(&self) {
        // Who is alone tells nobody.
        if self.workers() > 1 {
            self.publish_to_others();
        }
    }

    fn publish_to_others(&self) {
        if let Some(published) = self.board.workers.get(self.worker) {
            for (published, number) in published.counters.iter().zip(self.counted().to_numbers()) {
                published.store(number, Ordering::Relaxed);
            }
            for (published, buckets) in published.durations.iter().zip(self.durations.all()) {
                published.store(buckets);
            }
        }
    }

    /// Open connections of the other workers, as they were at the ends of their turns.
    pub(crate) fn connections_of_others(&self) -> usize {
        let others = self.others().map(|(_, other)| {
            let [connections, ..] = &other.counters;
            connections.load(Ordering::Relaxed)
        });
        others.sum::<u64>() as usize
    }

    /// Where a new connection belongs if this worker, which has so many, has more than its share: to the one with the fewest, where it
    /// is counted at once.
    pub(crate) fn pass_on(&self, connections: usize) -> Option<usize> {
        let counted = self.others().map(|(worker, other)| {
            let [connections, ..] = &other.counters;
            (worker, connections)
        });
        let (worker, fewest) =
            counted.min_by_key(|(_, connections)| connections.load(Ordering::Relaxed))?;
        let few = fewest.load(Ordering::Relaxed);
        (connections as u64 > few + few / SHARE_EXCEEDED_BY).then(|| {
            // Until it publishes what it has itself.
            fewest.fetch_add(1, Ordering::Relaxed);
            worker
        })
    }

    /// Open connections of all workers, and how many they can take a second.
    pub(crate) fn connections_and_pace(&self) -> (usize, u64) {
        let sum = self.sum();
        (sum.connections as usize, sum.accepts_per_second)
    }

    pub(super) fn others(&self) -> impl Iterator<Item = (usize, &Published)> {
        let others = self.board.workers.iter().enumerate();
        others.filter(|(worker, _)| *worker != self.worker)
    }

    /// What all workers count: the others as they were at the ends of their turns.
    pub(crate) fn sum(&self) -> Counters {
        let others = self.others().map(|(_, other)| other.counters());
        Counters::sum(std::iter::once(self.counted()).chain(others))
    }

    /// Whether messages arrive, at this time.
    pub(crate) fn readiness(&self, now: Instant) -> readiness::Answer {
        let is_draining = self.status != "up";
        self.board.readiness.answer(is_draining, self.uptime(now))
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.board.workers.len()
    }

    /// The JSON document.
    pub(crate) fn to_json(&self) -> String {
        let health = Health {
            status: self.status,
            version: env!("CARGO_PKG_VERSION"),
            workers: self.workers(),
            connections_max: self.connections_max,
            sum: self.sum(),
        };
        // Numbers and plain words have no way to fail.
        serde_json::to_string(&health).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_the_sum_of_what_all_workers_count() {
        let board = Board::quiet(3);
        let worker = |worker| Status::up(10, worker, Arc::clone(&board));
        let mut statuses = [worker(0), worker(1), worker(2)];
        for (number, status) in statuses.iter_mut().enumerate() {
            status.own.connections = 1 << number;
            status.own.turns = 100;
            status.own.lag = 1_000_000_000 * number as u64;
            status.durations.turn.add(Duration::from_millis(1));
            status.publish();
        }
        assert_eq!(statuses[1].connections_of_others(), 5);
        assert_eq!(statuses[2].pass_on(1), None, "none has fewer");
        assert_eq!(statuses[2].pass_on(4), Some(0), "it has one");
        assert_eq!(statuses[2].pass_on(4), Some(0), "two");
        assert_eq!(statuses[2].pass_on(4), Some(1), "three, and the other two");
        statuses.iter().for_each(Status::publish);
        let health: serde_json::Value = serde_json::from_str(&statuses[2].to_json()).unwrap();
        assert_eq!(
            (&health["connections"], &health["turns"], &health["workers"]),
            (&7.into(), &300.into(), &3.into())
        );
        let metrics = statuses[0].to_metrics(board.started.instant);
        for line in [
            "tidewire_turns_total 300",
            "tidewire_connections 7",
            "tidewire_connections_by_kind{kind=\"http\"} 7",
            "tidewire_lag_seconds 2.000000000",
            "tidewire_turn_seconds_bucket{le=\"0.001\"} 3",
            "tidewire_canary_age_seconds{worker=\"2\"} 0.000000000",
            "tidewire_ready 0",
        ] {
            assert!(
                metrics.lines().any(|there| there == line),
                "{line}: {metrics}"
            );
        }
    }
}

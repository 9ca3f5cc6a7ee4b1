//! Counters: each worker has plain numbers, and publishes them once a turn for whoever is asked for the sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::recorder::EndCounts;

/// Makes [`Counters`] of a list: a field each, with its meaning, which is also what those who scrape it are told.
macro_rules! counters {
    ($($(#[doc = $meaning:literal])+ $name:ident,)+) => {
        /// What a worker counts.
        #[derive(Debug, Clone, Copy, Default, Serialize)]
        pub(crate) struct Counters {
            $($(#[doc = $meaning])+ pub(crate) $name: u64,)+
        }

        impl Counters {
            const COUNT: usize = [$(stringify!($name)),+].len();

            const fn to_numbers(self) -> [u64; Self::COUNT] {
                [$(self.$name),+]
            }

            const fn from_numbers([$($name),+]: [u64; Self::COUNT]) -> Self {
                Self { $($name),+ }
            }
        }
    };
}

counters! {
    /// Open connections of any kind.
    connections,
    /// Connections since the start.
    accepted,
    /// Connections turned away because all were taken.
    refused,
    /// Connections closed because they did not read fast enough.
    slow,
    /// Messages that clients sent.
    messages_in,
    /// Messages that were queued for clients.
    messages_out,
    /// Entries that the log took of this worker's clients.
    appended,
    /// Connections that are behind in a log, now.
    behind,
    /// Turns of the loop.
    turns,
    /// Turns in which nothing was done: a loop that spins shows here.
    idle_turns,
}

/// A worker may have a part of so much more than the one with the fewest connections.
const SHARE_EXCEEDED_BY: u64 = 32;

/// What all workers have published.
#[derive(Debug)]
pub(crate) struct Board(Box<[Published]>);

/// What one has; a cache line of its own, since it is written in each turn.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Published([AtomicU64; Counters::COUNT]);

impl Board {
    /// For so many workers, which have counted nothing yet.
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self((0..workers).map(|_| Default::default()).collect()))
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
    /// Why connections ended, of all workers.
    pub(crate) ends: EndCounts,
    worker: usize,
    board: Arc<Board>,
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
            ends: EndCounts::default(),
            worker,
            board,
        }
    }

    /// The same, which counts ends where other workers do.
    pub(crate) fn with_ends(self, ends: EndCounts) -> Self {
        Self { ends, ..self }
    }

    /// Tells the other workers.
    pub(crate) fn publish(&self) {
        // Who is alone tells nobody.
        if let (true, Some(published)) = (self.board.0.len() > 1, self.board.0.get(self.worker)) {
            for (published, number) in published.0.iter().zip(self.own.to_numbers()) {
                published.store(number, Ordering::Relaxed);
            }
        }
    }

    /// Open connections of the other workers, as they were at the ends of their turns.
    pub(crate) fn connections_of_others(&self) -> usize {
        let others = self.others().map(|others| others.connections);
        others.sum::<u64>() as usize
    }

    /// Where a new connection belongs if this worker, which has so many, has more than its share: to the one with the fewest, where it
    /// is counted at once.
    pub(crate) fn pass_on(&self, connections: usize) -> Option<usize> {
        let others = self.board.0.iter().enumerate();
        let others = others.filter(|(worker, _)| *worker != self.worker);
        let counted = others.map(|(worker, Published([connections, ..]))| (worker, connections));
        let (worker, fewest) =
            counted.min_by_key(|(_, connections)| connections.load(Ordering::Relaxed))?;
        let few = fewest.load(Ordering::Relaxed);
        (connections as u64 > few + few / SHARE_EXCEEDED_BY).then(|| {
            // Until it publishes what it has itself.
            fewest.fetch_add(1, Ordering::Relaxed);
            worker
        })
    }

    fn others(&self) -> impl Iterator<Item = Counters> {
        let others = self.board.0.iter().enumerate();
        let others = others.filter(|(worker, _)| *worker != self.worker);
        others.map(|(_, published)| {
            Counters::from_numbers(
                published
                    .0
                    .each_ref()
                    .map(|number| number.load(Ordering::Relaxed)),
            )
        })
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.board.0.len()
    }

    /// What all workers count: the others as they were at the ends of their turns.
    pub(crate) fn sum(&self) -> Counters {
        let sum = self.others().fold(self.own.to_numbers(), |mut sum, other| {
            let numbers = sum.iter_mut().zip(other.to_numbers());
            numbers.for_each(|(sum, number)| *sum += number);
            sum
        });
        Counters::from_numbers(sum)
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
        let board = Board::new(3);
        let worker = |worker| Status::up(10, worker, Arc::clone(&board));
        let mut statuses = [worker(0), worker(1), worker(2)];
        for (number, status) in statuses.iter_mut().enumerate() {
            status.own.connections = 1 << number;
            status.own.turns = 100;
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
    }
}

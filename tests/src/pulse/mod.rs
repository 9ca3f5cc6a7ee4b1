//! The pulse of nodes that share logs: in each of some rooms somebody says one number after another, and followers by HTTP check what
//! they are shown, while something goes wrong with the nodes, or with what has their logs. It tells when all goes on again.

mod poster;
mod witness;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::nodes::Nodes;
use crate::server::Server;
use poster::Poster;
pub use poster::Said;
use witness::{Transport, Witness};

/// Posters and followers.
#[derive(Debug)]
pub struct Pulse {
    shared: Arc<Shared>,
    /// One a room.
    posters: Vec<Poster>,
    witnesses: Vec<Witness>,
}

/// What all of them have in common.
#[derive(Debug)]
struct Shared {
    nodes: Vec<SocketAddr>,
    /// Whether a gap may be told, and what was acknowledged be missing then.
    gaps_allowed: bool,
    /// Set when nothing more is to be said.
    is_quiet: AtomicBool,
    /// Set when all are to end.
    is_over: AtomicBool,
    /// What should not have been.
    faults: Mutex<Vec<String>>,
    gaps: AtomicU64,
    returns: AtomicU64,
    shown: AtomicU64,
    /// When each number of each room was tried first, from 1 on.
    began: Vec<Mutex<Vec<Instant>>>,
}

/// What followers have counted.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Gaps that they were told of.
    pub gaps: u64,
    /// How often one had to come again.
    pub returns: u64,
    /// Messages that they were shown.
    pub shown: u64,
}

impl Pulse {
    /// Begins in so many rooms, with so many followers by event streams and as many by polls, each in a room and at a node of its
    /// own number.
    #[must_use]
    pub fn start(nodes: &Nodes, rooms: usize, followers: usize, gaps_allowed: bool) -> Self {
        let shared = Arc::new(Shared::new(nodes.addresses(), rooms, gaps_allowed));
        let posters = (0..rooms).map(|room| Poster::start(&shared, room));
        let posters = posters.collect();
        let witnesses = (0..followers).flat_map(|number| {
            let kinds = [(Transport::Events, number), (Transport::Polls, number + 1)];
            kinds.map(|(transport, node)| Witness::start(&shared, node, number % rooms, transport))
        });
        Self {
            witnesses: witnesses.collect(),
            posters,
            shared,
        }
    }

    /// Whether all followers have come.
    #[must_use]
    pub fn all_are_there(&self) -> bool {
        let mut witnesses = self.witnesses.iter();
        witnesses.all(|one| one.is_there.load(Ordering::Relaxed))
    }

    /// Whether a room has taken something that was tried after this moment.
    #[must_use]
    pub fn room_takes_messages(&self, room: usize, from: Instant) -> bool {
        self.posters[room].first_since(from).is_some()
    }

    /// Whether all rooms have.
    #[must_use]
    pub fn takes_messages(&self, from: Instant) -> bool {
        self.said_since(from).is_some()
    }

    /// Whether all rooms have, all followers have heard of it, and each node that is here is ready.
    #[must_use]
    pub fn has_gone_on(&self, from: Instant, nodes: &Nodes) -> bool {
        let Some(said) = self.said_since(from) else {
            return false;
        };
        let heard = |one: &Witness| one.newest.load(Ordering::Relaxed) >= said[one.room];
        self.witnesses.iter().all(heard) && nodes.all().all(Server::is_ready)
    }

    /// A number in each room that was tried after this moment, and acknowledged.
    fn said_since(&self, from: Instant) -> Option<Vec<u64>> {
        let said = |poster: &Poster| poster.first_since(from).map(|said| said.number);
        self.posters.iter().map(said).collect()
    }

    /// Lets posters come to their end: what they have begun to say they say until it is acknowledged.
    pub fn hush(&self) {
        self.shared.is_quiet.store(true, Ordering::Relaxed);
    }

    /// Whether they have, and all followers have heard the last of it.
    #[must_use]
    pub fn all_is_heard(&self) -> bool {
        let last = |poster: &Poster| poster.said().last().map_or(0, |said| said.number);
        let last: Vec<_> = self.posters.iter().map(last).collect();
        let all_ended = self.posters.iter().all(Poster::has_ended);
        let mut witnesses = self.witnesses.iter();
        all_ended && witnesses.all(|one| one.newest.load(Ordering::Relaxed) == last[one.room])
    }

    /// Lets everybody go, and waits for that; what they have found and measured is there afterwards.
    ///
    /// # Panics
    ///
    /// When one of them did.
    #[track_caller]
    pub fn end(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.posters.iter_mut().for_each(Poster::join);
        self.witnesses.iter_mut().for_each(Witness::join);
    }

    /// How many rooms there are.
    #[must_use]
    pub const fn rooms(&self) -> usize {
        self.posters.len()
    }

    /// What was acknowledged in a room.
    #[must_use]
    pub fn said(&self, room: usize) -> Vec<Said> {
        self.posters[room].said()
    }

    /// How long numbers took to followers of a room by event streams, those that were there when they were said.
    #[must_use]
    pub fn deliveries(&self, room: usize) -> Vec<(u64, Duration)> {
        let witnesses = self.witnesses.iter().filter(|one| one.room == room);
        witnesses.flat_map(Witness::deliveries).collect()
    }

    /// The newest number that each follower has heard.
    #[must_use]
    pub fn newest(&self) -> Vec<u64> {
        let witnesses = self.witnesses.iter();
        let newest = witnesses.map(|one| one.newest.load(Ordering::Relaxed));
        newest.collect()
    }

    /// What followers have counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            gaps: count(&self.shared.gaps),
            returns: count(&self.shared.returns),
            shown: count(&self.shared.shown),
        }
    }

    /// What followers were shown that should not have been: the first of it, and how much there is. Empty where nothing was.
    #[must_use]
    pub fn faults(&self) -> String {
        let faults = lock(&self.shared.faults);
        let shown: Vec<_> = faults.iter().take(10).cloned().collect();
        match faults.len() {
            0 => String::new(),
            count => format!("{count} faults: {}", shown.join("\n")),
        }
    }
}

impl Shared {
    fn new(nodes: Vec<SocketAddr>, rooms: usize, gaps_allowed: bool) -> Self {
        Self {
            nodes,
            gaps_allowed,
            is_quiet: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            faults: Mutex::default(),
            gaps: AtomicU64::new(0),
            returns: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            began: (0..rooms).map(|_| Mutex::default()).collect(),
        }
    }

    /// The next number of a room is tried for the first time.
    fn begins(&self, room: usize, at: Instant) {
        lock(&self.began[room]).push(at);
    }

    fn began(&self, room: usize, number: u64) -> Option<Instant> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        lock(&self.began[room]).get(index).copied()
    }

    fn fault(&self, what: String) {
        lock(&self.faults).push(what);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

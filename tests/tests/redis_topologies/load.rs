//! Those who publish and follow on nodes while where Redis is changes: what was acknowledged is heard by all, in order, or a gap says
//! that it is not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidewire_tests::Nodes;
use tidewire_tests::http::get;

use crate::poster::Poster;
use crate::witness::{Shared, Transport, Witness};

/// How long anything may take that has no time of its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// Posters, one a room, and followers of each.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    posters: Vec<Poster>,
    witnesses: Vec<Witness>,
}

impl Load {
    /// Everybody is there, and hears each other.
    #[track_caller]
    pub(crate) fn start(nodes: &Nodes, rooms: usize, gaps_allowed: bool) -> Self {
        let shared = Arc::new(Shared::new(nodes.addresses(), rooms, gaps_allowed));
        let posters = (0..rooms).map(|room| Poster::start(&shared, room));
        let posters = posters.collect();
        let witnesses = (0..rooms).flat_map(|room| {
            [Transport::Events, Transport::Polls]
                .into_iter()
                .enumerate()
                .map(move |(nth, transport)| (room, room + nth, transport))
        });
        let witnesses = witnesses
            .map(|(room, number, transport)| Witness::start(&shared, number, room, transport));
        let load = Self {
            witnesses: witnesses.collect(),
            posters,
            shared,
        };
        load.wait(nodes, "all followers have come", || {
            let mut witnesses = load.witnesses.iter();
            witnesses.all(|one| one.is_there.load(Ordering::Relaxed))
        });
        load.goes_on(nodes);
        load
    }

    /// Waits until what is said after this moment was acknowledged in each room and heard by all, and every node is ready.
    #[track_caller]
    pub(crate) fn goes_on(&self, nodes: &Nodes) {
        let from = Instant::now();
        self.wait(nodes, "all goes on", || {
            let said = |poster: &Poster| poster.first_since(from).map(|said| said.number);
            let Some(said) = self.posters.iter().map(said).collect::<Option<Vec<_>>>() else {
                return false;
            };
            let heard = |one: &Witness| one.newest.load(Ordering::Relaxed) >= said[one.room];
            let is_ready =
                |node: &tidewire_tests::Server| get(node.address(), "/ready").status == 200;
            self.witnesses.iter().all(heard) && nodes.all().all(is_ready)
        });
    }

    /// Waits until a room has taken something that was said after this moment, whatever the others do.
    #[track_caller]
    pub(crate) fn room_goes_on(&self, nodes: &Nodes, room: usize) {
        let from = Instant::now();
        self.wait(nodes, "a room takes messages", || {
            self.posters[room].first_since(from).is_some()
        });
    }

    /// How many messages of a room were acknowledged.
    pub(crate) fn acked(&self, room: usize) -> usize {
        self.posters[room].said().len()
    }

    /// Looks whether all that was acknowledged in a room is in its log, each number once and in order.
    #[track_caller]
    pub(crate) fn is_all_there(&self, nodes: &Nodes, room: usize) {
        let said = self.acked(room) as u64;
        let node = nodes.node(0).address();
        let (mut since, mut numbers) = (String::new(), Vec::new());
        while (numbers.len() as u64) < said {
            let target = format!("/api/rooms/pulse-{room}/messages?since={since}&limit=100");
            let page = get(node, &target).json();
            let messages = page["messages"].as_array().expect("messages");
            assert!(!messages.is_empty(), "{said} were said: {numbers:?}");
            let number = |message: &Value| message["content"].as_u64().expect("a number");
            numbers.extend(messages.iter().map(number));
            since = page["position"].as_str().expect("a position").to_owned();
        }
        let count = numbers.len() as u64;
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    }

    /// Lets everybody come to the end, where all have heard the last that was said.
    #[track_caller]
    pub(crate) fn finish(self, nodes: &Nodes) {
        self.shared.is_quiet.store(true, Ordering::Relaxed);
        self.wait(nodes, "all followers have all", || {
            let last = |poster: &Poster| poster.said().last().map_or(0, |said| said.number);
            let last: Vec<_> = self.posters.iter().map(last).collect();
            let all_ended = self.posters.iter().all(Poster::has_ended);
            let mut witnesses = self.witnesses.iter();
            all_ended && witnesses.all(|one| one.newest.load(Ordering::Relaxed) == last[one.room])
        });
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.posters.into_iter().for_each(Poster::join);
        self.witnesses.into_iter().for_each(Witness::join);
        let faults = self.shared.faults.lock().expect("no follower panics");
        assert!(faults.is_empty(), "{faults:#?}");
    }

    #[track_caller]
    fn wait(&self, nodes: &Nodes, what: &str, mut holds: impl FnMut() -> bool) {
        let from = Instant::now();
        while !holds() {
            if from.elapsed() > PATIENCE {
                let newest: Vec<_> = self.witnesses.iter().map(|one| &one.newest).collect();
                let logs: Vec<_> = nodes.all().map(|node| tail(&node.log())).collect();
                let faults = self.shared.faults.lock().expect("no follower panics");
                panic!(
                    "waited in vain until {what}; newest: {newest:?}; {faults:#?}\n{}",
                    logs.join("\n--\n")
                );
            }
            sleep(Duration::from_millis(20));
        }
    }
}

/// The end of a text.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

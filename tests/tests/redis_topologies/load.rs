//! Those who publish and follow on nodes while where Redis is changes: what was acknowledged is heard by all, in order, or a gap says
//! that it is not.

use std::time::{Duration, Instant};

use serde_json::Value;
use tidewire_tests::http::get;
use tidewire_tests::wait::holds_within;
use tidewire_tests::{Nodes, Pulse};

/// How long anything may take that has no time of its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// Posters, one a room, and two followers of each.
#[derive(Debug)]
pub(crate) struct Load {
    pulse: Pulse,
}

impl Load {
    /// Everybody is there, and hears each other.
    #[track_caller]
    pub(crate) fn start(nodes: &Nodes, rooms: usize, gaps_allowed: bool) -> Self {
        let pulse = Pulse::start(nodes, rooms, rooms, gaps_allowed);
        let load = Self { pulse };
        load.wait(nodes, "all followers have come", || {
            load.pulse.all_are_there()
        });
        load.goes_on(nodes);
        load
    }

    /// Waits until what is said after this moment was acknowledged in each room and heard by all, and every node is ready.
    #[track_caller]
    pub(crate) fn goes_on(&self, nodes: &Nodes) {
        let from = Instant::now();
        self.wait(nodes, "all goes on", || self.pulse.has_gone_on(from, nodes));
    }

    /// Waits until a room has taken something that was said after this moment, whatever the others do.
    #[track_caller]
    pub(crate) fn room_goes_on(&self, nodes: &Nodes, room: usize) {
        let from = Instant::now();
        self.wait(nodes, "a room takes messages", || {
            self.pulse.room_takes_messages(room, from)
        });
    }

    /// How many messages of a room were acknowledged.
    pub(crate) fn acked(&self, room: usize) -> usize {
        self.pulse.said(room).len()
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
    pub(crate) fn finish(mut self, nodes: &Nodes) {
        self.pulse.hush();
        self.wait(nodes, "all followers have all", || {
            self.pulse.all_is_heard()
        });
        self.pulse.end();
        assert_eq!(self.pulse.faults(), "");
    }

    #[track_caller]
    fn wait(&self, nodes: &Nodes, what: &str, holds: impl FnMut() -> bool) {
        if !holds_within(PATIENCE, holds) {
            let (faults, newest) = (self.pulse.faults(), self.pulse.newest());
            let nodes = nodes.told();
            panic!("waited in vain until {what}; newest: {newest:?}; {faults}\n{nodes}");
        }
    }
}

//! The world: nodes, clients, links with their delays, one Redis or NATS, and the time.

mod checks;
mod clients;
mod faults;
mod guides;
mod nats;
mod server;
mod servers;
mod side;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::core::{Ask, Core, Hear, Heard, Said};
use super::super::guide::Told;
use super::super::masters::Purpose;
use super::follower::Feeds;
use super::jetstream::JetStream;
use super::redis::Redis;
use crate::clock::Now;
use crate::ids::LogName;
use crate::log::disk::simulation::Dice;
use crate::log::remote::{Action, Link};
use crate::log::shared::{Ack, Bucket, Settings};
use crate::log::{Entry, Part, Position, Rules};
pub(super) use faults::Weather;
pub(super) use servers::{Server, Topology};
use side::Side;

const MS: u64 = 1000;

/// Beyond its deadline no sender waits for so long.
const SLACK: u64 = 5 * MS;

/// What comes back with an answer.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Append {
        log: LogName,
        message: u64,
        at: u64,
    },
    Page {
        log: LogName,
        follower: u64,
    },
    /// What is there of a log, of which so many messages, of all that were acked, were acked before.
    History {
        log: LogName,
        part: Part,
        acked: usize,
    },
}

#[derive(Debug)]
enum Event {
    /// With the port that it goes to, and the newest process when it began to.
    Reached(usize, Link, u16, u64),
    Question(usize, Link),
    Told(usize, Link, Told),
    /// Who says where masters are hears of it.
    Gossip,
    /// A master is none any more, and says so.
    Demoted(usize),
    /// A replica takes the place of a master that is gone.
    Promoted(usize),
    /// The keys of a bucket are with its next master; then it is its master.
    Given(Bucket),
    Moved(Bucket),
    ToRedis(usize, Link, Ask),
    HearToRedis(usize, Link, Hear),
    FromRedis(usize, Link, Said),
    Heard(usize, Link, Heard),
    Closed(usize, Link),
    ReadOn(usize, LogName, u64),
    SendAgain(u64),
    Retry(usize, Link),
    Thaw,
    /// Redis stops waiting for its replica on behalf of a link.
    Counted(usize, Link),
    ToNats(usize, Link, Bytes),
    FromNats(usize, Link, Bytes),
}

/// A link, seen from both ends.
#[derive(Debug, Default)]
struct Wire {
    is_commands: bool,
    /// To which server.
    server: usize,
    /// The next command is one for a bucket that is on its way there.
    is_asking: bool,
    /// Its end is ahead: until then things may still arrive.
    ends_at: Option<u64>,
    there: u64,
    back: u64,
    subscribed: HashSet<LogName>,
    /// Redis waits for its replica before it looks at what else came.
    counts: bool,
    behind: VecDeque<Ask>,
    /// Of NATS: until when each lane of what comes back is in order.
    lanes: HashMap<String, u64>,
}

pub(super) struct Node {
    pub(super) core: Side,
    pub(super) feeds: Feeds,
    wires: BTreeMap<Link, Wire>,
    /// Its clock is behind by so many milliseconds.
    pub(super) clock_behind: u64,
    /// The most pages that it had asked for at once.
    pub(super) pages_asked: usize,
}

/// A message, and what is known of it.
#[derive(Debug, Clone)]
struct Sent {
    log: LogName,
    has_key: bool,
    tries: u32,
    /// Where it was sent last.
    node: usize,
    /// Its sender was told that it may not be there.
    was_refused: bool,
}

pub(super) struct World {
    pub(super) dice: Dice,
    start: Now,
    pub(super) time: u64,
    events: BTreeMap<(u64, u64), Event>,
    /// What came to Redis while it stood still, in order.
    backlog: Vec<Event>,
    order: u64,
    pub(super) servers: Vec<Server>,
    /// Which of them has each bucket.
    pub(super) owners: Vec<usize>,
    /// The same, as who is asked says it.
    pub(super) known: Vec<usize>,
    /// Buckets on their way: where to, and whether their keys are there.
    pub(super) moving: BTreeMap<Bucket, (usize, bool)>,
    pub(super) topology: Topology,
    /// How often something was asked of who had it not, or not all of it.
    pub(super) redirected: [u64; 3],
    nats: Option<Box<JetStream>>,
    runs: u64,
    pub(super) snapshot: Redis,
    /// What the replica has, while it is cut off.
    pub(super) replica: Option<Redis>,
    pub(super) weather: Weather,
    pub(super) nodes: Vec<Node>,
    messages: HashMap<u64, Sent>,
    next: u64,
    /// What is at each place, as anybody was told.
    places: HashMap<(LogName, Position), u64>,
    /// The places of messages with keys.
    keyed: HashMap<u64, HashSet<Position>>,
    pub(super) acked: Vec<(LogName, Position, u64)>,
    /// What was acked before somebody read a log that ended before it: it was not there any more, or not shown.
    unshown: Vec<(LogName, Position)>,
    pub(super) unavailable: u64,
    open: i64,
    pub(super) asked_history: i64,
}

impl Node {
    fn new(number: usize, seed: u64, replicas: bool, topology: Topology, start: Now) -> Self {
        let settings = Settings {
            node: format!("node-{number}"),
            ack: if replicas {
                Ack::Replicas(NonZeroU8::MIN)
            } else {
                Ack::Primary
            },
            timeout: Duration::from_secs(2),
            command_timeout: Duration::from_secs(5),
        };
        let rules = Arc::new(Rules::default());
        let mut core = Core::new(settings, rules, seed, start);
        topology.begin(&mut core);
        Self {
            core: Side::Redis(Box::new(core)),
            feeds: Feeds::default(),
            wires: BTreeMap::new(),
            clock_behind: 0,
            pages_asked: 0,
        }
    }
}

impl World {
    pub(super) fn new(seed: u64, nodes: usize, saves_always: bool, replicas: bool) -> Self {
        Self::with(seed, nodes, saves_always, replicas, Topology::Single)
    }

    pub(super) fn with(
        seed: u64,
        nodes: usize,
        saves_always: bool,
        replicas: bool,
        topology: Topology,
    ) -> Self {
        let start = Now {
            unix_ms: 1_000_000,
            ..Now::read()
        };
        let mut dice = Dice::new(seed);
        let node = |number| Node::new(number, dice.next(), replicas, topology, start);
        let nodes = (0..nodes).map(node).collect();
        let redis = Redis::new(saves_always);
        let servers = topology.servers(&redis);
        let owners: Vec<usize> = (0..Bucket::COUNT).map(|it| it % servers.len()).collect();
        Self {
            dice,
            start,
            time: 0,
            events: BTreeMap::new(),
            backlog: Vec::new(),
            order: 0,
            snapshot: redis,
            nats: None,
            replica: None,
            runs: servers.len() as u64,
            known: owners.clone(),
            owners,
            redirected: [0; 3],
            moving: BTreeMap::new(),
            topology,
            servers,
            weather: Weather::default(),
            nodes,
            messages: HashMap::new(),
            next: 0,
            places: HashMap::new(),
            keyed: HashMap::new(),
            acked: Vec::new(),
            unshown: Vec::new(),
            unavailable: 0,
            open: 0,
            asked_history: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now {
            instant: self.start.instant + Duration::from_micros(self.time),
            unix_ms: self.start.unix_ms + self.time / MS,
        }
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.at(self.time + delay, event);
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.events.insert((time, self.order), event);
    }

    /// Lets it go on until then.
    pub(super) fn run_until(&mut self, end: u64) {
        for node in 0..self.nodes.len() {
            self.settle(node);
        }
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 4_000_000, "it turns and turns");
            let next = self
                .events
                .keys()
                .next()
                .map_or(u64::MAX, |(time, _)| *time);
            let (due, node) = self.next_timeout();
            if next.min(due) > end {
                self.time = end;
                return;
            }
            if due < next {
                self.time = due.max(self.time);
                let now = self.now();
                self.nodes[node].core.handle_timeout(now);
                self.settle(node);
                continue;
            }
            if let Some(((time, _), event)) = self.events.pop_first() {
                self.time = time;
                self.happen(event);
            }
        }
    }

    fn next_timeout(&self) -> (u64, usize) {
        let nodes = self.nodes.iter().enumerate();
        let timeout = |(index, node): (usize, &Node)| {
            let at = node.core.poll_timeout()?;
            let micros = at
                .saturating_duration_since(self.start.instant)
                .as_nanos()
                .div_ceil(1000);
            Some((micros as u64, index))
        };
        nodes.filter_map(timeout).min().unwrap_or((u64::MAX, 0))
    }

    fn happen(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Reached(node, link, ..) if self.nodes[node].core.is_guide(link) => {
                self.guide_reached(node, link);
                self.settle(node);
            }
            Event::Reached(node, link, port, run) => self.arrive(node, link, port, run),
            Event::Retry(node, link) => self.tell_closed(node, link, "refused"),
            Event::ToRedis(node, link, ask) => self.redis_takes(node, link, ask),
            Event::HearToRedis(node, link, hear) => self.redis_hears(node, link, hear),
            Event::FromRedis(node, link, said) => {
                if self.nodes[node].wires.contains_key(&link) {
                    self.nodes[node].core.said(link, said, now);
                    self.settle(node);
                }
            }
            Event::Heard(node, link, heard) => {
                if self.nodes[node].wires.contains_key(&link) {
                    self.nodes[node].core.heard(link, heard, now);
                    self.settle(node);
                }
            }
            Event::ToNats(node, link, bytes) => self.nats_takes(node, link, bytes),
            Event::FromNats(node, link, bytes) => self.nats_says(node, link, &bytes),
            Event::Closed(node, link) => {
                if self.nodes[node].wires.remove(&link).is_some() {
                    self.tell_closed(node, link, "closed");
                }
            }
            Event::ReadOn(node, log, follower) => self.read_on(node, &log, follower),
            Event::Question(node, link) => self.guide_asked(node, link),
            Event::Told(node, link, told) => {
                if self.nodes[node].wires.contains_key(&link) {
                    self.nodes[node].core.told(link, told, now);
                    self.settle(node);
                }
            }
            Event::Gossip => self.gossip(),
            Event::Demoted(server) => self.demoted(server),
            Event::Promoted(server) => self.takes_place(server),
            Event::Given(bucket) => self.given(bucket),
            Event::Moved(bucket) => self.moved(bucket),
            Event::Thaw => self.thaw(),
            Event::Counted(node, link) => self.counted(node, link),
            Event::SendAgain(message) => {
                let node = self.dice.below(self.nodes.len() as u64) as usize;
                self.send(node, message);
            }
        }
    }

    /// A node hears that a link is gone, if it still wants it.
    fn tell_closed(&mut self, node: usize, link: Link, why: &str) {
        let now = self.now();
        let core = &mut self.nodes[node].core;
        if core.is_guide(link) {
            core.guide_closed(why, now);
        } else if core.way_of(link).is_some() {
            core.closed(link, now);
        } else {
            return;
        }
        self.settle(node);
    }

    fn delay(&mut self) -> u64 {
        if self.weather.slow_until > self.time {
            return self.dice.below(500 * MS);
        }
        if self.dice.percent(2) {
            return self.dice.below(50 * MS);
        }
        100 + self.dice.below(2 * MS)
    }

    /// Takes from a node what it has to send and to tell.
    fn settle(&mut self, node: usize) {
        loop {
            let mut worked = false;
            self.nodes[node].core.send_all();
            let asked = self.nodes[node].core.masters.iter();
            let asked = asked.flat_map(|master| &master.sent);
            let pages = asked.filter(|sent| matches!(sent.purpose, Purpose::Page(_)));
            let pages = pages.count();
            let most = &mut self.nodes[node].pages_asked;
            *most = pages.max(*most);
            while let Some(action) = self.nodes[node].core.poll_action() {
                worked = true;
                match action {
                    Action::Open(link, target) => {
                        let (delay, run) = (self.delay(), self.runs);
                        self.after(delay, Event::Reached(node, link, target.port, run));
                    }
                    Action::Close(link) => {
                        self.nodes[node].wires.remove(&link);
                        if let Some(nats) = &mut self.nats {
                            nats.closed((node, link));
                        }
                    }
                }
            }
            let links: Vec<Link> = self.nodes[node].wires.keys().copied().collect();
            for link in links {
                worked |= self.take_from(node, link);
            }
            let mut replies = Vec::new();
            self.nodes[node].core.take_replies(&mut replies);
            worked |= !replies.is_empty();
            for reply in replies {
                self.reply(node, reply);
            }
            if !worked {
                return;
            }
        }
    }

    fn take_from(&mut self, node: usize, link: Link) -> bool {
        if self.nats.is_some() {
            return self.take_bytes(node, link);
        }
        let mut worked = false;
        while let Some(ask) = self.nodes[node].core.take_ask(link).cloned() {
            worked = true;
            if let Some(at) = self.sent_at(node, link) {
                self.at(at, Event::ToRedis(node, link, ask));
            }
        }
        if self.nodes[node].core.take_question(link) {
            worked = true;
            if let Some(at) = self.sent_at(node, link) {
                self.at(at, Event::Question(node, link));
            }
        }
        while let Some(hear) = self.nodes[node].core.take_hear(link) {
            worked = true;
            if let Some(at) = self.sent_at(node, link) {
                self.at(at, Event::HearToRedis(node, link, hear));
            }
        }
        worked
    }

    /// When what is sent now arrives, if it does.
    fn sent_at(&mut self, node: usize, link: Link) -> Option<u64> {
        let (time, delay) = (self.time, self.delay());
        let wire = self.nodes[node].wires.get_mut(&link)?;
        wire.there = wire.there.max(time + delay);
        wire.ends_at
            .is_none_or(|end| wire.there < end)
            .then_some(wire.there)
    }
}

fn number_of(entry: &Entry) -> u64 {
    entry.draft.content.get().parse().expect("it is a number")
}

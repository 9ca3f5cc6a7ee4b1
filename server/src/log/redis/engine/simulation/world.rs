//! The world: nodes, clients, links with their delays, one Redis, and the time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::super::core::{Ask, Core, Hear, Heard, Hello, Said};
use super::follower::{Feed, Feeds, Follower};
use super::redis::{Redis, run_id};
use crate::clock::Now;
use crate::ids::{LogName, Session, UserName};
use crate::log::disk::simulation::Dice;
use crate::log::redis::{Ack, Answer, Command, Failure, RedisOptions, Topology};
use crate::log::remote::{Action, Link, Target};
use crate::log::{
    AppendError, Draft, Entry, Epoch, PageMax, Placed, Position, ReadFrom, Reply, Request, Rules,
    Since, StoreError,
};

const MS: u64 = 1000;

/// Beyond its deadline no sender waits for so long.
const SLACK: u64 = 5 * MS;

/// What comes back with an answer.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Append { log: LogName, message: u64, at: u64 },
    Page { log: LogName, follower: u64 },
    History,
}

#[derive(Debug)]
enum Event {
    Reached(usize, Link, u64),
    ToRedis(usize, Link, Ask),
    HearToRedis(usize, Link, Hear),
    FromRedis(usize, Link, Said),
    Heard(usize, Link, Heard),
    Closed(usize, Link),
    ReadOn(usize, LogName, u64),
    SendAgain(u64),
    Retry(usize, Link),
    Thaw,
}

/// A link, seen from both ends.
#[derive(Debug, Default)]
struct Wire {
    is_commands: bool,
    /// Its end is ahead: until then things may still arrive.
    ends_at: Option<u64>,
    there: u64,
    back: u64,
    subscribed: HashSet<LogName>,
}

pub(super) struct Node {
    pub(super) core: Core<Asked>,
    pub(super) feeds: Feeds,
    wires: BTreeMap<Link, Wire>,
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

/// How the world is at the moment.
#[derive(Debug, Default)]
pub(super) struct Weather {
    pub(super) is_down: bool,
    pub(super) frozen_until: u64,
    pub(super) loading_until: u64,
    pub(super) full_until: u64,
    pub(super) lossy_until: u64,
    pub(super) slow_until: u64,
    pub(super) lonely_until: u64,
}

pub(super) struct World {
    pub(super) dice: Dice,
    start: Now,
    pub(super) time: u64,
    events: BTreeMap<(u64, u64), Event>,
    /// What came to Redis while it stood still, in order.
    backlog: Vec<Event>,
    order: u64,
    pub(super) redis: Redis,
    runs: u64,
    pub(super) snapshot: Redis,
    pub(super) weather: Weather,
    pub(super) nodes: Vec<Node>,
    messages: HashMap<u64, Sent>,
    next: u64,
    /// What is at each place, as anybody was told.
    places: HashMap<(LogName, Position), u64>,
    /// The places of messages with keys.
    keyed: HashMap<u64, HashSet<Position>>,
    pub(super) acked: Vec<(LogName, Position, u64)>,
    pub(super) unavailable: u64,
    open: i64,
    asked_history: i64,
}

impl World {
    pub(super) fn new(seed: u64, nodes: usize, saves_always: bool, replicas: bool) -> Self {
        let start = Now {
            unix_ms: 1_000_000,
            ..Now::read()
        };
        let mut dice = Dice::new(seed);
        let node = |number: usize| {
            let target = Target {
                host: "redis".to_owned(),
                port: 6379,
            };
            let topology = Topology::Single {
                target: target.clone(),
                database: 0,
            };
            let mut options = RedisOptions::new(topology, format!("node-{number}"));
            if replicas {
                options.ack = Ack::Replicas(NonZeroU8::MIN);
            }
            let mut core = Core::new(&options, Arc::new(Rules::default()), dice.next(), start);
            core.use_single(target);
            Node {
                core,
                feeds: Feeds::default(),
                wires: BTreeMap::new(),
            }
        };
        let nodes = (0..nodes).map(node).collect();
        let redis = Redis::new(saves_always);
        Self {
            dice,
            start,
            time: 0,
            events: BTreeMap::new(),
            backlog: Vec::new(),
            order: 0,
            snapshot: redis.clone(),
            redis,
            runs: 1,
            weather: Weather::default(),
            nodes,
            messages: HashMap::new(),
            next: 0,
            places: HashMap::new(),
            keyed: HashMap::new(),
            acked: Vec::new(),
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
            Event::Reached(node, link, run) => {
                let is_commands = self.nodes[node].core.way_of(link).map(|(_, is)| is);
                let Some(is_commands) = is_commands else {
                    return;
                };
                let is_lonely = node == 0 && self.weather.lonely_until > self.time;
                if self.weather.is_down || is_lonely || run != self.runs {
                    self.nodes[node].core.closed(link, now);
                } else if self.weather.frozen_until > self.time {
                    let wait = self.weather.frozen_until - self.time;
                    // The handshake takes too long.
                    let event = if wait > 5000 * MS {
                        Event::Retry(node, link)
                    } else {
                        Event::Reached(node, link, run)
                    };
                    self.after(wait.min(5000 * MS), event);
                } else {
                    self.nodes[node].wires.insert(
                        link,
                        Wire {
                            is_commands,
                            ..Wire::default()
                        },
                    );
                    let hello = Hello {
                        run_id: run_id(self.redis.run_id),
                        saves_always: self.redis.saves_always,
                    };
                    if is_commands {
                        self.nodes[node].core.commands_ready(link, hello, now);
                    } else {
                        self.nodes[node].core.announcements_ready(link, now);
                    }
                }
                self.settle(node);
            }
            Event::Retry(node, link) => {
                if self.nodes[node].core.way_of(link).is_some() {
                    self.nodes[node].core.closed(link, now);
                    self.settle(node);
                }
            }
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
            Event::Closed(node, link) => {
                if self.nodes[node].wires.remove(&link).is_some() {
                    self.nodes[node].core.closed(link, now);
                    self.settle(node);
                }
            }
            Event::ReadOn(node, log, follower) => {
                let feed = self.nodes[node].feeds.0.get(&log);
                let reader = feed.and_then(|feed| {
                    feed.followers
                        .iter()
                        .find(|reader| reader.number == follower)
                });
                if let Some(from) = reader.and_then(|reader| reader.reading) {
                    self.ask_page(node, &log, follower, from);
                    self.settle(node);
                }
            }
            Event::Thaw => self.thaw(),
            Event::SendAgain(message) => {
                let node = self.dice.below(self.nodes.len() as u64) as usize;
                self.send(node, message);
            }
        }
    }

    fn redis_takes(&mut self, node: usize, link: Link, ask: Ask) {
        if self.weather.is_down {
            return;
        }
        if self.is_frozen() {
            // It is in the socket, and will be read, even if nobody waits any more.
            return self.backlog.push(Event::ToRedis(node, link, ask));
        }
        let said = match ask {
            Ask::Wait(..) => Said::Waited(!self.dice.percent(5)),
            Ask::Command(command) => Said::Answer(self.answer(&command)),
        };
        self.announce();
        let delay = self.delay();
        let time = self.time;
        if let Some(wire) = self.nodes[node].wires.get_mut(&link) {
            wire.back = wire.back.max(time + delay);
            let at = wire.back;
            self.at(at, Event::FromRedis(node, link, said));
        }
    }

    /// Redis stands still, or did when something came that it has not read yet.
    fn is_frozen(&mut self) -> bool {
        if self.weather.frozen_until > self.time && self.backlog.is_empty() {
            self.at(self.weather.frozen_until, Event::Thaw);
        }
        self.weather.frozen_until > self.time || !self.backlog.is_empty()
    }

    fn thaw(&mut self) {
        if self.weather.frozen_until > self.time {
            return self.at(self.weather.frozen_until, Event::Thaw);
        }
        for event in std::mem::take(&mut self.backlog) {
            self.happen(event);
        }
    }

    fn answer(&mut self, command: &Command) -> Answer {
        let unable = |what: &str| Answer::Failed(Failure::Unable(what.to_owned()));
        if self.weather.loading_until > self.time {
            return unable("LOADING Redis is loading the dataset in memory");
        }
        if self.weather.full_until > self.time && matches!(command, Command::Append { .. }) {
            return unable("OOM command not allowed when used memory > 'maxmemory'.");
        }
        let unix_ms = self.now().unix_ms;
        self.redis.run(command, unix_ms)
    }

    /// What was announced is on its way to those who hear it, unless it is lost.
    fn announce(&mut self) {
        for (log, head) in std::mem::take(&mut self.redis.announced) {
            for node in 0..self.nodes.len() {
                let links: Vec<Link> = self.nodes[node]
                    .wires
                    .iter()
                    .filter(|(_, wire)| wire.subscribed.contains(&log))
                    .map(|(link, _)| *link)
                    .collect();
                for link in links {
                    if self.weather.lossy_until > self.time && self.dice.percent(40) {
                        continue;
                    }
                    let heard = head.map_or_else(
                        || Heard::Broken(log.clone()),
                        |head| Heard::Announced(log.clone(), head),
                    );
                    self.tell(node, link, heard);
                }
            }
        }
    }

    fn tell(&mut self, node: usize, link: Link, heard: Heard) {
        let (time, delay) = (self.time, self.delay());
        if let Some(wire) = self.nodes[node].wires.get_mut(&link) {
            wire.back = wire.back.max(time + delay);
            let at = wire.back;
            self.at(at, Event::Heard(node, link, heard));
        }
    }

    fn redis_hears(&mut self, node: usize, link: Link, hear: Hear) {
        if self.weather.is_down {
            return;
        }
        if self.is_frozen() {
            return self.backlog.push(Event::HearToRedis(node, link, hear));
        }
        let Some(wire) = self.nodes[node].wires.get_mut(&link) else {
            return;
        };
        match hear {
            Hear::Subscribe(logs) => {
                wire.subscribed.extend(logs.iter().cloned());
                for log in logs {
                    self.tell(node, link, Heard::Subscribed(log));
                }
            }
            Hear::Unsubscribe(logs) => logs.iter().for_each(|log| {
                wire.subscribed.remove(log);
            }),
            Hear::Ping => self.tell(node, link, Heard::Pong),
        }
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
            while let Some(action) = self.nodes[node].core.actions.pop_front() {
                worked = true;
                match action {
                    Action::Open(link, _) => {
                        let (delay, run) = (self.delay(), self.runs);
                        self.after(delay, Event::Reached(node, link, run));
                    }
                    Action::Close(link) => {
                        self.nodes[node].wires.remove(&link);
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
        let mut worked = false;
        while let Some(ask) = self.nodes[node].core.take_ask(link).cloned() {
            worked = true;
            if let Some(at) = self.sent_at(node, link) {
                self.at(at, Event::ToRedis(node, link, ask));
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

    // ---- clients ----

    pub(super) fn publish(&mut self, node: usize, log: LogName, has_key: bool) {
        self.next += 1;
        let message = self.next;
        self.messages.insert(
            message,
            Sent {
                log,
                has_key,
                tries: 0,
                node,
                was_refused: false,
            },
        );
        self.send(node, message);
    }

    fn send(&mut self, node: usize, message: u64) {
        let Some(sent) = self.messages.get_mut(&message) else {
            return;
        };
        sent.tries += 1;
        sent.node = node;
        let log = sent.log.clone();
        let number = RawValue::from_string(message.to_string()).expect("it is JSON");
        let draft = Draft {
            log: log.clone(),
            from: UserName::new("alice").expect("it is a name"),
            session: Session::new("s").expect("it is a name"),
            seq: sent.has_key.then(|| number.clone()),
            content: number,
            time: self.now().unix_ms,
        };
        self.open += 1;
        let asked = Asked::Append {
            log,
            message,
            at: self.time,
        };
        let now = self.now();
        self.nodes[node]
            .core
            .request(Request::Append(draft, asked), now);
        self.settle(node);
    }

    pub(super) fn follow(&mut self, node: usize, log: &LogName, from: ReadFrom) {
        self.next += 1;
        let number = self.next;
        let now = self.now();
        let node_state = &mut self.nodes[node];
        if !node_state.feeds.0.contains_key(log) {
            node_state.core.request(Request::Watch(log.clone()), now);
            node_state.feeds.0.insert(log.clone(), Feed::default());
        }
        if let Some(feed) = node_state.feeds.0.get_mut(log) {
            feed.followers.push(Follower::new(number, from));
        }
        self.ask_page(node, log, number, from);
        self.settle(node);
    }

    /// All who follow a log on a node leave; returns where one was.
    pub(super) fn unfollow(&mut self, node: usize, log: &LogName) -> Option<Position> {
        let feed = self.nodes[node].feeds.0.remove(log)?;
        let now = self.now();
        self.nodes[node]
            .core
            .request(Request::Unwatch(log.clone()), now);
        self.settle(node);
        feed.followers.iter().find_map(|follower| follower.position)
    }

    pub(super) fn read_history(&mut self, node: usize, log: &LogName) {
        self.asked_history += 1;
        let max = PageMax {
            entries: 20,
            bytes: 1 << 16,
        };
        let now = self.now();
        let request = Request::ReadBefore {
            log: log.clone(),
            before: None,
            max,
            context: Asked::History,
        };
        self.nodes[node].core.request(request, now);
        self.settle(node);
    }

    fn ask_page(&mut self, node: usize, log: &LogName, follower: u64, from: ReadFrom) {
        let max = PageMax {
            entries: 1 + self.dice.below(30) as usize,
            bytes: 1 << 16,
        };
        let context = Asked::Page {
            log: log.clone(),
            follower,
        };
        let now = self.now();
        self.nodes[node].core.request(
            Request::Read {
                log: log.clone(),
                from,
                max,
                context,
            },
            now,
        );
    }

    fn reply(&mut self, node: usize, reply: Reply<Asked>) {
        match reply {
            Reply::Appended(result, Asked::Append { log, message, at }) => {
                self.open -= 1;
                // As long once more where its place is known.
                assert!(
                    self.time <= at + 4_000 * MS + SLACK,
                    "it was answered after {} ms",
                    (self.time - at) / MS
                );
                self.placed(node, &log, message, result);
            }
            Reply::Appended(..) => panic!("nobody asked"),
            Reply::Page(page, Asked::Page { log, follower }) => {
                let has_feed = self.nodes[node].feeds.0.contains_key(&log);
                match page {
                    Ok(page) => {
                        page.entries.iter().for_each(|entry| self.note(entry));
                        let feed = self.nodes[node].feeds.0.get_mut(&log);
                        if let Some(from) = feed.and_then(|feed| feed.page(follower, &page)) {
                            self.ask_page(node, &log, follower, from);
                        }
                    }
                    Err(StoreError::Unavailable) if has_feed => {
                        self.after(1_000 * MS, Event::ReadOn(node, log, follower))
                    }
                    Err(_) => {}
                }
            }
            Reply::Page(page, Asked::History) => {
                self.asked_history -= 1;
                for page in page.iter() {
                    page.entries.iter().for_each(|entry| self.note(entry));
                }
            }
            Reply::Page(_, Asked::Append { .. }) => panic!("nobody asked"),
            Reply::Announced(entry) => {
                let sent = &self.messages[&number_of(&entry)];
                assert!(
                    sent.node != node || sent.was_refused,
                    "{} came back to its sender",
                    entry.position
                );
                self.hand_on(node, &entry);
            }
            Reply::Broken(log) => {
                let feed = self.nodes[node].feeds.0.get_mut(&log);
                for (follower, from) in feed.map_or_else(Vec::new, Feed::broken) {
                    self.ask_page(node, &log, follower, from);
                }
            }
        }
    }

    fn placed(
        &mut self,
        node: usize,
        log: &LogName,
        message: u64,
        result: Result<Placed, AppendError>,
    ) {
        match result {
            Ok(Placed::New(entry)) => {
                assert_eq!(number_of(&entry), message);
                self.acked.push((log.clone(), entry.position, message));
                self.hand_on(node, &entry);
            }
            Ok(Placed::Duplicate { position, .. }) => {
                self.acked.push((log.clone(), position, message));
                self.note_place(log, position, message);
            }
            Err(error) => {
                assert_eq!(error, AppendError::Store(StoreError::Unavailable));
                self.unavailable += 1;
                let sent = self.messages.get_mut(&message).expect("it was sent");
                sent.was_refused = true;
                if sent.has_key && sent.tries < 5 {
                    let delay = self.dice.below(1_000 * MS);
                    self.after(delay, Event::SendAgain(message));
                }
            }
        }
    }

    fn hand_on(&mut self, node: usize, entry: &Entry) {
        self.note(entry);
        if let Some(feed) = self.nodes[node].feeds.0.get_mut(&entry.draft.log) {
            feed.push(entry);
        }
    }

    fn note(&mut self, entry: &Entry) {
        self.note_place(&entry.draft.log, entry.position, number_of(entry));
    }

    fn note_place(&mut self, log: &LogName, position: Position, message: u64) {
        let there = *self
            .places
            .entry((log.clone(), position))
            .or_insert(message);
        assert_eq!(there, message, "two messages at {position} of {log}");
        if self.messages[&message].has_key {
            self.keyed.entry(message).or_default().insert(position);
        }
    }

    // ---- what goes wrong ----

    /// Redis is gone with its links; some of what is on its way still arrives.
    pub(super) fn kill(&mut self) {
        self.weather.is_down = true;
        self.weather.frozen_until = 0;
        self.backlog.clear();
        self.events
            .retain(|_, event| !matches!(event, Event::ToRedis(..) | Event::HearToRedis(..)));
        for node in 0..self.nodes.len() {
            self.cut(node, true);
            self.cut(node, false);
        }
    }

    pub(super) fn restart(&mut self, data: Redis) {
        self.runs += 1;
        let saves_always = self.redis.saves_always;
        self.redis = data;
        self.redis.run_id = self.runs;
        self.redis.saves_always = saves_always;
        self.redis.announced.clear();
        self.weather.is_down = false;
    }

    /// A link of a node ends; what is on its way arrives up to some moment.
    pub(super) fn cut(&mut self, node: usize, is_commands: bool) {
        let delay = self.dice.below(3 * MS);
        let end = self.time + delay;
        let reaches = self.time + self.dice.below(3 * MS);
        let mut ended = Vec::new();
        for (link, wire) in &mut self.nodes[node].wires {
            if wire.is_commands == is_commands && wire.ends_at.is_none() {
                wire.ends_at = Some(reaches);
                ended.push(*link);
            }
        }
        self.events.retain(|(time, _), event| match event {
            Event::ToRedis(of, link, _) | Event::HearToRedis(of, link, _) => {
                *of != node || !ended.contains(link) || *time < reaches
            }
            _ => true,
        });
        for link in ended {
            self.at(end, Event::Closed(node, link));
        }
    }

    // ---- in the end ----

    /// All is well, and has been for a while: everybody is where the log ends, and nobody waits.
    pub(super) fn check_settled(&mut self) {
        assert_eq!((self.open, self.asked_history), (0, 0), "somebody waits");
        for index in 0..self.nodes.len() {
            assert!(self.nodes[index].core.is_idle(), "node {index} is not idle");
            let feeds = std::mem::take(&mut self.nodes[index].feeds);
            for (log, feed) in &feeds.0 {
                let head = self.head(log);
                for follower in &feed.followers {
                    assert!(
                        follower.reading.is_none(),
                        "node {index} {log}: {follower:?}"
                    );
                    let position = follower.position.expect("it is at the head");
                    let is_there = head.map_or(position.offset == 0, |head| head == position);
                    assert!(
                        is_there,
                        "node {index} {log}: {follower:?}, and it ends at {head:?}"
                    );
                }
            }
            self.nodes[index].feeds = feeds;
        }
    }

    fn head(&mut self, log: &LogName) -> Option<Position> {
        let heads = Command::Heads {
            bucket: crate::log::redis::Bucket::of(log),
            logs: vec![log.clone()],
        };
        match self.redis.run(&heads, 0) {
            Answer::Heads(heads) => heads[0],
            _ => None,
        }
    }

    /// Nothing was lost: each message that was acked is there, and each key once, and nobody was told of a gap.
    pub(super) fn check_whole(&mut self) {
        for (message, places) in &self.keyed {
            assert_eq!(places.len(), 1, "message {message} is at {places:?}");
        }
        for node in &self.nodes {
            let feeds = node.feeds.0.values();
            let gaps: u32 = feeds
                .flat_map(|feed| &feed.followers)
                .map(|follower| follower.gaps)
                .sum();
            assert_eq!(gaps, 0, "somebody was told of a gap");
        }
        for (log, position, message) in std::mem::take(&mut self.acked) {
            let page = Command::Page {
                log,
                from: crate::log::redis::From::Behind(position.offset - 1),
                max: PageMax {
                    entries: 1,
                    bytes: 1,
                },
                epoch: Epoch::new(0),
            };
            let Answer::Page(page) = self.redis.run(&page, 0) else {
                panic!()
            };
            let entry = page.entries.first().expect("it is there");
            assert_eq!((entry.position, number_of(entry)), (position, message));
        }
    }

    /// Every log that somebody follows.
    pub(super) fn since(position: Option<Position>) -> ReadFrom {
        ReadFrom::Since(position.map_or(Since::Oldest, Since::After))
    }
}

fn number_of(entry: &Entry) -> u64 {
    entry.draft.content.get().parse().expect("it is a number")
}

//! Several hubs and a log between them, on virtual time: what each tells is checked against what it told before, and when all is still,
//! all have to agree with what is really connected. What happens is said by the transcripts and the simulation.

mod simulation;
mod transcripts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chat::{Audience, Effect, Event, Except, Hub, HubConfig, Joiner, Parting};
use crate::clock::Now;
use crate::ids::{Arrival, ConnId, NodeName, RoomName, Session, UserName};
use crate::log::{Epoch, Position};

/// A connection as its client knows it.
#[derive(Debug, Clone)]
struct Client {
    user: String,
    session: Option<String>,
    rooms: BTreeSet<String>,
}

struct Node {
    hub: Hub,
    /// Notes of the log that it has heard.
    heard: usize,
    follows: bool,
    stands_still_until: Option<Instant>,
    clients: BTreeMap<u32, Client>,
    /// Who is in which room, by what was told there.
    told: BTreeSet<(String, String)>,
}

struct Cluster {
    nodes: Vec<Option<Node>>,
    log: Vec<String>,
    is_away: bool,
    now: Instant,
    count: u32,
    /// What clients were told, a line each.
    lines: Vec<String>,
}

fn session_of(text: &str) -> Session {
    Session::new(text).unwrap()
}

fn room_of(text: &str) -> RoomName {
    RoomName::new(text).unwrap()
}

impl Cluster {
    /// So many nodes that have heard of each other.
    fn new(count: usize) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            log: Vec::new(),
            is_away: false,
            now: Instant::now(),
            count: 0,
            lines: Vec::new(),
        };
        for node in 0..count {
            cluster.nodes.push(None);
            cluster.start(node);
        }
        cluster.pass(Duration::from_secs(3));
        cluster
    }

    fn time(&self) -> Now {
        Now {
            instant: self.now,
            unix_ms: 1000,
        }
    }

    /// Starts a process of the node.
    fn start(&mut self, node: usize) {
        self.count += 1;
        let config = HubConfig {
            node: Some(NodeName::new(&format!("node-{node}")).unwrap()),
            ..HubConfig::default()
        };
        self.nodes[node] = Some(Node {
            hub: Hub::new(config, u64::from(self.count)),
            heard: self.log.len(),
            follows: false,
            stands_still_until: None,
            clients: BTreeMap::new(),
            told: BTreeSet::new(),
        });
    }

    fn kill(&mut self, node: usize) {
        self.nodes[node] = None;
    }

    /// Stops it as an operator does.
    fn stop(&mut self, node: usize) {
        if let Some(node) = &mut self.nodes[node] {
            node.hub.leave_cluster();
        }
        self.pass(Duration::from_millis(200));
        self.kill(node);
    }

    fn node(&mut self, node: usize) -> &mut Node {
        self.nodes[node].as_mut().unwrap()
    }

    /// Time goes by; every 100 ms each node has a turn.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(100);
            for node in 0..self.nodes.len() {
                self.turn(node, |_| true);
            }
        }
    }

    /// A node's turn; `is_answered` tells whether the log's answer to its note arrives.
    fn turn(&mut self, index: usize, is_answered: impl Fn(u64) -> bool) {
        let now = self.time();
        let Some(node) = &mut self.nodes[index] else {
            return;
        };
        if node
            .stands_still_until
            .is_some_and(|until| self.now < until)
        {
            return;
        }
        node.stands_still_until = None;
        if !self.is_away {
            if !std::mem::replace(&mut node.follows, true) {
                node.hub.begin_to_hear_nodes(now);
            }
            for note in &self.log[node.heard..] {
                node.hub.hear_node(note, now);
            }
            node.heard = self.log.len();
        }
        if node.hub.poll_timeout().is_some_and(|at| at <= self.now) {
            node.hub.handle_timeout(now);
        }
        if let Some(note) = node.hub.next_note(now) {
            if self.is_away {
                node.hub.note_placed(false, now);
            } else {
                self.log.push(note.content.get().to_owned());
                node.hub.note_placed(is_answered(note.number), now);
            }
        }
        self.run_effects(index);
    }

    fn run_effects(&mut self, index: usize) {
        while let Some(node) = &mut self.nodes[index] {
            let mut effects = Vec::new();
            node.hub.take_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.run_effect(index, effect);
            }
        }
    }

    fn run_effect(&mut self, index: usize, effect: Effect) {
        let now = self.time();
        let node = self.nodes[index].as_mut().unwrap();
        match effect {
            Effect::Follow(follow) => {
                let client = node.clients.get_mut(&follow.conn.index).unwrap();
                if follow.is_joining() {
                    client.rooms.insert(follow.log.as_str().to_owned());
                }
                let position = Position {
                    epoch: Epoch::new(1),
                    offset: 7,
                };
                node.hub.followed(&follow, position, true);
            }
            Effect::Unfollow(conn, log) => {
                if let Some(client) = node.clients.get_mut(&conn.index) {
                    client.rooms.remove(log.as_str());
                }
            }
            Effect::Announce { to, except, event } => self.announce(index, &to, &except, &event),
            Effect::Close(conn, parting) => {
                let why = match parting {
                    Parting::Replaced => "closed",
                    other => panic!("{other:?}"),
                };
                self.lines.push(format!("{} {why}", conn.index));
                node.clients.remove(&conn.index);
                node.hub.disconnect(conn, now);
            }
            Effect::Joined { conn, event, .. } => {
                let Event::Joined { room_id, .. } = event else {
                    panic!("{event:?}")
                };
                self.lines.push(format!("{} joined {room_id}", conn.index));
            }
            Effect::Send(..) | Effect::Append(_) | Effect::Read(_) | Effect::Authorized(..) => {}
        }
    }

    /// Who is in a room is told something; who comes and goes, in turn.
    fn announce(&mut self, index: usize, to: &Audience, except: &Except, event: &Event) {
        let node = self.nodes[index].as_mut().unwrap();
        let Audience::Room(room) = to;
        let text = event.to_text();
        let event: Value = serde_json::from_str(&text).unwrap();
        if event["type"] == "system" {
            let user = event["user"].as_str().unwrap().to_owned();
            let place = (room.as_str().to_owned(), user);
            let is_news = match event["event"].as_str() {
                Some("join") => node.told.insert(place),
                _ => node.told.remove(&place),
            };
            assert!(is_news, "node {index} was told twice: {text}");
        }
        let audience = node.hub.audience(to).iter();
        for conn in audience.filter(|conn| !except.contains(conn)) {
            let what = event["event"].as_str().unwrap_or("typing");
            let line = format!("{} < {} {what}", conn.index, event["user"]);
            self.lines.push(line.replace('"', ""));
        }
    }

    // ---- clients ----

    fn connect(&mut self, node: usize, user: &str, session: Option<&str>, rooms: &[&str]) -> u32 {
        self.count += 1;
        let (conn, now) = (self.count, self.time());
        let client = Client {
            user: user.to_owned(),
            session: session.map(str::to_owned),
            rooms: BTreeSet::new(),
        };
        let joiner = Joiner {
            user: Some(UserName::new(user).unwrap()),
            session: session.map(session_of),
            rooms: rooms.iter().map(|room| room_of(room)).collect(),
            arrived: Arrival::new(conn.into()),
            ..Joiner::default()
        };
        let at = self.node(node);
        at.clients.insert(conn, client);
        at.hub.connect(id(conn), joiner, now);
        self.run_effects(node);
        conn
    }

    fn say(&mut self, node: usize, conn: u32, text: &str) {
        self.count += 1;
        let (now, arrived) = (self.time(), Arrival::new(self.count.into()));
        let hub = &mut self.node(node).hub;
        hub.handle_text(id(conn), text, &|| arrived, now);
        self.run_effects(node);
    }

    /// Takes on a session that was elsewhere.
    fn hello(&mut self, node: usize, conn: u32, session: &str) {
        let client = self.node(node).clients.get_mut(&conn).unwrap();
        client.session = Some(session.to_owned());
        let text = format!(r#"{{"type":"hello","session":"{session}"}}"#);
        self.say(node, conn, &text);
    }

    fn disconnect(&mut self, node: usize, conn: u32, lingers: bool) {
        let now = self.time();
        let at = self.node(node);
        at.clients.remove(&conn);
        if lingers {
            at.hub.linger(id(conn), now);
        } else {
            at.hub.disconnect(id(conn), now);
        }
        self.run_effects(node);
    }

    /// What was told since the last call.
    fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    fn members(&mut self, node: usize, room: &str) -> Vec<String> {
        let members = self.node(node).hub.members(&room_of(room)).into_iter();
        members.map(str::to_owned).collect()
    }

    // ---- what has to hold when all is still ----

    fn clients(&self) -> impl Iterator<Item = &Client> {
        let nodes = self.nodes.iter().flatten();
        nodes.flat_map(|node| node.clients.values())
    }

    fn assert_all_agree(&mut self, rooms: &[&str]) {
        let users: BTreeSet<String> = self.clients().map(|client| client.user.clone()).collect();
        for room in rooms {
            let is_in = |client: &&Client| client.rooms.contains(*room);
            let there = self.clients().filter(is_in).map(|client| &client.user);
            let there: BTreeSet<String> = there.cloned().collect();
            for index in 0..self.nodes.len() {
                if self.nodes[index].is_none() {
                    continue;
                }
                let members: BTreeSet<String> = self.members(index, room).into_iter().collect();
                assert_eq!(members, there, "in {room} as node {index} sees it");
                let told = &self.node(index).told;
                let told = told.iter().filter(|(told, _)| told == room);
                let told: BTreeSet<String> = told.map(|(_, user)| user.clone()).collect();
                assert_eq!(told, there, "in {room} as node {index} was told");
            }
        }
        for node in self.nodes.iter().flatten() {
            assert_eq!(node.hub.users_len(), users.len());
            let others = self.nodes.iter().flatten().count() - 1;
            assert_eq!(node.hub.other_nodes(), others);
        }
    }

    fn assert_sessions_are_once(&self) {
        let mut seen = BTreeSet::new();
        for client in self.clients() {
            if let Some(session) = &client.session {
                let is_new = seen.insert((&client.user, session));
                assert!(is_new, "{client:?} is there twice");
            }
        }
    }
}

fn id(index: u32) -> ConnId {
    ConnId {
        index,
        generation: 1,
    }
}

const A_WHILE: Duration = Duration::from_secs(1);

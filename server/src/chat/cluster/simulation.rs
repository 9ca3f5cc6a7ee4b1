//! Several hubs and a log between them, on virtual time: connections come and go, nodes die, stand still and come back, the log is
//! away, loses its tail, or has a note twice. Whatever happens, each hub tells of each user's coming and going in turn; and when all
//! is still, all agree with what is really connected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::chat::{Audience, Effect, Hub, HubConfig, Joiner, Parting};
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
        let now = self.time();
        let Some(node) = &mut self.nodes[index] else {
            return;
        };
        loop {
            let mut effects = Vec::new();
            node.hub.take_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
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
                    Effect::Announce { to, except, text } => {
                        let Audience::Room(room) = &to;
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
                        let audience = node.hub.audience(&to).iter();
                        let heard = audience.filter(|conn| !except.contains(conn));
                        for conn in heard {
                            let what = event["event"].as_str().unwrap_or("typing");
                            let line = format!("{} < {} {what}", conn.index, event["user"]);
                            self.lines.push(line.replace('"', ""));
                        }
                    }
                    Effect::Close(conn, parting) => {
                        let why = match parting {
                            Parting::Replaced => "closed",
                            Parting::Kicked => "kicked",
                            other => panic!("{other:?}"),
                        };
                        self.lines.push(format!("{} {why}", conn.index));
                        node.clients.remove(&conn.index);
                        node.hub.disconnect(conn, now);
                    }
                    Effect::Joined { conn, text, .. } => {
                        let event: Value = serde_json::from_str(&text).unwrap();
                        let line = format!("{} joined {}", conn.index, event["roomId"]);
                        self.lines.push(line.replace('"', ""));
                    }
                    Effect::Send(..)
                    | Effect::Append(_)
                    | Effect::Read(_)
                    | Effect::Authorized(..) => {}
                }
            }
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

// ---- transcripts ----

#[test]
fn who_joins_and_leaves_on_one_node_is_told_on_the_other_and_is_a_member_there() {
    let mut cluster = Cluster::new(2);
    let alice = cluster.connect(0, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let bob = cluster.connect(1, "bob", None, &["room"]);
    cluster.pass(A_WHILE);
    assert_eq!(
        cluster.lines(),
        [format!("{bob} joined room"), format!("{alice} < bob join")]
    );
    for node in [0, 1] {
        assert_eq!(cluster.members(node, "room"), ["alice", "bob"]);
        assert_eq!(cluster.node(node).hub.rooms(9), [("room", 2)]);
        assert_eq!(cluster.node(node).hub.users_len(), 2);
    }
    cluster.say(1, bob, r#"{"type":"typing","roomId":"room"}"#);
    cluster.pass(A_WHILE);
    assert_eq!(cluster.lines(), [format!("{alice} < bob typing")]);
    cluster.disconnect(1, bob, false);
    cluster.pass(A_WHILE);
    assert_eq!(cluster.lines(), [format!("{alice} < bob leave")]);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_user_on_two_nodes_joins_once_and_leaves_with_the_last() {
    let mut cluster = Cluster::new(3);
    let watcher = cluster.connect(2, "watcher", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    // At the same time: neither node has heard of the other's.
    let one = cluster.connect(0, "alice", None, &["room"]);
    let other = cluster.connect(1, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    let told = |lines: Vec<String>| {
        let to = format!("{watcher} < ");
        let lines = lines.into_iter();
        lines
            .filter_map(|line| line.strip_prefix(&to).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(cluster.lines()), ["alice join"]);
    assert_eq!(cluster.members(2, "room"), ["alice", "watcher"]);
    cluster.disconnect(0, one, false);
    cluster.pass(A_WHILE);
    assert_eq!(told(cluster.lines()), [""; 0]);
    cluster.disconnect(1, other, false);
    cluster.pass(A_WHILE);
    assert_eq!(told(cluster.lines()), ["alice leave"]);
    // ... and both leave at once.
    let one = cluster.connect(0, "alice", None, &["room"]);
    let other = cluster.connect(1, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.disconnect(0, one, false);
    cluster.disconnect(1, other, false);
    cluster.pass(A_WHILE);
    assert_eq!(told(cluster.lines()), ["alice join", "alice leave"]);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_session_that_moves_to_another_node_is_in_its_rooms_again_and_nobody_sees_it_leave() {
    let mut cluster = Cluster::new(3);
    let watcher = cluster.connect(2, "watcher", None, &["a", "b"]);
    let old = cluster.connect(0, "alice", Some("secret"), &["a", "b"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let new = cluster.connect(1, "alice", None, &[]);
    cluster.hello(1, new, "secret");
    cluster.pass(A_WHILE);
    assert_eq!(
        cluster.lines(),
        [
            format!("{old} closed"),
            format!("{new} joined a"),
            format!("{new} joined b")
        ]
    );
    cluster.assert_all_agree(&["a", "b"]);
    cluster.disconnect(1, new, false);
    cluster.pass(A_WHILE);
    let left = ["alice leave"; 2].map(|what| format!("{watcher} < {what}"));
    assert_eq!(cluster.lines(), left);
    // From where it was parked.
    let newest = cluster.connect(2, "alice", None, &[]);
    cluster.hello(2, newest, "secret");
    cluster.pass(A_WHILE);
    let lines = cluster.lines();
    assert!(lines.contains(&format!("{newest} joined b")), "{lines:?}");
    cluster.assert_all_agree(&["a", "b"]);
    assert!(cluster.log.iter().all(|note| !note.contains("secret")));
}

#[test]
fn who_names_its_rooms_itself_takes_its_session_over_and_is_back_where_it_was_with_its_hello() {
    let mut cluster = Cluster::new(2);
    let old = cluster.connect(0, "alice", Some("s"), &["a", "b"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let new = cluster.connect(1, "alice", Some("s"), &["a"]);
    cluster.pass(A_WHILE);
    let first = [format!("{new} joined a"), format!("{old} closed")];
    assert_eq!(cluster.lines(), first);
    assert_eq!(cluster.members(0, "b"), [""; 0]);
    cluster.hello(1, new, "s");
    cluster.pass(A_WHILE);
    assert_eq!(cluster.lines(), [format!("{new} joined b")]);
    cluster.assert_all_agree(&["a", "b"]);
}

#[test]
fn polls_that_go_to_one_node_and_then_to_the_other_never_leave() {
    let mut cluster = Cluster::new(2);
    let watcher = cluster.connect(0, "watcher", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    for poll in 0..20 {
        let node = poll % 2;
        let conn = cluster.connect(node, "alice", Some("s"), &["room"]);
        cluster.pass(A_WHILE);
        cluster.disconnect(node, conn, true);
        cluster.pass(4 * A_WHILE);
    }
    let told = cluster.lines();
    let told: Vec<&String> = told.iter().filter(|line| line.contains('<')).collect();
    assert_eq!(told, [&format!("{watcher} < alice join")]);
    cluster.pass(20 * A_WHILE);
    assert_eq!(cluster.lines(), [format!("{watcher} < alice leave")]);
}

#[test]
fn of_two_connections_of_a_session_that_come_at_the_same_time_one_stays() {
    let mut cluster = Cluster::new(2);
    let one = cluster.connect(0, "alice", Some("s"), &["room"]);
    let other = cluster.connect(1, "alice", Some("s"), &["room"]);
    cluster.pass(A_WHILE);
    let closed = cluster.lines();
    let closed: Vec<&String> = closed
        .iter()
        .filter(|line| line.contains("closed"))
        .collect();
    assert_eq!(closed.len(), 1, "{one} or {other}");
    cluster.assert_sessions_are_once();
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_node_that_dies_is_gone_within_half_a_minute_and_one_that_stops_at_once() {
    let mut cluster = Cluster::new(3);
    let watcher = cluster.connect(2, "watcher", None, &["room"]);
    cluster.connect(0, "alice", None, &["room"]);
    cluster.connect(1, "bob", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let told = |lines: Vec<String>| {
        let to = format!("{watcher} < ");
        let lines = lines.into_iter();
        lines
            .filter_map(|line| line.strip_prefix(&to).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    cluster.stop(1);
    assert_eq!(told(cluster.lines()), ["bob leave"]);
    cluster.kill(0);
    cluster.pass(15 * A_WHILE);
    assert_eq!(told(cluster.lines()), [""; 0], "it may be slow");
    cluster.pass(15 * A_WHILE);
    assert_eq!(told(cluster.lines()), ["alice leave"]);
    let remarks = cluster.node(2).hub.take_remarks();
    assert_eq!(remarks.dropped, [NodeName::new("node-0").unwrap()]);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_node_that_begins_again_has_nobody_of_before() {
    let mut cluster = Cluster::new(2);
    let watcher = cluster.connect(1, "watcher", None, &["room"]);
    cluster.connect(0, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    cluster.kill(0);
    cluster.start(0);
    cluster.connect(0, "bob", None, &["room"]);
    cluster.pass(3 * A_WHILE);
    let mut lines = cluster.lines();
    lines.retain(|line| line.starts_with(&format!("{watcher} <")));
    lines.sort();
    let both = ["alice leave", "bob join"].map(|what| format!("{watcher} < {what}"));
    assert_eq!(lines, both);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_node_that_stood_still_is_dropped_and_tells_all_it_has_when_it_goes_on() {
    let mut cluster = Cluster::new(3);
    let watcher = cluster.connect(2, "watcher", None, &["room"]);
    let alice = cluster.connect(0, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let until = cluster.now + 30 * A_WHILE;
    cluster.node(0).stands_still_until = Some(until);
    cluster.pass(20 * A_WHILE);
    let bob = cluster.connect(1, "bob", None, &["room"]);
    cluster.pass(9 * A_WHILE);
    let told = ["bob join", "alice leave"].map(|what| format!("{watcher} < {what}"));
    let mut lines = cluster.lines();
    lines.retain(|line| line.starts_with(&format!("{watcher} <")));
    assert_eq!(lines, told);
    cluster.pass(20 * A_WHILE);
    let lines = cluster.lines();
    assert!(lines.contains(&format!("{alice} < bob join")), "{lines:?}");
    assert!(lines.contains(&format!("{bob} < alice join")), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn while_the_log_is_away_nobody_is_dropped() {
    let mut cluster = Cluster::new(3);
    cluster.connect(0, "alice", None, &["room"]);
    cluster.connect(1, "watcher", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    for away in [8, 15, 60, 300] {
        cluster.is_away = true;
        cluster.pass(away * A_WHILE);
        cluster.is_away = false;
        cluster.pass(40 * A_WHILE);
        assert_eq!(cluster.lines(), [""; 0], "away for {away} s");
        cluster.assert_all_agree(&["room"]);
    }
}

#[test]
fn an_operator_disconnects_a_user_from_all_nodes() {
    let mut cluster = Cluster::new(2);
    let alice = cluster.connect(1, "alice", None, &["room"]);
    cluster.connect(1, "bob", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let user = UserName::new("alice").unwrap();
    cluster.node(0).hub.kick_elsewhere(&user);
    cluster.pass(A_WHILE);
    assert_eq!(cluster.lines()[0], format!("{alice} kicked"));
    assert_eq!(cluster.members(0, "room"), ["bob"]);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn who_has_said_goodbye_waits_for_nothing() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.node(0).hub.leave_cluster();
    assert!(!cluster.node(0).hub.has_told_nodes());
    let now = cluster.time();
    cluster.node(1).hub.begin_to_hear_nodes(now);
    cluster.pass(A_WHILE);
    let hub = &cluster.node(0).hub;
    assert!(hub.has_told_nodes());
    assert_eq!(
        hub.poll_timeout(),
        None,
        "though it was asked for all it has"
    );
    assert_eq!(cluster.members(1, "room"), [""; 0]);
    // What it cannot tell any more, it does not try to for ever.
    cluster.node(1).hub.leave_cluster();
    cluster.is_away = true;
    cluster.pass(A_WHILE);
    assert!(cluster.node(1).hub.has_told_nodes());
}

#[test]
fn another_process_of_the_same_name_is_noticed() {
    let mut cluster = Cluster::new(2);
    let note = r#"{"node":"node-0","life":5,"number":3,"deltas":["beat"]}"#;
    cluster.log.push(note.to_owned());
    cluster.log.push("no note".to_owned());
    cluster.pass(A_WHILE);
    assert!(cluster.node(0).hub.take_remarks().has_namesake);
    assert!(!cluster.node(1).hub.take_remarks().has_namesake);
}

// ---- whatever happens ----

const ROOMS: [&str; 3] = ["x", "y", "z"];

/// What may happen to the nodes and the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// They stand still, and the log is away; nothing is lost.
    Rough,
    /// Nodes die, and the log loses something.
    Foul,
}

fn random_client(cluster: &Cluster, node: usize, random: &mut StdRng) -> Option<u32> {
    let clients = &cluster.nodes[node].as_ref()?.clients;
    if clients.is_empty() {
        return None;
    }
    let index = random.random_range(0..clients.len());
    clients.keys().nth(index).copied()
}

/// Something that a client does.
fn live(cluster: &mut Cluster, node: usize, random: &mut StdRng) {
    let user = ["u0", "u1", "u2", "u3"][random.random_range(0..4)];
    let session = ["s0", "s1", "s2"][random.random_range(0..3)];
    let room = ROOMS[random.random_range(0..3)];
    let client = random_client(cluster, node, random);
    match (random.random_range(0..8), client) {
        (0 | 1, _) | (_, None) => {
            let rooms = &ROOMS[..random.random_range(0..3)];
            let session = random.random_bool(0.7).then_some(session);
            cluster.connect(node, user, session, rooms);
        }
        (2, Some(conn)) => cluster.hello(node, conn, session),
        (3 | 4, Some(conn)) => {
            let text = format!(r#"{{"type":"join_room","roomId":"{room}"}}"#);
            cluster.say(node, conn, &text);
        }
        (5, Some(conn)) => {
            let text = format!(r#"{{"type":"leave_room","roomId":"{room}"}}"#);
            cluster.say(node, conn, &text);
        }
        (what, Some(conn)) => cluster.disconnect(node, conn, what == 6),
    }
}

/// Something that befalls a node, or the log.
fn befall(cluster: &mut Cluster, node: usize, weather: Weather, random: &mut StdRng) {
    let seconds = random.random_range(1..40);
    match random.random_range(0..4) {
        0 => {
            let until = cluster.now + seconds * A_WHILE;
            cluster.node(node).stands_still_until = Some(until);
        }
        1 => cluster.is_away ^= true,
        // Its note is there, and it is told that it is not.
        2 => cluster.turn(node, |_| false),
        _ if weather == Weather::Rough => {}
        3 => match random.random_range(0..3) {
            0 => {
                cluster.kill(node);
                if random.random_bool(0.5) {
                    cluster.pass(seconds * A_WHILE);
                }
                cluster.start(node);
            }
            1 => {
                cluster.stop(node);
                cluster.start(node);
            }
            _ => lose_tail(cluster, random),
        },
        _ => {}
    }
}

/// The log loses its newest notes, or a node what it has not heard: who follows is told.
fn lose_tail(cluster: &mut Cluster, random: &mut StdRng) {
    let now = cluster.time();
    if random.random_bool(0.5) {
        let lost = random.random_range(0..=cluster.log.len().min(9));
        cluster.log.truncate(cluster.log.len() - lost);
    }
    for node in cluster.nodes.iter_mut().flatten() {
        node.heard = cluster.log.len();
        if node.follows {
            node.hub.begin_to_hear_nodes(now);
        }
    }
}

fn simulate(seed: u64, weather: Weather) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::new(3);
    for _ in 0..300 {
        let node = random.random_range(0..3);
        let stands_still = cluster.node(node).stands_still_until.is_some();
        if random.random_bool(0.1) {
            befall(&mut cluster, node, weather, &mut random);
        } else if !stands_still {
            live(&mut cluster, node, &mut random);
        }
        if random.random_bool(0.7) {
            let millis = random.random_range(0..1500);
            cluster.pass(Duration::from_millis(millis));
        }
    }
    cluster.is_away = false;
    cluster.pass(120 * A_WHILE);
    cluster.assert_all_agree(&ROOMS);
    if weather == Weather::Rough {
        cluster.assert_sessions_are_once();
    }
}

#[test]
fn whatever_is_late_all_agree_in_the_end_and_each_session_is_once() {
    (0..40).for_each(|seed| simulate(seed, Weather::Rough));
}

#[test]
fn whatever_is_lost_all_agree_in_the_end() {
    (100..140).for_each(|seed| simulate(seed, Weather::Foul));
}

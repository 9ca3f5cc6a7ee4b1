//! Who is where holds for all nodes: `system`, `presence`, typing and sessions across two servers on one log, of which one is
//! killed, stopped, or comes back, and the log goes away or loses what it had.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire_tests::http::{get, send};
use tidewire_tests::nodes::Nodes;
use tidewire_tests::{Chatter, LogServer, Server, wait_until};

/// Who waits for a dead node's members is not read for half a minute, and is no silent client.
const OPTIONS: [&str; 4] = ["--canary", "200ms", "--heartbeat", "10m"];

fn two_nodes(log: &LogServer) -> Nodes {
    let nodes = log.nodes(2, &OPTIONS);
    nodes.all().for_each(Server::wait_until_ready);
    nodes
}

fn presence(node: &Server, room: &str) -> Vec<String> {
    let target = format!("/api/rooms/{room}/presence");
    let answer = get(node.address(), &target).json();
    let members = answer["members"].as_array().expect("members");
    let name = |member: &Value| member.as_str().expect("a name").to_owned();
    members.iter().map(name).collect()
}

/// Waits until all nodes that are here say so. Half a minute is what a dead node's members may stay.
#[track_caller]
fn wait_for_members(nodes: &Nodes, room: &str, members: &[&str]) {
    let end = Instant::now() + Duration::from_secs(60);
    for node in nodes.all() {
        while presence(node, room) != members {
            let there = presence(node, room);
            assert!(
                Instant::now() < end,
                "{there:?} are in {room}\n{}",
                node.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn told(chatter: &mut Chatter) -> String {
    let system = chatter.hear_of("system");
    let word = |name: &str| system[name].as_str().unwrap_or_default().to_owned();
    format!("{} {}", word("user"), word("event"))
}

#[test]
fn who_comes_and_goes_at_one_node_is_told_once_at_the_other() {
    let log = LogServer::start();
    let nodes = two_nodes(&log);
    let mut alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    let mut bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    assert_eq!(told(&mut alice), "bob join");
    wait_for_members(&nodes, "lobby", &["alice", "bob"]);
    let bob_here = Chatter::enter(nodes.node(0), "bob", "lobby");
    bob.send(&json!({"type": "typing", "roomId": "lobby"}));
    assert_eq!(alice.hear_of("typing")["user"], "bob");
    let rooms = get(nodes.node(1).address(), "/api/rooms").json();
    assert_eq!(rooms["rooms"][0]["members"], 2, "{rooms}");
    bob.client.close();
    // A fence: had bob left, alice would hear of it before this.
    let carol = Chatter::enter(nodes.node(1), "carol", "lobby");
    assert_eq!(told(&mut alice), "carol join");
    bob_here.client.close();
    assert_eq!(told(&mut alice), "bob leave");
    carol.client.close();
    assert_eq!(told(&mut alice), "carol leave");
    wait_for_members(&nodes, "lobby", &["alice"]);
}

#[test]
fn a_session_that_moves_is_where_it_was_and_its_old_connection_is_closed() {
    let log = LogServer::start();
    let nodes = two_nodes(&log);
    let mut watcher = Chatter::enter(nodes.node(0), "watcher", "lobby");
    let mut old = Chatter::enter(nodes.node(0), "alice", "lobby");
    assert_eq!(told(&mut watcher), "alice join");
    let session = old.welcome["session"]
        .as_str()
        .expect("a session")
        .to_owned();
    wait_for_members(&nodes, "lobby", &["alice", "watcher"]);
    let mut new = Chatter::connect(nodes.node(1), "userId=alice");
    new.send(&json!({"type": "hello", "session": session}));
    assert_eq!(new.hear_of("joined")["roomId"], "lobby");
    assert_eq!(old.hear_close(), Some(4003));
    let bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    assert_eq!(told(&mut watcher), "bob join", "alice was never away");
    drop(bob);
    wait_for_members(&nodes, "lobby", &["alice", "watcher"]);
}

#[test]
fn a_node_takes_its_members_along_when_it_stops_or_dies_and_has_nobody_of_before_when_it_is_back() {
    let log = LogServer::start();
    let mut nodes = two_nodes(&log);
    let mut watcher = Chatter::enter(nodes.node(0), "watcher", "lobby");
    let _alice = Chatter::enter(nodes.node(1), "alice", "lobby");
    assert_eq!(told(&mut watcher), "alice join");
    nodes.drain(1);
    assert_eq!(told(&mut watcher), "alice leave");
    nodes.come_back(1);
    let _bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    assert_eq!(told(&mut watcher), "bob join");
    nodes.kill(1);
    nodes.come_back(1);
    assert_eq!(told(&mut watcher), "bob leave", "a new process has nobody");
    let _carol = Chatter::enter(nodes.node(1), "carol", "lobby");
    wait_for_members(&nodes, "lobby", &["carol", "watcher"]);
    nodes.kill(1);
    wait_for_members(&nodes, "lobby", &["watcher"]);
}

#[test]
fn nobody_goes_with_the_log_and_who_came_meanwhile_is_known_when_it_is_back() {
    let mut log = LogServer::start();
    let nodes = two_nodes(&log);
    let _alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    let bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    wait_for_members(&nodes, "lobby", &["alice", "bob"]);
    log.kill_and_empty();
    bob.client.close();
    wait_until("bob has gone from its node", || {
        presence(nodes.node(1), "lobby") == ["alice"]
    });
    assert_eq!(presence(nodes.node(0), "lobby"), ["alice", "bob"]);
    log.come_back();
    wait_for_members(&nodes, "lobby", &["alice"]);
    let _carol = Chatter::enter(nodes.node(1), "carol", "lobby");
    wait_for_members(&nodes, "lobby", &["alice", "carol"]);
}

#[test]
fn an_operator_disconnects_a_user_from_all_nodes() {
    let log = LogServer::start();
    let nodes = two_nodes(&log);
    let mut alice = Chatter::enter(nodes.node(1), "alice", "lobby");
    wait_for_members(&nodes, "lobby", &["alice"]);
    let target = "/api/admin/users/alice/disconnect";
    let answer = send(nodes.node(0).address(), "POST", target, "", b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(alice.hear_close(), Some(1008));
    wait_for_members(&nodes, "lobby", &[]);
}

//! Two servers on one log are one chat: who is at the one hears who is at the other, by any transport, goes on there without a
//! hole, and is told when the log is away, without losing the connection. The log is a Redis, or what `TIDEWIRE_TEST_LOG` says.

use std::process::Command;

use serde_json::{Value, json};
use tidewire_tests::http::{Response, assert_problem, get, send};
use tidewire_tests::http_chat::{PollChatter, StreamChatter};
use tidewire_tests::launch::binary;
use tidewire_tests::nodes::Nodes;
use tidewire_tests::redis::RedisLaunch;
use tidewire_tests::tls::Identity;
use tidewire_tests::{Chatter, Launch, LogServer, Nats, Server, wait_until};

const OPTIONS: [&str; 2] = ["--canary", "200ms"];

/// Short enough that a test need not wait for what is refused.
const HASTY: [&str; 4] = ["--canary", "200ms", "--log-timeout", "500ms"];

fn two_nodes(log: &LogServer) -> Nodes {
    two_nodes_with(log, &OPTIONS)
}

fn two_nodes_with(log: &LogServer, options: &[&str]) -> Nodes {
    let nodes = log.nodes(2, options);
    nodes.all().for_each(Server::wait_until_ready);
    nodes
}

/// Says something until it is acknowledged, as a client does that is told to try again, and returns the `ack`.
#[track_caller]
fn say_until_acked(chatter: &mut Chatter, content: &str, seq: u64) -> Value {
    let message = json!({"type": "room_msg", "roomId": "lobby", "content": content, "seq": seq});
    let mut answer = Value::Null;
    wait_until("messages are taken", || {
        chatter.send(&message);
        answer = loop {
            let heard = chatter.hear();
            if heard["seq"] == seq {
                break heard;
            }
        };
        answer["type"] == "ack"
    });
    answer
}

/// Where a message is.
fn place(message: &Value) -> String {
    let epoch = message["epoch"].as_str().expect("an epoch");
    format!("{epoch}-{}", message["offset"])
}

fn publish(server: &Server, room: &str, body: &Value) -> Response {
    let target = format!("/api/rooms/{room}/messages");
    let body = body.to_string();
    send(server.address(), "POST", &target, "", body.as_bytes())
}

#[test]
fn what_is_said_at_one_node_is_heard_at_the_other_in_the_same_order() {
    let log = LogServer::start();
    let nodes = two_nodes(&log);
    let mut alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    let mut bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    for number in 0..20 {
        let ack = alice.say_acked("lobby", &format!("a{number}"), number);
        assert_eq!(ack["offset"], 2 * number + 1, "{ack}");
        let heard = bob.hear_of("room_msg");
        assert_eq!(heard["content"], format!("a{number}"));
        assert_eq!(place(&heard), place(&ack));
        bob.say_acked("lobby", &format!("b{number}"), number);
        assert_eq!(alice.hear_of("room_msg")["content"], format!("b{number}"));
    }
    // Sent again at the other node under the same number, it has the place that it has.
    let session = alice.welcome["session"].as_str().expect("a session");
    let body = json!({"content": "again", "from": "alice", "session": session, "seq": 0});
    let again = publish(nodes.node(1), "lobby", &body).json();
    assert_eq!((&again["offset"], &again["dup"]), (&json!(1), &json!(true)));
}

#[test]
fn who_resumes_at_the_other_node_misses_nothing() {
    let log = LogServer::start();
    let mut nodes = two_nodes(&log);
    let mut alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    let mut bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    bob.say_acked("lobby", "0", 0);
    let seen = place(&alice.hear_of("room_msg"));
    nodes.kill(0);
    for number in 1..200 {
        bob.say_acked("lobby", &number.to_string(), number);
    }
    let mut alice = Chatter::connect(nodes.node(1), "userId=alice");
    alice.send(&json!({"type": "join_room", "roomId": "lobby", "since": seen}));
    for number in 1..200 {
        assert_eq!(alice.hear_of("room_msg")["content"], number.to_string());
    }
    nodes.come_back(0);
    nodes.node(0).wait_until_ready();
    alice.say_acked("lobby", "here", 0);
    let page = get(nodes.node(0).address(), "/api/rooms/lobby/messages?limit=1").json();
    assert_eq!(page["messages"][0]["content"], "here", "{page}");
    assert_eq!(page["messages"][0]["offset"], 201);
}

#[test]
fn history_has_what_was_acknowledged_at_the_other_node_a_moment_ago() {
    let log = LogServer::start();
    let nodes = two_nodes(&log);
    let (near, far) = (nodes.node(0), nodes.node(1));
    let mut alice = Chatter::enter(far, "alice", "lobby");
    // Somebody follows: then the near node has announced what it knows of, and may know less than there is.
    let mut bob = Chatter::enter(near, "bob", "lobby");
    let newest = "/api/rooms/lobby/messages?limit=1".to_owned();
    let (mut seen, mut behind_seen) = (String::new(), newest.clone());
    for number in 1..=200 {
        let ack = alice.say_acked("lobby", &number.to_string(), number);
        let target = if number % 2 == 0 {
            &newest
        } else {
            &behind_seen
        };
        let page = get(near.address(), target).json();
        let last = page["messages"].as_array().and_then(|them| them.last());
        assert_eq!(last.map(place), Some(place(&ack)), "{target}: {page}");
        assert_eq!(page["position"], place(&ack), "{target}: {page}");
        bob.send(&json!({"type": "history", "roomId": "lobby", "since": seen}));
        let page = bob.hear_of("history");
        assert_eq!(page["position"], place(&ack), "{page}");
        seen = place(&ack);
        behind_seen = format!("/api/rooms/lobby/messages?since={seen}");
    }
    drop(bob);
}

#[test]
fn all_transports_hear_the_other_node() {
    let log = LogServer::start();
    let nodes = two_nodes(&log);
    let far = nodes.node(1);
    let mut streaming = StreamChatter::connect(far, "userId=s&session=s&room=lobby");
    let mut polling = PollChatter::new(far, "userId=p&session=p&room=lobby");
    streaming.hear_of("joined");
    assert!(
        polling
            .poll()
            .iter()
            .any(|message| message["type"] == "joined")
    );
    let mut private = Chatter::connect(far, "userId=bob");
    let mut alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    alice.say_acked("lobby", "to all", 1);
    assert_eq!(streaming.hear_of("room_msg")["content"], "to all");
    let of_room = |messages: Vec<Value>| {
        let mut messages = messages.into_iter();
        messages.find(|message| message["type"] == "room_msg")
    };
    let mut polled = None;
    wait_until("the poll has it", || {
        polled = of_room(polling.poll());
        polled.is_some()
    });
    assert_eq!(polled.expect("a message")["content"], "to all");
    alice.send(&json!({"type": "private_msg", "toUser": "bob", "content": "to you", "seq": 2}));
    alice.hear_of("ack");
    assert_eq!(private.hear_of("private_msg")["content"], "to you");
    alice.send(&json!({"type": "broadcast", "content": "to the world", "seq": 3}));
    assert_eq!(private.hear_of("broadcast")["content"], "to the world");
}

#[test]
fn while_the_log_is_away_senders_are_told_and_connections_stay() {
    let mut log = LogServer::start();
    let nodes = two_nodes_with(&log, &HASTY);
    let (near, far) = (nodes.node(0), nodes.node(1));
    let mut alice = Chatter::enter(near, "alice", "lobby");
    let mut bob = Chatter::enter(far, "bob", "lobby");
    say_until_acked(&mut alice, "before", 1);
    assert_eq!(bob.hear_of("room_msg")["content"], "before");
    log.kill();
    nodes.all().for_each(|node| {
        wait_until("/ready says why", || node.unready() == "unavailable");
    });
    alice.send(&json!({"type": "room_msg", "roomId": "lobby", "content": "lost", "seq": 2}));
    let error = alice.hear_of("error");
    assert_eq!(
        (&error["code"], &error["seq"]),
        (&json!("unavailable"), &json!(2))
    );
    let refused = publish(far, "lobby", &json!({"content": "lost"}));
    assert_problem(&refused, 503, "unavailable");
    assert!(refused.header("retry-after").is_some());
    // Who comes now waits for its room, and stays.
    let mut carol = Chatter::connect(far, "userId=carol");
    carol.send(&json!({"type": "join_room", "roomId": "lobby", "since": ""}));

    log.come_back();
    nodes.all().for_each(Server::wait_until_ready);
    assert_eq!(carol.hear_of("room_msg")["content"], "before");
    carol.hear_of("joined");
    say_until_acked(&mut alice, "after", 2);
    for hearer in [&mut bob, &mut carol] {
        let heard = hearer.hear_of("room_msg");
        assert_eq!(
            (&heard["content"], &heard["offset"]),
            (&json!("after"), &json!(2))
        );
    }
    alice.client.expect_alive();
    bob.client.expect_alive();
}

#[test]
fn a_log_that_lost_its_data_makes_a_gap_and_no_silence() {
    let mut log = LogServer::start();
    let nodes = two_nodes(&log);
    let mut alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    let mut bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    let before = alice.say_acked("lobby", "before", 1);
    assert_eq!(bob.hear_of("room_msg")["content"], "before");
    log.kill_and_empty();
    log.come_back();
    nodes.all().for_each(Server::wait_until_ready);
    let gap = bob.hear_of("gap");
    assert_eq!(gap["reason"], "epoch_changed", "{gap}");
    let ack = say_until_acked(&mut alice, "after", 2);
    assert_ne!(ack["epoch"], before["epoch"], "no place is given twice");
    assert_eq!(bob.hear_of("room_msg")["content"], "after");
}

#[test]
fn a_node_that_does_not_say_what_it_has_seen_is_named_and_its_rooms_begin_a_new_epoch() {
    let mut log = LogServer::start();
    let nodes = two_nodes(&log);
    let (near, far) = (nodes.node(0), nodes.node(1));
    let mut alice = Chatter::enter(near, "alice", "lobby");
    let before = alice.say_acked("lobby", "before", 1);
    wait_until("they know of each other", || {
        get(near.address(), "/api/admin/overview").json()["nodes"] == 2
    });
    far.hold_still();
    log.kill();
    log.come_back();
    let after = say_until_acked(&mut alice, "after", 2);
    assert_ne!(after["epoch"], before["epoch"], "{after}");
    wait_until("it is named", || {
        let told = near.log();
        let mut lines = told.lines();
        lines.any(|line| line.contains("event=logs_doubted") && line.contains("n2 did not say"))
    });
    far.signal("CONT");
    far.wait_until_ready();
    assert_eq!(near.log().matches("event=logs_doubted").count(), 1);
}

/// Both nodes are let in, by the password `hunter2`, and do not show it.
#[track_caller]
fn assert_they_chat_and_hide_the_password(nodes: &Nodes, scheme: &str) {
    nodes.all().for_each(Server::wait_until_ready);
    let mut alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    let mut bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    alice.say_acked("lobby", "hidden", 1);
    assert_eq!(bob.hear_of("room_msg")["content"], "hidden");
    for node in nodes.all() {
        let log = node.log();
        assert!(log.contains(&format!("{scheme}://tidewire:***@")), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn a_password_and_tls_are_spoken_and_told_nobody() {
    let identity = Identity::new();
    let launch = RedisLaunch::default().tls(&identity);
    let redis = launch.user("tidewire", "hunter2").start();
    let ca = identity.certificate();
    let ca = ca.to_str().expect("a path of ours");
    let url = redis.url();
    let nodes = Nodes::on(&url, 2, &[&OPTIONS[..], &["--log-ca", ca]].concat());
    assert_they_chat_and_hide_the_password(&nodes, "rediss");
}

#[test]
fn a_nats_lets_in_who_has_the_password_and_it_is_told_nobody() {
    let nats = Nats::start_for("tidewire", "hunter2");
    let nodes = Nodes::on(&nats.url(), 2, &OPTIONS);
    assert_they_chat_and_hide_the_password(&nodes, "nats");
    let url = format!("nats://tidewire:wrong@{}", nats.address());
    let stranger = Nodes::on(&url, 1, &OPTIONS);
    wait_until("it is told why", || {
        stranger.node(0).log().contains("Authorization Violation")
    });
}

#[test]
fn files_are_where_data_says_and_logs_are_not() {
    let log = LogServer::start();
    let directory = tidewire_tests::Directory::new();
    let data = directory.path().join("data");
    let launch = Launch::default().data(&data);
    let server = launch.arguments(&["--log", &log.url()]).start();
    server.wait_until_ready();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    alice.say_acked("lobby", "elsewhere", 1);
    let of = |name: &str| data.join(name).exists();
    assert!(of("files") && !of("SYNCED") && !of("LOCK"), "{data:?}");
    assert!(!server.log().contains("logs_unused"));
}

#[test]
fn who_moves_to_a_shared_log_is_told_that_the_one_on_the_disk_is_not_seen() {
    let log = LogServer::start();
    let directory = tidewire_tests::Directory::new();
    let launch = Launch::default().data(directory.path()).alone();
    let server = launch.start();
    server.wait_until_ready();
    drop(server);
    let server = launch.arguments(&["--log", &log.url()]).start();
    wait_until("it is told", || server.log().contains("event=logs_unused"));
}

#[test]
fn a_url_that_makes_no_sense_is_not_repeated() {
    for url in [
        "redis://tidewire:hunter2",
        "redis://tidewire@hunter2:x",
        "redis:tidewire:hunter2@redis",
        "hunter2",
        "nats://tidewire@hunter2:x",
        "nats://:hunter2@nats",
        "tls://tidewire:hunter2@nats",
    ] {
        for by_variable in [false, true] {
            let mut command = Command::new(binary());
            command.env_clear().arg("serve");
            if by_variable {
                command.env("TIDEWIRE_LOG", url);
            } else {
                command.args(["--log", url]);
            }
            let output = command.output().expect("it runs");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{url}: {told}");
            assert!(told.contains("--log"), "{url}: {told}");
            assert!(!told.contains("hunter2"), "{url}: {told}");
        }
    }
}

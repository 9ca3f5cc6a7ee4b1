//! Several workers are one server: the kernel deals connections out among them, and nobody can tell who is where.

use serde_json::{Value, json};
use tidewire_tests::chat::members;
use tidewire_tests::deflated::{OFFER, bomb};
use tidewire_tests::frame::Frame;
use tidewire_tests::http::HttpConnection;
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, PollChatter, Server, http, shared_log};

/// So many that each of three workers has some.
const CLIENTS: usize = 24;

fn start() -> Server {
    let server = Server::start_with(&["--workers", "3", "--messages-per-second", "0"]);
    let health = http::get(server.address(), "/health").json();
    assert_eq!(health["workers"], 3, "{health}");
    server
}

fn name(number: usize) -> String {
    format!("user-{number:02}")
}

/// All of them, in the room.
fn crowd(server: &Server) -> Vec<Chatter> {
    let enter = |number| Chatter::enter(server, &name(number), "lobby");
    (0..CLIENTS).map(enter).collect()
}

#[test]
fn what_one_says_comes_to_all_in_one_order() {
    const EACH: usize = 20;
    let server = start();
    let mut crowd = crowd(&server);
    // All at once, so that the workers' messages are mixed.
    for seq in 1..=EACH {
        for (number, chatter) in crowd.iter_mut().enumerate() {
            let content = json!([number, seq]);
            chatter.send(
                &json!({"type": "room_msg", "roomId": "lobby", "content": content, "seq": seq}),
            );
        }
    }
    let mut first: Option<Vec<Value>> = None;
    for (number, chatter) in crowd.iter_mut().enumerate() {
        let mut log = vec![Value::Null; CLIENTS * EACH];
        let (mut acked, mut newest) = (0, 0);
        for _ in 0..CLIENTS * EACH {
            let message = loop {
                let message = chatter.hear();
                if message["type"] != "system" {
                    break message;
                }
            };
            let offset = message["offset"].as_u64().expect("a place in the log");
            assert!(offset > newest, "{message} behind {newest}");
            newest = offset;
            let content = if message["type"] == "ack" {
                acked += 1;
                assert_eq!(message["seq"], acked, "{message}");
                json!([number, acked])
            } else {
                assert_ne!(message["from"], name(number), "its ack is its copy");
                message["content"].clone()
            };
            log[offset as usize - 1] = content;
        }
        assert_eq!(acked, EACH);
        match &first {
            None => first = Some(log),
            Some(first) => assert!(*first == log, "{number} has another log"),
        }
    }
}

#[test]
fn everybody_hears_of_everybody() {
    let server = start();
    let mut crowd = crowd(&server);
    let names: Vec<String> = (0..CLIENTS).map(name).collect();
    for chatter in &mut crowd {
        chatter.send(&json!({"type": "presence", "roomId": "lobby"}));
        assert_eq!(members(&chatter.hear_of("presence")), names);
    }
    // Whichever worker is asked.
    for _ in 0..CLIENTS {
        let answer = http::get(server.address(), "/api/rooms/lobby/presence").json();
        assert_eq!(answer["members"], json!(names), "{answer}");
        let rooms = http::get(server.address(), "/api/rooms").json();
        assert_eq!(rooms["rooms"][0]["members"], CLIENTS, "{rooms}");
    }
    let leaver = crowd.remove(7);
    drop(leaver);
    for chatter in &mut crowd {
        loop {
            let message = chatter.hear_of("system");
            if message["event"] == "leave" {
                assert_eq!(message["user"], name(7), "{message}");
                break;
            }
        }
    }
}

#[test]
fn private_messages_and_the_broadcast_cross_workers() {
    let server = start();
    let mut crowd = crowd(&server);
    for to in 1..CLIENTS {
        let content = format!("for {to}");
        crowd[0].send(
            &json!({"type": "private_msg", "toUser": name(to), "content": content, "seq": to}),
        );
        let message = crowd[to].hear_of("private_msg");
        assert_eq!(
            (&message["content"], &message["from"]),
            (&json!(content), &json!(name(0)))
        );
        assert_eq!(crowd[0].hear_of("ack")["seq"], to);
    }
    crowd[5].send(&json!({"type": "broadcast", "content": "to all", "seq": 1}));
    for (number, chatter) in crowd.iter_mut().enumerate() {
        let kind = if number == 5 { "ack" } else { "broadcast" };
        let message = chatter.hear_of(kind);
        assert!(number == 5 || message["content"] == "to all", "{message}");
    }
}

#[test]
fn a_session_has_one_connection_wherever_the_newer_one_is() {
    let server = start();
    let connect = || Chatter::connect(&server, "userId=ada&session=s&room=lobby");
    let mut older = connect();
    for _ in 0..CLIENTS {
        let newer = connect();
        assert_eq!(older.hear_close(), Some(4003));
        older = newer;
    }
}

#[test]
fn of_two_connections_of_a_session_the_newer_stays_though_home_hears_of_the_older_last() {
    const BUSY_BYTES: usize = 8 << 20;
    const HOME: u64 = 0;
    const AWAY: u64 = 1;
    let server = Server::start_with(&["--workers", "2"]);
    for round in 0..5 {
        let chat = handshake_request(&format!("/ws?userId=ada&session=s{round}"), "");
        let (beginning, rest) = chat.split_at(chat.len() / 2);
        let mut busy = upgraded(wire_at(&server, HOME), &handshake_request("/echo", OFFER));
        let (mut newer, older) = (wire_at(&server, HOME), wire_at(&server, AWAY));
        // Home has both in one turn: a message that takes it long, and the newer connection, whose request becomes whole meanwhile.
        server.hold_still();
        busy.send(&bomb(BUSY_BYTES));
        newer.send(beginning.as_bytes());
        server.signal("CONT");
        // It is answered before the newer one has asked. What its worker tells home waits there for that turn to end.
        let older = upgraded(older, &chat);
        let mut newer = Chatter::over(upgraded(newer, rest));
        let mut older = Chatter::over(older);
        newer.send(&json!({"type": "heartbeat"}));
        newer.hear_of("heartbeat");
        assert_eq!(older.hear_close(), Some(4003));
    }
}

/// A connection at this worker, over which the chat was asked once: its name there tells.
fn wire_at(server: &Server, worker: u64) -> Wire {
    loop {
        let mut poll = PollChatter::new(server, "session=asks");
        let welcome = poll.poll().swap_remove(0);
        let name = welcome["connection"].as_str().expect("a name");
        let place = name.split('-').nth(1).and_then(|place| place.parse().ok());
        let place: u64 = place.unwrap_or_else(|| panic!("{name} has no place"));
        if place % 2 == worker {
            return poll.http.wire;
        }
    }
}

/// A WebSocket over a connection, for which this, or the rest of it, is asked.
fn upgraded(wire: Wire, request: &str) -> Client {
    let mut connection = HttpConnection { wire };
    connection.wire.send(request.as_bytes());
    assert_eq!(connection.response().status, 101);
    Client::upgraded(connection.wire)
}

#[test]
fn the_relay_crosses_workers() {
    let server = start();
    let open = |_| Client::open(server.address(), "/relay?room=r");
    let mut clients: Vec<Client> = (0..CLIENTS).map(open).collect();
    for sender in 0..CLIENTS {
        let text = format!("from {sender}");
        clients[sender].send_text(&text);
        for (number, client) in clients.iter_mut().enumerate() {
            if number != sender {
                assert_eq!(client.expect_text(), text, "{number}");
            }
        }
    }
}

#[test]
fn what_came_together_wakes_a_worker_once() {
    const MESSAGES: u64 = 1000;
    let server = start();
    let mut crowd = crowd(&server);
    let burst: Vec<u8> = (1..=MESSAGES)
        .flat_map(|seq| {
            let message =
                json!({"type": "room_msg", "roomId": "lobby", "content": seq, "seq": seq});
            Frame::text(message.to_string()).encode()
        })
        .collect();
    let before = server.health().turns;
    server.hold_still();
    crowd[0].client.wire.send(&burst);
    server.signal("CONT");
    for seq in 1..=MESSAGES {
        assert_eq!(crowd[0].hear_of("ack")["seq"], seq);
    }
    for chatter in &mut crowd[1..] {
        for seq in 1..=MESSAGES {
            assert_eq!(chatter.hear_of("room_msg")["offset"], seq);
        }
    }
    let turns = server.health().turns - before;
    assert!(
        turns < MESSAGES / 2,
        "{turns} turns of three workers for {MESSAGES} messages to each of them"
    );
}

#[test]
fn connections_are_spread_evenly() {
    let server = start();
    let _crowd = crowd(&server);
    let mut watched = server.watched();
    // A log that is elsewhere has a loop of its own, which watches least.
    let loops = 3 + usize::from(shared_log::is_wanted());
    assert_eq!(watched.len(), loops, "{watched:?}");
    watched.sort_unstable_by(|a, b| b.cmp(a));
    watched.truncate(3);
    let (most, fewest) = (watched.iter().max(), watched.iter().min());
    assert!(
        most.zip(fewest)
            .is_some_and(|(most, fewest)| most - fewest <= 4),
        "{watched:?}"
    );
}

#[test]
fn who_leaves_at_once_gets_all_acks_and_hears_of_no_joining_later() {
    const ROUNDS: u64 = 200;
    let server = start();
    let _crowd = crowd(&server);
    for client in 0..6 {
        let mut chatter = Chatter::connect(&server, &format!("userId=hasty-{client}"));
        let room = format!("hall-{client}");
        for round in 1..=ROUNDS {
            chatter.send(&json!({"type": "join_room", "roomId": room, "id": round}));
            chatter
                .send(&json!({"type": "room_msg", "roomId": room, "content": round, "seq": round}));
            chatter.send(&json!({"type": "leave_room", "roomId": room, "id": round}));
        }
        let (mut acked, mut left) = (Vec::new(), 0);
        for message in chatter.everything_until_heartbeat() {
            match message["type"].as_str() {
                Some("ack") => acked.push(message["seq"].as_u64().expect("a number")),
                Some("left") => left += 1,
                Some("joined") => {
                    let id = message["id"].as_u64().expect("a number");
                    assert!(id > left, "{message}, but it has left {left} times");
                }
                _ => {}
            }
        }
        // The last ones may still have been on their way.
        while acked.len() < ROUNDS as usize {
            acked.push(chatter.hear_of("ack")["seq"].as_u64().expect("a number"));
        }
        assert_eq!(acked, (1..=ROUNDS).collect::<Vec<_>>());
        assert_eq!(left, ROUNDS);
    }
}

//! G: the chat, its transports, and what users can be called and say.

use std::io::Write as _;
use std::thread;

use serde_json::{Value, json};
use tidewire_tests::chat::members;
use tidewire_tests::http::{HttpConnection, assert_problem, get, send};
use tidewire_tests::{Chatter, EventStream, Frame, Launch, Server};

use crate::{growth, under_attack, under_attack_as};

/// [G1]
#[test]
fn ten_thousand_joins_are_128_rooms_and_errors() {
    const JOINS: usize = 10_000;
    let launch = Launch::default().arguments(&["--messages-per-second", "0"]);
    under_attack_as(&launch, |server| {
        let before = server.usage().resident_bytes;
        let mut greedy = Chatter::connect(server, "userId=greedy");
        let mut stream = greedy
            .client
            .wire
            .stream()
            .try_clone()
            .expect("a second handle");
        let joins: Vec<u8> = (0..JOINS)
            .flat_map(|n| {
                Frame::text(json!({"type": "join_room", "roomId": format!("room {n}")}).to_string())
                    .encode()
            })
            .collect();
        thread::scope(|scope| {
            scope.spawn(move || stream.write_all(&joins).expect("it is read"));
            let mut joined = 0;
            for _ in 0..JOINS {
                let answer = greedy.hear();
                match answer["type"].as_str() {
                    Some("joined") => joined += 1,
                    _ => assert_eq!(answer["code"], "too_many_rooms", "{answer}"),
                }
            }
            assert_eq!(joined, 128);
        });
        assert!(growth(server, before) < 4 << 20);
    });
}

/// [G2]
#[test]
fn a_body_of_nothing_but_lines_is_one_refusal() {
    const MESSAGES: &str = "/api/rooms/room/messages";
    under_attack(|server| {
        for body in [
            "\n".repeat(60_000),
            "{}\n".repeat(20_000),
            "[".repeat(60_000),
            "1,".repeat(30_000),
        ] {
            let response = send(server.address(), "POST", MESSAGES, "", body.as_bytes());
            assert_eq!(response.status, 400, "{response:?}");
        }
        let before = server.usage().resident_bytes;
        let mut connection = HttpConnection::open(server.address());
        connection.request("POST", MESSAGES, "Content-Length: 8388608\r\n");
        // What it says is to be read even if all of it is sent.
        let _ = connection.wire.try_send(&vec![b'\n'; 8 << 20]);
        assert_problem(&connection.response(), 413, "too_large");
        assert!(growth(server, before) < 4 << 20);
    });
}

/// Names that mean something to a language, a database or a shell.
const NAMES: &[&str] = &[
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "error",
    "message",
    "null",
    "undefined",
    "NaN",
    "-1",
    "'; DROP TABLE rooms; --",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "%s%n",
    "$(id)",
    "\u{202e}abc",
    "\u{feff}",
    "\u{1f468}\u{200d}\u{1f469}",
    "a\"b",
    "a\\b",
    "CON",
    ".",
];

/// [G4]
#[test]
fn names_that_mean_something_elsewhere_are_names() {
    under_attack(|server| {
        let mut guest = Chatter::connect(server, "userId=guest");
        for name in NAMES {
            let mut named = Chatter::connect(server, "");
            named.send(&json!({"type": "hello", "user": name}));
            assert_eq!(named.hear_of("welcome")["user"], *name);
            named.join(name);
            assert_eq!(
                members(&guest.join(name)),
                members(&json!({"members": sorted(name, "guest")}))
            );
            named.say_acked(name, name, 1);
            let heard = guest.hear_of("room_msg");
            assert_eq!(
                (&heard["roomId"], &heard["from"]),
                (&json!(name), &json!(name))
            );
            guest.send(
                &json!({"type": "private_msg", "toUser": name, "content": name, "seq": *name}),
            );
            assert_eq!(guest.hear_of("ack")["seq"], *name);
            assert_eq!(named.hear_of("private_msg")["content"], *name);
            guest.send(&json!({"type": "leave_room", "roomId": name}));
            guest.hear_of("left");
        }
    });
}

fn sorted(a: &str, b: &str) -> [String; 2] {
    let mut both = [a.to_owned(), b.to_owned()];
    both.sort();
    both
}

/// [G5]
#[test]
fn no_content_breaks_out_of_its_event() {
    under_attack(|server| {
        let mut stream = EventStream::open(server.address(), "/sse?room=room&since=", "");
        let mut alice = Chatter::enter(server, "al\u{2028}ice", "room");
        for (seq, content) in [
            "\r",
            "\n",
            "a\rdata: x\n\nid: 9\n\n",
            "\r\n\r\nevent: close\r\ndata: {}\r\n\r\n",
            "\u{2028}\u{2029}\u{85}data: y",
            ": comment",
            "\0id: 1",
        ]
        .iter()
        .enumerate()
        {
            alice.say_acked("room", content, seq as u64);
            let (id, message) = stream.message();
            assert_eq!(message["content"], *content, "{message}");
            let id = id.expect("each has a place");
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
                "{id}"
            );
            assert!(
                id.ends_with(&format!("-{}", seq + 1)),
                "one event each: {id}"
            );
        }
    });
}

/// [G6]
#[test]
fn a_position_that_never_was_is_a_refusal_or_a_gap_and_never_caught_up() {
    under_attack(|server| {
        let mut alice = Chatter::enter(server, "alice", "room");
        let ack = alice.say_acked("room", "one", 1);
        let epoch = ack["epoch"].as_str().expect("an epoch is text");
        let positions = [
            format!("{epoch}-2"),
            format!("{epoch}-18446744073709551615"),
            format!("{epoch}-18446744073709551616"),
            format!("{epoch}--1"),
            format!("{epoch}-+1"),
            format!("{epoch}-01"),
            "00000000-1".to_owned(),
            "ffffffffffffffff-1".to_owned(),
            "-1".to_owned(),
            "1".to_owned(),
            "NaN".to_owned(),
            "9".repeat(7000),
        ];
        for position in positions {
            assert_not_caught_up(server, &position);
        }
    });
}

/// Whoever comes with this position gets a refusal, or a gap that says so.
#[track_caller]
fn assert_not_caught_up(server: &Server, position: &str) {
    let what = &position[..position.len().min(40)];
    let polled = get(
        server.address(),
        &format!("/poll?room=room&since={position}&timeout=1"),
    );
    if polled.status == 200 {
        let polled = polled.json();
        assert_eq!(polled["gaps"][0]["roomId"], "room", "{what}: {polled}");
    } else {
        assert_eq!(polled.status, 400, "{what}: {polled:?}");
    }
    let mut chatter = Chatter::connect(server, "");
    chatter.send(&json!({"type": "join_room", "roomId": "room", "since": position}));
    let mut gap = false;
    loop {
        let message: Value = chatter.hear();
        match message["type"].as_str() {
            Some("gap") => gap = true,
            Some("room_msg") => assert!(gap, "{what}: {message}"),
            Some("error") => break,
            Some("joined") => {
                assert_eq!(message["recovered"], false, "{what}: {message}");
                assert!(gap, "{what}: {message}");
                break;
            }
            _ => panic!("{message}"),
        }
    }
}

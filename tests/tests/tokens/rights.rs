//! Which right is good for what: every set of rights at every place where rights count, on every transport.

use serde_json::{Value, json};
use tidewire_tests::http::{HttpConnection, Response};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::{Chatter, Issuer, PollChatter, Server, StreamChatter, http};

/// What a token grants in the room `r`.
#[derive(Clone, Copy, Debug)]
struct Rights {
    join: bool,
    publish: bool,
    read: bool,
}

impl Rights {
    fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self {
            join: bits & 1 != 0,
            publish: bits & 2 != 0,
            read: bits & 4 != 0,
        })
    }

    fn words(self) -> Vec<&'static str> {
        let words = [
            (self.join, "join"),
            (self.publish, "publish"),
            (self.read, "read"),
        ];
        words
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, word)| word)
            .collect()
    }
}

/// Tries something with a token; whether it was allowed. What is not is refused as it should be.
type Try = fn(&Server, &str) -> bool;

/// A place, what is tried there, and which rights it takes.
type Place = (&'static str, Try, fn(Rights) -> bool);

const PLACES: &[Place] = &[
    ("WebSocket: join_room", join, |can| can.join),
    ("WebSocket: room in the address", join_by_address, |can| {
        can.join
    }),
    ("WebSocket: room_msg", say, |can| can.join && can.publish),
    ("WebSocket: typing", type_in, |can| can.join && can.publish),
    ("WebSocket: history", read_history, |can| can.read),
    ("WebSocket: presence", ask_presence, |can| {
        can.join || can.read
    }),
    ("relay", relay, |can| can.join && can.publish),
    (
        "event stream of a room",
        |server, token| get(server, "/sse?room=r", token),
        |can| can.read,
    ),
    (
        "poll of a room",
        |server, token| get(server, "/poll?room=r&since=", token),
        |can| can.read,
    ),
    ("event stream of the chat", stream, |can| can.join),
    ("poll of the chat", poll, |can| can.join),
    (
        "POST message",
        |server, token| post(server, "/api/rooms/r/messages", token),
        |can| can.publish,
    ),
    (
        "POST typing",
        |server, token| post(server, "/api/rooms/r/typing", token),
        |can| can.publish,
    ),
    (
        "GET messages",
        |server, token| get(server, "/api/rooms/r/messages", token),
        |can| can.read,
    ),
    (
        "GET presence",
        |server, token| get(server, "/api/rooms/r/presence", token),
        |can| can.join || can.read,
    ),
    ("GET rooms", is_listed, |can| can.join || can.read),
];

#[test]
fn each_right_is_good_for_what_it_says_on_every_transport() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    // Somebody is there, and has said something.
    let mut resident = Chatter::connect(
        &server,
        &format!("room=r&token={}", issuer.token("resident", &[])),
    );
    resident.say_acked("r", "before", 1);
    for rights in Rights::all() {
        let token = issuer.token_for("ada", &rights.words(), "r");
        for (place, try_it, takes) in PLACES {
            assert_eq!(
                try_it(&server, &token),
                takes(rights),
                "{place} with {rights:?}"
            );
        }
    }
}

// ---- WebSocket ----

fn enter(server: &Server, token: &str) -> Chatter {
    Chatter::connect(server, &format!("token={token}"))
}

/// The answer to a message, which has its id.
fn ask(chatter: &mut Chatter, message: &Value) -> Value {
    let mut message = message.clone();
    message["id"] = json!("asked");
    chatter.send(&message);
    loop {
        let answer = chatter.hear();
        if answer["id"] == "asked" {
            return answer;
        }
    }
}

fn is_allowed(answer: &Value, codes: &[&str]) -> bool {
    if answer["type"] != "error" {
        return true;
    }
    let code = answer["code"].as_str().expect("a code");
    assert!(codes.contains(&code), "{answer}");
    false
}

fn join(server: &Server, token: &str) -> bool {
    let answer = ask(
        &mut enter(server, token),
        &json!({"type": "join_room", "roomId": "r"}),
    );
    is_allowed(&answer, &["forbidden"])
}

fn join_by_address(server: &Server, token: &str) -> bool {
    let mut chatter = Chatter::connect(server, &format!("room=r&token={token}"));
    is_allowed(&chatter.hear(), &["forbidden"])
}

fn say(server: &Server, token: &str) -> bool {
    let mut chatter = enter(server, token);
    ask(&mut chatter, &json!({"type": "join_room", "roomId": "r"}));
    let message = json!({"type": "room_msg", "roomId": "r", "content": 1, "seq": 1});
    is_allowed(&ask(&mut chatter, &message), &["forbidden", "not_in_room"])
}

fn type_in(server: &Server, token: &str) -> bool {
    let mut chatter = enter(server, token);
    ask(&mut chatter, &json!({"type": "join_room", "roomId": "r"}));
    chatter.send(&json!({"type": "typing", "roomId": "r"}));
    let before = chatter.everything_until_heartbeat();
    !before.iter().any(|message| message["type"] == "error")
}

fn read_history(server: &Server, token: &str) -> bool {
    let answer = ask(
        &mut enter(server, token),
        &json!({"type": "history", "roomId": "r"}),
    );
    is_allowed(&answer, &["forbidden"])
}

fn ask_presence(server: &Server, token: &str) -> bool {
    let answer = ask(
        &mut enter(server, token),
        &json!({"type": "presence", "roomId": "r"}),
    );
    is_allowed(&answer, &["forbidden"])
}

fn relay(server: &Server, token: &str) -> bool {
    let request = handshake_request(&format!("/relay?room=r&token={token}"), "");
    is_let_in(&http::exchange(server.address(), request.as_bytes()), 101)
}

// ---- HTTP ----

fn is_let_in(response: &Response, good: u16) -> bool {
    assert!([good, 403].contains(&response.status), "{response:?}");
    response.status == good
}

fn get(server: &Server, target: &str, token: &str) -> bool {
    let headers = format!("Authorization: Bearer {token}\r\n");
    let mut connection = HttpConnection::open(server.address());
    // A stream has no end: its head tells enough.
    connection.request("GET", target, &headers);
    is_let_in(&connection.response_to_head(), 200)
}

fn post(server: &Server, target: &str, token: &str) -> bool {
    let headers = format!("Authorization: Bearer {token}\r\n");
    let response = http::send(
        server.address(),
        "POST",
        target,
        &headers,
        br#"{"content":1}"#,
    );
    is_let_in(
        &response,
        if target.ends_with("typing") { 204 } else { 200 },
    )
}

fn is_listed(server: &Server, token: &str) -> bool {
    let list = http::get(server.address(), &format!("/api/rooms?token={token}")).json();
    let rooms = list["rooms"].as_array().expect("a list");
    rooms.iter().any(|room| room["roomId"] == "r")
}

fn stream(server: &Server, token: &str) -> bool {
    let mut stream = StreamChatter::connect(server, &format!("room=r&session=s&token={token}"));
    is_allowed(&stream.hear(), &["forbidden"])
}

fn poll(server: &Server, token: &str) -> bool {
    let mut poll = PollChatter::new(server, &format!("room=r&session=p&token={token}"));
    let messages = poll.poll();
    messages
        .iter()
        .all(|message| is_allowed(message, &["forbidden"]))
}

// ---- what was said before ----

#[test]
fn who_may_join_and_not_read_hears_what_is_said_from_now_on_and_of_a_gap() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token_for("ada", &["join"], "r");
    let mut resident = Chatter::connect(
        &server,
        &format!("room=r&token={}", issuer.token("resident", &[])),
    );
    resident.say_acked("r", "before", 1);
    let mut ada = Chatter::connect(&server, &format!("room=r&since=&token={token}"));
    let gap = ada.expect("gap");
    assert_eq!(
        (&gap["reason"], &gap["from"]),
        (&json!("forbidden"), &json!(""))
    );
    let joined = ada.expect("joined");
    assert_eq!(joined["recovered"], false);
    assert_eq!(joined["position"], gap["to"]);
    resident.say_acked("r", "after", 2);
    assert_eq!(ada.hear_of("room_msg")["content"], "after");

    // Nothing is missing where nothing was said.
    let here = joined["position"].as_str().expect("a position").to_owned();
    let other = Chatter::connect(&server, &format!("room=r&since={here}&token={token}"));
    drop(other);
}

#[test]
fn a_session_that_comes_back_with_less_is_where_it_still_may_be() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let before = issuer.token("ada", &["--join", "*", "--read", "*"]);
    let after = issuer.token("ada", &["--join", "kept", "--read", "kept"]);
    let mut ada = Chatter::connect(
        &server,
        &format!("room=kept&room=lost&session=s&token={before}"),
    );
    ada.hear_of("joined");
    ada.hear_of("joined");
    ada.client.close();
    let mut ada = Chatter::connect(&server, &format!("token={after}"));
    ada.send(&json!({"type": "hello", "session": "s"}));
    let (mut refused, mut joined) = (Vec::new(), Vec::new());
    for message in ada.everything_until_heartbeat() {
        match message["type"].as_str() {
            Some("error") => refused.push(message["code"].clone()),
            Some("joined") => joined.push(message["roomId"].clone()),
            _ => {}
        }
    }
    if joined.is_empty() {
        // It is told once the log has answered.
        joined.push(ada.hear_of("joined")["roomId"].clone());
    }
    assert_eq!(
        (refused, joined),
        (vec![json!("forbidden")], vec![json!("kept")])
    );
}

#[test]
fn a_fresh_token_with_less_leaves_rooms() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let before = issuer.token("ada", &["--join", "*", "--publish", "*"]);
    let after = issuer.token("ada", &["--join", "kept"]);
    let mut resident = Chatter::connect(
        &server,
        &format!("room=lost&token={}", issuer.token("resident", &[])),
    );
    resident.hear_of("joined");
    let mut ada = Chatter::connect(&server, &format!("room=kept&room=lost&token={before}"));
    ada.hear_of("joined");
    ada.hear_of("joined");
    ada.send(&json!({"type": "hello", "token": after}));
    assert_eq!(ada.expect("error")["code"], "forbidden");
    assert_eq!(ada.expect("left")["roomId"], "lost");
    ada.expect("welcome");
    let leave = loop {
        let message = resident.hear_of("system");
        if message["event"] == "leave" {
            break message;
        }
    };
    assert_eq!(
        (&leave["user"], &leave["roomId"]),
        (&json!("ada"), &json!("lost"))
    );
    let refused = ada.provoke(r#"{"type":"room_msg","roomId":"kept","content":1}"#);
    assert_eq!(refused["code"], "forbidden", "it may not write any more");
}

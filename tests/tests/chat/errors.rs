//! A client that talks nonsense: each time an `error`, the connection stays open, until it is too much.

use serde_json::{Value, json};
use tidewire_tests::{Chatter, Frame, Message, Server};

const NONSENSE: &[(&str, &str)] = &[
    ("no JSON", "hello?"),
    ("nothing", ""),
    ("JSON that does not end", r#"{"type":"heartbeat""#),
    ("two values", r#"{"type":"heartbeat"} {"type":"heartbeat"}"#),
    ("an array", r#"["heartbeat"]"#),
    ("a number", "42"),
    ("null", "null"),
    ("no type and no seq", "{}"),
    ("an unknown type", r#"{"type":"teleport"}"#),
    ("a type only the server sends", r#"{"type":"welcome"}"#),
    ("a type that is no string", r#"{"type":7}"#),
    ("a type in capitals", r#"{"type":"HEARTBEAT"}"#),
    ("join_room without roomId", r#"{"type":"join_room"}"#),
    (
        "a room that is no string",
        r#"{"type":"join_room","roomId":5}"#,
    ),
    (
        "a room without a name",
        r#"{"type":"join_room","roomId":""}"#,
    ),
    ("leave_room without roomId", r#"{"type":"leave_room"}"#),
    (
        "room_msg without roomId",
        r#"{"type":"room_msg","content":"x"}"#,
    ),
    (
        "room_msg without content",
        r#"{"type":"room_msg","roomId":"lobby"}"#,
    ),
    (
        "private_msg without toUser",
        r#"{"type":"private_msg","content":"x"}"#,
    ),
    (
        "private_msg without content",
        r#"{"type":"private_msg","toUser":"bob"}"#,
    ),
    ("broadcast without content", r#"{"type":"broadcast"}"#),
    ("typing without roomId", r#"{"type":"typing"}"#),
    ("presence without roomId", r#"{"type":"presence"}"#),
    (
        "a seq that is no simple value",
        r#"{"type":"room_msg","roomId":"lobby","content":"x","seq":{"first":1}}"#,
    ),
];

#[test]
fn nonsense_is_answered_by_an_error_and_the_connection_stays_open() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    for (name, nonsense) in NONSENSE {
        println!("{name}");
        alice.provoke(nonsense);
        // Sense in between: errors are counted in a row.
        assert_eq!(
            alice.everything_until_heartbeat(),
            [] as [Value; 0],
            "{name}"
        );
    }
    alice.say_acked("lobby", "still here", 1);
    assert_eq!(
        bob.hear_of("room_msg")["content"],
        "still here",
        "none of the nonsense became a message"
    );
}

#[test]
fn an_error_carries_the_seq_and_the_id_of_its_message() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    let error = alice.provoke(r#"{"type":"room_msg","roomId":"lobby","seq":12,"id":"q"}"#);
    assert_eq!(
        (&error["seq"], &error["id"]),
        (&json!(12), &json!("q")),
        "{error}"
    );
}

#[test]
fn the_tenth_error_in_a_row_closes_with_1008() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    for _ in 0..9 {
        alice.provoke("nonsense");
    }
    alice.send(&json!({"type": "heartbeat"}));
    alice.expect("heartbeat");
    // The count began again.
    for _ in 0..9 {
        alice.provoke("nonsense");
    }
    alice.client.send_text("nonsense");
    let last = alice.client.read_message();
    // The tenth is answered as well, or by the close frame alone.
    if let Message::Text(text) = &last {
        assert!(text.contains(r#""error""#), "{text}");
        alice.client.expect_close(1008);
    } else {
        assert!(matches!(last, Message::Close(Some(1008), _)), "{last:?}");
    }
    alice.client.send(&Frame::close(1008, ""));
    alice.client.expect_end();
}

#[test]
fn binary_messages_are_not_chat() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    alice.client.send_binary(br#"{"type":"heartbeat"}"#);
    // "1003 indicates that an endpoint is terminating the connection because it has received a type of data it
    // cannot accept" (RFC 6455 §7.4.1); an `error` on an open connection is as good.
    match alice.client.read_message() {
        Message::Close(code, _) => assert_eq!(code, Some(1003)),
        Message::Text(text) => assert!(text.contains(r#""error""#), "{text}"),
        other @ (Message::Binary(_) | Message::End(_)) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn json_made_to_hurt_is_answered_like_any_other() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice&room=lobby");
    alice.expect("joined");
    let deep = format!(
        r#"{{"type":"join_room","roomId":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let hurtful = [
        deep.as_str(),
        r#"{"type":"join_room","roomId":"\ud800"}"#,
        r#"{"type":"join_room","roomId":1e400}"#,
    ];
    for text in hurtful {
        alice.provoke(text);
        assert_eq!(alice.everything_until_heartbeat(), [] as [Value; 0]);
    }
    // Deep content is the clients' affair, or too deep: either is fine, a crash is not.
    let content = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    alice.client.send_text(&format!(
        r#"{{"type":"room_msg","roomId":"lobby","content":{content},"seq":1}}"#
    ));
    let answer = alice.hear();
    assert!(
        answer["type"] == "ack" || answer["type"] == "error",
        "{answer}"
    );
    // A key that comes twice is one value or an error, and never two different readings of one message.
    alice
        .client
        .send_text(r#"{"type":"heartbeat","type":"heartbeat"}"#);
    let answer = alice.hear();
    assert!(
        answer["type"] == "heartbeat" || answer["type"] == "error",
        "{answer}"
    );
    alice.client.expect_alive();
}

//! The limits of the chat, each at its last good value and one beyond.

use serde_json::json;
use tidewire_tests::{Chatter, Client, Frame, Message, Server};

const MESSAGE_BYTES_MAX: usize = 64 * 1024;
const ROOMS_MAX: usize = 128;
const NAME_BYTES_MAX: usize = 128;

#[test]
fn a_message_of_64_kib_passes_and_one_byte_more_closes_with_1009() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let envelope = r#"{"type":"room_msg","roomId":"lobby","content":""}"#;
    let content = "x".repeat(MESSAGE_BYTES_MAX - envelope.len());
    say_in_envelope(&mut alice, &content);
    assert_eq!(bob.hear_of("room_msg")["content"], content.as_str());
    say_in_envelope(&mut alice, &format!("{content}x"));
    assert_eq!(alice.hear_close(), Some(1009));
    assert_eq!(bob.hear_of("system")["event"], "leave");
    bob.client.expect_alive();
}

#[test]
fn a_header_that_announces_too_much_is_enough_to_close_with_1009() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    // Nothing of the payload is ever sent: the answer is to the header.
    let frame = Frame::text("x".repeat(MESSAGE_BYTES_MAX + 1)).encode();
    alice.client.wire.send(&frame[..14]);
    alice.client.expect_close(1009);
}

#[test]
fn the_limit_counts_all_fragments_of_a_message() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    alice
        .client
        .send(&Frame::text(" ".repeat(40_000)).unfinished());
    let second = Frame::continuation(" ".repeat(40_000))
        .unfinished()
        .encode();
    // The sum passes the limit on this header, long before FIN.
    alice.client.wire.send(&second[..8]);
    alice.client.expect_close(1009);
}

#[test]
fn a_message_may_have_1024_fragments_and_the_next_one_closes_with_1008() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    let request = r#"{"type":"heartbeat"}"#;
    // Empty fragments count as well.
    alice.client.send(&Frame::text("").unfinished());
    for _ in 0..1022 {
        alice.client.send(&Frame::continuation("").unfinished());
    }
    alice.client.send(&Frame::continuation(request));
    alice.expect("heartbeat");

    alice.client.send(&Frame::text("").unfinished());
    for _ in 0..1024 {
        // The server may close before the last of them is written.
        let _ = alice
            .client
            .wire
            .try_send(&Frame::continuation("").unfinished().encode());
    }
    assert_eq!(alice.hear_close(), Some(1008));
}

#[test]
fn a_connection_may_be_in_128_rooms() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut alice = Chatter::connect(&server, "userId=alice");
    for number in 0..ROOMS_MAX {
        alice.join(&format!("room {number}"));
    }
    alice.provoke(r#"{"type":"join_room","roomId":"one too many"}"#);
    // Joining a room again needs no place, and leaving one makes place.
    alice.join("room 5");
    alice.send(&json!({"type": "leave_room", "roomId": "room 5"}));
    alice.expect("left");
    alice.join("one too many");
}

#[test]
fn names_have_at_most_128_bytes() {
    let server = Server::start();
    // 128 bytes in 64 characters: bytes are what counts.
    let longest = "é".repeat(NAME_BYTES_MAX / 2);
    let too_long = format!("{longest}x");
    let mut alice = Chatter::connect(&server, "");
    alice.send(&json!({"type": "hello", "user": longest}));
    assert_eq!(alice.hear_of("welcome")["user"], longest.as_str());
    assert_eq!(alice.join(&longest)["roomId"], longest.as_str());
    alice.provoke(&json!({"type": "join_room", "roomId": too_long}).to_string());
    alice.provoke(&json!({"type": "hello", "user": too_long}).to_string());
    alice.provoke(&json!({"type": "private_msg", "toUser": too_long, "content": 1}).to_string());
}

#[test]
fn a_name_in_the_url_has_at_most_128_bytes() {
    let server = Server::start();
    let longest = "n".repeat(NAME_BYTES_MAX);
    let alice = Chatter::connect(&server, &format!("userId={longest}"));
    assert_eq!(alice.welcome["user"], longest.as_str());
    for query in [
        format!("userId={longest}n"),
        format!("userId=alice&room={longest}n"),
    ] {
        // A refused handshake, an `error` or a close frame with a reason all say so; a shortened name does not.
        match Client::try_open(server.address(), &format!("/ws?{query}")) {
            Err(refusal) => assert_eq!(refusal.status, 400, "{refusal:?}"),
            Ok(client) => assert_told_of_an_error(client),
        }
    }
}

#[test]
fn a_client_over_its_message_rate_is_told_so() {
    let server = Server::start_with(&["--messages-per-second", "10"]);
    let mut alice = Chatter::connect(&server, "userId=alice");
    for _ in 0..200 {
        // The server may close before the last of them is written.
        let heartbeat = Frame::text(r#"{"type":"heartbeat"}"#).encode();
        let _ = alice.client.wire.try_send(&heartbeat);
    }
    assert_told_of_an_error(alice.client);
}

#[test]
fn a_client_within_its_message_rate_is_left_alone() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    // The default allows a burst of 200.
    for _ in 0..190 {
        alice.send(&json!({"type": "heartbeat"}));
    }
    for _ in 0..190 {
        alice.expect("heartbeat");
    }
}

/// Reads until an `error` message, or a close frame with code 1008.
#[track_caller]
fn assert_told_of_an_error(mut client: Client) {
    for _ in 0..1000 {
        match client.read_message() {
            Message::Text(text) if text.contains(r#""type":"error""#) => return,
            Message::Text(_) | Message::Binary(_) => {}
            Message::Close(code, reason) => {
                assert_eq!(code, Some(1008), "{reason}");
                return;
            }
            Message::End(end) => panic!("the connection ended ({end:?}) without a word"),
        }
    }
    panic!("neither an error nor a close frame came");
}

/// Sends a message to the lobby with exactly the envelope that the test has measured.
#[track_caller]
fn say_in_envelope(chatter: &mut Chatter, content: &str) {
    let message = format!(r#"{{"type":"room_msg","roomId":"lobby","content":"{content}"}}"#);
    chatter.client.send_text(&message);
}

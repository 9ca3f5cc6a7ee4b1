//! D: permessage-deflate.

use serde_json::json;
use tidewire_tests::deflated::{OFFER, bomb, inflate, text};
use tidewire_tests::frame::opcode;
use tidewire_tests::http::HttpConnection;
use tidewire_tests::websocket::{Message, handshake_request};
use tidewire_tests::{Client, Frame, Server};

use crate::{growth, under_attack};

/// The largest message of the chat.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// [D1]
#[test]
fn bombs_on_a_hundred_connections_are_1009_and_cost_no_memory() {
    let bomb = bomb(16 << 20).encode();
    assert!(bomb.len() < 17_000, "a thousandth of what it becomes");
    under_attack(|server| {
        let before = server.usage().resident_bytes;
        for _ in 0..5 {
            let mut all: Vec<_> = (0..100).map(|_| open(server, "/ws")).collect();
            for client in &mut all {
                client.wire.send(&bomb);
            }
            for mut client in all {
                // The welcome may come from another worker, and too late.
                if is_text_next(&mut client) {
                    let _welcome = next_text(&mut client);
                }
                client.expect_close(1009);
            }
        }
        assert!(growth(server, before) < 8 << 20);
    });
}

/// [D1]
#[test]
fn messages_held_open_hold_no_more_than_a_message_may_have() {
    const CONNECTIONS: usize = 100;
    let nearly = bomb(MESSAGE_BYTES_MAX - 1).unfinished().encode();
    assert!(nearly.len() < 200, "three hundred times as much is kept");
    under_attack(|server| {
        let before = server.usage().resident_bytes;
        for _ in 0..4 {
            let mut held: Vec<_> = (0..CONNECTIONS).map(|_| open(server, "/ws")).collect();
            for client in &mut held {
                client.wire.send(&nearly);
            }
            for client in &mut held {
                let _welcome = next_text(client);
                client.expect_alive();
            }
            let grown = growth(server, before);
            let most = CONNECTIONS * 2 * MESSAGE_BYTES_MAX + (4 << 20);
            assert!(grown < most as u64, "{grown}");
        }
    });
}

/// [D2]
#[test]
fn what_people_say_over_and_over_is_no_bomb() {
    under_attack(|server| {
        let mut client = open(server, "/ws?userId=alice&room=room");
        let page: Vec<_> = (0..1000)
            .map(|n| json!({"from": "alice", "offset": n}))
            .collect();
        for (seq, content) in [
            json!("a".repeat(4000)),
            json!(page),
            json!("b".repeat(60_000)),
        ]
        .iter()
        .enumerate()
        {
            let message =
                json!({"type": "room_msg", "roomId": "room", "content": content, "seq": seq});
            assert!(message.to_string().len() < MESSAGE_BYTES_MAX);
            client.send(&text(message.to_string()));
            while !next_text(&mut client).contains(r#""type":"ack""#) {}
        }
    });
}

/// [D4]
#[test]
fn a_compressed_message_of_no_bytes_is_empty_or_1007() {
    under_attack(|server| {
        let mut client = open(server, "/echo");
        client.send(&Frame::text("").with_rsv(4));
        match client.read_message() {
            Message::Text(text) => assert_eq!(text, ""),
            Message::Close(code, _) => assert_eq!(code, Some(1007)),
            other @ (Message::Binary(_) | Message::End(_)) => panic!("{other:?}"),
        }
    });
}

/// [D6]
#[test]
fn compressed_connections_that_came_and_went_leave_nothing() {
    const ROUND: usize = 500;
    let message = text("x".repeat(3000)).encode();
    under_attack(|server| {
        let round = || {
            for _ in 0..ROUND {
                let mut client = open(server, "/echo");
                client.wire.send(&message);
                assert_eq!(next_text(&mut client).len(), 3000);
                client.close();
            }
        };
        round();
        let before = server.usage().resident_bytes;
        round();
        round();
        // A decompressor alone is 48 KB.
        assert!(growth(server, before) < 4 << 20);
    });
}

/// A WebSocket on which messages may be compressed.
#[track_caller]
fn open(server: &Server, target: &str) -> Client {
    let mut connection = HttpConnection::open(server.address());
    connection
        .wire
        .send(handshake_request(target, OFFER).as_bytes());
    let response = connection.response();
    assert_eq!(response.status, 101, "{response:?}");
    assert!(
        response.header("sec-websocket-extensions").is_some(),
        "{response:?}"
    );
    Client::upgraded(connection.wire)
}

/// Whether what comes next is a text message.
#[track_caller]
fn is_text_next(client: &mut Client) -> bool {
    while client.wire.inbox.is_empty() {
        client.wire.receive().expect("a message is due");
    }
    client.wire.inbox[0] & 0x0f == opcode::TEXT
}

/// The next text message, which may be compressed.
#[track_caller]
fn next_text(client: &mut Client) -> String {
    assert!(is_text_next(client), "a text message is due");
    if client.wire.inbox[0] & 0x40 != 0 {
        client.wire.inbox[0] &= !0x40;
        let frame = client.expect_frame();
        assert_eq!(frame.opcode, opcode::TEXT);
        let text = inflate(&frame.payload, 1 << 20).expect("it is compressed");
        return String::from_utf8(text).expect("text");
    }
    client.expect_text()
}

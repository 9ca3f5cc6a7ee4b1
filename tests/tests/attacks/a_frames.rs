//! A: frame headers and lengths.

use std::thread;

use serde_json::json;
use tidewire_tests::{Chatter, Client, Frame, Message};

use crate::{growth, under_attack};

/// [A3]
#[test]
fn a_length_beyond_all_memory_is_refused_at_its_header_and_what_dribbles_in_behind_costs_nothing() {
    under_attack(|server| {
        let mut client = Client::open(server.address(), "/echo");
        client.wire.send(&[
            0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4,
        ]);
        client.expect_close(1009);
        let before = server.usage().cpu;
        for _ in 0..200 {
            // The server ends the connection when it has had enough of it.
            let _ = client.wire.try_send(b"x");
        }
        assert_eq!((server.usage().cpu - before).as_secs(), 0);
        client.expect_end();
    });
}

/// [A6]
#[test]
fn an_unmasked_frame_right_behind_a_masked_one_is_not_delivered() {
    under_attack(|server| {
        let mut witness = Chatter::enter(server, "witness", "room");
        let mut sender = Chatter::enter(server, "sender", "room");
        let says = |content: &str| {
            Frame::text(format!(
                r#"{{"type":"room_msg","roomId":"room","content":"{content}"}}"#
            ))
        };
        let both = [says("masked").encode(), says("evil").unmasked().encode()].concat();
        sender.client.wire.send(&both);
        assert_eq!(sender.hear_close(), Some(1002));
        assert_eq!(witness.hear_of("room_msg")["content"], "masked");
        // What could still come is on its way before the answer to what we ask now.
        let behind = witness.everything_until_heartbeat();
        assert!(!json!(behind).to_string().contains("evil"), "{behind:?}");
    });
}

/// [A11]
#[test]
fn a_million_messages_of_nothing_cost_no_memory() {
    const MESSAGES: usize = 1_000_000;
    under_attack(|server| {
        let before = server.usage().resident_bytes;
        let mut client = Client::open(server.address(), "/echo");
        let mut sending = client.wire.stream().try_clone().expect("a second handle");
        thread::scope(|scope| {
            scope.spawn(move || {
                let nothing = Frame::text("").encode().repeat(MESSAGES / 100);
                for _ in 0..100 {
                    std::io::Write::write_all(&mut sending, &nothing).expect("it is read");
                }
            });
            for _ in 0..MESSAGES {
                assert_eq!(client.read_frame(), Ok(Frame::text("").unmasked()));
            }
        });
        assert!(growth(server, before) < 4 << 20);
        client.close();
        // To the chat they are no commands, and the tenth is one too many.
        let mut chatter = Chatter::connect(server, "");
        chatter
            .client
            .wire
            .send(&Frame::text("").encode().repeat(1000));
        for _ in 0..9 {
            assert_eq!(chatter.expect("error")["code"], "bad_json");
        }
        assert_eq!(chatter.hear_close(), Some(1008));
    });
}

/// [A7]
#[test]
fn every_first_byte_and_every_length_byte_is_an_answer_or_a_close_code() {
    under_attack(|server| {
        for first in 0..=u8::MAX {
            for second in [0x00, 0x01, 0x7e, 0x7f, 0x80, 0x81, 0xfd, 0xfe, 0xff] {
                let mut client = Client::open(server.address(), "/echo");
                client.wire.send(&[&[first, second][..], &[0; 14]].concat());
                client.wire.finish_sending();
                loop {
                    match client.read_message() {
                        Message::Text(_) | Message::Binary(_) => {}
                        Message::Close(code, _) => {
                            assert!(
                                matches!(code, Some(1000 | 1002 | 1007 | 1009) | None),
                                "{first:#x} {second:#x}: {code:?}"
                            );
                            break;
                        }
                        Message::End(_) => break,
                    }
                }
            }
        }
    });
}

//! A message that is sent with its memory is what the plain path sends, without the copy.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io::IoSlice;

use bytes::Bytes;
use common::{Frame, Scenario, frames_in, read_frames};
use tidewire_protocol::frame::Opcode;
use tidewire_protocol::{DeflateAgreement, DeflateConfig, Message, Misuse, OwnedMessage};

/// Too few bytes to be shared, and enough.
const LENGTHS: [usize; 6] = [0, 125, 126, 256, 257, 70_000];

#[test]
fn the_bytes_are_those_of_the_plain_path_on_both_sides() {
    for length in LENGTHS {
        let text = "x".repeat(length);
        for message in [Message::text(&text), Message::binary(text.as_bytes())] {
            for new in [Scenario::server, Scenario::client] {
                let (mut plain, mut owned) = (new(), new());
                plain.connection.send(&message).unwrap();
                owned.connection.send_owned(message.clone()).unwrap();
                assert_eq!(owned.flush(), plain.flush(), "{length} bytes");
            }
        }
    }
}

#[test]
fn messages_of_both_kinds_keep_their_order() {
    let mut server = Scenario::server();
    server.connection.send(&Message::text("first")).unwrap();
    server.connection.send_owned(vec![2; 300]).unwrap();
    server.connection.send(&Message::text("third")).unwrap();
    server.connection.send_owned("4".repeat(300)).unwrap();
    let expected = [
        Frame::text("first"),
        Frame::binary([2; 300]),
        Frame::text("third"),
        Frame::text("4".repeat(300)),
    ];
    assert_eq!(frames_in(&server.flush()), expected);
}

#[test]
fn a_server_sends_the_very_bytes() {
    let mut server = Scenario::server();
    let shared = Bytes::from(vec![7; 300]);
    server.connection.send_owned(shared.clone()).unwrap();
    let mut slices = [IoSlice::new(&[]); 4];
    assert_eq!(server.connection.poll_transmit(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), shared.as_ptr(), "no copy");
}

#[test]
fn a_client_masks_in_place_what_nobody_else_has() {
    let mut client = Scenario::client();
    let alone = vec![7; 300];
    let place = alone.as_ptr();
    client.connection.send_owned(alone).unwrap();
    let mut slices = [IoSlice::new(&[]); 4];
    assert_eq!(client.connection.poll_transmit(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), place, "no copy");
    let sent = read_frames(&client.flush());
    assert_eq!(sent[0].frame, Frame::binary([7; 300]));
    assert!(sent[0].key.is_some());
}

#[test]
fn a_client_does_not_mask_what_somebody_else_reads() {
    let mut client = Scenario::client();
    let shared = Bytes::from(vec![7; 300]);
    client.connection.send_owned(shared.clone()).unwrap();
    assert_eq!(frames_in(&client.flush()), [Frame::binary([7; 300])]);
    assert_eq!(shared, vec![7; 300]);
}

#[test]
fn it_is_compressed_where_that_was_agreed_on() {
    let agreement = DeflateAgreement {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let message = OwnedMessage::from("again and ".repeat(100));
    assert_eq!(message.opcode(), Opcode::Text);
    let (mut plain, mut owned) = (Scenario::server(), Scenario::server());
    for scenario in [&mut plain, &mut owned] {
        let connection = &mut scenario.connection;
        connection.enable_deflate(&DeflateConfig::default(), agreement);
    }
    let text = "again and ".repeat(100);
    plain.connection.send(&Message::text(&text)).unwrap();
    owned.connection.send_owned(message).unwrap();
    let sent = owned.flush();
    assert!(sent.len() < 100);
    assert_eq!(sent, plain.flush());
}

#[test]
fn it_does_not_go_between_fragments() {
    let mut server = Scenario::server();
    let fragment = Message::text("more follows");
    server.connection.send_fragment(&fragment, false).unwrap();
    let refused = server.connection.send_owned("x".repeat(300));
    assert_eq!(refused, Err(Misuse::UnfinishedMessage));
}

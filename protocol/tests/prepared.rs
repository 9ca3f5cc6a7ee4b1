//! A prepared message is what the plain path sends: shared by servers, masked anew by clients.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io::IoSlice;

use common::{Frame, Scenario, frames_in};
use tidewire_protocol::frame::Opcode;
use tidewire_protocol::{Batch, DeflateAgreement, DeflateConfig, Message, Prepared, Side};

fn plain(mut scenario: Scenario, message: &Message<'_>) -> Vec<u8> {
    scenario.connection.send(message).unwrap();
    scenario.flush()
}

fn prepared(mut scenario: Scenario, message: &Message<'_>) -> Vec<u8> {
    let prepared = Prepared::new(message);
    scenario.connection.send_prepared(&prepared).unwrap();
    scenario.flush()
}

#[test]
fn the_bytes_are_those_of_the_plain_path_on_both_sides() {
    for length in [0, 1, 125, 126, 65_535, 65_536] {
        let text = "x".repeat(length);
        for message in [Message::text(&text), Message::binary(text.as_bytes())] {
            assert_eq!(
                prepared(Scenario::server(), &message),
                plain(Scenario::server(), &message)
            );
            assert_eq!(
                prepared(Scenario::client(), &message),
                plain(Scenario::client(), &message)
            );
        }
    }
}

#[test]
fn a_prepared_message_knows_its_parts() {
    let prepared = Prepared::new(&Message::binary(&[7; 300]));
    assert_eq!(prepared.opcode(), Opcode::Binary);
    assert_eq!(prepared.payload(), [7; 300]);
    assert_eq!(prepared.frame(), &Frame::binary([7; 300]).unmasked());
}

#[test]
fn a_server_sends_the_shared_bytes_themselves() {
    // One that is large enough: tiny frames are copied.
    let shared = Prepared::new(&Message::binary(&[7; 300]));
    let mut connections = [Scenario::server(), Scenario::server()];
    for scenario in &mut connections {
        scenario.connection.send_prepared(&shared).unwrap();
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(scenario.connection.poll_transmit(&mut slices), 1);
        assert_eq!(slices[0].as_ptr(), shared.frame().as_ptr(), "no copy");
    }
}

#[test]
fn shared_and_own_frames_leave_in_the_order_they_came() {
    let mut server = Scenario::server();
    let shared = Prepared::new(&Message::binary(&[7; 300]));
    let connection = &mut server.connection;
    connection.send(&Message::text("own 1")).unwrap();
    connection.send_prepared(&shared).unwrap();
    connection.send_prepared(&shared).unwrap();
    connection.ping(b"own 2").unwrap();
    connection.send(&Message::text("own 3")).unwrap();
    connection.send_prepared(&shared).unwrap();
    let total = connection.unsent_bytes();
    let mut sent = Vec::new();
    // A transport that takes three bytes at a time.
    while server.connection.unsent_bytes() > 0 {
        sent.extend(server.transport_takes(3));
        assert_eq!(server.connection.unsent_bytes(), total - sent.len());
    }
    assert_eq!(
        frames_in(&sent),
        [
            Frame::text("own 1"),
            Frame::binary([7; 300]),
            Frame::binary([7; 300]),
            Frame::ping("own 2"),
            Frame::text("own 3"),
            Frame::binary([7; 300]),
        ]
    );
}

#[test]
fn the_other_end_reads_it() {
    let message = Message::text("für alle");
    for side in [Side::Server, Side::Client] {
        let bytes = prepared(Scenario::new(side, Default::default()), &message);
        let events = Scenario::new(!side, Default::default()).receive(bytes);
        assert_eq!(events, [common::text("für alle")]);
    }
}

#[test]
fn prepared_messages_are_equal_where_their_bytes_are() {
    let prepare = |text| Prepared::new(&Message::text(text));
    assert_eq!(prepare("same"), prepare("same"));
    assert_ne!(prepare("one"), prepare("two"));
}

#[test]
fn a_batch_is_its_messages_one_behind_the_other_on_every_connection() {
    let prepared: Vec<Prepared> = ["", "one", &"two ".repeat(100), "three"]
        .map(|text| Prepared::new(&Message::text(text)))
        .into();
    for count in 0..=prepared.len() {
        let (messages, _) = prepared.split_at(count);
        let batch = Batch::new(messages.to_vec());
        assert_eq!(batch.messages(), messages);
        for new in [Scenario::server, Scenario::client, deflating] {
            let (mut together, mut each) = (new(), new());
            together.connection.send_batch(&batch).unwrap();
            for message in messages {
                each.connection.send_prepared(message).unwrap();
            }
            assert_eq!(together.flush(), each.flush(), "{count} messages");
        }
    }
}

#[test]
fn a_batch_goes_through_where_nothing_is_before_it_and_the_rest_is_queued() {
    let messages = ["one", &"two ".repeat(100)].map(|text| Prepared::new(&Message::text(text)));
    let batch = Batch::new(messages.to_vec());
    let whole = batch.frames();
    for new in [Scenario::server, Scenario::client, deflating] {
        for takes in [0, 1, 4, whole.len() - 1, whole.len(), usize::MAX] {
            for is_first in [true, false] {
                let (mut through, mut each) = (new(), new());
                let mut written = Vec::new();
                for scenario in [&mut through, &mut each] {
                    if !is_first {
                        scenario.connection.send(&Message::text("before")).unwrap();
                    }
                }
                let write = |bytes: &[u8]| {
                    let (taken, _) = bytes.split_at(takes.min(bytes.len()));
                    written.extend_from_slice(taken);
                    takes
                };
                through
                    .connection
                    .send_batch_through(&batch, write)
                    .unwrap();
                each.connection.send_batch(&batch).unwrap();
                written.extend(through.flush());
                assert_eq!(written, each.flush(), "{takes} taken");
            }
        }
    }
}

#[test]
fn a_batch_of_one_shares_its_bytes() {
    let prepared = Prepared::new(&Message::binary(&[7; 1000]));
    let batch = Batch::new(vec![prepared.clone()]);
    assert_eq!(batch.frames().as_ptr(), prepared.frame().as_ptr());
}

fn deflating() -> Scenario {
    let mut server = Scenario::server();
    let agreement = DeflateAgreement {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let connection = &mut server.connection;
    connection.enable_deflate(&DeflateConfig::default(), agreement);
    server
}

//! A message that is sent with its memory, or from where it lies, is what the plain path sends, without the copy.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io::IoSlice;

use bytes::Bytes;
use common::{Frame, Scenario, frames_in, read_frames};
use tidewire_protocol::frame::Opcode;
use tidewire_protocol::{
    Connection, DeflateAgreement, DeflateConfig, Error, Event, Message, Misuse, OwnedMessage,
    PeerError,
};

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

/// Sends a message behind `queued` shared ones, through a transport that takes `bytes_max` bytes at once.
fn sent_through(
    mut scenario: Scenario,
    queued: usize,
    message: &Message<'_>,
    bytes_max: usize,
) -> Vec<u8> {
    for _ in 0..queued {
        scenario.connection.send_owned(vec![9; 300]).unwrap();
    }
    let (mut sent, mut calls) = (Vec::new(), 0);
    let sending = scenario.connection.send_through(message, |slices| {
        calls += 1;
        sent = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        sent.truncate(bytes_max);
        sent.len()
    });
    assert_eq!((sending, calls), (Ok(()), 1));
    sent.extend(scenario.flush());
    sent
}

#[test]
fn a_message_sent_through_is_that_of_the_plain_path_whatever_the_transport_takes() {
    for length in LENGTHS {
        let text = "x".repeat(length);
        let message = Message::text(&text);
        for new in [Scenario::server, Scenario::client] {
            // Without and with what waits before it, and with more of that than one write is offered.
            for queued in [0, 1, 40] {
                let mut plain = new();
                for _ in 0..queued {
                    plain.connection.send_owned(vec![9; 300]).unwrap();
                }
                plain.connection.send(&message).unwrap();
                let plain = plain.flush();
                for bytes_max in [0, 1, 5, 200, 304, 320, 310 * 40, usize::MAX] {
                    let through = sent_through(new(), queued, &message, bytes_max);
                    assert_eq!(
                        through, plain,
                        "{length} bytes behind {queued}, {bytes_max} taken"
                    );
                }
            }
        }
    }
}

#[test]
fn a_message_sent_through_is_written_from_where_it_lies() {
    let mut server = Scenario::server();
    let text = "x".repeat(70_000);
    let sending = server
        .connection
        .send_through(&Message::text(&text), |slices| {
            assert_eq!(slices.len(), 2);
            assert_eq!(slices[1].as_ptr(), text.as_ptr(), "no copy");
            slices.iter().map(|slice| slice.len()).sum()
        });
    assert_eq!(sending, Ok(()));
    assert_eq!(server.connection.unsent_bytes(), 0);
}

#[test]
fn messages_sent_through_together_are_those_of_the_plain_path_whatever_the_transport_takes() {
    let texts: Vec<String> = (0..Connection::SENT_THROUGH_MAX + 3)
        .map(|number| "x".repeat(100 * number))
        .collect();
    let messages: Vec<_> = texts.iter().map(|text| Message::text(text)).collect();
    for new in [Scenario::server, Scenario::client] {
        for count in [0, 1, 2, messages.len()] {
            let messages = &messages[..count];
            let mut plain = new();
            plain.connection.ping(b"first").unwrap();
            for message in messages {
                plain.connection.send(message).unwrap();
            }
            let plain = plain.flush();
            for bytes_max in (0..60_000).step_by(499).chain([usize::MAX]) {
                let mut scenario = new();
                scenario.connection.ping(b"first").unwrap();
                let mut sent = Vec::new();
                let sending = scenario.connection.send_all_through(messages, |slices| {
                    sent = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                    sent.truncate(bytes_max);
                    sent.len()
                });
                assert_eq!(sending, Ok(()));
                sent.extend(scenario.flush());
                assert!(sent == plain, "{count} messages, {bytes_max} bytes taken");
            }
        }
    }
}

#[test]
fn messages_that_came_together_are_written_from_where_they_lie() {
    let mut server = Scenario::server();
    let mut bytes: Vec<u8> = [70_000, 20_000, 300]
        .iter()
        .flat_map(|&length| Frame::text("x".repeat(length)).masked([1, 2, 3, 4]))
        .collect();
    bytes.extend(Frame::ping("behind").masked([1, 2, 3, 4]));
    let range = bytes.as_ptr_range();
    let (mut input, now) = (&mut bytes[..], std::time::Instant::now());
    let take = || server.connection.take_message(&mut input, now);
    let messages: Vec<_> = std::iter::from_fn(take).collect();
    let sending = server.connection.send_all_through(&messages, |slices| {
        assert_eq!(slices.len(), 6);
        let payloads = slices.iter().skip(1).step_by(2);
        payloads.for_each(|slice| assert!(range.contains(&slice.as_ptr()), "no copy"));
        slices.iter().map(|slice| slice.len()).sum()
    });
    assert_eq!(sending, Ok(()));
    assert_eq!((messages.len(), server.connection.unsent_bytes()), (3, 0));
    assert!(
        matches!(
            server.connection.handle_input(&mut input, now),
            Some(Event::Ping(_))
        ),
        "what is no message is left"
    );
}

#[test]
fn text_that_is_none_ends_what_can_be_taken_and_fails_the_connection_afterwards() {
    let mut server = Scenario::server();
    let mut bytes = Frame::text("good").masked([1, 2, 3, 4]);
    bytes.extend(Frame::text(b"bad \xff").masked([1, 2, 3, 4]));
    bytes.extend(Frame::text("never seen").masked([1, 2, 3, 4]));
    let (mut input, now) = (&mut bytes[..], std::time::Instant::now());
    let connection = &mut server.connection;
    assert_eq!(
        connection.take_message(&mut input, now),
        Some(Message::text("good"))
    );
    assert_eq!(connection.take_message(&mut input, now), None);
    assert_eq!(connection.take_message(&mut input, now), None);
    assert!(connection.is_open(), "what was taken can be answered");
    let Some(Event::Closed(closed)) = connection.handle_input(&mut input, now) else {
        panic!("it goes on");
    };
    assert_eq!(closed.error, Some(Error::Peer(PeerError::InvalidUtf8)));
}

#[test]
fn a_message_sent_through_is_compressed_where_that_was_agreed_on() {
    let message =
        Message::text("a text that is worth it, a text that is worth it, a text that is worth it");
    let compressing = || {
        let mut server = Scenario::server();
        let config = DeflateConfig {
            compress_bytes_min: 1,
            ..DeflateConfig::default()
        };
        server.connection.enable_deflate(
            &config,
            DeflateAgreement {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                server_max_window_bits: 15,
                client_max_window_bits: 15,
            },
        );
        server
    };
    let mut plain = compressing();
    plain.connection.send(&message).unwrap();
    assert_eq!(sent_through(compressing(), 0, &message, 7), plain.flush());
}

#[test]
fn a_pong_that_waited_goes_out_behind_a_message_that_was_taken_whole() {
    let mut server = Scenario::server();
    server.connection.ping(b"unread").unwrap();
    server.connection.transmitted(0);
    let mut ping = Frame::ping("?").masked([1, 2, 3, 4]);
    let mut input = &mut ping[..];
    assert!(
        server
            .connection
            .handle_input(&mut input, std::time::Instant::now())
            .is_some()
    );
    assert_eq!(
        frames_in(&sent_through(
            server,
            0,
            &Message::text("through"),
            usize::MAX
        )),
        [
            Frame::ping("unread"),
            Frame::text("through"),
            Frame::pong("?")
        ]
    );
}

#[test]
fn nothing_is_sent_through_a_closed_connection_or_between_fragments() {
    let mut server = Scenario::server();
    let never = |_: &[IoSlice<'_>]| -> usize { panic!("nothing is to be written") };
    server
        .connection
        .send_fragment(&Message::text("first"), false)
        .unwrap();
    let sending = server
        .connection
        .send_through(&Message::text("other"), never);
    assert_eq!(sending, Err(Misuse::UnfinishedMessage));
    server.connection.handle_eof(std::time::Instant::now());
    let sending = server
        .connection
        .send_through(&Message::text("late"), never);
    assert_eq!(sending, Err(Misuse::Closed));
}

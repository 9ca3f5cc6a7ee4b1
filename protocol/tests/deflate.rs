//! permessage-deflate (RFC 7692): its examples byte for byte, round trips with every setting, and what must fail.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a panic is how a test fails"
)]

use std::borrow::Cow;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use tidewire_protocol::{
    Config, Connection, DeflateAgreement, DeflateConfig, Error, Event, LimitError, Message,
    PeerError, Prepared,
};

const PLAIN: DeflateAgreement = DeflateAgreement {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

const ALONE: DeflateAgreement = DeflateAgreement {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    ..PLAIN
};

fn client(agreement: DeflateAgreement, config: Config) -> Connection {
    // A key of zeroes masks nothing, so that the bytes can be read.
    let mut client = Connection::client_with_keys(Arc::new(config), Instant::now(), || [0; 4]);
    client.enable_deflate(&eager(), agreement);
    client
}

fn server(agreement: DeflateAgreement, config: Config) -> Connection {
    let mut server = Connection::server(Arc::new(config), Instant::now());
    server.enable_deflate(&eager(), agreement);
    server
}

/// Compresses whatever is not empty.
fn eager() -> DeflateConfig {
    DeflateConfig {
        compress_bytes_min: 1,
        ..DeflateConfig::default()
    }
}

/// Everything that is unsent.
fn sent(connection: &mut Connection) -> Vec<u8> {
    let mut sent = Vec::new();
    while connection.unsent_bytes() > 0 {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = connection.poll_transmit(&mut slices);
        let taken = slices[..filled].iter().flat_map(|slice| slice.to_vec());
        let before = sent.len();
        sent.extend(taken);
        connection.transmitted(sent.len() - before);
    }
    sent
}

/// A frame as a server sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[first, payload.len() as u8], payload].concat()
}

fn events(connection: &mut Connection, bytes: &[u8]) -> Vec<Event<'static>> {
    let mut bytes = bytes.to_vec();
    let mut input = &mut bytes[..];
    let mut events = Vec::new();
    while let Some(event) = connection.handle_input(&mut input, Instant::now()) {
        events.push(event.into_owned());
    }
    events
}

fn texts(connection: &mut Connection, bytes: &[u8]) -> Vec<String> {
    let texts = events(connection, bytes)
        .into_iter()
        .map(|event| match event {
            Event::Message(Message::Text(text)) => text.into_owned(),
            other => panic!("{other:?}"),
        });
    texts.collect()
}

fn failure(connection: &mut Connection, bytes: &[u8]) -> Option<Error> {
    match events(connection, bytes).pop() {
        Some(Event::Closed(closed)) => closed.error,
        other => panic!("{other:?}"),
    }
}

// ---- RFC 7692 §7.2.3 ----

#[test]
fn rfc_7692_7_2_3_1_a_message_compressed_using_one_block() {
    let hello = frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    assert_eq!(
        texts(&mut client(PLAIN, Config::default()), &hello),
        ["Hello"]
    );
    let fragments = [
        frame(0x41, &[0xf2, 0x48, 0xcd]),
        frame(0x80, &[0xc9, 0xc9, 0x07, 0x00]),
    ]
    .concat();
    assert_eq!(
        texts(&mut client(PLAIN, Config::default()), &fragments),
        ["Hello"]
    );
}

#[test]
fn rfc_7692_7_2_3_2_sharing_the_sliding_window() {
    let first = frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    let second = frame(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]);
    assert_eq!(
        texts(
            &mut client(PLAIN, Config::default()),
            &[first, second].concat()
        ),
        ["Hello", "Hello"]
    );
}

#[test]
fn rfc_7692_7_2_3_3_a_block_with_no_compression() {
    let stored = frame(
        0xc1,
        &[
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ],
    );
    assert_eq!(
        texts(&mut client(PLAIN, Config::default()), &stored),
        ["Hello"]
    );
}

#[test]
fn rfc_7692_7_2_3_4_a_block_with_bfinal_set() {
    let last = frame(0xc1, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]);
    let without_the_empty_block = frame(0xc1, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    let plain = frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    for agreement in [PLAIN, ALONE] {
        let all = [
            &last[..],
            &plain,
            &without_the_empty_block,
            &without_the_empty_block,
            &plain,
        ]
        .concat();
        assert_eq!(
            texts(&mut client(agreement, Config::default()), &all),
            ["Hello"; 5]
        );
    }
}

#[test]
fn rfc_7692_7_2_3_5_two_blocks_in_one_message() {
    let two = frame(
        0xc1,
        &[
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ],
    );
    assert_eq!(
        texts(&mut client(PLAIN, Config::default()), &two),
        ["Hello"]
    );
}

#[test]
fn rfc_7692_7_2_3_6_an_empty_message() {
    assert_eq!(
        texts(&mut client(PLAIN, Config::default()), &frame(0xc1, &[0x00])),
        [""]
    );
    assert_eq!(
        texts(&mut client(PLAIN, Config::default()), &frame(0xc1, &[])),
        [""],
        "also with nothing at all"
    );
}

#[test]
fn an_empty_message_is_sent_as_it_is() {
    let mut server = server(PLAIN, Config::default());
    server.send(&Message::text("")).unwrap();
    assert_eq!(sent(&mut server), [0x81, 0x00]);
}

#[test]
fn a_final_block_that_ends_inside_the_tail_leaves_the_next_message_alone() {
    // The first bits of an empty final block: the others are zeroes of the tail.
    let odd = frame(0xc1, &[0x03]);
    let plain = frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    for agreement in [PLAIN, ALONE] {
        assert_eq!(
            texts(
                &mut client(agreement, Config::default()),
                &[&odd[..], &plain].concat()
            ),
            ["", "Hello"]
        );
    }
}

#[test]
fn final_blocks_and_other_streams_behind_them_in_one_message() {
    let block = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let twice = frame(0xc1, &[block, block].concat());
    assert_eq!(
        texts(&mut client(ALONE, Config::default()), &twice),
        ["HelloHello"]
    );
}

// ---- what must fail ----

#[test]
fn rsv1_without_an_agreement_fails() {
    let mut client = Connection::client(Arc::default(), Instant::now());
    let hello = frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    assert_eq!(
        failure(&mut client, &hello),
        Some(Error::Peer(PeerError::ReservedBits))
    );
}

#[test]
fn rsv1_on_a_continuation_or_a_control_frame_fails() {
    for first in [0xc0, 0xc8, 0xc9, 0xca] {
        let bytes = [frame(0x01, b"a"), frame(first, b"")].concat();
        let failed = failure(&mut client(PLAIN, Config::default()), &bytes);
        assert_eq!(
            failed,
            Some(Error::Peer(PeerError::ReservedBits)),
            "{first:#x}"
        );
    }
}

#[test]
fn the_other_reserved_bits_still_fail() {
    for bit in [0x20, 0x10] {
        let failed = failure(
            &mut client(PLAIN, Config::default()),
            &frame(0xc1 | bit, b""),
        );
        assert_eq!(failed, Some(Error::Peer(PeerError::ReservedBits)));
    }
}

#[test]
fn what_is_not_deflate_fails_with_1007() {
    for payload in [
        &[0xff; 20][..],
        &[0x06, 0xff, 0xff],
        &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48],
    ] {
        let error = failure(&mut client(PLAIN, Config::default()), &frame(0xc1, payload)).unwrap();
        assert_eq!(error, Error::Peer(PeerError::CorruptDeflate), "{payload:?}");
        assert_eq!(error.close_code().get(), 1007);
    }
}

#[test]
fn inflated_text_that_is_not_utf8_fails() {
    let stored = [0x00, 0x02, 0x00, 0xfd, 0xff, 0xc3, 0x28, 0x00];
    let failed = failure(&mut client(PLAIN, Config::default()), &frame(0xc1, &stored));
    assert_eq!(failed, Some(Error::Peer(PeerError::InvalidUtf8)));
}

#[test]
fn inflated_text_fails_before_the_message_ends() {
    // A stored block of two bytes, and the message goes on.
    let stored = [0x00, 0x02, 0x00, 0xfd, 0xff, 0xc3, 0x28];
    let failed = failure(&mut client(PLAIN, Config::default()), &frame(0x41, &stored));
    assert_eq!(failed, Some(Error::Peer(PeerError::InvalidUtf8)));
}

#[test]
fn a_bomb_fails_at_the_limit() {
    let bomb = vec![b'0'; 16 << 20];
    let mut source = server(ALONE, Config::default());
    source.send(&Message::binary(&bomb)).unwrap();
    let bytes = sent(&mut source);
    assert!(bytes.len() < 20_000, "{}", bytes.len());
    let max = 1 << 20;
    let failed = failure(&mut client(ALONE, Config::default()), &bytes);
    assert_eq!(failed, Some(Error::Limit(LimitError::MessageBytes { max })));
}

#[test]
fn a_message_of_just_the_limit_passes() {
    let config = || Config {
        message_bytes_max: 5000,
        ..Config::default()
    };
    for (bytes, passes) in [(5000, true), (5001, false)] {
        let mut source = server(ALONE, Config::default());
        source.send(&Message::binary(&vec![7; bytes])).unwrap();
        let got = events(&mut client(ALONE, config()), &sent(&mut source));
        assert_eq!(matches!(got[0], Event::Message(_)), passes, "{bytes}");
    }
}

// ---- what is sent ----

#[test]
fn small_messages_and_those_that_do_not_shrink_go_out_as_they_are() {
    let config = DeflateConfig::default();
    let mut server = Connection::server(Arc::default(), Instant::now());
    server.enable_deflate(&config, ALONE);
    server.send(&Message::text(&"a".repeat(127))).unwrap();
    assert_eq!(sent(&mut server)[0], 0x81, "below the threshold");
    server.send(&Message::text(&"a".repeat(128))).unwrap();
    assert_eq!(sent(&mut server)[0], 0xc1, "compressed");
    let noise: Vec<u8> = (0..1000u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 ^ (i * i) as u8)
        .collect();
    server.send(&Message::binary(&noise)).unwrap();
    assert_eq!(sent(&mut server)[0], 0x82, "did not shrink");
}

#[test]
fn a_client_whose_window_is_too_small_for_the_backend_sends_plain() {
    let mut client = client(
        DeflateAgreement {
            client_max_window_bits: 8,
            ..ALONE
        },
        Config::default(),
    );
    client.send(&Message::text(&"a".repeat(1000))).unwrap();
    assert_eq!(sent(&mut client)[0], 0x81);
}

#[test]
fn context_takeover_shrinks_what_was_said_before() {
    let lengths = |agreement| {
        let mut server = server(agreement, Config::default());
        let text: String = (0..60)
            .map(|i| char::from(b'!' + (i * 7 % 90) as u8))
            .collect();
        let lengths: Vec<usize> = (0..2)
            .map(|_| {
                server.send(&Message::text(&text)).unwrap();
                sent(&mut server).len()
            })
            .collect();
        lengths
    };
    let with = lengths(PLAIN);
    let without = lengths(ALONE);
    assert!(with[1] < with[0] / 3, "{with:?}");
    assert_eq!(without[0], without[1], "{without:?}");
}

#[test]
fn a_prepared_message_is_compressed_once_for_all_that_can_read_it() {
    let text = "tide ".repeat(100);
    let prepared = Prepared::new(&Message::text(&text));
    let by = |agreement| {
        let mut server = server(agreement, Config::default());
        server.send_prepared(&prepared).unwrap();
        let bytes = sent(&mut server);
        assert_eq!(
            texts(&mut client(agreement, Config::default()), &bytes),
            std::slice::from_ref(&text)
        );
        bytes
    };
    let shared = by(DeflateAgreement {
        server_max_window_bits: 12,
        ..ALONE
    });
    assert_eq!(shared[0], 0xc1);
    assert_eq!(by(ALONE), shared, "a larger window reads the same bytes");
    assert_eq!(
        by(DeflateAgreement {
            server_max_window_bits: 9,
            ..ALONE
        })[0],
        0x81,
        "a smaller one gets it plain"
    );
    assert_eq!(
        by(PLAIN)[0],
        0x81,
        "one with a context of its own gets it plain"
    );
    let mut no_deflate = Connection::server(Arc::default(), Instant::now());
    no_deflate.send_prepared(&prepared).unwrap();
    assert_eq!(sent(&mut no_deflate), prepared.frame().as_ref());
}

// ---- round trips ----

fn some_messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words = proptest::collection::vec(
        prop_oneof![Just("tide"), Just("wire"), Just(" "), Just("ü")],
        0..400,
    );
    let text = words.prop_map(|words| words.concat().into_bytes());
    let noise = proptest::collection::vec(any::<u8>(), 0..300);
    let large =
        (20_000usize..80_000).prop_map(|len| (0..len).map(|i| ((i * i) >> 7) as u8).collect());
    proptest::collection::vec(prop_oneof![4 => text, 2 => noise, 1 => large], 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_one_side_sends_the_other_receives(
        messages in some_messages(), takeover: bool, level in 1u8..=9, memory_level in 1u8..=9,
        bits in 9u8..=15, from_server: bool, piece in 1usize..5000,
    ) {
        let config = DeflateConfig { level, memory_level, compress_bytes_min: 1, ..DeflateConfig::default() };
        let agreement = DeflateAgreement {
            server_no_context_takeover: !takeover, client_no_context_takeover: !takeover,
            server_max_window_bits: bits, client_max_window_bits: bits,
        };
        let now = Instant::now();
        let mut server = Connection::server(Arc::default(), now);
        let mut client = Connection::client(Arc::default(), now);
        server.enable_deflate(&config, agreement);
        client.enable_deflate(&config, agreement);
        let (sender, receiver) = if from_server { (&mut server, &mut client) } else { (&mut client, &mut server) };
        for message in &messages {
            sender.send(&Message::binary(message)).unwrap();
        }
        let bytes = sent(sender);
        let got: Vec<Event<'static>> = bytes.chunks(piece).flat_map(|piece| events(receiver, piece)).collect();
        let expected: Vec<Event<'static>> =
            messages.into_iter().map(|message| Event::Message(Message::Binary(Cow::Owned(message)))).collect();
        prop_assert_eq!(got, expected);
    }
}

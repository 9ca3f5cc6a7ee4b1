//! permessage-deflate (RFC 7692): its examples byte for byte, round trips with every setting, and what must fail.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a panic is how a test fails"
)]

mod common;

use std::borrow::Cow;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use tidewire_protocol::handshake::header::extensions;
use tidewire_protocol::{
    CloseCode, Config, Connection, DeflateAgreement, DeflateConfig, Error, Event, LimitError,
    Message, PeerError, Prepared,
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

/// [7692-5-11, 7692-6.2-1]
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

/// [7692-7.2.2-1]
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

/// The one thing that §7.2.2 has and we do not: a reference back across a final block, which zlib's streams cannot make.
#[test]
fn a_final_block_empties_the_window_as_well() {
    let last = frame(0xc1, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]);
    let back = frame(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]);
    let mut client = client(PLAIN, Config::default());
    assert_eq!(texts(&mut client, &last), ["Hello"]);
    let failed = failure(&mut client, &back);
    assert_eq!(failed, Some(Error::Peer(PeerError::CorruptDeflate)));
}

// ---- what must fail ----

/// [6455-5.2-2, 6455-5.8-1]
#[test]
fn rsv1_without_an_agreement_fails() {
    let mut client = Connection::client(Arc::default(), Instant::now());
    let hello = frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    assert_eq!(
        failure(&mut client, &hello),
        Some(Error::Peer(PeerError::ReservedBits))
    );
}

/// [7692-6.1-4]
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

/// [7692-6.1-1, 7692-6.1-2]
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

/// Bytes that do not shrink by themselves.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = (0..len).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    bytes.collect()
}

/// The same noise twice shrinks to its half if the window reaches back from the second to the first, else not at all.
/// [7692-7.2.1-3, 7692-7.2.1-6, 7692-7.2.1-7, 7692-7.2.2-4, 7692-7.2.2-5, 7692-7.2.2-6]
#[test]
fn a_window_is_used_to_its_end_and_not_beyond() {
    for bits in 9..=15 {
        let agreement = DeflateAgreement {
            server_max_window_bits: bits,
            client_max_window_bits: bits,
            ..ALONE
        };
        let window = 1 << bits;
        // zlib keeps 262 bytes of the window for itself.
        for (period, reaches) in [(window - 262, true), (window + 1, false)] {
            let once = noise(period);
            let twice = [&once[..], &once].concat();
            let mut ends = [
                (
                    server(agreement, Config::default()),
                    client(agreement, Config::default()),
                ),
                (
                    client(agreement, Config::default()),
                    server(agreement, Config::default()),
                ),
            ];
            for (sender, receiver) in &mut ends {
                sender.send(&Message::binary(&twice)).unwrap();
                let bytes = sent(sender);
                let shrunk = bytes.len() < period + period / 4 + 100;
                assert_eq!(shrunk, reaches, "{bits} bits, {period}: {}", bytes.len());
                let expected = Event::Message(Message::binary(&twice));
                assert!(
                    events(receiver, &bytes) == [expected],
                    "{bits} bits, {period}"
                );
            }
        }
    }
}

/// [7692-6.1-3, 7692-7.2.1-2, 6455-5.2-1, 6455-5.2-7]
#[test]
fn only_whole_messages_are_compressed() {
    let text = "tide ".repeat(100);
    let mut server = server(PLAIN, Config::default());
    server.send_fragment(&Message::text(&text), false).unwrap();
    server.ping(&text.as_bytes()[..125]).unwrap();
    server.send_fragment(&Message::text(&text), true).unwrap();
    events(&mut server, &[0x89, 0x80, 0, 0, 0, 0]);
    server
        .close(CloseCode::NORMAL, &text[..123], Instant::now())
        .unwrap();
    let firsts: Vec<u8> = common::read_frames(&sent(&mut server))
        .iter()
        .map(|sent| sent.frame.first)
        .collect();
    assert_eq!(firsts, [0x01, 0x89, 0x80, 0x8a, 0x88]);
}

/// A client may offer `client_no_context_takeover` and yet take over, where the server did not agree to it (§7.2.2).
/// [7692-7.2.2-2, 7692-7.2.2-3]
#[test]
fn a_server_keeps_the_window_of_a_client_that_only_offered_not_to_use_it() {
    let config = DeflateConfig {
        client_context_takeover: true,
        ..DeflateConfig::default()
    };
    let offers = extensions("permessage-deflate; client_no_context_takeover").unwrap();
    let (agreement, _) = config.accept(&offers).unwrap();
    assert!(!agreement.client_no_context_takeover);
    let masked =
        |payload: &[u8]| [&[0xc1, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat();
    let first = masked(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    let second = masked(&[0xf2, 0x00, 0x11, 0x00, 0x00]);
    assert_eq!(
        texts(
            &mut server(agreement, Config::default()),
            &[first, second].concat()
        ),
        ["Hello", "Hello"]
    );
}

/// [7692-7.2.1-4, 7692-7.2.1-5]
#[test]
fn context_takeover_shrinks_what_was_said_before() {
    for make in [server, client] {
        context_takeover_of(make);
    }
}

fn context_takeover_of(make: fn(DeflateAgreement, Config) -> Connection) {
    let lengths = |agreement| {
        let mut sender = make(agreement, Config::default());
        let text: String = (0..60)
            .map(|i| char::from(b'!' + (i * 7 % 90) as u8))
            .collect();
        let lengths: Vec<usize> = (0..2)
            .map(|_| {
                sender.send(&Message::text(&text)).unwrap();
                sent(&mut sender).len()
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

#[test]
fn an_empty_message_goes_out_as_it_is_even_where_everything_is_compressed() {
    let mut server = Connection::server(Arc::new(Config::default()), Instant::now());
    let everything = DeflateConfig {
        compress_bytes_min: 0,
        ..DeflateConfig::default()
    };
    server.enable_deflate(&everything, PLAIN);
    server.send(&Message::text("")).unwrap();
    assert_eq!(sent(&mut server), frame(0x81, b""));
}

#[test]
fn a_read_that_ends_where_a_step_of_the_output_is_full_is_no_corrupt_data() {
    let mut client = client(ALONE, Config::default());
    // A stored block of 16 KiB, which is what is inflated in one step, and behind it the first byte of the tail.
    let data = [b'x'; 16 << 10];
    let mut bytes = vec![0xc1, 126, 0x40, 0x06];
    bytes.extend(b"\x00\x00\x40\xff\xbf");
    bytes.extend(data);
    assert_eq!(events(&mut client, &bytes), []);
    let text = String::from_utf8(data.to_vec()).unwrap();
    assert_eq!(texts(&mut client, &[0]), [text]);
}

#[test]
fn a_compressor_of_another_window_is_not_taken_from_those_of_the_thread() {
    // What comes twice is farther apart than a window of 9 bits: only a larger one can say it shortly.
    let mut state = 1u32;
    let noise: Vec<u8> = (0..1000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let twice = noise.repeat(2);
    let mut sent_bytes = |bits| {
        let agreement = DeflateAgreement {
            server_max_window_bits: bits,
            ..ALONE
        };
        let mut server = server(agreement, Config::default());
        server.send(&Message::binary(&twice)).unwrap();
        server.unsent_bytes()
    };
    let lengths = [15, 9, 15, 9].map(&mut sent_bytes);
    assert!(lengths[0] < 1500, "{lengths:?}");
    assert_eq!(lengths[1], twice.len() + 4, "{lengths:?}");
    assert_eq!(lengths[2..], lengths[..2]);
}

#[test]
fn each_side_keeps_its_own_context_as_agreed() {
    let words = "the same words again and again, which a window remembers";
    for (server_alone, client_alone) in [(true, false), (false, true)] {
        let agreement = DeflateAgreement {
            server_no_context_takeover: server_alone,
            client_no_context_takeover: client_alone,
            ..PLAIN
        };
        let mut client = client(agreement, Config::default());
        let mut server = server(agreement, Config::default());
        let mut lengths = |of_server: bool| {
            let (from, to) = match of_server {
                true => (&mut server, &mut client),
                false => (&mut client, &mut server),
            };
            [(); 2].map(|()| {
                from.send(&Message::text(words)).unwrap();
                let bytes = sent(from);
                assert_eq!(texts(to, &bytes), [words]);
                bytes.len()
            })
        };
        let [first, second] = lengths(true);
        assert_eq!(first == second, server_alone);
        let [first, second] = lengths(false);
        assert_eq!(first == second, client_alone);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// [7692-5-11, 7692-6.1-1, 7692-6.2-1, 7692-6.2-2, 7692-7.2.2-1, 7692-7.2.2-2]
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

//! Messages in pieces, in both directions: received as they come, sent as they are made.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "a panic is how a test fails"
)]

mod common;

use std::sync::Arc;
use std::time::Instant;

use common::{Frame, Scenario, frames_in};
use proptest::prelude::*;
use tidewire_protocol::{
    CloseCode, Config, Connection, DeflateAgreement, DeflateConfig, Delivery, Event, LimitError,
    Message, Misuse, PeerError, Piece, Side,
};

fn in_pieces() -> Config {
    Config {
        delivery: Delivery::Pieces,
        message_bytes_max: 64 << 20,
        frame_bytes_max: 64 << 20,
        ..Config::default()
    }
}

fn receiver() -> Scenario {
    Scenario::new(Side::Client, in_pieces())
}

fn alone() -> DeflateAgreement {
    DeflateAgreement {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    }
}

fn text(content: &str, first: bool, last: bool) -> Event<'static> {
    Event::Piece(Piece {
        content: Message::text(content),
        first,
        last,
    })
    .into_owned()
}

fn binary(content: &[u8], first: bool, last: bool) -> Event<'static> {
    Event::Piece(Piece {
        content: Message::binary(content),
        first,
        last,
    })
    .into_owned()
}

/// The pieces of one message put together, and how many there were.
fn joined(events: Vec<Event<'static>>) -> (Vec<u8>, usize) {
    let (mut bytes, mut count) = (Vec::new(), 0);
    let of = events.len();
    for event in events {
        let Event::Piece(piece) = event else {
            panic!("{event:?}")
        };
        assert_eq!((piece.first, piece.last), (count == 0, count + 1 == of));
        bytes.extend_from_slice(piece.content.payload());
        count += 1;
    }
    (bytes, count)
}

// ---- receiving ----

#[test]
fn a_message_that_lies_whole_in_the_input_is_still_a_message() {
    let events = receiver().receive(Frame::text("whole").unmasked());
    assert_eq!(events, [common::text("whole")]);
}

#[test]
fn what_is_not_compressed_comes_in_pieces_as_large_as_the_reads() {
    let bytes = Frame::binary([7; 5000]).unmasked();
    let mut whole = receiver();
    assert_eq!(whole.receive(&bytes), [common::binary(&[7; 5000])]);
    let mut cut = receiver();
    assert_eq!(
        cut.receive(&bytes[..4004]),
        [binary(&[7; 4000], true, false)]
    );
    assert_eq!(
        cut.receive(&bytes[4004..]),
        [binary(&[7; 1000], false, true)]
    );
}

#[test]
fn fragments_are_handed_over_as_they_come() {
    let mut receiver = receiver();
    assert_eq!(
        receiver.receive(Frame::text("one ").more().unmasked()),
        [text("one ", true, false)]
    );
    assert_eq!(
        receiver.receive(Frame::continuation("two ").more().unmasked()),
        [text("two ", false, false)]
    );
    assert_eq!(
        receiver.receive(Frame::continuation("").unmasked()),
        [text("", false, true)]
    );
    assert_eq!(
        receiver.receive(Frame::text("next").unmasked()),
        [common::text("next")]
    );
}

#[test]
fn a_large_frame_is_handed_over_read_by_read() {
    let mut receiver = receiver();
    let bytes = Frame::binary([7; 1000]).unmasked();
    assert_eq!(
        receiver.receive(&bytes[..504]),
        [binary(&[7; 500], true, false)]
    );
    assert_eq!(
        receiver.receive(&bytes[504..]),
        [binary(&[7; 500], false, true)]
    );
}

#[test]
fn a_piece_of_text_never_ends_inside_a_character() {
    let mut receiver = receiver();
    let bytes = Frame::text("水水").unmasked();
    assert_eq!(receiver.receive(&bytes[..4]), []);
    assert_eq!(receiver.receive(&bytes[4..6]), [text("水", true, false)]);
    assert_eq!(receiver.receive(&bytes[6..]), [text("水", false, true)]);
}

/// [6455-5.6-1]
#[test]
fn text_that_ends_inside_a_character_fails() {
    let bytes = [
        Frame::text("a").more().unmasked(),
        Frame::continuation(b"\xe6\xb0").unmasked(),
    ]
    .concat();
    let events = receiver().receive(bytes);
    assert_eq!(events[0], text("a", true, false));
    assert_eq!(events[1], common::failed(PeerError::InvalidUtf8));
}

/// [6455-5.4-4]
#[test]
fn control_frames_pass_between_pieces() {
    let frames = [
        Frame::binary("a").more(),
        Frame::ping("p"),
        Frame::continuation("b"),
    ];
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::unmasked).collect();
    let events = receiver().receive(bytes);
    assert_eq!(
        events,
        [
            binary(b"a", true, false),
            common::ping(b"p"),
            binary(b"b", false, true)
        ]
    );
}

#[test]
fn the_limits_hold_for_pieces_too() {
    let config = Config {
        delivery: Delivery::Pieces,
        message_bytes_max: 10,
        ..Config::default()
    };
    let mut receiver = Scenario::new(Side::Client, config);
    let bytes = [
        Frame::binary([1; 6]).more().unmasked(),
        Frame::continuation([1; 5]).unmasked(),
    ]
    .concat();
    let events = receiver.receive(bytes);
    assert_eq!(
        events[1],
        common::failed(LimitError::MessageBytes { max: 10 })
    );
}

#[test]
fn a_bomb_comes_in_pieces_of_a_mebibyte_at_the_most() {
    let agreement = DeflateAgreement {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let mut server = Scenario::server();
    server
        .connection
        .enable_deflate(&DeflateConfig::default(), agreement);
    server
        .connection
        .send(&Message::binary(&vec![0; 32 << 20]))
        .unwrap();
    let bytes = server.flush();
    let mut receiver = receiver();
    receiver
        .connection
        .enable_deflate(&DeflateConfig::default(), agreement);
    let events = receiver.receive(&bytes);
    for event in &events {
        let Event::Piece(piece) = event else { panic!() };
        assert!(piece.content.payload().len() <= (1 << 20) + (32 << 10));
    }
    let (content, pieces) = joined(events);
    assert_eq!(content.len(), 32 << 20);
    assert!(pieces > 30, "{pieces}");
}

#[test]
fn pieces_of_a_compressed_message_in_fragments_are_small_too() {
    let agreement = alone();
    let mut server = Scenario::server();
    server
        .connection
        .enable_deflate(&DeflateConfig::default(), agreement);
    let zeros = vec![0; 32 << 20];
    server.connection.send(&Message::binary(&zeros)).unwrap();
    let whole = server.flush_frames().remove(0);
    let (begin, rest) = whole.payload.split_at(10);
    let mut receiver = receiver();
    receiver
        .connection
        .enable_deflate(&DeflateConfig::default(), agreement);
    let begin = Frame::binary(begin).more().with_bits(0x40).unmasked();
    let mut events = receiver.receive(begin);
    events.extend(receiver.receive(Frame::continuation(rest).unmasked()));
    for event in &events {
        let Event::Piece(piece) = event else { panic!() };
        assert!(piece.content.payload().len() <= (1 << 20) + (32 << 10));
    }
    assert_eq!(joined(events).0.len(), zeros.len());
}

#[test]
fn compressed_bytes_that_say_nothing_are_passed_over_to_the_last() {
    let mut receiver = receiver();
    receiver
        .connection
        .enable_deflate(&DeflateConfig::default(), alone());
    // Empty stored blocks, many times what is looked at in one step; then one with text, and the first byte of the tail.
    let mut payload = b"\x00\x00\x00\xff\xff".repeat(2000);
    payload.extend(b"\x00\x03\x00\xfc\xffend\x00");
    let events = receiver.receive(Frame::text(payload).with_bits(0x40).unmasked());
    assert_eq!(joined(events).0, b"end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pieces_add_up_to_the_message(
        words in proptest::collection::vec("[a-zü水🌊]{1,40}", 1..200), deflate: bool, cut in 1usize..700,
    ) {
        let message = words.concat();
        let now = Instant::now();
        let mut server = Scenario::server();
        let mut receiver = Connection::client(Arc::new(in_pieces()), now);
        if deflate {
            let config = DeflateConfig { compress_bytes_min: 1, ..DeflateConfig::default() };
            let agreement = DeflateAgreement {
                server_no_context_takeover: false, client_no_context_takeover: false,
                server_max_window_bits: 10, client_max_window_bits: 10,
            };
            server.connection.enable_deflate(&config, agreement);
            receiver.enable_deflate(&config, agreement);
        }
        server.connection.send(&Message::text(&message)).unwrap();
        let mut bytes = server.flush();
        let mut received = String::new();
        for piece in bytes.chunks_mut(cut) {
            let mut input = piece;
            while let Some(event) = receiver.handle_input(&mut input, now) {
                match event {
                    Event::Piece(Piece { content: Message::Text(text), .. }) | Event::Message(Message::Text(text)) => {
                        received.push_str(&text);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        prop_assert_eq!(received, message);
    }
}

// ---- sending ----

/// [6455-5.4-10, 6455-6.1-5, 6455-6.1-6]
#[test]
fn fragments_are_sent_as_they_are_made() {
    let mut server = Scenario::server();
    let connection = &mut server.connection;
    connection
        .send_fragment(&Message::text("one "), false)
        .unwrap();
    connection.ping(b"still here").unwrap();
    connection
        .send_fragment(&Message::text("two"), false)
        .unwrap();
    connection.send_fragment(&Message::text(""), true).unwrap();
    connection.send(&Message::text("next")).unwrap();
    assert_eq!(
        frames_in(&server.flush()),
        [
            Frame::text("one ").more(),
            Frame::ping("still here"),
            Frame::continuation("two").more(),
            Frame::continuation(""),
            Frame::text("next"),
        ]
    );
}

/// [6455-5.4-3, 6455-5.4-10]
#[test]
fn no_other_message_goes_between_fragments() {
    let mut server = Scenario::server();
    let connection = &mut server.connection;
    connection
        .send_fragment(&Message::binary(b"a"), false)
        .unwrap();
    assert_eq!(
        connection.send(&Message::text("b")),
        Err(Misuse::UnfinishedMessage)
    );
    assert_eq!(
        connection.send_fragment(&Message::text("b"), true),
        Err(Misuse::OtherKind)
    );
    connection
        .send_fragment(&Message::binary(b"c"), true)
        .unwrap();
    connection.send(&Message::text("b")).unwrap();
}

/// [6455-6.1-3]
#[test]
fn closing_between_fragments_ends_the_message_unfinished() {
    let mut server = Scenario::server();
    let now = server.now;
    server
        .connection
        .send_fragment(&Message::binary(b"a"), false)
        .unwrap();
    server.connection.close(CloseCode::NORMAL, "", now).unwrap();
    assert_eq!(
        server
            .connection
            .send_fragment(&Message::binary(b"b"), true),
        Err(Misuse::Closed)
    );
    assert_eq!(
        frames_in(&server.flush()),
        [Frame::binary("a").more(), Frame::close(1000, "")]
    );
}

#[test]
fn what_is_sent_in_fragments_arrives_as_one_message() {
    let mut client = Scenario::client();
    for word in ["tide", "wire"] {
        client
            .connection
            .send_fragment(&Message::text(word), word == "wire")
            .unwrap();
    }
    let bytes = client.flush();
    assert_eq!(
        Scenario::server().receive(bytes),
        [common::text("tidewire")]
    );
}

//! Limits of `Config`: checked on the header, before the payload; inclusive; over all fragments, the empty ones too.
//!
//! What they cost in memory is in `memory.rs`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{BINARY, CONTINUATION, Frame, Scenario, announcing, binary, failed, ping, text};
use tidewire_protocol::{Config, Event, LimitError, Side};

fn config() -> Config {
    Config {
        frame_bytes_max: 1000,
        message_bytes_max: 1500,
        fragments_max: 4,
        ..Config::default()
    }
}

fn server() -> Scenario {
    Scenario::new(Side::Server, config())
}

/// The header of a frame of which no payload has come yet.
fn header(first: u8, length: u64) -> Vec<u8> {
    announcing(first, length, Side::Client)
}

#[test]
fn a_frame_of_just_the_limit_passes() {
    let payload = [7; 1000];
    let events = server().receive(Frame::binary(payload).by(Side::Client));
    assert_eq!(events, [binary(&payload)]);
}

/// [6455-10.4-1, 6455-10.4-2]
#[test]
fn a_frame_over_the_limit_fails_on_its_header() {
    for length in [1001, 65_535, 65_536, u64::from(u32::MAX) + 1, (1 << 63) - 1] {
        let mut server = server();
        assert_eq!(
            server.receive(header(0x80 | BINARY, length)),
            [failed(LimitError::FrameBytes { max: 1000 })]
        );
        assert_eq!(
            server.flush_frames(),
            [Frame::close(1009, "frame over the limit of 1000 bytes")]
        );
    }
}

#[test]
fn a_message_of_just_the_limit_passes() {
    let mut server = server();
    server.receive(Frame::binary([1; 1000]).more().by(Side::Client));
    let events = server.receive(Frame::continuation([1; 500]).by(Side::Client));
    assert_eq!(events, [binary(&[1; 1500])]);
}

/// [6455-10.4-1, 6455-10.4-2]
#[test]
fn a_message_over_the_limit_fails_on_the_header_that_passes_it() {
    for first in [CONTINUATION, 0x80 | CONTINUATION] {
        let mut server = server();
        server.receive(Frame::binary([1; 1000]).more().by(Side::Client));
        assert_eq!(
            server.receive(header(first, 501)),
            [failed(LimitError::MessageBytes { max: 1500 })]
        );
        assert_eq!(
            server.flush_frames(),
            [Frame::close(1009, "message over the limit of 1500 bytes")]
        );
    }
}

#[test]
fn the_sum_of_lengths_does_not_overflow() {
    let config = Config {
        frame_bytes_max: u64::MAX,
        message_bytes_max: 1500,
        ..Config::default()
    };
    let mut server = Scenario::new(Side::Server, config);
    server.receive(Frame::binary([1]).more().by(Side::Client));
    assert_eq!(
        server.receive(header(CONTINUATION, (1 << 63) - 1)),
        [failed(LimitError::MessageBytes { max: 1500 })]
    );
}

#[test]
fn limits_begin_anew_with_each_message() {
    let mut server = server();
    for _ in 0..3 {
        server.receive(Frame::binary([1; 1000]).more().by(Side::Client));
        let events = server.receive(Frame::continuation([1; 500]).by(Side::Client));
        assert_eq!(events, [binary(&[1; 1500])]);
    }
}

/// [6455-10.4-1]
#[test]
fn as_many_fragments_as_the_limit_pass_and_one_more_does_not() {
    for payload in ["", "x"] {
        let mut server = server();
        server.receive(Frame::text(payload).more().by(Side::Client));
        for _ in 0..2 {
            server.receive(Frame::continuation(payload).more().by(Side::Client));
        }
        let events = server.receive(Frame::continuation(payload).by(Side::Client));
        assert_eq!(events, [text(&payload.repeat(4))]);

        server.receive(Frame::text(payload).more().by(Side::Client));
        for _ in 0..3 {
            let more = Frame::continuation(payload).more().by(Side::Client);
            assert_eq!(server.receive(more), []);
        }
        assert_eq!(
            server.receive(header(0x80 | CONTINUATION, 1)),
            [failed(LimitError::Fragments { max: 4 })]
        );
        assert_eq!(
            server.flush_frames(),
            [Frame::close(1008, "message in more than 4 fragments")]
        );
    }
}

#[test]
fn control_frames_count_for_no_limit() {
    let config = Config {
        frame_bytes_max: 10,
        message_bytes_max: 10,
        fragments_max: 2,
        ..Config::default()
    };
    let mut server = Scenario::new(Side::Server, config);
    server.receive(Frame::text("a").more().by(Side::Client));
    for _ in 0..5 {
        let events = server.receive(Frame::ping([1; 125]).by(Side::Client));
        assert_eq!(events, [ping(&[1; 125])]);
    }
    let events = server.receive(Frame::continuation("b").by(Side::Client));
    assert_eq!(events, [text("ab")]);
}

#[test]
fn limits_of_zero_let_empty_messages_pass() {
    let config = Config {
        frame_bytes_max: 0,
        message_bytes_max: 0,
        fragments_max: 0,
        ..Config::default()
    };
    let receive = |bytes: Vec<u8>| Scenario::new(Side::Server, config.clone()).receive(bytes);
    assert_eq!(receive(Frame::text("").by(Side::Client)), [text("")]);
    assert_eq!(
        receive(header(0x80 | BINARY, 1)),
        [failed(LimitError::FrameBytes { max: 0 })]
    );
    let fragments = common::stream(
        Side::Client,
        &[Frame::text("").more(), Frame::continuation("")],
    );
    assert_eq!(
        receive(fragments),
        [failed(LimitError::Fragments { max: 0 })]
    );
}

#[test]
fn limits_of_the_largest_numbers_do_not_overflow() {
    let config = Config {
        frame_bytes_max: u64::MAX,
        message_bytes_max: u64::MAX,
        fragments_max: u32::MAX,
        linger_bytes_max: u64::MAX,
        ..Config::default()
    };
    let mut server = Scenario::new(Side::Server, config);
    server.receive(Frame::binary("begun").more().by(Side::Client));
    let none: [Event<'static>; 0] = [];
    assert_eq!(server.receive(header(CONTINUATION, (1 << 63) - 1)), none);
    assert_eq!(server.receive([0; 1000]), none);
    assert!(server.connection.is_open());
}

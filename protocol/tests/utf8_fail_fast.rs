//! Text is checked as it arrives (RFC 6455 §8.1): the first byte that no continuation could mend fails the connection,
//! before frame and message end (Autobahn 6.4).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Frame, Scenario, failed, text};
use tidewire_protocol::{PeerError, Side};

/// Autobahn 6.4: κόσμε, then a code point above U+10FFFF, then more.
const GOOD: &[u8] = "κόσμε".as_bytes();
const BAD: &[u8] = b"\xf4\x90\x80\x80";
const BEHIND: &[u8] = b"edited";

#[test]
fn a_bad_fragment_fails_before_the_message_ends() {
    let mut server = Scenario::server();
    let none = server.receive(Frame::text(GOOD).more().by(Side::Client));
    assert_eq!(none, []);
    let events = server.receive(Frame::continuation(BAD).more().by(Side::Client));
    assert_eq!(events, [failed(PeerError::InvalidUtf8)]);
    assert_eq!(server.flush_frames(), [Frame::close(1007, "invalid UTF-8")]);
}

/// [6455-8.1-1]
#[test]
fn a_bad_byte_fails_before_its_frame_ends() {
    let payload = [GOOD, BAD, BEHIND].concat();
    let bytes = Frame::text(&payload).by(Side::Client);
    let header_len = bytes.len() - payload.len();
    // F4 may begin a character; F4 90 may not.
    let last_good = header_len + GOOD.len() + 1;
    let mut server = Scenario::server();
    assert_eq!(server.receive(&bytes[..last_good]), []);
    assert_eq!(
        server.receive([bytes[last_good]]),
        [failed(PeerError::InvalidUtf8)]
    );
}

#[test]
fn a_bad_byte_fails_at_itself_when_bytes_come_one_by_one() {
    // The payload, and how many of its bytes may pass.
    let cases: [(&[u8], usize); 9] = [
        (b"a\xff", 1),
        (b"a\x80", 1),
        (b"\xc0", 0),
        (b"\xc1\x80", 0),
        (b"\xe0\x9f", 1),
        (b"\xed\xa0", 1),
        (b"\xf0\x8f", 1),
        (b"\xf5", 0),
        (b"\xe6\xb0a", 2),
    ];
    for (payload, good) in cases {
        let announced = [payload, b"never sent"].concat();
        let bytes = Frame::text(&announced).by(Side::Client);
        let header_len = bytes.len() - announced.len();
        let mut server = Scenario::server();
        for (index, byte) in bytes.iter().enumerate().take(header_len + good) {
            assert_eq!(server.receive([*byte]), [], "byte {index} of {payload:x?}");
        }
        assert_eq!(
            server.receive([bytes[header_len + good]]),
            [failed(PeerError::InvalidUtf8)],
            "{payload:x?}"
        );
    }
}

#[test]
fn a_bad_byte_fails_at_itself_in_fragments_of_one_byte() {
    let payload = [GOOD, BAD].concat();
    let mut server = Scenario::server();
    for (index, byte) in payload.iter().enumerate() {
        let frame = match index {
            0 => Frame::text([*byte]).more(),
            _ => Frame::continuation([*byte]).more(),
        };
        let events = server.receive(frame.by(Side::Client));
        if index == GOOD.len() + 1 {
            assert_eq!(events, [failed(PeerError::InvalidUtf8)]);
            return;
        }
        assert_eq!(events, []);
    }
    panic!("the bad byte passed");
}

#[test]
fn a_code_point_may_be_cut_by_reads_and_frames_at_every_place() {
    let all = "aé水𝄞z";
    for cut in 0..=all.len() {
        let (first, second) = all.as_bytes().split_at(cut);
        let bytes = common::stream(
            Side::Client,
            &[Frame::text(first).more(), Frame::continuation(second)],
        );
        for read in 1..bytes.len() {
            let mut server = Scenario::server();
            let mut events = server.receive(&bytes[..read]);
            events.extend(server.receive(&bytes[read..]));
            assert_eq!(events, [text(all)], "frame cut {cut}, read cut {read}");
        }
    }
}

#[test]
fn a_ping_between_the_halves_of_a_code_point_does_not_matter() {
    let bytes = common::stream(
        Side::Client,
        &[
            Frame::text(b"\xe6").more(),
            Frame::ping(b"\xff"),
            Frame::continuation(b"\xb0\xb4"),
        ],
    );
    let events = Scenario::server().receive(bytes);
    assert_eq!(events, [common::ping(b"\xff"), text("水")]);
}

/// [6455-5.6-1]
#[test]
fn a_message_that_ends_inside_a_code_point_fails_at_its_end() {
    let mut server = Scenario::server();
    assert_eq!(
        server.receive(Frame::text(b"\xe6\xb0").more().by(Side::Client)),
        []
    );
    assert_eq!(
        server.receive(Frame::continuation("").by(Side::Client)),
        [failed(PeerError::InvalidUtf8)]
    );
}

#[test]
fn binary_messages_are_not_checked() {
    let bytes = Frame::binary(BAD).by(Side::Client);
    assert_eq!(Scenario::server().receive(bytes), [common::binary(BAD)]);
}

#[test]
fn a_bad_byte_deep_in_a_long_message_is_found_at_every_place() {
    for bad in [0, 1, 63, 64, 65, 127, 128, 1000, 1999] {
        let mut payload = vec![b'a'; 2000];
        payload[bad] = 0xff;
        let events = Scenario::server().receive(Frame::text(&payload).by(Side::Client));
        assert_eq!(events, [failed(PeerError::InvalidUtf8)], "at {bad}");
    }
}

//! Fragments become messages (RFC 6455 §5.4).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Frame, Scenario, binary, failed, ping, pong, stream, text};
use tidewire_protocol::{PeerError, Side};

fn receive(frames: &[Frame]) -> Vec<tidewire_protocol::Event<'static>> {
    Scenario::server().receive(stream(Side::Client, frames))
}

/// [6455-5.4-2, 6455-5.4-5]
#[test]
fn fragments_are_joined_in_order() {
    let events = receive(&[
        Frame::binary([1, 2]).more(),
        Frame::continuation([3]).more(),
        Frame::continuation([4, 5]),
    ]);
    assert_eq!(events, [binary(&[1, 2, 3, 4, 5])]);
}

/// [6455-5.4-10, 6455-6.2-3]
#[test]
fn the_type_is_that_of_the_first_fragment() {
    let of = |first: Frame| receive(&[first.more(), Frame::continuation("b")]);
    assert_eq!(of(Frame::text("a")), [text("ab")]);
    assert_eq!(of(Frame::binary("a")), [binary(b"ab")]);
}

#[test]
fn empty_fragments_are_legal_everywhere() {
    let events = receive(&[
        Frame::text("").more(),
        Frame::continuation("").more(),
        Frame::continuation(""),
        Frame::text("").more(),
        Frame::continuation("x").more(),
        Frame::continuation(""),
    ]);
    assert_eq!(events, [text(""), text("x")]);
}

/// [6455-5.4-4]
#[test]
fn control_frames_pass_between_fragments_at_once() {
    let mut server = Scenario::server();
    let mut receive = |frame: Frame| server.receive(frame.by(Side::Client));
    assert_eq!(receive(Frame::text("a").more()), []);
    assert_eq!(receive(Frame::ping("1")), [ping(b"1")]);
    assert_eq!(receive(Frame::continuation("b").more()), []);
    assert_eq!(receive(Frame::pong("2")), [pong(b"2")]);
    assert_eq!(receive(Frame::continuation("c")), [text("abc")]);
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    let bytes = "a水𝄞".as_bytes();
    let mut frames: Vec<Frame> = bytes
        .chunks(1)
        .map(|byte| Frame::continuation(byte).more())
        .collect();
    frames[0] = Frame::text("a").more();
    frames.push(Frame::continuation(""));
    assert_eq!(receive(&frames), [text("a水𝄞")]);
}

/// [6455-5.4-5, 6455-6.2-4]
#[test]
fn messages_follow_each_other_without_a_trace() {
    let events = receive(&[
        Frame::text("a").more(),
        Frame::continuation("b"),
        Frame::binary("c"),
        Frame::binary("d").more(),
        Frame::continuation("e"),
        Frame::text("f"),
    ]);
    assert_eq!(events, [text("ab"), binary(b"c"), binary(b"de"), text("f")]);
}

#[test]
fn a_continuation_without_a_message_fails() {
    for frames in [
        vec![Frame::continuation("x")],
        vec![Frame::continuation("x").more()],
        vec![Frame::continuation("")],
    ] {
        assert_eq!(receive(&frames), [failed(PeerError::NothingToContinue)]);
    }
    let after_a_message = receive(&[
        Frame::text("a").more(),
        Frame::continuation("b"),
        Frame::continuation("c"),
    ]);
    assert_eq!(
        after_a_message,
        [text("ab"), failed(PeerError::NothingToContinue)]
    );
}

/// [6455-5.4-3]
#[test]
fn a_message_inside_a_message_fails() {
    for second in [Frame::text("y"), Frame::binary("y"), Frame::text("").more()] {
        let frames = [Frame::text("x").more(), second];
        assert_eq!(receive(&frames), [failed(PeerError::UnfinishedMessage)]);
    }
    let after_an_empty_fragment = [Frame::binary("").more(), Frame::binary("y")];
    assert_eq!(
        receive(&after_an_empty_fragment),
        [failed(PeerError::UnfinishedMessage)]
    );
}

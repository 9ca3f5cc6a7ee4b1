//! Every stream gives the same events and the same answers, however reads cut it: whole, byte by byte, at random.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{
    CUT_OFF, Frame, KEY, Observed, announcing, binary, close_frame, closed_by_peer, echo_together,
    failed, frames_in, observe, observe_by, ping, pong, stream, text,
};
use proptest::prelude::*;
use tidewire_protocol::{CloseFrame, Config, Event, LimitError, PeerError, Side, Transport};

/// What a peer sends, and what must come of it at an echoing connection.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    events: Vec<Event<'static>>,
    sent: Vec<Frame>,
}

fn config() -> Config {
    Config {
        frame_bytes_max: 70_000,
        message_bytes_max: 80_000,
        fragments_max: 5,
        ..Config::default()
    }
}

/// A stream that ends without a Close frame.
fn cut_off(
    name: &'static str,
    bytes: Vec<u8>,
    mut events: Vec<Event<'static>>,
    sent: Vec<Frame>,
) -> Case {
    events.push(CUT_OFF);
    Case {
        name,
        bytes,
        events,
        sent,
    }
}

/// A good message, then a mistake, then bytes that nobody looks at.
fn mistake(
    name: &'static str,
    sender: Side,
    bad: impl AsRef<[u8]>,
    error: impl Into<tidewire_protocol::Error>,
) -> Case {
    let error = error.into();
    let good = Frame::text("good");
    let behind = Frame::text("never looked at").by(sender);
    Case {
        name,
        bytes: [&good.by(sender)[..], bad.as_ref(), &behind].concat(),
        events: vec![text("good"), failed(error)],
        sent: vec![
            good,
            Frame::close(error.close_code().get(), error.to_string()),
        ],
    }
}

fn messages(sender: Side) -> Vec<Case> {
    let long = "水".repeat(23_000);
    let bytes: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    vec![
        cut_off("nothing at all", vec![], vec![], vec![]),
        cut_off(
            "messages of every length form",
            stream(
                sender,
                &[
                    Frame::text(""),
                    Frame::binary(""),
                    Frame::text("Hello"),
                    Frame::binary([1; 126]),
                    Frame::binary(&bytes),
                    Frame::text(&long),
                ],
            ),
            vec![
                text(""),
                binary(b""),
                text("Hello"),
                binary(&[1; 126]),
                binary(&bytes),
                text(&long),
            ],
            vec![
                Frame::text(""),
                Frame::binary(""),
                Frame::text("Hello"),
                Frame::binary([1; 126]),
                Frame::binary(&bytes),
                Frame::text(&long),
            ],
        ),
        cut_off(
            "fragments, some empty, with control frames between them",
            stream(
                sender,
                &[
                    Frame::text("").more(),
                    Frame::ping("1"),
                    Frame::continuation("f\u{fc}r ").more(),
                    Frame::pong("unasked"),
                    Frame::ping(""),
                    Frame::continuation("\u{6c34}".as_bytes().split_at(2).0).more(),
                    Frame::continuation("\u{6c34}".as_bytes().split_at(2).1),
                    Frame::binary("a").more(),
                    Frame::continuation(""),
                ],
            ),
            vec![
                ping(b"1"),
                pong(b"unasked"),
                ping(b""),
                text("für 水"),
                binary(b"a"),
            ],
            vec![
                Frame::pong("1"),
                Frame::pong(""),
                Frame::text("für 水"),
                Frame::binary("a"),
            ],
        ),
        cut_off(
            "a message cut off",
            Frame::text("Hello").by(sender)[..4].to_vec(),
            vec![],
            vec![],
        ),
        cut_off("one byte", vec![0x81], vec![], vec![]),
    ]
}

fn closes(sender: Side) -> Vec<Case> {
    vec![
        Case {
            name: "a close with code and reason, and bytes behind it",
            bytes: [Frame::close(4000, "because").by(sender), vec![0xff; 50]].concat(),
            events: vec![closed_by_peer(close_frame(4000, "because"))],
            sent: vec![Frame::close(4000, "")],
        },
        Case {
            name: "a close without code",
            bytes: Frame::close_without_code().by(sender),
            events: vec![closed_by_peer(CloseFrame::default())],
            sent: vec![Frame::close_without_code()],
        },
        Case {
            name: "a close inside a fragmented message",
            bytes: stream(
                sender,
                &[Frame::text("half").more(), Frame::close(1001, "")],
            ),
            events: vec![closed_by_peer(close_frame(1001, ""))],
            sent: vec![Frame::close(1001, "")],
        },
        mistake(
            "a close payload of one byte",
            sender,
            Frame::new(common::CLOSE, [3]).by(sender),
            PeerError::TruncatedCloseCode,
        ),
        mistake(
            "a close with a forbidden code",
            sender,
            Frame::close(1005, "").by(sender),
            PeerError::InvalidCloseCode(1005),
        ),
        mistake(
            "a close with a bad reason",
            sender,
            Frame::close(1000, b"\xff").by(sender),
            PeerError::InvalidUtf8,
        ),
    ]
}

fn mistakes(sender: Side) -> Vec<Case> {
    let frame = |frame: Frame| frame.by(sender);
    let (wrongly_masked, error) = match sender {
        Side::Client => (Frame::text("x").unmasked(), PeerError::UnmaskedFrame),
        Side::Server => (Frame::text("x").masked(KEY), PeerError::MaskedFrame),
    };
    let mask_bit = match sender {
        Side::Client => 0x80,
        Side::Server => 0,
    };
    let long_way = |short: u8, length: &[u8]| [&[0x82, mask_bit | short][..], length].concat();
    let mut cases = vec![
        mistake("the mask of the other side", sender, wrongly_masked, error),
        mistake(
            "a length of 125 in 16 bits",
            sender,
            long_way(126, &[0, 125]),
            PeerError::NonMinimalLength,
        ),
        mistake(
            "a length of 65535 in 64 bits",
            sender,
            long_way(127, &[0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            PeerError::NonMinimalLength,
        ),
        mistake(
            "a length with the top bit",
            sender,
            long_way(127, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
            PeerError::LengthTopBit,
        ),
        mistake(
            "a fragmented ping",
            sender,
            frame(Frame::ping("x").more()),
            PeerError::FragmentedControl,
        ),
        mistake(
            "a ping of 126 bytes",
            sender,
            frame(Frame::ping([0; 126])),
            PeerError::ControlTooLong,
        ),
        mistake(
            "a close of 126 bytes",
            sender,
            frame(Frame::close(1000, [b'r'; 124])),
            PeerError::ControlTooLong,
        ),
        mistake(
            "a continuation of nothing",
            sender,
            frame(Frame::continuation("x")),
            PeerError::NothingToContinue,
        ),
        mistake(
            "a message inside a message",
            sender,
            stream(sender, &[Frame::text("x").more(), Frame::text("y")]),
            PeerError::UnfinishedMessage,
        ),
        mistake(
            "text that is not UTF-8",
            sender,
            frame(Frame::text(b"ok \xc0\xaf")),
            PeerError::InvalidUtf8,
        ),
        mistake(
            "text that ends inside a character",
            sender,
            frame(Frame::text(b"ok \xe6\xb0")),
            PeerError::InvalidUtf8,
        ),
        mistake(
            "a fragment that is not UTF-8",
            sender,
            stream(
                sender,
                &[
                    Frame::text(b"\xf4").more(),
                    Frame::continuation(b"\x90").more(),
                ],
            ),
            PeerError::InvalidUtf8,
        ),
        mistake(
            "a frame over its limit",
            sender,
            announcing(0x82, 70_001, sender),
            LimitError::FrameBytes { max: 70_000 },
        ),
        mistake(
            "a message over its limit",
            sender,
            [
                Frame::binary(vec![0; 70_000]).more().by(sender),
                announcing(0x80, 10_001, sender),
            ]
            .concat(),
            LimitError::MessageBytes { max: 80_000 },
        ),
        mistake(
            "too many fragments",
            sender,
            [
                Frame::binary("").more().by(sender),
                Frame::continuation("").more().by(sender).repeat(5),
            ]
            .concat(),
            LimitError::Fragments { max: 5 },
        ),
    ];
    for bits in [0x40, 0x20, 0x10, 0x70] {
        let frame = frame(Frame::text("x").with_bits(bits));
        cases.push(mistake(
            "a reserved bit",
            sender,
            frame,
            PeerError::ReservedBits,
        ));
    }
    for opcode in (3..=7).chain(11..=15) {
        let frame = frame(Frame::new(opcode, "x"));
        let error = PeerError::ReservedOpcode(opcode);
        cases.push(mistake("a reserved opcode", sender, frame, error));
    }
    cases
}

fn all(sender: Side) -> Vec<Case> {
    let mut cases = messages(sender);
    cases.extend(closes(sender));
    cases.extend(mistakes(sender));
    cases
}

fn assert_observed(case: &Case, sender: Side, sizes: &[usize]) {
    let together = observe_by(echo_together, !sender, &config(), &case.bytes, sizes);
    for observed in [observe(!sender, &config(), &case.bytes, sizes), together] {
        let Observed {
            events,
            sent,
            transport,
        } = observed;
        let Case { name, .. } = case;
        // Not assert_eq on the whole: some messages are tens of thousands of bytes.
        assert!(events == case.events, "{name}, in pieces of {sizes:?}");
        assert!(
            frames_in(&sent) == case.sent,
            "{name}, in pieces of {sizes:?}"
        );
        assert_eq!(transport, Transport::Drop, "{name}");
    }
}

/// [6455-5.1-2, 6455-5.1-4, 6455-5.2-2, 6455-5.2-3, 6455-5.5-1, 6455-5.5-2, 6455-7.1.7-1, 6455-7.1.7-2, 6455-7.1.7-4]
/// [6455-7.1.7-5, 6455-10.7-1, 6455-10.7-2]
#[test]
fn whole() {
    for sender in [Side::Client, Side::Server] {
        for case in all(sender) {
            assert_observed(&case, sender, &[case.bytes.len()]);
        }
    }
}

#[test]
fn byte_by_byte() {
    for sender in [Side::Client, Side::Server] {
        for case in all(sender) {
            assert_observed(&case, sender, &[1]);
        }
    }
}

#[test]
fn cut_once_at_every_place() {
    for sender in [Side::Client, Side::Server] {
        for case in all(sender) {
            for cut in 1..case.bytes.len().min(60) {
                assert_observed(&case, sender, &[cut, case.bytes.len()]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn at_random(sizes in proptest::collection::vec(prop_oneof![1usize..8, 1usize..20_000], 1..10)) {
        for sender in [Side::Client, Side::Server] {
            for case in all(sender) {
                assert_observed(&case, sender, &sizes);
            }
        }
    }
}

/// [6455-5.1-1, 6455-5.1-3]
#[test]
fn sent_bytes_are_masked_by_clients_only() {
    let by = |side: Side| {
        let observed = observe(side, &config(), &Frame::text("x").by(!side), &[1]);
        common::read_frames(&observed.sent)[0].key
    };
    assert_eq!(by(Side::Client), Some(KEY));
    assert_eq!(by(Side::Server), None);
}

//! Bad frames, on `/echo`: each rule of RFC 6455 broken with random contents, and valid ones that were edited.

use tidewire_tests::Dice;
use tidewire_tests::frame::{Frame, opcode};
use tidewire_tests::websocket::handshake_request;

use crate::answer::Said;
use crate::visit::{Expected, Kind, Visit};

/// The largest message of `/echo`.
const ECHO_BYTES_MAX: u64 = 64 << 20;

/// A few good messages, a frame that breaks one rule, and anything behind it.
pub(crate) fn broken(dice: &mut Dice) -> Visit {
    let mut bytes = handshake_request("/echo", "").into_bytes();
    let mut before = Vec::new();
    for _ in 0..dice.below(4) {
        let payload = printable(dice, 300);
        let key = dice.key();
        if dice.once_in(2) {
            bytes.extend(Frame::text(payload.clone()).with_key(key).encode());
            before.push(Said::Text(payload));
        } else {
            bytes.extend(Frame::binary(payload.clone()).with_key(key).encode());
            before.push(Said::Binary(payload.into_bytes()));
        }
    }
    let (frame, code) = one_broken(dice);
    bytes.extend(frame);
    let behind = dice.below(300);
    bytes.extend(dice.bytes(behind));
    Visit {
        kind: Kind::BrokenFrame,
        inputs: 1,
        bytes,
        expected: Expected::Close { before, code },
    }
}

fn one_broken(dice: &mut Dice) -> (Vec<u8>, u16) {
    match dice.below(13) {
        0 => (valid(dice).unmasked().encode(), 1002),
        1 => {
            let rsv = dice.between(1, 7) as u8;
            (valid(dice).with_rsv(rsv).encode(), 1002)
        }
        2 => {
            let reserved = dice.pick(&[3, 4, 5, 6, 7, 11, 12, 13, 14, 15]);
            let payload = payload(dice, 200);
            (Frame::new(reserved, payload).encode(), 1002)
        }
        3 => (length_in_a_longer_form(dice), 1002),
        4 => {
            let length = dice.next() | 1 << 63;
            (header_of_64_bits(dice, length), 1002)
        }
        5 => {
            let length = ECHO_BYTES_MAX + 1 + dice.next() % (i64::MAX as u64 - ECHO_BYTES_MAX);
            (header_of_64_bits(dice, length), 1009)
        }
        6 => {
            let payload = dice.bytes(126);
            let frame = Frame::new(control(dice), payload).with_key(dice.key());
            (frame.encode(), 1002)
        }
        7 => {
            let frame = Frame::new(control(dice), payload(dice, 125)).unfinished();
            (frame.encode(), 1002)
        }
        8 => {
            let frame = Frame::continuation(payload(dice, 200));
            let is_final = dice.once_in(2);
            let frame = if is_final { frame } else { frame.unfinished() };
            (frame.encode(), 1002)
        }
        9 => {
            let begun = Frame::binary(payload(dice, 200)).unfinished();
            let another = Frame::text("another");
            ([begun.encode(), another.encode()].concat(), 1002)
        }
        10 => (text_that_is_none(dice), 1007),
        11 => bad_close(dice),
        _ => {
            let begun = Frame::binary("v").unfinished().encode();
            let rest = header_of_64_bits(dice, i64::MAX as u64);
            let rest: Vec<u8> = [&[0x80], &rest[1..]].concat();
            ([begun, rest].concat(), 1009)
        }
    }
}

/// A frame of any kind that is in order, and stands alone.
fn valid(dice: &mut Dice) -> Frame {
    let frame = match dice.below(5) {
        0 => Frame::text(printable(dice, 200)),
        1 => Frame::binary(payload(dice, 200)),
        2 => Frame::ping(payload(dice, 125)),
        3 => Frame::pong(payload(dice, 125)),
        _ => Frame::close(1000, "bye"),
    };
    frame.with_key(dice.key())
}

const fn control(dice: &mut Dice) -> u8 {
    dice.pick(&[opcode::CLOSE, opcode::PING, opcode::PONG])
}

fn length_in_a_longer_form(dice: &mut Dice) -> Vec<u8> {
    let first = 0x80 | dice.pick(&[opcode::TEXT, opcode::BINARY]);
    if dice.once_in(2) {
        let length = dice.below(126) as u16;
        let [high, low] = length.to_be_bytes();
        [&[first, 0xfe, high, low], &dice.bytes(200)[..]].concat()
    } else {
        let length = dice.below(65536) as u64;
        [&[first, 0xff], &length.to_be_bytes()[..], &dice.bytes(64)].concat()
    }
}

fn header_of_64_bits(dice: &mut Dice, length: u64) -> Vec<u8> {
    let first = 0x82;
    [&[first, 0xff], &length.to_be_bytes()[..], &dice.key()].concat()
}

/// A text that is good up to some byte, in one frame or several, which ends there or goes on.
fn text_that_is_none(dice: &mut Dice) -> Vec<u8> {
    let wrong: &[u8] = dice.pick(&[
        &b"\x80"[..],
        b"\xff",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82A",
        b"\xf8\x88\x80\x80\x80",
    ]);
    let text = [printable(dice, 200).as_bytes(), wrong, b"behind it"].concat();
    let cut = dice.below(text.len());
    let key = dice.key();
    match dice.below(3) {
        0 => Frame::text(text).with_key(key).encode(),
        1 => [
            Frame::text(&text[..cut])
                .with_key(key)
                .unfinished()
                .encode(),
            Frame::continuation(&text[cut..]).encode(),
        ]
        .concat(),
        // Wrong only because it ends.
        _ => Frame::text(
            "an end without a character \u{20ac}"
                .as_bytes()
                .split_last()
                .map_or(&[][..], |(_, rest)| rest),
        )
        .with_key(key)
        .encode(),
    }
}

fn bad_close(dice: &mut Dice) -> (Vec<u8>, u16) {
    let (payload, code) = match dice.below(3) {
        0 => (dice.bytes(1), 1002),
        1 => {
            let code: u16 = match dice.below(4) {
                0 => dice.below(1000) as u16,
                1 => dice.pick(&[1004, 1005, 1006, 1015]),
                2 => dice.between(1016, 2999) as u16,
                _ => dice.between(5000, 65535) as u16,
            };
            (code.to_be_bytes().to_vec(), 1002)
        }
        _ => (b"\x03\xe8bad \xff reason".to_vec(), 1007),
    };
    (Frame::new(opcode::CLOSE, payload).encode(), code)
}

/// Valid frames, of which a few bytes were changed, dropped, doubled or put in.
pub(crate) fn mutated(dice: &mut Dice) -> Visit {
    let mut frames = Vec::new();
    for _ in 0..dice.between(1, 6) {
        frames.extend(valid(dice).encode());
        if dice.once_in(4) {
            frames.extend(Frame::text(printable(dice, 50)).unfinished().encode());
            frames.extend(Frame::continuation(printable(dice, 50)).encode());
        }
    }
    for _ in 0..dice.between(1, 8) {
        mutate(&mut frames, dice);
    }
    let handshake = handshake_request("/echo", "").into_bytes();
    Visit {
        kind: Kind::MutatedFrames,
        inputs: 1,
        bytes: [handshake, frames].concat(),
        expected: Expected::Lawful,
    }
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    let at = dice.below(bytes.len());
    let count = dice.between(1, 8).min(bytes.len() - at);
    match dice.below(6) {
        0 | 1 => bytes[at] ^= 1 << dice.below(8),
        2 => bytes[at] = dice.pick(&[0, 1, 0x7e, 0x7f, 0x80, 0xfe, 0xff]),
        3 => drop(bytes.drain(at..at + count)),
        4 => {
            let doubled = bytes[at..at + count].to_vec();
            bytes.splice(at..at, doubled);
        }
        _ => {
            let new = dice.bytes(count);
            bytes.splice(at..at, new);
        }
    }
}

fn payload(dice: &mut Dice, longest: usize) -> Vec<u8> {
    let length = dice.below(longest + 1);
    dice.bytes(length)
}

/// Characters of one byte, and some of more.
pub(crate) fn printable(dice: &mut Dice, longest: usize) -> String {
    let mut text = String::new();
    let length = dice.below(longest);
    while text.len() < length.saturating_sub(3) {
        text.push(match dice.below(12) {
            0 => '\u{20ac}',
            1 => '\u{1f30a}',
            _ => char::from(dice.between(0x20, 0x7e) as u8),
        });
    }
    text
}

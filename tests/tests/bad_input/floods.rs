//! Too much of what is allowed, to the chat: fragments, pings that nobody reads the answers of, messages of nothing; and
//! compressed messages that are bombs, or no deflate.

use std::sync::LazyLock;

use tidewire_tests::Dice;
use tidewire_tests::deflated::{OFFER, RSV1, bomb, text};
use tidewire_tests::frame::Frame;
use tidewire_tests::websocket::handshake_request;

use crate::visit::{Expected, Kind, Visit};

/// The fragments that a message of the chat may have.
const FRAGMENTS_MAX: usize = 1024;

/// The largest message of the chat.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

const NO_COMMAND: &[&str] = &["bad_json"];

/// Many small things.
pub(crate) fn many(dice: &mut Dice) -> Visit {
    let first = Frame::text(" ").with_key(dice.key()).unfinished();
    let one = |payload: Vec<u8>| Frame::continuation(payload).unfinished().encode();
    let (frames, expected) = match dice.below(4) {
        0 => {
            let size = dice.below(3);
            let rest = one(vec![b' '; size]).repeat(dice.between(FRAGMENTS_MAX, 2 * FRAGMENTS_MAX));
            ([first.encode(), rest].concat(), closed(1008))
        }
        1 => {
            let size = dice.between(500, 8000);
            let rest = one(vec![b' '; size]).repeat(MESSAGE_BYTES_MAX / size + 1);
            ([first.encode(), rest].concat(), closed(1009))
        }
        2 => {
            let codes = vec![NO_COMMAND; 10];
            let close = Some(1008);
            let empty = Frame::text("").with_key(dice.key()).encode();
            (
                empty.repeat(dice.between(10, 200)),
                Expected::Errors { codes, close },
            )
        }
        _ => {
            let payload = dice.bytes(dice.clone().below(126));
            let pings = Frame::ping(payload).encode().repeat(dice.between(50, 500));
            (pings, Expected::Lawful)
        }
    };
    Visit {
        kind: Kind::Fragments,
        inputs: 1,
        bytes: [handshake_request("/ws", "").into_bytes(), frames].concat(),
        expected,
    }
}

/// A welcome and the end.
const fn closed(code: u16) -> Expected {
    Expected::Errors {
        codes: Vec::new(),
        close: Some(code),
    }
}

/// Bombs of 65 KiB, 1 MiB and 16 MiB: made once, since zlib is the slowest thing here.
static BOMBS: LazyLock<[Vec<u8>; 3]> =
    LazyLock::new(|| [65 << 10, 1 << 20, 16 << 20].map(|bytes| bomb(bytes).encode()));

/// A compressed message that should not be.
pub(crate) fn compressed(dice: &mut Dice) -> Visit {
    let (frames, expected) = match dice.below(7) {
        0 | 1 => (BOMBS[dice.below(BOMBS.len())].clone(), closed(1009)),
        2 => {
            let payload = dice.bytes(dice.clone().between(1, 300));
            (
                Frame::text(payload).with_rsv(RSV1).encode(),
                Expected::Lawful,
            )
        }
        3 => {
            let mut frame = text(r#"{"type":"room_msg","roomId":"bystanders","content":"evil"}"#);
            for _ in 0..dice.between(1, 4) {
                let at = dice.below(frame.payload.len());
                frame.payload[at] ^= 1 << dice.below(8);
            }
            (frame.encode(), Expected::Lawful)
        }
        4 => {
            // A block of the kind that there is none of (RFC 1951 §3.2.3).
            let payload = [&[0x07], &dice.bytes(40)[..]].concat();
            (Frame::text(payload).with_rsv(RSV1).encode(), closed(1007))
        }
        5 => (text(b"no \xff text").encode(), closed(1007)),
        _ => {
            let rsv = Frame::continuation("x").with_rsv(RSV1).encode();
            let begun = text(" ").unfinished().encode();
            ([begun, rsv].concat(), closed(1002))
        }
    };
    Visit {
        kind: Kind::Compressed,
        inputs: 1,
        bytes: [handshake_request("/ws", OFFER).into_bytes(), frames].concat(),
        expected,
    }
}

//! Sequences of frames as a client sends them to a server: most of them good, some wrong, some changed afterwards.

use std::sync::Arc;
use std::time::Instant;

use tidewire_protocol::{Config, Connection, DeflateConfig, Message};

use super::ours::agreement;
use super::random::Random;
use super::walk;

/// The limit of a frame and of a message, in bytes, for those that have one.
pub(super) const BYTES_MAX: u64 = 1 << 16;

/// What was agreed on about permessage-deflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deflate {
    Off,
    EachAlone,
    WithContext,
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) deflate: Deflate,
    pub(super) bytes: Vec<u8>,
}

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

/// Characters of one to four bytes, and what is none: a lone continuation, an overlong form, a surrogate, one above the
/// last, and beginnings.
const GOOD_TEXT: [&[u8]; 6] = [
    b"a",
    b"tide ",
    "é".as_bytes(),
    "水".as_bytes(),
    "𝄞".as_bytes(),
    b"\0",
];
const BAD_TEXT: [&[u8]; 8] = [
    b"\x80",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xff",
    b"\xce",
    b"\xf0\x9f",
    b"\xe6\xb0",
];

/// Codes that may be sent and codes that may not.
const CODES: [u16; 20] = [
    1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4999, 0, 999, 1004, 1005, 1006,
    1015, 1016, 2999, 5000,
];

/// Compressed by hand: "Hello" in a fixed block, in a stored block, in a final block, in two blocks, behind a final block;
/// nothing; what is not DEFLATE; and the beginning of a final block without a byte.
const DEFLATED: [&[u8]; 8] = [
    b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\x00",
    b"\xff\xff\xff\xff",
    b"\x03",
];

/// The sequence `index` under `seed`.
pub(super) fn generate(seed: u64, index: u64, now: Instant) -> Sequence {
    let mut random = Random::new(seed, index);
    let deflate = random.pick(&[
        Deflate::Off,
        Deflate::Off,
        Deflate::EachAlone,
        Deflate::WithContext,
    ]);
    let mut generator = Generator::new(random, deflate, now);
    for _ in 0..=generator.random.below(6) {
        generator.add();
    }
    generator.change();
    Sequence {
        deflate,
        bytes: generator.bytes,
    }
}

struct Generator {
    random: Random,
    deflate: Deflate,
    /// Compresses what is to be compressed.
    client: Connection,
    bytes: Vec<u8>,
}

impl Generator {
    fn new(random: Random, deflate: Deflate, now: Instant) -> Self {
        let mut client = Connection::client_with_keys(Arc::new(Config::default()), now, || [0; 4]);
        if deflate != Deflate::Off {
            let config = DeflateConfig {
                compress_bytes_min: 1,
                ..DeflateConfig::default()
            };
            client.enable_deflate(&config, agreement(deflate));
        }
        Self {
            random,
            deflate,
            client,
            bytes: Vec::new(),
        }
    }

    /// One more message or control frame, or something wrong.
    fn add(&mut self) {
        match self.random.below(16) {
            0 | 1 => self.control(),
            2 => self.close(),
            3 => self.wrong(),
            _ => self.message(),
        }
    }

    fn message(&mut self) {
        let opcode = self.random.pick(&[TEXT, BINARY]);
        let content = self.content(opcode);
        let (first, payload) = match self.deflate {
            Deflate::Off => (opcode, content),
            _ if self.random.one_in(6) => (opcode, content),
            _ if self.random.one_in(8) => (opcode | RSV1, self.random.pick(&DEFLATED).to_vec()),
            Deflate::EachAlone | Deflate::WithContext => self.compressed(opcode, &content),
        };
        self.fragments(first, &payload);
    }

    /// Text or bytes; small, at the borders of the length forms, seldom large.
    fn content(&mut self, opcode: u8) -> Vec<u8> {
        let len = match self.random.below(40) {
            0..=29 => self.random.below(24),
            30..=35 => 120 + self.random.below(12),
            36..=38 => self.random.below(600),
            _ => 65_530 + self.random.below(12),
        };
        if opcode == BINARY {
            let motif_len = 1 + self.random.below(40);
            let motif = self.random.bytes(motif_len);
            return motif.into_iter().cycle().take(len).collect();
        }
        let mut text = Vec::new();
        while text.len() < len {
            text.extend_from_slice(self.random.pick(&GOOD_TEXT));
        }
        if self.random.one_in(8) {
            text.extend_from_slice(self.random.pick(&BAD_TEXT));
            if self.random.one_in(2) {
                text.extend_from_slice(b"behind it");
            }
        }
        text
    }

    /// By our own client, bad text as well: it goes through as bytes.
    fn compressed(&mut self, opcode: u8, content: &[u8]) -> (u8, Vec<u8>) {
        let sent = self.client.send(&Message::binary(content));
        sent.expect("the client never closes");
        let mut frame = Vec::new();
        loop {
            let mut slices = [std::io::IoSlice::new(&[])];
            if self.client.poll_transmit(&mut slices) == 0 {
                break;
            }
            frame.extend_from_slice(&slices[0]);
            let len = slices[0].len();
            self.client.transmitted(len);
        }
        let frame = walk::frames(&frame).remove(0);
        (frame.first & RSV1 | opcode, frame.payload)
    }

    /// The payload in one frame or several, control frames between them.
    fn fragments(&mut self, first: u8, payload: &[u8]) {
        let (mut rest, mut first) = (payload, first);
        while self.random.one_in(3) {
            let (fragment, behind) = rest.split_at(self.random.below(rest.len() + 1));
            self.frame(first, fragment);
            (rest, first) = (behind, 0);
            if self.random.one_in(4) {
                self.control();
            }
        }
        self.frame(first | FIN, rest);
    }

    fn control(&mut self) {
        let opcode = self.random.pick(&[PING, PONG]);
        let len = self.random.pick(&[0, 1, 4, 125]);
        let payload = self.random.bytes(len);
        self.frame(FIN | opcode, &payload);
    }

    fn close(&mut self) {
        let mut payload = self.random.pick(&CODES).to_be_bytes().to_vec();
        match self.random.below(8) {
            0 => payload.clear(),
            1 => payload.truncate(1),
            2 => payload.extend_from_slice(self.random.pick(&BAD_TEXT)),
            3 => payload.extend_from_slice(&[b'r'; 123]),
            4..=5 => payload.extend_from_slice("früh".as_bytes()),
            _ => {}
        }
        self.frame(FIN | CLOSE, &payload);
    }

    /// A frame that breaks a rule, as a rule.
    fn wrong(&mut self) {
        let (opcode, key) = (self.random.pick(&[TEXT, BINARY]), self.key());
        let payload = b"wrong";
        let frame = match self.random.below(9) {
            0 => framed(FIN | self.random.byte(), payload, Some(key)),
            1 => framed(FIN | opcode, payload, None),
            2 => framed(self.random.pick(&[CLOSE, PING, PONG]), payload, Some(key)),
            3 => framed(FIN | PING, &[b'l'; 126], Some(key)),
            4 => framed(FIN, payload, Some(key)),
            5 => [
                &framed(opcode, payload, Some(key))[..],
                &framed(FIN | opcode, b"", Some(key)),
            ]
            .concat(),
            6 => [&[FIN | opcode, 0xfe, 0, 5][..], &key, payload].concat(),
            7 => [
                &[FIN | opcode, 0xff, 0, 0, 0, 0, 0, 0, 0, 5][..],
                &key,
                payload,
            ]
            .concat(),
            _ => {
                let top = self.random.pick(&[0x80, 0x7f, 0x00]);
                [
                    &[FIN | opcode, 0xff, top, 0, 0, 0, 0x10, 0, 0, 0][..],
                    &key,
                    payload,
                ]
                .concat()
            }
        };
        self.bytes.extend(frame);
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
        let key = self.key();
        self.bytes.extend(framed(first, payload, Some(key)));
    }

    /// Often zero, so that what is changed afterwards is changed in the payload as well.
    fn key(&mut self) -> [u8; 4] {
        if self.random.one_in(2) {
            return [0; 4];
        }
        std::array::from_fn(|_| self.random.byte())
    }

    /// In a third of the cases some bytes are changed, taken away, doubled or cut off.
    fn change(&mut self) {
        if !self.random.one_in(3) {
            return;
        }
        for _ in 0..=self.random.below(3) {
            let len = self.bytes.len();
            // The first bytes are mostly headers.
            let near = if self.random.one_in(2) {
                len
            } else {
                len.min(40)
            };
            let at = self.random.below(near);
            match self.random.below(5) {
                _ if self.bytes.is_empty() => {}
                0 => self.bytes[at] ^= 1 << self.random.below(8),
                1 => self.bytes[at] = self.random.byte(),
                2 => drop(self.bytes.remove(at)),
                3 => {
                    let end = len.min(at + 1 + self.random.below(12));
                    let doubled = self.bytes[at..end].to_vec();
                    self.bytes.splice(at..at, doubled);
                }
                _ => self.bytes.truncate(at),
            }
        }
    }
}

/// A frame, legal or not, its length in the shortest form.
fn framed(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if key.is_some() { 0x80 } else { 0 };
    let len = payload.len();
    let mut frame = match len {
        0..=125 => vec![first, bit | len as u8],
        126..=0xffff => [&[first, bit | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, bit | 127][..], &(len as u64).to_be_bytes()].concat(),
    };
    frame.extend(
        key.unwrap_or_default()
            .iter()
            .take(if key.is_some() { 4 } else { 0 }),
    );
    let turned = key.unwrap_or_default().into_iter().cycle();
    frame.extend(payload.iter().zip(turned).map(|(byte, key)| byte ^ key));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_an_index_name_a_sequence_for_good() {
        let now = Instant::now();
        let again = |seed, index| generate(seed, index, now);
        assert_eq!(again(1, 7), again(1, 7));
        assert_ne!(again(1, 7), again(1, 8));
        assert_ne!(again(1, 7), again(2, 7));
    }
}

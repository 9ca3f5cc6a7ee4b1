//! RFC 6455 §5.2 by hand: one frame written to bytes, one frame read from bytes.
//!
//! The writer can write what the RFC forbids (reserved bits, unmasked client frames, …), because that is what
//! some tests send. The reader is strict, because it reads what the server sends.

/// The opcodes of RFC 6455 §11.8.
pub mod opcode {
    /// The rest of a fragmented message.
    pub const CONTINUATION: u8 = 0x0;
    /// UTF-8 text.
    pub const TEXT: u8 = 0x1;
    /// Any bytes.
    pub const BINARY: u8 = 0x2;
    /// The closing handshake.
    pub const CLOSE: u8 = 0x8;
    /// Are you there?
    pub const PING: u8 = 0x9;
    /// I am.
    pub const PONG: u8 = 0xA;
}

/// The key of the RFC's own examples (§5.7).
pub const RFC_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1 to RSV3 as a number from 0 to 7.
    pub rsv: u8,
    /// What kind of frame it is; see [`opcode`].
    pub opcode: u8,
    /// The masking key, if it is masked.
    pub key: Option<[u8; 4]>,
    /// The payload, not masked.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A whole message or control frame, masked with [`RFC_KEY`].
    #[must_use]
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode,
            key: Some(RFC_KEY),
            payload: payload.into(),
        }
    }

    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::new(opcode::TEXT, text)
    }

    /// A binary message.
    #[must_use]
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(opcode::BINARY, bytes)
    }

    /// A continuation that ends its message.
    #[must_use]
    pub fn continuation(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(opcode::CONTINUATION, bytes)
    }

    /// A ping.
    #[must_use]
    pub fn ping(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(opcode::PING, payload)
    }

    /// A pong.
    #[must_use]
    pub fn pong(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(opcode::PONG, payload)
    }

    /// A close frame with a code and a reason.
    #[must_use]
    pub fn close(code: u16, reason: &str) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        Self::new(opcode::CLOSE, payload)
    }

    /// The same frame with more of its message to come.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    /// The same frame with reserved bits.
    #[must_use]
    pub fn with_rsv(mut self, rsv: u8) -> Self {
        self.rsv = rsv;
        self
    }

    /// The same frame under another key.
    #[must_use]
    pub fn with_key(mut self, key: [u8; 4]) -> Self {
        self.key = Some(key);
        self
    }

    /// The same frame without a mask, as only a server may send it.
    #[must_use]
    pub fn unmasked(mut self) -> Self {
        self.key = None;
        self
    }

    /// The bytes on the wire, with the shortest form of the length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mask_bit = if self.key.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        let length = self.payload.len();
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..=125), _) => bytes.push(mask_bit | short),
            (_, Ok(medium)) => {
                bytes.push(mask_bit | 126);
                bytes.extend(medium.to_be_bytes());
            }
            (_, Err(_)) => {
                bytes.push(mask_bit | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        let start = bytes.len();
        match self.key {
            None => bytes.extend(&self.payload),
            Some(key) => {
                bytes.extend(key);
                bytes.extend(&self.payload);
                mask(key, &mut bytes[start + 4..]);
            }
        }
        bytes
    }

    /// Reads the first frame of `bytes` and says how many bytes it took; nothing while it is incomplete.
    ///
    /// # Panics
    ///
    /// When it is a frame that a server must not send: masked, with a reserved bit or opcode, with a length
    /// that is not in its shortest form, or a control frame that is long or fragmented.
    #[must_use]
    #[track_caller]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let &[first, second, ref rest @ ..] = bytes else {
            return None;
        };
        let (length, head): (usize, usize) = match second & 0x7f {
            126 => {
                let length = u16::from_be_bytes(*rest.first_chunk()?);
                assert!(
                    length > 125,
                    "the server wrote the length {length} in 16 bits, which is not the shortest form"
                );
                (usize::from(length), 4)
            }
            127 => {
                let length = u64::from_be_bytes(*rest.first_chunk()?);
                assert!(
                    length > 65535,
                    "the server wrote the length {length} in 64 bits, which is not the shortest form"
                );
                (
                    usize::try_from(length).expect("a length that fits in memory"),
                    10,
                )
            }
            short => (usize::from(short), 2),
        };
        let frame_opcode = first & 0x0f;
        let fin = first & 0x80 != 0;
        assert_eq!(
            second & 0x80,
            0,
            "the server masked a frame, which RFC 6455 §5.1 forbids"
        );
        assert_eq!(
            first & 0x70,
            0,
            "the server set a reserved bit, although no extension was negotiated"
        );
        assert!(
            matches!(frame_opcode, 0..=2 | 8..=10),
            "the server sent the reserved opcode {frame_opcode}"
        );
        assert!(
            frame_opcode < 8 || (fin && length <= 125),
            "the server sent a control frame that is fragmented or long"
        );
        let payload = bytes.get(head..head.checked_add(length)?)?.to_vec();
        Some((
            Self {
                fin,
                rsv: 0,
                opcode: frame_opcode,
                key: None,
                payload,
            },
            head + length,
        ))
    }

    /// The code and the reason of a close frame; no code when it is empty.
    #[must_use]
    #[track_caller]
    pub fn close_parts(&self) -> (Option<u16>, String) {
        assert_eq!(
            self.opcode,
            opcode::CLOSE,
            "this is no close frame: {self:?}"
        );
        match self.payload.split_first_chunk() {
            None => {
                assert!(
                    self.payload.is_empty(),
                    "the server sent a close frame with one byte of payload"
                );
                (None, String::new())
            }
            Some((code, reason)) => {
                let reason = String::from_utf8(reason.to_vec()).expect("a close reason in UTF-8");
                (Some(u16::from_be_bytes(*code)), reason)
            }
        }
    }
}

/// Masks or unmasks in place (§5.3), one byte at a time.
fn mask(key: [u8; 4], bytes: &mut [u8]) {
    for (byte, key) in bytes.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::Frame;

    // RFC 6455 §5.7 keeps the codec of the tests honest.
    #[test]
    fn the_masked_hello_of_the_rfc_is_written_byte_for_byte() {
        let expected = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(Frame::text("Hello").encode(), expected);
    }

    #[test]
    fn lengths_take_their_shortest_form_and_come_back() {
        for length in [0, 1, 125, 126, 127, 65535, 65536] {
            let frame = Frame::binary(vec![7; length]).unmasked();
            let bytes = frame.encode();
            assert_eq!(
                Frame::decode(&bytes),
                Some((frame, bytes.len())),
                "{length} bytes"
            );
            assert_eq!(
                Frame::decode(&bytes[..bytes.len() - 1]),
                None,
                "{length} bytes, one missing"
            );
        }
    }
}

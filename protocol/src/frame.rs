//! The frame header (RFC 6455 §5.2): bytes to [`Header`] and back. Payloads are not looked at here.
//!
//! Every rule that a header can break on its own is checked as soon as the field that breaks it is there; the two that
//! depend on the connection (who masks, which reserved bits have a meaning) come in as [`Rules`].

use crate::Side;
use crate::error::PeerError;

/// The longest header: two bytes, a 64-bit length, a masking key.
pub const HEADER_BYTES_MAX: usize = 14;

/// "All control frames MUST have a payload length of 125 bytes or less" (§5.5).
pub const CONTROL_PAYLOAD_MAX: usize = 125;

/// The first reserved bit.
pub const RSV1: u8 = 0x40;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// The first bytes of messages in one frame.
const TEXT: u8 = FIN | Opcode::Text as u8;
const BINARY: u8 = FIN | Opcode::Binary as u8;

/// What a frame carries (§5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message that an earlier frame began.
    Continuation = 0x0,
    /// UTF-8 text, or its first fragment.
    Text = 0x1,
    /// Bytes, or their first fragment.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// A request for a pong.
    Ping = 0x9,
    /// The answer to a ping, or a sign of life.
    Pong = 0xa,
}

impl Opcode {
    /// The opcode with this number; `None` for the reserved ones.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    /// "Control frames are identified by opcodes where the most significant bit of the opcode is 1" (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// What the connection lets a header be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Who sent the frame: clients mask, servers do not (§5.1).
    pub sender: Side,
    /// The reserved bits that an extension gave a meaning on the first frame of a message, as bits 6 ([`RSV1`]), 5 and 4 of
    /// the first byte. On other frames none has one.
    pub reserved_bits_allowed: u8,
}

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// This is the last frame of its message.
    pub fin: bool,
    /// The reserved bits, as bits 6 (RSV1), 5 (RSV2) and 4 (RSV3).
    pub reserved_bits: u8,
    /// What the frame carries.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload in bytes.
    pub length: u64,
}

/// What there was in the bytes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// A whole header.
    Complete {
        /// The header.
        header: Header,
        /// How many bytes it took; the payload begins behind them.
        used: usize,
    },
    /// The beginning of a header, legal so far. Nothing is consumed: come back with these bytes and more.
    Partial,
}

impl Header {
    /// A final, unmasked frame: what a server sends most.
    #[must_use]
    pub const fn unmasked(opcode: Opcode, length: usize) -> Self {
        Self {
            // [6455-6.1-6]
            fin: true,
            // Whoever negotiated a meaning for one sets it. [6455-5.2-1, 6455-5.2-7]
            reserved_bits: 0,
            opcode,
            mask: None,
            length: length as u64,
        }
    }

    /// The same header with RSV1 set: the message is compressed (RFC 7692 §6).
    #[must_use]
    pub const fn with_rsv1(self) -> Self {
        Self {
            reserved_bits: self.reserved_bits | RSV1,
            ..self
        }
    }

    /// Reads a header from the beginning of `bytes`.
    ///
    /// # Errors
    /// The rule that the sender broke; the connection is to be failed with 1002.
    pub fn decode(bytes: &[u8], rules: Rules) -> Result<Decoded, PeerError> {
        // [6455-6.2-1, 6455-10.7-1]
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(Decoded::Partial);
        };
        let opcode = check_first_byte(first, rules)?;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(Decoded::Partial);
        };
        let fin = first & FIN != 0;
        let masked = check_second_byte(second, opcode, fin, rules.sender)?;
        let Some((length, rest)) = decode_length(second & LENGTH, rest)? else {
            return Ok(Decoded::Partial);
        };
        let (mask, rest) = match (masked, rest.split_first_chunk::<4>()) {
            (false, _) => (None, rest),
            (true, Some((key, rest))) => (Some(*key), rest),
            (true, None) => return Ok(Decoded::Partial),
        };
        let header = Self {
            fin,
            reserved_bits: first & RSV,
            opcode,
            mask,
            length,
        };
        Ok(Decoded::Complete {
            header,
            used: bytes.len() - rest.len(),
        })
    }

    /// Appends the header to `out`, its length in the shortest form.
    #[inline(always)] // Where it is known what kind of header it is, little of this is left.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let first = if self.fin { FIN } else { 0 } | self.reserved_bits | self.opcode as u8;
        // "A masked frame MUST have the field frame-masked set to 1" (§5.3). [6455-5.3-1]
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        // "The minimal number of bytes MUST be used to encode the length" (§5.2). [6455-5.2-5]
        match self.length {
            0..=125 => out.extend_from_slice(&[first, masked | self.length as u8]),
            126..=0xffff => {
                let [a, b] = (self.length as u16).to_be_bytes();
                out.extend_from_slice(&[first, masked | LENGTH_16, a, b]);
            }
            _ => {
                out.extend_from_slice(&[first, masked | LENGTH_64]);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }
}

/// The header of a final frame of data, without reserved bits: what nearly all frames have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainHeader {
    pub(crate) opcode: Opcode,
    pub(crate) key: Option<[u8; 4]>,
    /// Bytes of the payload.
    pub(crate) length: usize,
    /// Bytes of the header.
    pub(crate) bytes: usize,
}

impl PlainHeader {
    /// Reads one; `None` where the frame has another header, or an illegal one, or not all of it is there.
    #[inline]
    pub(crate) fn read(bytes: &[u8], sender: Side) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
        let opcode = match first {
            TEXT => Opcode::Text,
            BINARY => Opcode::Binary,
            _ => return None,
        };
        let masked = second & MASKED != 0;
        if masked != (sender == Side::Client) {
            return None;
        }
        let (length, rest) = match second & LENGTH {
            LENGTH_64 => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                // Negative where the top bit is set, which is illegal.
                let length = usize::try_from(i64::from_be_bytes(*length)).ok()?;
                (length.checked_sub(0x1_0000)? + 0x1_0000, rest)
            }
            LENGTH_16 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                let length = u16::from_be_bytes(*length);
                (usize::from(length).checked_sub(126)? + 126, rest)
            }
            short => (usize::from(short), rest),
        };
        let (key, rest) = if masked {
            let (key, rest) = rest.split_first_chunk::<4>()?;
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        Some(Self {
            opcode,
            key,
            length,
            bytes: bytes.len() - rest.len(),
        })
    }
}

fn check_first_byte(first: u8, rules: Rules) -> Result<Opcode, PeerError> {
    // "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_" (§5.2).
    // [6455-5.2-3]
    let number = first & OPCODE;
    let opcode = Opcode::new(number).ok_or(PeerError::ReservedOpcode(number))?;
    let allowed = match opcode {
        Opcode::Text | Opcode::Binary => rules.reserved_bits_allowed,
        // "An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and non-first fragments of a data
        // message. An endpoint receiving such a frame MUST _Fail the WebSocket Connection_" (RFC 7692 §6.1). [7692-6.1-4]
        Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => 0,
    };
    // "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values. If a nonzero value is
    // received and none of the negotiated extensions defines the meaning of such a nonzero value, the receiving endpoint
    // MUST _Fail the WebSocket Connection_" (§5.2). [6455-5.2-2]
    if first & RSV & !allowed == 0 {
        Ok(opcode)
    } else {
        Err(PeerError::ReservedBits)
    }
}

/// Checks mask bit and control rules; returns whether a key follows.
fn check_second_byte(
    second: u8,
    opcode: Opcode,
    fin: bool,
    sender: Side,
) -> Result<bool, PeerError> {
    let masked = second & MASKED != 0;
    match (sender, masked) {
        // "The server MUST close the connection upon receiving a frame that is not masked" (§5.1). [6455-5.1-2]
        (Side::Client, false) => return Err(PeerError::UnmaskedFrame),
        // "A client MUST close a connection if it detects a masked frame" (§5.1). [6455-5.1-4]
        (Side::Server, true) => return Err(PeerError::MaskedFrame),
        (Side::Client, true) | (Side::Server, false) => {}
    }
    if opcode.is_control() {
        // "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented" (§5.5).
        // [6455-5.5-1, 6455-5.5-2, 6455-5.4-1]
        if !fin {
            return Err(PeerError::FragmentedControl);
        }
        if usize::from(second & LENGTH) > CONTROL_PAYLOAD_MAX {
            return Err(PeerError::ControlTooLong);
        }
    }
    Ok(masked)
}

/// The payload length and the bytes behind it; `None` while its bytes are not all there.
fn decode_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, PeerError> {
    match short {
        LENGTH_16 => {
            let Some((length, rest)) = rest.split_first_chunk::<2>() else {
                return Ok(None);
            };
            let length = u16::from_be_bytes(*length);
            // "The minimal number of bytes MUST be used to encode the length" (§5.2). [6455-5.2-5]
            if length < 126 {
                Err(PeerError::NonMinimalLength)
            } else {
                Ok(Some((u64::from(length), rest)))
            }
        }
        LENGTH_64 => {
            let Some((length, rest)) = rest.split_first_chunk::<8>() else {
                return Ok(None);
            };
            let length = u64::from_be_bytes(*length);
            // "the following 8 bytes interpreted as a 64-bit unsigned integer (the most significant bit MUST be 0)" (§5.2).
            // [6455-5.2-4]
            if length >> 63 != 0 {
                Err(PeerError::LengthTopBit)
            } else if length <= 0xffff {
                Err(PeerError::NonMinimalLength)
            } else {
                Ok(Some((length, rest)))
            }
        }
        _ => Ok(Some((u64::from(short), rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FROM_CLIENT: Rules = Rules {
        sender: Side::Client,
        reserved_bits_allowed: 0,
    };
    const FROM_SERVER: Rules = Rules {
        sender: Side::Server,
        reserved_bits_allowed: 0,
    };

    proptest! {
        /// The short way sees what the long way sees, or nothing.
        #[test]
        fn a_plain_header_is_what_decode_says(
            first in prop_oneof![Just(TEXT), Just(BINARY), any::<u8>()], rest: Vec<u8>, from_client: bool,
        ) {
            let bytes = [&[first][..], &rest].concat();
            let rules = if from_client { FROM_CLIENT } else { FROM_SERVER };
            let decoded = Header::decode(&bytes, rules);
            match PlainHeader::read(&bytes, rules.sender) {
                Some(plain) => {
                    let header = Header { mask: plain.key, ..Header::unmasked(plain.opcode, plain.length) };
                    prop_assert_eq!(decoded, Ok(Decoded::Complete { header, used: plain.bytes }));
                }
                None => {
                    let is_plain = matches!(decoded, Ok(Decoded::Complete { header, .. })
                        if header.fin && header.reserved_bits == 0 && header.length <= 0xffff
                            && matches!(header.opcode, Opcode::Text | Opcode::Binary));
                    prop_assert!(!is_plain);
                }
            }
        }
    }

    fn complete(bytes: &[u8], rules: Rules) -> (Header, usize) {
        match Header::decode(bytes, rules) {
            Ok(Decoded::Complete { header, used }) => (header, used),
            other => panic!("{other:?}"),
        }
    }

    fn encoded(header: Header) -> Vec<u8> {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes
    }

    #[test]
    fn a_header_that_says_compressed_says_so_once() {
        let header = Header::unmasked(Opcode::Text, 5).with_rsv1();
        assert_eq!(header.reserved_bits, RSV1);
        assert_eq!(header.with_rsv1(), header);
    }

    fn any_legal_header() -> impl Strategy<Value = Header> {
        let lengths = prop_oneof![
            0u64..300,
            65_530u64..65_545,
            Just((1 << 63) - 1),
            0u64..1 << 40,
        ];
        (any::<bool>(), any::<Option<[u8; 4]>>(), lengths, 0u8..6).prop_map(
            |(fin, mask, length, kind)| {
                let opcodes = [
                    Opcode::Continuation,
                    Opcode::Text,
                    Opcode::Binary,
                    Opcode::Close,
                    Opcode::Ping,
                    Opcode::Pong,
                ];
                let opcode = opcodes[usize::from(kind)];
                let control = opcode.is_control();
                let length = if control { length.min(125) } else { length };
                Header {
                    fin: fin || control,
                    reserved_bits: 0,
                    opcode,
                    mask,
                    length,
                }
            },
        )
    }

    proptest! {
        /// [6455-5.3-1, 6455-6.2-1]
        #[test]
        fn what_is_encoded_is_decoded_and_every_prefix_is_partial(header in any_legal_header()) {
            let bytes = encoded(header);
            let rules = if header.mask.is_some() { FROM_CLIENT } else { FROM_SERVER };
            prop_assert!(bytes.len() <= HEADER_BYTES_MAX);
            prop_assert_eq!(complete(&bytes, rules), (header, bytes.len()));
            for len in 0..bytes.len() {
                prop_assert_eq!(Header::decode(&bytes[..len], rules), Ok(Decoded::Partial));
            }
        }

        #[test]
        fn what_is_decoded_is_encoded_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            for rules in [FROM_CLIENT, FROM_SERVER] {
                if let Ok(Decoded::Complete { header, used }) = Header::decode(&bytes, rules) {
                    prop_assert_eq!(encoded(header), &bytes[..used]);
                }
            }
        }
    }

    /// [6455-5.2-5]
    #[test]
    fn lengths_change_their_form_at_126_and_65536() {
        let header_len = |length| encoded(Header::unmasked(Opcode::Binary, length)).len();
        assert_eq!(
            [0, 125, 126, 65_535, 65_536].map(header_len),
            [2, 2, 4, 4, 10]
        );
    }

    /// [6455-5.2-5]
    #[test]
    fn a_length_not_in_its_shortest_form_is_refused() {
        for bytes in [
            &[0x82, 126, 0, 125][..],
            &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        ] {
            assert_eq!(
                Header::decode(bytes, FROM_SERVER),
                Err(PeerError::NonMinimalLength)
            );
        }
    }

    /// [6455-5.2-4]
    #[test]
    fn a_length_with_the_top_bit_set_is_refused() {
        for tail in [0x00, 0xff] {
            let bytes = [0x82, 127, 0x80, tail, tail, tail, tail, tail, tail, tail];
            assert_eq!(
                Header::decode(&bytes, FROM_SERVER),
                Err(PeerError::LengthTopBit)
            );
        }
    }

    /// [6455-5.2-3]
    #[test]
    fn reserved_opcodes_are_refused_at_their_byte() {
        for opcode in (3..=7).chain(11..=15) {
            assert_eq!(
                Header::decode(&[0x80 | opcode], FROM_CLIENT),
                Err(PeerError::ReservedOpcode(opcode))
            );
        }
    }

    /// [6455-5.2-2]
    #[test]
    fn each_reserved_bit_is_refused_unless_allowed() {
        for bit in [0x40, 0x20, 0x10] {
            let bytes = [0x81 | bit, 0];
            assert_eq!(
                Header::decode(&bytes, FROM_SERVER),
                Err(PeerError::ReservedBits)
            );
            let (header, _) = complete(
                &bytes,
                Rules {
                    reserved_bits_allowed: bit,
                    ..FROM_SERVER
                },
            );
            assert_eq!(header.reserved_bits, bit);
        }
    }

    /// [6455-5.4-1, 6455-5.5-1, 6455-5.5-2]
    #[test]
    fn control_frames_are_whole_and_short() {
        for opcode in [0x8, 0x9, 0xa] {
            assert_eq!(
                Header::decode(&[opcode, 0x80], FROM_CLIENT),
                Err(PeerError::FragmentedControl)
            );
            for length in [126, 127] {
                let bytes = [0x80 | opcode, 0x80 | length];
                assert_eq!(
                    Header::decode(&bytes, FROM_CLIENT),
                    Err(PeerError::ControlTooLong)
                );
            }
        }
    }

    /// [6455-5.1-2, 6455-5.1-4]
    #[test]
    fn clients_mask_and_servers_do_not() {
        assert_eq!(
            Header::decode(&[0x81, 0x05], FROM_CLIENT),
            Err(PeerError::UnmaskedFrame)
        );
        assert_eq!(
            Header::decode(&[0x81, 0x85], FROM_SERVER),
            Err(PeerError::MaskedFrame)
        );
    }
}

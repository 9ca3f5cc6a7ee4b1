//! Packets of Engine.IO, and the payloads of polling, which are packets with a separator between them.
//! <https://socket.io/docs/v4/engine-io-protocol/>

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What stands between two packets of a payload.
pub(super) const SEPARATOR: char = '\x1e';

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Open,
    Close,
    Ping(&'a str),
    Pong(&'a str),
    Message(Body<'a>),
    Upgrade,
    Noop,
}

/// What a message has inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transport::socket_io) enum Body<'a> {
    Text(&'a str),
    Binary(Cow<'a, [u8]>),
}

/// A text is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPacket;

impl<'a> Packet<'a> {
    /// Reads a text message of a WebSocket, or one packet of a payload.
    pub(super) fn parse(text: &'a str) -> Result<Self, BadPacket> {
        let mut chars = text.chars();
        let kind = chars.next().ok_or(BadPacket)?;
        let rest = chars.as_str();
        Ok(match kind {
            '0' => Self::Open,
            '1' => Self::Close,
            '2' => Self::Ping(rest),
            '3' => Self::Pong(rest),
            '4' => Self::Message(Body::Text(rest)),
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            'b' => {
                let bytes = STANDARD.decode(rest).map_err(|_| BadPacket)?;
                Self::Message(Body::Binary(bytes.into()))
            }
            _ => return Err(BadPacket),
        })
    }
}

/// The packets of a payload, in order.
pub(super) fn packets(payload: &str) -> impl Iterator<Item = Result<Packet<'_>, BadPacket>> {
    payload.split(SEPARATOR).map(Packet::parse)
}

/// Appends bytes as a payload has them.
pub(super) fn push_binary(bytes: &[u8], payload: &mut String) {
    payload.push('b');
    STANDARD.encode_string(bytes, payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_a_digit_and_what_it_carries() {
        for (text, expected) in [
            ("0{}", Ok(Packet::Open)),
            ("1", Ok(Packet::Close)),
            ("2probe", Ok(Packet::Ping("probe"))),
            ("3", Ok(Packet::Pong(""))),
            ("4hello", Ok(Packet::Message(Body::Text("hello")))),
            ("4", Ok(Packet::Message(Body::Text("")))),
            ("4ü€", Ok(Packet::Message(Body::Text("ü€")))),
            ("5", Ok(Packet::Upgrade)),
            ("6", Ok(Packet::Noop)),
            (
                "bAQIDBA==",
                Ok(Packet::Message(Body::Binary(vec![1, 2, 3, 4].into()))),
            ),
            ("b", Ok(Packet::Message(Body::Binary(vec![].into())))),
            ("bAQIDBA", Err(BadPacket)),
            ("b!", Err(BadPacket)),
            ("", Err(BadPacket)),
            ("abc", Err(BadPacket)),
            ("7", Err(BadPacket)),
            ("ü", Err(BadPacket)),
            (" 4", Err(BadPacket)),
        ] {
            assert_eq!(Packet::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_payload_is_cut_at_its_separators() {
        let read = |payload| packets(payload).collect::<Vec<_>>();
        let message = |text| Ok(Packet::Message(Body::Text(text)));
        assert_eq!(
            read("4a\x1e3\x1e4b"),
            [message("a"), Ok(Packet::Pong("")), message("b")]
        );
        assert_eq!(read(""), [Err(BadPacket)]);
        assert_eq!(read("4a\x1e"), [message("a"), Err(BadPacket)]);
        let mut payload = "4hello\x1e".to_owned();
        push_binary(&[1, 2, 3, 4], &mut payload);
        assert_eq!(payload, "4hello\x1ebAQIDBA==");
    }
}

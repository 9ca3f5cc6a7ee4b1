//! Packets of Socket.IO v5, which travel in messages of Engine.IO: `<type>[<attachments>-][<namespace>,][<ack id>][JSON]`.
//! <https://socket.io/docs/v4/socket-io-protocol/>

use std::mem;

use serde_json::value::RawValue;

use crate::transport::socket_io::engine::Body;

/// Attachments of a packet: what a client of Socket.IO takes, too, if it is not told otherwise.
pub(super) const ATTACHMENTS_MAX: usize = 10;

/// The namespace that is there for everybody.
pub(super) const MAIN: &str = "/";

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// A packet, as far as its text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) kind: Kind,
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    /// The number that an ack is to have.
    pub(super) id: Option<u64>,
    /// JSON of the form that the kind has; empty if there is none.
    pub(super) data: &'a str,
}

/// A packet that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPacket;

impl<'a> Packet<'a> {
    /// Reads a text, and checks the form of what it carries.
    pub(super) fn parse(text: &'a str) -> Result<Self, BadPacket> {
        let mut chars = text.chars();
        let (kind, is_binary) = match chars.next().ok_or(BadPacket)? {
            '0' => (Kind::Connect, false),
            '1' => (Kind::Disconnect, false),
            '2' => (Kind::Event, false),
            '3' => (Kind::Ack, false),
            '4' => (Kind::ConnectError, false),
            '5' => (Kind::Event, true),
            '6' => (Kind::Ack, true),
            _ => return Err(BadPacket),
        };
        let mut rest = chars.as_str();
        let mut attachments = 0;
        if is_binary {
            let (count, behind) = rest.split_once('-').ok_or(BadPacket)?;
            attachments = number(count).ok_or(BadPacket)?;
            rest = behind;
        }
        let mut namespace = MAIN;
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
            // Clients of an earlier version put a query behind it.
            namespace = namespace.split('?').next().unwrap_or(namespace);
        }
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (id, data) = rest.split_at(digits);
        let id = match id {
            "" => None,
            id => Some(number(id).ok_or(BadPacket)?),
        };
        let packet = Self {
            kind,
            attachments: usize::try_from(attachments).map_err(|_| BadPacket)?,
            namespace,
            id,
            data,
        };
        if packet.attachments > ATTACHMENTS_MAX || !packet.has_form() {
            return Err(BadPacket);
        }
        Ok(packet)
    }

    /// Whether what it carries is what its kind carries.
    fn has_form(&self) -> bool {
        match self.kind {
            Kind::Connect => self.data.is_empty() || is_json(self.data, '{'),
            Kind::Disconnect => self.data.is_empty(),
            Kind::Event => self
                .args()
                .is_some_and(|args| args.first().is_some_and(|name| is_name(name))),
            Kind::Ack => self.args().is_some() && self.id.is_some(),
            Kind::ConnectError => is_json(self.data, '{') || is_json(self.data, '"'),
        }
    }

    /// The elements of the list that an event or an ack carries; the first of an event is its name.
    pub(super) fn args(&self) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.data).ok()
    }
}

/// Digits, in the one way that a number is written; clients count with what a double holds.
fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|number| is_number && *number <= 1 << 53)
}

fn is_json(text: &str, first: char) -> bool {
    text.starts_with(first) && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Whether a value is a string, as the names of events are here.
fn is_name(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// A packet with its attachments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole<'a> {
    pub(super) packet: Packet<'a>,
    pub(super) attachments: Vec<Vec<u8>>,
    /// How long it was, attachments included.
    pub(super) bytes: usize,
}

/// Puts packets together with the attachments that follow them.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    text: String,
    missing: usize,
    attachments: Vec<Vec<u8>>,
    bytes: usize,
}

impl Assembler {
    /// Takes what came and hands what is whole to `with`; `bytes_max` is for text and attachments together.
    pub(super) fn take<R>(
        &mut self,
        body: &Body<'_>,
        bytes_max: usize,
        with: impl FnOnce(Whole<'_>) -> R,
    ) -> Result<Option<R>, BadPacket> {
        match body {
            Body::Text(_) if self.missing > 0 => Err(BadPacket),
            Body::Text(text) => {
                let packet = Packet::parse(text)?;
                if packet.attachments == 0 {
                    let (attachments, bytes) = (Vec::new(), text.len());
                    return Ok(Some(with(Whole {
                        packet,
                        attachments,
                        bytes,
                    })));
                }
                (self.missing, self.bytes) = (packet.attachments, text.len());
                (*text).clone_into(&mut self.text);
                Ok(None)
            }
            Body::Binary(bytes) => {
                self.missing = self.missing.checked_sub(1).ok_or(BadPacket)?;
                self.bytes += bytes.len();
                if self.bytes > bytes_max {
                    return Err(BadPacket);
                }
                self.attachments.push(bytes.to_vec());
                if self.missing > 0 {
                    return Ok(None);
                }
                let text = mem::take(&mut self.text);
                Ok(Some(with(Whole {
                    packet: Packet::parse(&text)?,
                    attachments: mem::take(&mut self.attachments),
                    bytes: mem::take(&mut self.bytes),
                })))
            }
        }
    }

    /// Bytes of memory that it holds.
    pub(super) const fn held_bytes(&self) -> usize {
        self.bytes
    }
}

/// The beginning of a packet in a message of Engine.IO, up to what it carries.
pub(super) fn head(kind: Kind, attachments: usize, namespace: &str, id: Option<u64>) -> String {
    let digit = match (kind, attachments) {
        (Kind::Connect, _) => '0',
        (Kind::Disconnect, _) => '1',
        (Kind::Event, 0) => '2',
        (Kind::Ack, 0) => '3',
        (Kind::ConnectError, _) => '4',
        (Kind::Event, _) => '5',
        (Kind::Ack, _) => '6',
    };
    let mut text = format!("4{digit}");
    if attachments > 0 {
        text.push_str(&format!("{attachments}-"));
    }
    if namespace != MAIN {
        text.push_str(namespace);
        text.push(',');
    }
    if let Some(id) = id {
        text.push_str(&id.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: Kind, namespace: &str, id: Option<u64>, data: &'static str) -> Packet<'static> {
        Packet {
            kind,
            attachments: 0,
            namespace: if namespace == MAIN { MAIN } else { "/admin" },
            id,
            data,
        }
    }

    #[test]
    fn packets_are_read() {
        for (text, expected) in [
            ("0", packet(Kind::Connect, "/", None, "")),
            (
                r#"0{"token":"1"}"#,
                packet(Kind::Connect, "/", None, r#"{"token":"1"}"#),
            ),
            ("0/admin,", packet(Kind::Connect, "/admin", None, "")),
            ("0/admin", packet(Kind::Connect, "/admin", None, "")),
            ("0/admin?a=b,", packet(Kind::Connect, "/admin", None, "")),
            ("1/admin,", packet(Kind::Disconnect, "/admin", None, "")),
            (r#"2["a",1]"#, packet(Kind::Event, "/", None, r#"["a",1]"#)),
            (
                r#"212["a"]"#,
                packet(Kind::Event, "/", Some(12), r#"["a"]"#),
            ),
            (
                r#"2/admin,0["a"]"#,
                packet(Kind::Event, "/admin", Some(0), r#"["a"]"#),
            ),
            ("34[]", packet(Kind::Ack, "/", Some(4), "[]")),
            (
                r#"4{"message":"x"}"#,
                packet(Kind::ConnectError, "/", None, r#"{"message":"x"}"#),
            ),
        ] {
            assert_eq!(Packet::parse(text), Ok(expected), "{text}");
        }
        let binary = Packet::parse(r#"52-/admin,7["a",{"_placeholder":true,"num":0}]"#).unwrap();
        assert_eq!(
            (binary.attachments, binary.id, binary.namespace),
            (2, Some(7), "/admin")
        );
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for text in [
            "",
            "abc",
            "7",
            "ü",
            "2",
            "2{}",
            "2[]",
            "2[1]",
            r#"2["a""#,
            r#"2abc["a"]"#,
            r#"2-1["a"]"#,
            r#"299999999999999999999["a"]"#,
            "0[]",
            "0{",
            "0x",
            "1{}",
            "3[]",
            "3",
            "31{}",
            "4",
            r#"5["a"]"#,
            r#"5-["a"]"#,
            r#"5x-["a"]"#,
            r#"5+1-["a"]"#,
            r#"511-["a"]"#,
            r#"599999999999-["a"]"#,
        ] {
            assert_eq!(Packet::parse(text), Err(BadPacket), "{text}");
        }
    }

    #[test]
    fn attachments_follow_their_packet_and_nothing_else_does() {
        let mut assembler = Assembler::default();
        let text = r#"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
        let mut take = |body| {
            assembler.take(&body, 100, |whole| {
                (whole.packet.data.to_owned(), whole.attachments, whole.bytes)
            })
        };
        let binary = |bytes: &'static [u8]| Body::Binary(bytes.into());
        assert_eq!(take(Body::Text(text)), Ok(None));
        assert_eq!(take(binary(b"1")), Ok(None));
        assert_eq!(take(Body::Text("2[\"a\"]")), Err(BadPacket));
        let (data, attachments, bytes) = take(binary(b"2")).unwrap().unwrap();
        assert_eq!((data.len(), bytes), (text.len() - 3, text.len() + 2));
        assert_eq!(attachments, [b"1", b"2"]);
        assert_eq!(take(binary(b"3")), Err(BadPacket));
        assert!(take(Body::Text("2[\"a\"]")).unwrap().is_some());
        let mut assembler = Assembler::default();
        assert_eq!(
            assembler.take(&Body::Text(r#"51-["a"]"#), 100, |_| ()),
            Ok(None)
        );
        let much = Body::Binary(vec![0; 100].into());
        assert_eq!(assembler.take(&much, 100, |_| ()), Err(BadPacket));
    }

    #[test]
    fn heads_are_written_as_they_are_read() {
        for (head, text) in [
            (head(Kind::Event, 0, MAIN, None), "42"),
            (head(Kind::Event, 2, "/a", Some(3)), "452-/a,3"),
            (head(Kind::Ack, 1, MAIN, Some(0)), "461-0"),
            (head(Kind::ConnectError, 0, "/a", None), "44/a,"),
        ] {
            assert_eq!(head, text);
        }
    }
}

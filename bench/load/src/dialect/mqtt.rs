//! Just enough of MQTT 3.1.1 for a client that publishes and follows at QoS 0: packets out, and the server's packets in, which may
//! share WebSocket messages and span them (§6).

use anyhow::{Context as _, Result, ensure};

/// What a packet's first byte says, without its flags (§2.2.1).
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const SUBACK: u8 = 9;

/// A packet of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// What somebody published.
    Message(&'a [u8]),
    /// Let in, or subscribed.
    Accepted,
}

/// Lets a client in: a clean session, no keep-alive, no user.
pub(crate) fn connect(client: &str) -> Result<Vec<u8>> {
    let mut body = text("MQTT")?;
    // Level 4 is 3.1.1; the flag is the clean session's.
    body.extend_from_slice(&[4, 0b10, 0, 0]);
    body.extend(text(client)?);
    Ok(packet(0x10, &body))
}

/// Follows a topic at QoS 0.
pub(crate) fn subscribe(topic: &str) -> Result<Vec<u8>> {
    let mut body = vec![0, 1];
    body.extend(text(topic)?);
    body.push(0);
    Ok(packet(0x82, &body))
}

/// A message of so many bytes up to where they begin.
pub(crate) fn publish_head(topic: &str, bytes: usize) -> Result<Vec<u8>> {
    let topic = text(topic)?;
    let mut head = vec![PUBLISH << 4];
    push_length(&mut head, topic.len() + bytes);
    head.extend(topic);
    Ok(head)
}

/// The first packet of a stream and how long it is; none while it is incomplete.
///
/// # Errors
/// It refuses something, or is none that is expected of a server here.
pub(crate) fn parse(stream: &[u8]) -> Result<Option<(Packet<'_>, usize)>> {
    let Some((length, begin)) = length(stream)? else {
        return Ok(None);
    };
    let Some(body) = stream.get(begin..begin + length) else {
        return Ok(None);
    };
    let packet = match (stream[0] >> 4, body) {
        (PUBLISH, _) => {
            ensure!(
                stream[0] & 0b110 == 0,
                "a message of a QoS that was not asked for"
            );
            Packet::Message(payload(body).context("a message without a topic")?)
        }
        (CONNACK, [_, code]) => {
            ensure!(*code == 0, "CONNECT was refused: {code}");
            Packet::Accepted
        }
        (SUBACK, [_, _, code]) => {
            ensure!(*code == 0, "SUBSCRIBE was refused: {code}");
            Packet::Accepted
        }
        (kind, _) => anyhow::bail!("a packet of the kind {kind}, {length} bytes long"),
    };
    Ok(Some((packet, begin + length)))
}

fn payload(body: &[u8]) -> Option<&[u8]> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    rest.get(usize::from(u16::from_be_bytes(*length))..)
}

/// The remaining length (§2.2.3) and where it ends.
fn length(stream: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut length = 0;
    for place in 0..4 {
        let Some(byte) = stream.get(1 + place) else {
            return Ok(None);
        };
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((length, 2 + place)));
        }
    }
    anyhow::bail!("a length of more than four bytes")
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    push_length(&mut packet, body.len());
    packet.extend_from_slice(body);
    packet
}

fn push_length(out: &mut Vec<u8>, mut length: usize) {
    while length > 0x7f {
        out.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    out.push(length as u8);
}

fn text(text: &str) -> Result<Vec<u8>> {
    let length = u16::try_from(text.len()).context("a text of more than 65,535 bytes")?;
    Ok([&length.to_be_bytes(), text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_comes_in_and_subscribes() {
        let expected = b"\x10\x0e\0\x04MQTT\x04\x02\0\0\0\x02me";
        assert_eq!(connect("me").unwrap(), expected);
        assert_eq!(subscribe("a/b").unwrap(), b"\x82\x08\0\x01\0\x03a/b\0");
        assert!(connect(&"x".repeat(70_000)).is_err());
    }

    #[test]
    fn packets_are_found_however_the_stream_is_cut() {
        let mut stream = b"\x20\x02\0\0\x90\x03\0\x01\0".to_vec();
        let said = [b"short".to_vec(), vec![b'x'; 300], Vec::new()];
        for payload in &said {
            stream.extend(publish_head("a/b", payload.len()).unwrap());
            stream.extend(payload);
        }
        for step in 1..stream.len() {
            let (mut unread, mut heard, mut accepted) = (Vec::new(), Vec::new(), 0);
            for piece in stream.chunks(step) {
                unread.extend_from_slice(piece);
                while let Some((packet, used)) = parse(&unread).unwrap() {
                    match packet {
                        Packet::Message(payload) => heard.push(payload.to_vec()),
                        Packet::Accepted => accepted += 1,
                    }
                    unread.drain(..used);
                }
            }
            assert_eq!((&heard[..], accepted), (&said[..], 2), "{step}");
        }
    }

    #[test]
    fn what_is_refused_or_not_expected_is_an_error() {
        for bytes in [
            &b"\x20\x02\0\x05"[..],
            b"\x90\x03\0\x01\x80",
            b"\x32\x05\0\x01a\0\x01",
            b"\x30\x01\0",
            b"\xd0\0",
            b"\x30\xff\xff\xff\xff\x01",
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }
}

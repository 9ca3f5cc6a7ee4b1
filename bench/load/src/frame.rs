//! Just enough of RFC 6455 for a client: masked frames out, headers of the server's frames in, the handshake.

use anyhow::{Result, bail, ensure};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The longest header of a server: no masking key.
pub(crate) const HEADER_MAX: usize = 10;

/// RFC 6455 §1.3: the sample key and its answer. A client may choose any; one that is fixed needs no SHA-1 here.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Appends a whole message, masked.
pub(crate) fn push(out: &mut Vec<u8>, opcode: u8, compressed: bool, payload: &[u8], key: [u8; 4]) {
    out.push(0x80 | u8::from(compressed) << 6 | opcode);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    let begin = out.len();
    out.extend_from_slice(payload);
    for chunk in out[begin..].chunks_mut(4) {
        chunk
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
    }
}

/// A masking key that differs from message to message.
pub(crate) fn key(number: u64) -> [u8; 4] {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    // A key of zeros would spare the server its work.
    (mixed as u32 | 0x0101_0101).to_le_bytes()
}

/// The header of a server's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) compressed: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: usize,
    /// The header's own length.
    pub(crate) len: usize,
}

impl Header {
    /// None while it is incomplete.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let &[first, second, ..] = bytes else {
            return Ok(None);
        };
        ensure!(second & 0x80 == 0, "the server masks");
        ensure!(first & 0x30 == 0, "the server set RSV2 or RSV3");
        let (payload, len) = match (second, bytes) {
            (126, [_, _, high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4),
            (127, [_, _, length @ ..]) if length.len() >= 8 => {
                let length = u64::from_be_bytes(length[..8].try_into()?);
                (usize::try_from(length)?, 10)
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (usize::from(short), 2),
        };
        Ok(Some(Self {
            fin: first & 0x80 != 0,
            compressed: first & 0x40 != 0,
            opcode: first & 0x0f,
            payload,
            len,
        }))
    }
}

/// What a handshake asks for beside the WebSocket.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offer {
    pub(crate) deflate: bool,
    pub(crate) subprotocol: Option<&'static str>,
}

/// A handshake's request.
pub(crate) fn upgrade(path: &str, offer: Offer) -> Vec<u8> {
    let subprotocol = offer.subprotocol.map_or_else(String::new, |name| {
        format!("Sec-WebSocket-Protocol: {name}\r\n")
    });
    let extensions = match offer.deflate {
        true => {
            "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
        }
        false => "",
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}{subprotocol}\r\n"
    )
    .into_bytes()
}

/// How long the response is whose head begins `bytes`; none while it is incomplete.
///
/// # Errors
/// It is no handshake, or another than was asked for.
pub(crate) fn accepted(bytes: &[u8], offer: Offer) -> Result<Option<usize>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        ensure!(bytes.len() < 16 << 10, "the response's head does not end");
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 101"), "refused: {status}");
    let (mut is_accepted, mut extension, mut subprotocol) = (false, None, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "sec-websocket-accept" => is_accepted = value.trim() == ACCEPT,
            "sec-websocket-extensions" => extension = Some(value.trim().to_owned()),
            "sec-websocket-protocol" => subprotocol = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    ensure!(
        subprotocol.as_deref() == offer.subprotocol,
        "another subprotocol than was offered: {subprotocol:?}"
    );
    ensure!(is_accepted, "the key was not answered");
    match (offer.deflate, extension) {
        (true, None) => bail!("no compression was agreed on"),
        (false, Some(extension)) => bail!("{extension} was not offered"),
        (true, Some(_)) | (false, None) => Ok(Some(end + 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_complete_or_awaited() {
        for (payload, len) in [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10)] {
            let mut request = Vec::new();
            push(&mut request, TEXT, false, &vec![b'x'; payload], key(1));
            // The same header without the mask.
            request[1] &= 0x7f;
            let header = Header::parse(&request).unwrap().unwrap();
            assert_eq!((header.payload, header.len), (payload, len));
            assert_eq!(Header::parse(&request[..len - 1]).unwrap(), None);
        }
        assert!(Header::parse(&[0x81, 0x80]).is_err());
    }

    #[test]
    fn a_frame_is_masked_with_a_key_that_is_not_zero() {
        let mut out = Vec::new();
        push(&mut out, BINARY, true, b"abcde", [1, 2, 3, 4]);
        let expected = [
            0xc2,
            0x85,
            1,
            2,
            3,
            4,
            b'a' ^ 1,
            b'b' ^ 2,
            b'c' ^ 3,
            b'd' ^ 4,
            b'e' ^ 1,
        ];
        assert_eq!(out, expected);
        assert!((0..1000).all(|number| key(number).iter().all(|byte| *byte != 0)));
    }

    #[test]
    fn only_what_was_offered_is_accepted() {
        const PLAIN: Offer = Offer {
            deflate: false,
            subprotocol: None,
        };
        const DEFLATE: Offer = Offer {
            deflate: true,
            subprotocol: None,
        };
        const MQTT: Offer = Offer {
            deflate: false,
            subprotocol: Some("mqtt"),
        };
        let response = |more: &str| {
            format!("HTTP/1.1 101 x\r\nsec-websocket-accept: {ACCEPT}\r\n{more}\r\nrest")
        };
        let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let plain = response("");
        assert_eq!(
            accepted(plain.as_bytes(), PLAIN).unwrap(),
            Some(plain.len() - 4)
        );
        assert_eq!(accepted(&plain.as_bytes()[..40], PLAIN).unwrap(), None);
        assert!(accepted(plain.as_bytes(), DEFLATE).is_err());
        assert!(accepted(response(extension).as_bytes(), DEFLATE).is_ok());
        assert!(accepted(response(extension).as_bytes(), PLAIN).is_err());
        let mqtt = response("Sec-WebSocket-Protocol: mqtt\r\n");
        assert!(accepted(mqtt.as_bytes(), MQTT).is_ok());
        assert!(accepted(mqtt.as_bytes(), PLAIN).is_err());
        assert!(accepted(plain.as_bytes(), MQTT).is_err());
        assert!(accepted(b"HTTP/1.1 101 x\r\n\r\n", PLAIN).is_err());
        assert!(accepted(b"HTTP/1.1 503 Full\r\n\r\n", PLAIN).is_err());
    }
}

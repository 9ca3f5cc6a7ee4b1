//! What the server said, read to its end: responses, then frames once there was a 101. Strict about what a server may send, and
//! never a panic: what it should not have said is an error that names it.

use serde_json::Value;
use tidewire_tests::deflated;
use tidewire_tests::frame::opcode;

/// The largest message that a chat sends here.
const INFLATED_BYTES_MAX: usize = 64 << 10;

/// One thing it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A response with this status.
    Response(u16),
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping or a pong.
    Control,
    /// A close frame with its code.
    Close(Option<u16>),
}

/// Reads all that came on a connection that has ended.
pub(crate) fn read(mut bytes: &[u8]) -> Result<Vec<Said>, String> {
    let mut said = Vec::new();
    while !bytes.is_empty() {
        let (status, used) = response(bytes)?;
        said.push(Said::Response(status));
        let (head, behind) = bytes.split_at(used);
        bytes = behind;
        if status == 101 {
            let is_compressed = head
                .windows(18)
                .any(|window| window == b"permessage-deflate");
            frames(bytes, is_compressed, &mut said)?;
            break;
        }
    }
    Ok(said)
}

/// The status of the first response and its length with its body.
fn response(bytes: &[u8]) -> Result<(u16, usize), String> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| format!("a response without an end: {}", shown(bytes)))? + 4;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| format!("no status line: {}", shown(bytes)))?;
    let length = head
        .to_ascii_lowercase()
        .split("\r\n")
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let body = match length {
        Some(length) => length,
        None if status == 101 => 0,
        // A stream, which ends with its connection.
        None => bytes.len() - end,
    };
    if bytes.len() < end + body {
        return Err(format!("a response that was cut off: {}", shown(bytes)));
    }
    Ok((status, end + body))
}

fn frames(mut bytes: &[u8], may_compress: bool, said: &mut Vec<Said>) -> Result<(), String> {
    let mut text: Option<(u8, Vec<u8>)> = None;
    while !bytes.is_empty() {
        if matches!(said.last(), Some(Said::Close(_))) {
            return Err(format!("more came behind a close frame: {}", shown(bytes)));
        }
        let (first, mut payload, used) = frame(bytes)?;
        // RSV1, on the first frame of a message where that was agreed on; the server compresses whole messages only.
        if first & 0x70 != 0 {
            let is_whole = matches!(first, 0xc1 | 0xc2);
            let inflated = deflated::inflate(&payload, INFLATED_BYTES_MAX);
            payload = inflated
                .filter(|_| is_whole && may_compress)
                .ok_or_else(|| format!("reserved bits: {}", shown(bytes)))?;
        }
        bytes = &bytes[used..];
        let is_final = first & 0x80 != 0;
        match (first & 0x0f, text.take()) {
            (opcode::PING | opcode::PONG, begun) => {
                text = begun;
                said.push(Said::Control);
            }
            (opcode::CLOSE, _) => said.push(Said::Close(close_code(&payload)?)),
            (opcode::CONTINUATION, Some((kind, mut begun))) => {
                begun.extend(payload);
                text = message(kind, begun, is_final, said)?;
            }
            (kind @ (opcode::TEXT | opcode::BINARY), None) => {
                text = message(kind, payload, is_final, said)?;
            }
            (other, _) => return Err(format!("opcode {other} has no place here")),
        }
    }
    Ok(())
}

type Begun = Option<(u8, Vec<u8>)>;

fn message(
    kind: u8,
    payload: Vec<u8>,
    is_final: bool,
    said: &mut Vec<Said>,
) -> Result<Begun, String> {
    if !is_final {
        return Ok(Some((kind, payload)));
    }
    said.push(if kind == opcode::BINARY {
        Said::Binary(payload)
    } else {
        Said::Text(String::from_utf8(payload).map_err(|error| error.to_string())?)
    });
    Ok(None)
}

/// The first byte of a frame, its payload, and how long it is in all.
fn frame(bytes: &[u8]) -> Result<(u8, Vec<u8>, usize), String> {
    let cut = || format!("a frame that was cut off: {}", shown(bytes));
    let &[first, second, ref rest @ ..] = bytes else {
        return Err(cut());
    };
    let (length, head, least) = match second {
        0x80.. => return Err(format!("a masked frame: {}", shown(bytes))),
        126 => {
            let length = rest.first_chunk().ok_or_else(cut)?;
            (u64::from(u16::from_be_bytes(*length)), 4, 126)
        }
        127 => {
            let length = rest.first_chunk().ok_or_else(cut)?;
            (u64::from_be_bytes(*length), 10, 65536)
        }
        short => (u64::from(short), 2, 0),
    };
    let is_control = first & 0x08 != 0;
    if length < least || (is_control && (length > 125 || first & 0x80 == 0)) {
        return Err(format!("a frame that breaks the RFC: {}", shown(bytes)));
    }
    let end = usize::try_from(length).map_err(|_| cut())? + head;
    let payload = bytes.get(head..end).ok_or_else(cut)?;
    Ok((first, payload.to_vec(), end))
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, String> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            _ => Err("a close frame with one byte".to_owned()),
        };
    };
    std::str::from_utf8(reason).map_err(|error| error.to_string())?;
    Ok(Some(u16::from_be_bytes(*code)))
}

/// The code of a chat message that is an `error`.
pub(crate) fn error_code(text: &str) -> Option<String> {
    let message: Value = serde_json::from_str(text).ok()?;
    let is_error = message["type"] == "error";
    Some(message["code"].as_str().filter(|_| is_error)?.to_owned())
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned()
}

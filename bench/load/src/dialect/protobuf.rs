//! Just enough of docs/tidewire.v1.proto: a `room_msg` of a client, and the content of one from the server.

use anyhow::{Result, bail, ensure};

/// `Request.room_msg` with `to` and `json`; `Event.room_msg` with `json`.
const REQUEST_ROOM_MSG: u64 = 5;
const TO: u64 = 1;
const REQUEST_JSON: u64 = 2;
const EVENT_ROOM_MSG: u64 = 3;
const ENTRY_JSON: u64 = 5;

/// What stands in front of what a message of so many bytes says, a JSON text, and behind it.
pub(super) fn envelope(room: &str, bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let mut inside = Vec::new();
    push_head(&mut inside, TO, room.len());
    inside.extend_from_slice(room.as_bytes());
    push_head(&mut inside, REQUEST_JSON, bytes + 2);
    inside.push(b'"');
    let mut before = Vec::new();
    push_head(&mut before, REQUEST_ROOM_MSG, inside.len() + bytes + 1);
    before.extend(inside);
    (before, vec![b'"'])
}

/// The content of a `room_msg` as JSON; none of any other event.
///
/// # Errors
/// It is no Protobuf.
pub(crate) fn content(event: &[u8]) -> Result<Option<&[u8]>> {
    match field(event, EVENT_ROOM_MSG)? {
        None => Ok(None),
        Some(entry) => field(entry, ENTRY_JSON),
    }
}

/// The bytes of the first field that has this number and a length.
fn field(mut message: &[u8], wanted: u64) -> Result<Option<&[u8]>> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut message)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?)?,
            5 => 4,
            other => bail!("a field of the type {other}"),
        };
        ensure!(length <= message.len(), "a field that is cut off");
        let (field, rest) = message.split_at(length);
        if tag == wanted << 3 | 2 {
            return Ok(Some(field));
        }
        message = rest;
    }
    Ok(None)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for place in 0..10 {
        let Some((byte, rest)) = bytes.split_first() else {
            bail!("a number that is cut off");
        };
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number of more than ten bytes")
}

fn push_head(out: &mut Vec<u8>, number: u64, length: usize) {
    for mut value in [number << 3 | 2, length as u64] {
        while value > 0x7f {
            out.push(0x80 | (value & 0x7f) as u8);
            value >>= 7;
        }
        out.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_the_schema_has_it() {
        let (before, behind) = envelope("r", 2);
        let message = [&before[..], b"ab", &behind].concat();
        assert_eq!(message, b"\x2a\x09\x0a\x01r\x12\x04\"ab\"");
        let (before, behind) = envelope("r", 300);
        let inside = field(&[&before[..], &[b'x'; 300], &behind].concat(), 5)
            .unwrap()
            .map(<[u8]>::len);
        assert_eq!(inside, Some(3 + 3 + 302));
    }

    #[test]
    fn the_content_of_an_entry_is_found_and_other_events_have_none() {
        // room_id, offset, a fixed32 epoch, json, time.
        let entry = b"\x0a\x01r\x10\xac\x02\x1d\0\0\0\x07\x2a\x03\"x\"\x38\x01";
        let mut event = vec![0x1a, entry.len() as u8];
        event.extend_from_slice(entry);
        assert_eq!(content(&event).unwrap(), Some(&b"\"x\""[..]));
        assert_eq!(content(b"\x82\x01\x02\x08\x01").unwrap(), None);
        for cut in 1..event.len() {
            assert!(content(&event[..cut]).is_err(), "{cut}");
        }
        assert!(content(b"\x0b").is_err());
    }
}

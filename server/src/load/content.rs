//! What messages say: a stamp, from which whoever gets it back knows who sent it and when it was due, and words to fill them.
//!
//! The stamp makes a table of what is on its way unnecessary, and what comes back is compared whole: a message that was
//! changed on the way is not taken for an answer.

use tidewire_protocol::Message;

/// The stamp's length: 16 digits.
pub(super) const STAMP_BYTES: usize = 16;

/// Bits of the time: 78 hours in nanoseconds.
const DUE_BITS: u32 = 48;

/// What stands before the content in an entry of a chat.
const CONTENT: &str = "\"content\":\"";

const WORDS: [&str; 12] = [
    "the ", "tide ", "comes ", "in ", "and ", "goes ", "again, ", "slowly; ", "ships ", "wait ",
    "for ", "water. ",
];

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) sender: u16,
    /// Nanoseconds since the run began.
    pub(super) due: u64,
}

/// The messages of a run.
#[derive(Debug)]
pub(super) struct Content {
    binary: bool,
    /// What stands before a message's content, for each room; none without an envelope.
    envelopes: Option<Vec<String>>,
    filler: String,
}

impl Content {
    /// Messages of `size` bytes; in a chat, `rooms` names where they go and they are in an envelope.
    pub(super) fn new(size: usize, binary: bool, rooms: Option<&[String]>) -> Self {
        let envelope =
            |room: &String| format!("{{\"type\":\"room_msg\",\"roomId\":\"{room}\",{CONTENT}");
        Self {
            binary,
            envelopes: rooms.map(|rooms| rooms.iter().map(envelope).collect()),
            filler: filler(size.saturating_sub(STAMP_BYTES)),
        }
    }

    /// Writes a message over what is in `buffer`.
    pub(super) fn write<'b>(
        &self,
        buffer: &'b mut String,
        room: usize,
        stamp: Stamp,
    ) -> Message<'b> {
        buffer.clear();
        let envelope = self.envelopes.as_ref().and_then(|rooms| rooms.get(room));
        if let Some(envelope) = envelope {
            buffer.push_str(envelope);
        }
        stamp.push(buffer);
        buffer.push_str(&self.filler);
        if envelope.is_some() {
            buffer.push_str("\"}");
        }
        match self.binary {
            true => Message::binary(buffer.as_bytes()),
            false => Message::text(buffer),
        }
    }

    /// The stamp of a message that is one of ours, whole and as it was sent.
    pub(super) fn find(&self, message: &Message<'_>) -> Option<Stamp> {
        let text = match message {
            Message::Text(text) if !self.binary => text,
            Message::Binary(bytes) if self.binary => std::str::from_utf8(bytes).ok()?,
            Message::Text(_) | Message::Binary(_) => return None,
        };
        let (content, behind) = match self.envelopes {
            None => (text, ""),
            Some(_) => (&text[text.find(CONTENT)? + CONTENT.len()..], "\""),
        };
        let (stamp, rest) = content.split_at_checked(STAMP_BYTES)?;
        let rest = rest.strip_prefix(self.filler.as_str())?;
        let is_whole = match self.envelopes {
            None => rest.is_empty(),
            Some(_) => rest.starts_with(behind),
        };
        Stamp::read(stamp).filter(|_| is_whole)
    }
}

impl Stamp {
    fn push(self, text: &mut String) {
        let mut rest = u64::from(self.sender) << DUE_BITS | self.due & ((1 << DUE_BITS) - 1);
        for _ in 0..STAMP_BYTES {
            rest = rest.rotate_left(4);
            let digit = char::from_digit((rest & 15) as u32, 16);
            text.push(digit.unwrap_or('0'));
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut value = 0;
        for byte in text.bytes() {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            value = value << 4 | u64::from(digit);
        }
        Some(Self {
            sender: (value >> DUE_BITS) as u16,
            due: value & ((1 << DUE_BITS) - 1),
        })
    }
}

/// English of exactly so many bytes, in an order that does not repeat soon: it compresses as what people write.
fn filler(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 8);
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    while text.len() < bytes {
        // xorshift64: the same words in every run.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        text.push_str(WORDS[(dice >> 33) as usize % WORDS.len()]);
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        sender: 0xbeef,
        due: (1 << DUE_BITS) - 2,
    };

    #[test]
    fn a_message_has_its_size_and_tells_its_stamp() {
        for size in [STAMP_BYTES, 17, 125, 70_000] {
            for binary in [false, true] {
                let content = Content::new(size, binary, None);
                let mut buffer = String::new();
                let message = content.write(&mut buffer, 0, STAMP);
                assert_eq!(message.payload().len(), size);
                assert_eq!(content.find(&message), Some(STAMP));
                let other = Content::new(size, !binary, None);
                assert_eq!(other.find(&message), None);
            }
        }
    }

    #[test]
    fn a_chat_message_is_found_in_what_the_server_makes_of_it() {
        let rooms = ["a".to_owned(), "b".to_owned()];
        let content = Content::new(40, false, Some(&rooms));
        let mut buffer = String::new();
        let said = content.write(&mut buffer, 1, STAMP);
        let said: serde_json::Value = serde_json::from_slice(said.payload()).unwrap();
        assert_eq!(said["roomId"], "b");
        assert_eq!(said["content"].as_str().unwrap().len(), 40);
        let entry = format!(
            r#"{{"type":"room_msg","roomId":"b","offset":1,"content":{},"time":1}}"#,
            said["content"]
        );
        assert_eq!(content.find(&Message::text(&entry)), Some(STAMP));
        let system = r#"{"type":"system","roomId":"b","event":"join","content":"x came"}"#;
        assert_eq!(content.find(&Message::text(system)), None);
    }

    #[test]
    fn what_was_changed_on_the_way_is_not_ours() {
        let content = Content::new(40, false, None);
        let mut buffer = String::new();
        content.write(&mut buffer, 0, STAMP);
        for wrong in [
            buffer[..39].to_owned(),
            format!("{buffer} "),
            buffer.replacen("beef", "bee ", 1),
            format!("{}?", &buffer[..39]),
            "Request served by 1234".to_owned(),
            "ä".repeat(20),
        ] {
            assert_eq!(content.find(&Message::text(&wrong)), None, "{wrong}");
        }
    }
}

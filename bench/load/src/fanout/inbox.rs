//! What a connection of the room was sent, taken apart: frames, packets, events or answers, and the messages in them.

use std::mem;

use anyhow::{Result, ensure};

use super::message::{Messages, Next};
use crate::dialect::{Speech, http, mqtt, protobuf_content};
use crate::frame::{self, Header};

/// What stands in a connection's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Message {
        publisher: usize,
        sequence: u32,
    },
    /// Something that carries no message: an acknowledgement, who comes and goes.
    Other,
    /// A poll was answered, and is to go on here.
    Answered(String),
}

/// The bytes of a connection that are not taken apart yet.
pub(crate) struct Inbox {
    speech: Speech,
    /// A part of a frame, of an event, of an answer.
    part: Vec<u8>,
    /// What frames brought that is no whole message yet, where they are pieces of a stream.
    stream: Vec<u8>,
    /// The head of an event stream is yet to come.
    awaits_head: bool,
}

impl Inbox {
    /// With what came behind the handshake.
    pub(crate) const fn new(speech: Speech, part: Vec<u8>) -> Self {
        Self {
            speech,
            part,
            stream: Vec::new(),
            awaits_head: matches!(speech, Speech::Events),
        }
    }

    /// Takes what came, and says what is in it.
    ///
    /// # Errors
    /// It is not as it should be, or `found` does not like it.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        messages: &mut Messages,
        found: &mut dyn FnMut(Found) -> Result<()>,
    ) -> Result<()> {
        let mut part = mem::take(&mut self.part);
        if part.is_empty() {
            let used = self.whole(bytes, messages, found)?;
            part.extend_from_slice(&bytes[used..]);
        } else {
            part.extend_from_slice(bytes);
            let used = self.whole(&part, messages, found)?;
            part.drain(..used);
        }
        self.part = part;
        Ok(())
    }

    /// Takes what is whole, and returns how long it is.
    fn whole(
        &mut self,
        bytes: &[u8],
        messages: &mut Messages,
        found: &mut dyn FnMut(Found) -> Result<()>,
    ) -> Result<usize> {
        match self.speech {
            Speech::Plain | Speech::Lines | Speech::Mqtt | Speech::Protobuf => {
                self.frames(bytes, messages, found)
            }
            Speech::Events => self.events(bytes, messages, found),
            Speech::Poll => answers(bytes, messages, found),
        }
    }

    fn frames(
        &mut self,
        bytes: &[u8],
        messages: &mut Messages,
        found: &mut dyn FnMut(Found) -> Result<()>,
    ) -> Result<usize> {
        let mut rest = bytes;
        let is_stream = matches!(self.speech, Speech::Lines | Speech::Mqtt);
        while let Some(header) = Header::parse(rest)?
            && let Some(payload) = rest.get(header.len..header.len + header.payload)
        {
            rest = &rest[header.len + header.payload..];
            ensure!(
                (header.fin || is_stream) && !header.compressed,
                "a frame that is no whole message"
            );
            match header.opcode {
                frame::CONTINUATION | frame::TEXT | frame::BINARY => {
                    self.payload(payload, messages, found)?;
                }
                frame::PING | frame::PONG => found(Found::Other)?,
                _ => anyhow::bail!("the server closes: {}", String::from_utf8_lossy(payload)),
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn payload(
        &mut self,
        payload: &[u8],
        messages: &mut Messages,
        found: &mut dyn FnMut(Found) -> Result<()>,
    ) -> Result<()> {
        let content = match self.speech {
            Speech::Lines => return self.stream(payload, messages, found, lines),
            Speech::Mqtt => return self.stream(payload, messages, found, packets),
            Speech::Protobuf => protobuf_content(payload)?,
            Speech::Plain | Speech::Events | Speech::Poll => Some(payload),
        };
        let message = content.map_or(Ok(None), |content| messages.find(content))?;
        found(message.map_or(Found::Other, Found::from))
    }

    /// Takes a piece of a stream.
    fn stream(
        &mut self,
        piece: &[u8],
        messages: &mut Messages,
        found: &mut dyn FnMut(Found) -> Result<()>,
        whole: Whole,
    ) -> Result<()> {
        if self.stream.is_empty() {
            let used = whole(piece, messages, found)?;
            self.stream.extend_from_slice(&piece[used..]);
        } else {
            self.stream.extend_from_slice(piece);
            let used = whole(&self.stream, messages, found)?;
            self.stream.drain(..used);
        }
        Ok(())
    }

    fn events(
        &mut self,
        bytes: &[u8],
        messages: &mut Messages,
        found: &mut dyn FnMut(Found) -> Result<()>,
    ) -> Result<usize> {
        let mut used = 0;
        if self.awaits_head {
            let Some(head) = http::head(bytes)? else {
                return Ok(0);
            };
            self.awaits_head = false;
            used = head;
        }
        while let Some((data, length)) = http::event(&bytes[used..]) {
            used += length;
            let message = data.map_or(Ok(None), |data| messages.find(data))?;
            found(message.map_or(Found::Other, Found::from))?;
        }
        Ok(used)
    }
}

/// Takes what is whole of a stream, and returns how long it is.
type Whole = fn(&[u8], &mut Messages, &mut dyn FnMut(Found) -> Result<()>) -> Result<usize>;

fn lines(
    stream: &[u8],
    messages: &mut Messages,
    found: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<usize> {
    let mut used = 0;
    loop {
        match messages.next(&stream[used..])? {
            Next::Awaited(from) => return Ok(used + from),
            Next::Message {
                publisher,
                sequence,
                end,
            } => {
                used += end;
                found(Found::from((publisher, sequence)))?;
            }
        }
    }
}

fn packets(
    stream: &[u8],
    messages: &mut Messages,
    found: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<usize> {
    let mut used = 0;
    while let Some((packet, length)) = mqtt::parse(&stream[used..])? {
        used += length;
        let message = match packet {
            mqtt::Packet::Message(payload) => messages.find(payload)?,
            mqtt::Packet::Accepted => None,
        };
        found(message.map_or(Found::Other, Found::from))?;
    }
    Ok(used)
}

fn answers(
    bytes: &[u8],
    messages: &mut Messages,
    found: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<usize> {
    let mut used = 0;
    while let Some((body, length)) = http::answer(&bytes[used..])? {
        used += length;
        lines(body, messages, found)?;
        found(Found::Answered(http::position(body)?.to_owned()))?;
    }
    Ok(used)
}

impl From<(usize, u32)> for Found {
    fn from((publisher, sequence): (usize, u32)) -> Self {
        Self::Message {
            publisher,
            sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "@@0700000042abcdefghijklmnopqrstuvwxyzab";

    /// What comes of these bytes, however they are cut.
    fn found(speech: Speech, bytes: &[u8]) -> Vec<Found> {
        let of = |step: usize| {
            let mut messages = Messages::new(40, (Vec::new(), Vec::new()), frame::TEXT).unwrap();
            let mut inbox = Inbox::new(speech, Vec::new());
            let mut all = Vec::new();
            for piece in bytes.chunks(step) {
                let mut found = |one| {
                    all.push(one);
                    Ok(())
                };
                inbox.take(piece, &mut messages, &mut found).unwrap();
            }
            all
        };
        let whole = of(bytes.len());
        for step in 1..bytes.len() {
            assert_eq!(of(step), whole, "{step}");
        }
        whole
    }

    fn message() -> Found {
        Found::from((7, 42))
    }

    fn frame_of(opcode: u8, payload: &[u8]) -> Vec<u8> {
        [&[0x80 | opcode, payload.len() as u8], payload].concat()
    }

    #[test]
    fn packets_share_messages_and_span_them() {
        let mut packets = b"\x20\x02\0\0".to_vec();
        for _ in 0..2 {
            packets.extend(mqtt::publish_head("r", SAID.len()).unwrap());
            packets.extend(SAID.as_bytes());
        }
        let (one, other) = packets.split_at(30);
        let frames = [frame_of(frame::BINARY, one), frame_of(frame::BINARY, other)].concat();
        let expected = [Found::Other, message(), message()];
        assert_eq!(found(Speech::Mqtt, &frames), expected);
    }

    #[test]
    fn events_have_messages_behind_a_head() {
        let stream = format!(
            "HTTP/1.1 200 OK\r\n\r\nretry: 2000\n\nid: 1\ndata: {{\"content\":\"{SAID}\"}}\n\n"
        );
        let expected = [Found::Other, message()];
        assert_eq!(found(Speech::Events, stream.as_bytes()), expected);
    }

    #[test]
    fn an_answer_has_messages_and_where_to_go_on() {
        let body = format!("{{\"messages\":[\"{SAID}\",\"{SAID}\"],\"position\":\"p-1\"}}");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let expected = [message(), message(), Found::Answered("p-1".to_owned())];
        assert_eq!(found(Speech::Poll, answer.as_bytes()), expected);
    }

    #[test]
    fn a_close_frame_is_an_error() {
        let mut messages = Messages::new(40, (Vec::new(), Vec::new()), frame::TEXT).unwrap();
        let mut inbox = Inbox::new(Speech::Plain, Vec::new());
        let close = frame_of(frame::CLOSE, &[3, 233]);
        assert!(inbox.take(&close, &mut messages, &mut |_| Ok(())).is_err());
    }
}

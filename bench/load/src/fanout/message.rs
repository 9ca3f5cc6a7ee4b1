//! What publishers say: a mark with the publisher's number and the message's, and letters behind it. It means the same in
//! text, in JSON and in a protocol of lines.

use anyhow::{Context as _, Result, ensure};
use memchr::memmem::Finder;

use crate::frame;

/// `@@`, two digits, eight digits.
const MARK: usize = 12;

pub(crate) struct Messages {
    opcode: u8,
    before: Vec<u8>,
    letters: Vec<u8>,
    behind: Vec<u8>,
    /// Where the last mark was: the next one mostly is there, too.
    place: usize,
    mark: Finder<'static>,
}

/// What a stream of bytes begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing before this place is of interest; what is behind it may become a message.
    Awaited(usize),
    Message {
        publisher: usize,
        sequence: u32,
        end: usize,
    },
}

impl Messages {
    /// Between what stands in front of what a message says and what stands behind it.
    pub(crate) fn new(
        bytes: usize,
        (before, behind): (Vec<u8>, Vec<u8>),
        opcode: u8,
    ) -> Result<Self> {
        ensure!(bytes >= MARK, "at least {MARK} bytes say who speaks");
        Ok(Self {
            opcode,
            before,
            letters: (b'a'..=b'z').cycle().take(bytes - MARK).collect(),
            behind,
            place: 0,
            mark: Finder::new("@@"),
        })
    }

    /// Appends a message's frame.
    pub(crate) fn push(&self, out: &mut Vec<u8>, publisher: usize, sequence: u32) {
        self.push_as(out, &self.before, publisher, sequence);
    }

    /// The same with other words in front of what it says.
    pub(crate) fn push_as(
        &self,
        out: &mut Vec<u8>,
        before: &[u8],
        publisher: usize,
        sequence: u32,
    ) {
        let mark = format!("@@{publisher:02}{sequence:08}");
        let text = [before, mark.as_bytes(), &self.letters, &self.behind].concat();
        let key = frame::key(u64::from(sequence));
        frame::push(out, self.opcode, false, &text, key);
    }

    /// The publisher and the number in a payload; none if it carries no message.
    ///
    /// # Errors
    /// It does, but not as it was sent.
    pub(crate) fn find(&mut self, payload: &[u8]) -> Result<Option<(usize, u32)>> {
        if payload.get(self.place..self.place + 2) != Some(b"@@") {
            let Some(place) = self.mark.find(payload) else {
                return Ok(None);
            };
            self.place = place;
        }
        let content = payload.get(self.place..self.place + self.content());
        let content = content.context("what came is shorter than what was sent")?;
        self.read(content).map(Some)
    }

    /// The first message in a stream, which may be cut anywhere.
    ///
    /// # Errors
    /// It is not as it was sent.
    pub(crate) fn next(&self, stream: &[u8]) -> Result<Next> {
        let Some(begin) = self.mark.find(stream) else {
            // Half a mark may be the last byte.
            return Ok(Next::Awaited(stream.len().saturating_sub(1)));
        };
        let end = begin + self.content();
        let Some(content) = stream.get(begin..end) else {
            return Ok(Next::Awaited(begin));
        };
        let (publisher, sequence) = self.read(content)?;
        Ok(Next::Message {
            publisher,
            sequence,
            end,
        })
    }

    const fn content(&self) -> usize {
        MARK + self.letters.len()
    }

    fn read(&self, content: &[u8]) -> Result<(usize, u32)> {
        ensure!(
            content[MARK..] == self.letters,
            "what came is not what was sent"
        );
        let number = |digits: &[u8]| -> Option<u32> {
            digits.iter().try_fold(0, |number, digit| {
                let digit = char::from(*digit).to_digit(10)?;
                Some(number * 10 + digit)
            })
        };
        let numbers = number(&content[2..4]).zip(number(&content[4..MARK]));
        let (publisher, sequence) = numbers.context("a mark without numbers")?;
        Ok((publisher as usize, sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Messages {
        Messages::new(40, (Vec::new(), Vec::new()), frame::TEXT).unwrap()
    }

    #[test]
    fn a_mark_is_found_wherever_it_is() {
        let mut messages = messages();
        let letters = String::from_utf8(messages.letters.clone()).unwrap();
        let mut find = |text: String| messages.find(text.as_bytes());
        for prefix in ["", "x", "a longer one", "@ "] {
            let text = format!("{prefix}@@0700000042{letters}\"}}");
            assert_eq!(find(text).unwrap(), Some((7, 42)), "{prefix}");
        }
        assert_eq!(find("{\"type\":\"ack\"}".to_owned()).unwrap(), None);
        assert!(find(format!("@@0700000042{}", letters.to_uppercase())).is_err());
        assert!(find("@@0700000042abc".to_owned()).is_err());
        assert!(find(format!("@@07000000x2{letters}")).is_err());
    }

    #[test]
    fn messages_of_a_stream_are_found_however_it_is_cut() {
        let messages = messages();
        let letters = String::from_utf8(messages.letters.clone()).unwrap();
        let message =
            |sequence: u32| format!("MSG room 1 40\r\n@@03{sequence:08}{letters}\r\n").into_bytes();
        let whole = [message(0), message(1), message(2)].concat();
        for step in 1..whole.len() {
            let (mut stream, mut found) = (Vec::new(), Vec::new());
            for piece in whole.chunks(step) {
                stream.extend_from_slice(piece);
                loop {
                    match messages.next(&stream).unwrap() {
                        Next::Awaited(from) => break drop(stream.drain(..from)),
                        Next::Message { sequence, end, .. } => {
                            found.push(sequence);
                            stream.drain(..end);
                        }
                    }
                }
            }
            assert_eq!(found, [0, 1, 2], "{step}");
        }
    }
}

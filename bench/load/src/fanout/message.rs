//! What publishers say: a mark with the publisher's number and the message's, and letters behind it. It means the same in
//! text, in JSON and in a protocol of lines.

use anyhow::{Context as _, Result, ensure};
use memchr::memmem::Finder;

use crate::frame;

/// `@@`, two digits, eight digits.
const MARK: usize = 12;

pub(crate) struct Messages {
    before: Vec<u8>,
    letters: Vec<u8>,
    behind: Vec<u8>,
    /// Where the last mark was: the next one mostly is there, too.
    place: usize,
    mark: Finder<'static>,
}

impl Messages {
    pub(crate) fn new(bytes: usize, template: &str) -> Result<Self> {
        ensure!(bytes >= MARK, "at least {MARK} bytes say who speaks");
        let (before, behind) = template.split_once("{}").context("a template with {}")?;
        Ok(Self {
            before: before.into(),
            letters: (b'a'..=b'z').cycle().take(bytes - MARK).collect(),
            behind: behind.into(),
            place: 0,
            mark: Finder::new("@@"),
        })
    }

    /// Appends a message's frame.
    pub(crate) fn push(&self, out: &mut Vec<u8>, publisher: usize, sequence: u32) {
        let mark = format!("@@{publisher:02}{sequence:08}");
        let text = [&self.before, mark.as_bytes(), &self.letters, &self.behind].concat();
        let key = frame::key(u64::from(sequence));
        frame::push(out, frame::TEXT, false, &text, key);
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
        let content = &payload[self.place + 2..];
        let letters = content.get(10..10 + self.letters.len());
        ensure!(
            letters == Some(&self.letters),
            "what came is not what was sent"
        );
        let number = |digits: &[u8]| -> Option<u32> {
            digits.iter().try_fold(0, |number, digit| {
                let digit = char::from(*digit).to_digit(10)?;
                Some(number * 10 + digit)
            })
        };
        let numbers = number(&content[..2]).zip(number(&content[2..10]));
        let (publisher, sequence) = numbers.context("a mark without numbers")?;
        Ok(Some((publisher as usize, sequence)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_is() {
        let mut messages = Messages::new(40, "{\"content\":\"{}\"}").unwrap();
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
}

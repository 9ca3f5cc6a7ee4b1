//! What messages say: the kinds that cost a server different things.

use clap::ValueEnum;

use crate::frame;

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Bytes without a pattern, which nobody has to look at
    Binary,
    /// English: text of one byte a character
    Ascii,
    /// Chinese, Japanese and Korean: text of three bytes a character
    Cjk,
    /// A list of chat messages, which compresses to a third
    Json,
}

impl Kind {
    pub(crate) const fn opcode(self) -> u8 {
        match self {
            Self::Binary => frame::BINARY,
            Self::Ascii | Self::Cjk | Self::Json => frame::TEXT,
        }
    }

    /// Exactly that many bytes; another `variant` says something else.
    pub(crate) fn make(self, bytes: usize, variant: usize) -> Vec<u8> {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (variant as u64 + 1));
        let mut content = Vec::with_capacity(bytes + 128);
        while content.len() < bytes {
            let before = content.len();
            self.go_on(&mut content, &mut dice);
            // A character is not cut, nor is a message of the list half a one: spaces fill the rest.
            if content.len() > bytes && self != Self::Binary {
                content.truncate(before);
                content.resize(bytes, b' ');
            }
        }
        content.truncate(bytes);
        content
    }

    fn go_on(self, content: &mut Vec<u8>, dice: &mut Dice) {
        const ENGLISH: [&str; 8] = [
            "the ", "tide ", "comes ", "in ", "and ", "goes ", "again, ", "slowly. ",
        ];
        const EAST: [&str; 8] = [
            "你好",
            "世界",
            "今天天气很好。",
            "こんにちは",
            "ありがとう、",
            "안녕하세요",
            "감사합니다",
            "明日また。",
        ];
        match self {
            Self::Binary => content.extend_from_slice(&dice.next().to_le_bytes()),
            Self::Ascii => content.extend_from_slice(dice.pick(&ENGLISH).as_bytes()),
            Self::Cjk => content.extend_from_slice(dice.pick(&EAST).as_bytes()),
            Self::Json => {
                let entry = format!(
                    "{{\"offset\":{},\"roomId\":\"harbour\",\"from\":\"{}\",\"content\":\"{}{}{}\"}},",
                    dice.next() % 100_000,
                    dice.pick(&["ada", "grace", "edsger", "barbara"]),
                    dice.pick(&ENGLISH),
                    dice.pick(&ENGLISH),
                    dice.pick(&ENGLISH),
                );
                content.extend_from_slice(entry.as_bytes());
            }
        }
    }
}

/// The same numbers in every run (xorshift64).
struct Dice(u64);

impl Dice {
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[(self.next() >> 33) as usize % from.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_has_its_length_is_text_and_differs() {
        for kind in [Kind::Binary, Kind::Ascii, Kind::Cjk, Kind::Json] {
            for bytes in [16, 125, 1024, 65_536] {
                let content = kind.make(bytes, 2);
                assert_eq!(content.len(), bytes);
                assert_eq!(content, kind.make(bytes, 2));
                let text = std::str::from_utf8(&content);
                assert!(kind == Kind::Binary || text.is_ok());
                if bytes > 16 {
                    assert_ne!(content, kind.make(bytes, 1));
                }
            }
        }
    }
}

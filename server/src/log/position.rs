//! Places in logs, and the tokens that clients keep of them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name for one life of a log: offsets of different epochs have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// An epoch from a random number.
    #[must_use]
    pub const fn new(random: u32) -> Self {
        Self(random)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A place in a log: that of an entry, or of the head, behind which is what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The life of the log in which the offset holds.
    pub epoch: Epoch,
    /// The number of the entry, from 1; 0 before the first.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPosition;

impl fmt::Display for BadPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a position as this server gives them")
    }
}

impl std::error::Error for BadPosition {}

impl FromStr for Position {
    type Err = BadPosition;

    /// Reads what `Display` writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let (epoch, offset) = text.split_once('-').ok_or(BadPosition)?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_offset = offset.bytes().all(|byte| byte.is_ascii_digit())
            && (offset == "0" || !offset.starts_with('0'));
        if epoch.len() != 8 || !epoch.bytes().all(hex) || !is_offset {
            return Err(BadPosition);
        }
        Ok(Self {
            epoch: Epoch(u32::from_str_radix(epoch, 16).map_err(|_| BadPosition)?),
            offset: offset.parse().map_err(|_| BadPosition)?,
        })
    }
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Since {
    /// At the oldest entry that is kept.
    Oldest,
    /// At the head: only what comes.
    Now,
    /// Behind this.
    After(Position),
}

impl FromStr for Since {
    type Err = BadPosition;

    /// A position; the empty text means from the oldest.
    fn from_str(text: &str) -> Result<Self, BadPosition> {
        if text.is_empty() {
            Ok(Self::Oldest)
        } else {
            text.parse().map(Self::After)
        }
    }
}

/// The positions of several logs, as text: `room:token` pairs with commas between them. In names, `%`, `:` and `,` are
/// written as `%25`, `%3A` and `%2C`.
#[derive(Debug, Clone, Copy)]
pub struct Positions<'a>(&'a str);

impl<'a> Positions<'a> {
    /// What a client gave as `since`; nothing is checked yet.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// What it says about a log: `None` if nothing. One position alone is meant for every room.
    #[must_use]
    pub fn of(self, log: &str) -> Option<&'a str> {
        if !self.0.contains(':') {
            return Some(self.0);
        }
        self.0.split(',').find_map(|pair| {
            let (name, token) = pair.rsplit_once(':')?;
            (percent_decode_str(name).decode_utf8().ok()? == log).then_some(token)
        })
    }

    /// The pairs in order: the name of a log and its position, each if it is one.
    pub fn pairs(self) -> impl Iterator<Item = (Option<Cow<'a, str>>, Option<Position>)> {
        self.0.split(',').map(|pair| {
            let (name, token) = pair.rsplit_once(':').unwrap_or_default();
            let name = percent_decode_str(name).decode_utf8().ok();
            (name, token.parse().ok())
        })
    }

    /// The text for these logs.
    #[must_use]
    pub fn encode<'p>(positions: impl IntoIterator<Item = (&'p str, Position)>) -> String {
        let mut text = String::new();
        for (log, position) in positions {
            let comma = if text.is_empty() { "" } else { "," };
            // A String takes everything.
            let _ = write!(
                text,
                "{comma}{}:{position}",
                utf8_percent_encode(log, IN_NAMES)
            );
        }
        text
    }
}

/// What is written in another way in the names of logs.
const IN_NAMES: &AsciiSet = &CONTROLS.add(b'%').add(b':').add(b',');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_from_its_text() {
        let position = Position {
            epoch: Epoch::new(0xabc),
            offset: 42,
        };
        assert_eq!(position.to_string(), "00000abc-42");
        assert_eq!("00000abc-42".parse(), Ok(position));
        assert_eq!("00000abc-42".parse(), Ok(Since::After(position)));
        assert_eq!("".parse(), Ok(Since::Oldest));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in [
            "x",
            "-",
            "00000abc",
            "00000abc-",
            "00000abc--1",
            "00000abc-+1",
            "00000abc-01",
            "00000ABC-1",
            "0000abc-1",
            "00000abc-18446744073709551616",
            "00000abc-1 ",
        ] {
            assert_eq!(text.parse::<Position>(), Err(BadPosition), "{text:?}");
        }
    }

    #[test]
    fn positions_of_several_logs_are_told_apart() {
        let at = |offset| Position {
            epoch: Epoch::new(1),
            offset,
        };
        let text = Positions::encode([("a", at(1)), ("b,:%", at(2)), ("@ü", at(3))]);
        assert_eq!(
            text,
            "a:00000001-1,b%2C%3A%25:00000001-2,@%C3%BC:00000001-3"
        );
        let positions = Positions::new(&text);
        assert_eq!(positions.of("b,:%"), Some("00000001-2"));
        assert_eq!(positions.of("@ü"), Some("00000001-3"));
        assert_eq!(positions.of("c"), None);
        assert_eq!(Positions::new("x").of("c"), Some("x"));
        assert_eq!(Positions::new("").of("c"), Some(""));
    }
}

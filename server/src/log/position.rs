//! Places in logs, and the tokens that clients keep of them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

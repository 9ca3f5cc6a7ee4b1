//! Uploaded files: what they are called, what is known of them, and the directory that keeps them.
//!
//! Files that clients sent are neither changed nor looked into, and a client never names a path: it names a [`FileId`],
//! which the server chose.

mod store;

use std::fmt;
use std::io::{self, ErrorKind};

use serde::{Deserialize, Serialize};

pub use store::{FileStore, Partial, Stored};

/// Hexadecimal digits of an id: 128 random bits.
const ID_DIGITS: usize = 32;

/// The name of a file: random, so that who was not told it does not find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId(u128);

impl FileId {
    /// One that nobody guesses, from the system's entropy.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Reads what [`Display`](fmt::Display) wrote; `None` for anything else, so that no text of a client becomes a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != ID_DIGITS || !text.bytes().all(is_digit) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What is known of a file; it is stored with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Bytes.
    pub size: u64,
    /// The content type that it is served as.
    #[serde(rename = "type")]
    pub content_type: String,
    /// What its sender calls it; a hint for who saves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The process, or the system, has too many files open; the same numbers on every Unix.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// Why a file is not stored or not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// There is none.
    NotFound,
    /// No space is left, or no more is granted.
    Full,
    /// Too many are on their way already.
    Busy,
    /// The disk failed: what it said.
    Failed(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file"),
            Self::Full => f.write_str("no space is left where files are kept"),
            Self::Busy => f.write_str("too many files are being sent"),
            Self::Failed(what) => write!(f, "the storage of files failed: {what}"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
        match error.raw_os_error() {
            Some(EMFILE | ENFILE) => Self::Busy,
            _ if full.contains(&error.kind()) => Self::Full,
            _ => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let id = FileId::random();
        assert_eq!(id.to_string().len(), ID_DIGITS);
        assert_eq!(FileId::parse(&id.to_string()), Some(id));
        assert_eq!(FileId::parse(&FileId(1).to_string()), Some(FileId(1)));
        assert_ne!(FileId::random(), id);
    }

    #[test]
    fn a_full_disk_and_a_full_quota_are_full_and_too_many_open_files_is_busy() {
        for (number, expected) in [
            (28, FileError::Full),
            (122, FileError::Full),
            (EMFILE, FileError::Busy),
            (ENFILE, FileError::Busy),
        ] {
            assert_eq!(
                FileError::from(io::Error::from_raw_os_error(number)),
                expected
            );
        }
        let denied = FileError::from(io::Error::from_raw_os_error(13));
        assert!(matches!(denied, FileError::Failed(_)), "{denied:?}");
    }

    #[test]
    fn nothing_else_is_an_id() {
        let good = FileId(u128::MAX).to_string();
        for bad in [
            "",
            "..",
            "0",
            "/etc/passwd",
            &good.to_uppercase(),
            &good[1..],
            &format!("{good}0"),
            &format!("+{}", &good[1..]),
            &format!("../{}", &good[3..]),
            &format!("{}\0", &good[1..]),
        ] {
            assert_eq!(FileId::parse(bad), None, "{bad:?}");
        }
    }
}

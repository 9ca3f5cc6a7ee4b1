//! The scripts that run in Redis: their text and their digest. Each is loaded when a link is opened, and called by its digest.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha1::{Digest as _, Sha1};

/// A script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// `Command::Greet`.
    Greet,
    /// `Command::Vouch`.
    Vouch,
    /// `Command::Open`.
    Open,
    /// `Command::Append`.
    Append,
    /// `Command::Page`.
    Page,
    /// `Command::Mark`.
    Mark,
    /// `Command::Beat`.
    Beat,
}

impl Script {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Greet,
        Self::Vouch,
        Self::Open,
        Self::Append,
        Self::Page,
        Self::Mark,
        Self::Beat,
    ];

    /// Its text, with what all have in common in front.
    #[must_use]
    pub const fn source(self) -> &'static str {
        macro_rules! source {
            ($file:literal) => {
                concat!(
                    include_str!("../script/record.lua"),
                    include_str!(concat!("../script/", $file))
                )
            };
        }
        match self {
            Self::Greet => source!("greet.lua"),
            Self::Vouch => source!("vouch.lua"),
            Self::Open => source!("open.lua"),
            Self::Append => source!("append.lua"),
            Self::Page => source!("page.lua"),
            Self::Mark => source!("mark.lua"),
            Self::Beat => source!("beat.lua"),
        }
    }

    /// The SHA-1 of its text, by which Redis knows it.
    #[must_use]
    pub fn digest(self) -> &'static str {
        static DIGESTS: LazyLock<[String; 7]> = LazyLock::new(|| {
            Script::ALL.map(|script| {
                let digest = Sha1::digest(script.source());
                digest.iter().fold(String::new(), |mut text, byte| {
                    // A String takes everything.
                    let _ = write!(text, "{byte:02x}");
                    text
                })
            })
        });
        &DIGESTS[self as usize]
    }
}

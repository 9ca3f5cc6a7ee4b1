//! What a connection or a request may do: everything where no keys are configured, what its token grants where some are, and
//! nothing before a token was shown.

use std::fmt;
use std::sync::Arc;

use crate::ids::{BROADCAST_LOG, LogName, UserName};
use crate::log::Pattern;

/// What somebody may do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Be a member, and hear what is said from then on.
    Join,
    /// Say something, be it that one is typing.
    Publish,
    /// Read what was said before, and follow without being a member.
    Read,
}

/// Rooms, and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) rooms: Pattern,
    pub(super) join: bool,
    pub(super) publish: bool,
    pub(super) read: bool,
}

/// What a good token said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub(super) user: UserName,
    /// `None`: the token says nothing about rooms, and grants all of them.
    pub(super) rooms: Option<Box<[Grant]>>,
    pub(super) is_server: bool,
    pub(super) is_admin: bool,
    /// When the token ends, in milliseconds since 1970, ...
    pub(super) expires_ms: u64,
    /// ... and when that counts.
    pub(super) ends_ms: u64,
}

/// On what ground something is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Access {
    /// No keys are configured: whoever reaches the server may do everything.
    Open,
    /// A token was shown.
    Of(Arc<Identity>),
    /// None was shown yet.
    #[default]
    Awaited,
}

/// Why something is not allowed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Forbidden {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl Grant {
    const fn has(&self, right: Right) -> bool {
        match right {
            Right::Join => self.join,
            Right::Publish => self.publish,
            Right::Read => self.read,
        }
    }
}

impl Identity {
    /// The user.
    #[must_use]
    pub const fn user(&self) -> &UserName {
        &self.user
    }

    /// When the token says that it ends, in milliseconds since 1970.
    #[must_use]
    pub const fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// When that counts: the leeway later.
    #[must_use]
    pub const fn ends_ms(&self) -> u64 {
        self.ends_ms
    }

    fn has(&self, right: Right, room: &str) -> bool {
        let has = |grant: &Grant| grant.has(right) && grant.rooms.matches(room);
        self.rooms
            .as_ref()
            .is_none_or(|grants| grants.iter().any(has))
    }
}

impl Access {
    /// Who the token is for; nobody certain without one.
    #[must_use]
    pub fn user(&self) -> Option<&UserName> {
        self.identity().map(|identity| &identity.user)
    }

    /// What the token said.
    #[must_use]
    pub const fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Of(identity) => Some(identity),
            Self::Open | Self::Awaited => None,
        }
    }

    /// Whether the right holds in the room.
    #[must_use]
    pub fn has(&self, right: Right, room: &str) -> bool {
        match self {
            Self::Open => true,
            Self::Of(identity) => identity.has(right, room),
            Self::Awaited => false,
        }
    }

    /// Checks whether the holder operates the server; without keys that is for others to judge.
    ///
    /// # Errors
    /// The token has no `admin` right.
    pub fn allow_operating(&self) -> Result<(), Forbidden> {
        match self {
            Self::Open => Ok(()),
            Self::Of(identity) if identity.is_admin => Ok(()),
            Self::Of(_) | Self::Awaited => {
                let sentence = "Your token has no `admin` right, which operating the server takes.";
                Err(Forbidden::new(sentence))
            }
        }
    }

    /// Checks a right.
    ///
    /// # Errors
    /// The token does not grant it.
    pub fn allow(&self, right: Right, room: &str) -> Result<(), Forbidden> {
        if self.has(right, room) {
            return Ok(());
        }
        let what = match right {
            Right::Join => "join",
            Right::Publish => "write to",
            Right::Read => "read",
        };
        let sentence = format!("Your token does not let you {what} the room {room:?}.");
        Err(Forbidden::new(sentence))
    }

    /// Checks whether they may know who is in a room: whoever may join or read it finds out anyway.
    ///
    /// # Errors
    /// They may do neither.
    pub fn allow_presence(&self, room: &str) -> Result<(), Forbidden> {
        if self.has(Right::Join, room) {
            return Ok(());
        }
        self.allow(Right::Read, room)
    }

    /// Checks whether they may read a log: a room's, their own private messages, the broadcasts.
    ///
    /// # Errors
    /// They may not.
    pub fn allow_reading(&self, log: &LogName) -> Result<(), Forbidden> {
        match (self, log.as_str()) {
            (Self::Open, _) => Ok(()),
            (Self::Awaited, _) => Err(Forbidden::new("Show a token first.")),
            (Self::Of(_), BROADCAST_LOG) => Ok(()),
            (Self::Of(identity), name) if name.starts_with('@') => {
                let others = "These are the private messages of somebody else.";
                let is_own = identity.user.log() == *log;
                is_own.then_some(()).ok_or_else(|| Forbidden::new(others))
            }
            (Self::Of(_), room) => self.allow(Right::Read, room),
        }
    }

    /// Checks whether they may write into a log: a room's, anybody's private messages, and as a server the broadcasts.
    ///
    /// # Errors
    /// They may not.
    pub fn allow_writing(&self, log: &LogName) -> Result<(), Forbidden> {
        match (self, log.as_str()) {
            (Self::Open, _) => Ok(()),
            (Self::Awaited, _) => Err(Forbidden::new("Show a token first.")),
            (Self::Of(identity), BROADCAST_LOG) => {
                let only = "Only a token with the right \"server\" may write to everybody.";
                let is_server = identity.is_server;
                is_server.then_some(()).ok_or_else(|| Forbidden::new(only))
            }
            (Self::Of(_), name) if name.starts_with('@') => Ok(()),
            (Self::Of(_), room) => self.allow(Right::Publish, room),
        }
    }

    /// Whose name is used: the token's user, unless a server speaks for another one.
    ///
    /// # Errors
    /// The token is somebody else's.
    pub fn speaker(&self, named: Option<UserName>) -> Result<Option<UserName>, Forbidden> {
        match (self, named) {
            (Self::Of(identity), Some(named)) if identity.is_server => Ok(Some(named)),
            (_, named) => self.person(named),
        }
    }

    /// Who it is: the token's user, whom a request may name, too.
    ///
    /// # Errors
    /// The token is somebody else's.
    pub fn person(&self, named: Option<UserName>) -> Result<Option<UserName>, Forbidden> {
        let Some(user) = self.user() else {
            return Ok(named);
        };
        if named.is_some_and(|named| named != *user) {
            let sentence = format!("Your token is for {:?} and nobody else.", user.as_str());
            return Err(Forbidden::new(sentence));
        }
        Ok(Some(user.clone()))
    }
}

//! What the chat wants done: values that the loop carries out, in order.

use std::sync::Arc;

use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::event::Event;
use crate::auth::{Access, Identity};
use crate::ids::{Arrival, ConnId, LogName, RoomName, Session, UserName};
use crate::log::{BadPosition, Draft, Part, Position, Positions, ReadFrom, Since};

/// What a connection says of itself in its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joiner {
    /// The name; a guest without.
    pub user: Option<UserName>,
    /// The session; a random one without.
    pub session: Option<Session>,
    /// Rooms to join at once; the first is where messages without a type go.
    pub rooms: Vec<RoomName>,
    /// The position behind which those rooms' messages are missing.
    pub since: Option<String>,
    /// By what token it comes, if it has shown one.
    pub access: Access,
    /// A token that it shows, and that nobody has looked at yet.
    pub token: Option<Box<str>>,
    /// It says itself which of its user's private messages and broadcasts it follows, and since when; and is in no room from before.
    pub chooses: bool,
    /// When its request was read.
    pub arrived: Arrival,
}

impl Joiner {
    /// Whether it goes on in each of its rooms from a place that it has been at.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        let since = self.since.as_deref().filter(|since| !since.is_empty());
        let is_named = |room: &RoomName| {
            let token = since.and_then(|since| Positions::new(since).of(room.as_str()));
            token.is_some_and(|token| !token.is_empty())
        };
        since.is_some() && self.rooms.iter().all(is_named)
    }

    /// Up to where it has its user's private messages, as it says.
    #[must_use]
    pub fn receipt(&self) -> Option<(LogName, Position)> {
        let log = self.user.as_ref()?.log();
        let position = named(self.since.as_deref(), log.as_str())?.parse().ok()?;
        Some((log, position))
    }
}

/// What `since` says about a log that is not a room: one position alone is not meant for it.
pub(super) fn named<'a>(since: Option<&'a str>, log: &str) -> Option<&'a str> {
    since
        .filter(|since| since.contains(':'))
        .and_then(|since| Positions::new(since).of(log))
}

/// Connections that are left out of an announcement: nearly always one.
pub type Except = SmallVec<[ConnId; 1]>;

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Tell one connection.
    Send(ConnId, Event),
    /// Tell many.
    Announce {
        /// Who follows.
        to: Audience,
        /// Whom to leave out.
        except: Except,
        /// What.
        event: Event,
    },
    /// Give a message its place, tell its sender what [`appended`](super::appended) says, and show it to the log's followers.
    Append(Append),
    /// Let a connection follow a log, and once it is at the head call [`Hub::followed`](super::Hub::followed).
    Follow(Box<Follow>),
    /// Tell a connection that it has joined, before anything that comes behind the position that the event names.
    Joined {
        /// Who.
        conn: ConnId,
        /// The [number](Follow::ticket) of its way to the head.
        ticket: u32,
        /// What it is told.
        event: Event,
    },
    /// Let it follow a log no more.
    Unfollow(ConnId, LogName),
    /// Read a page, and answer with what [`history`](super::history) makes of it.
    Read(Reading),
    /// A connection has shown a token: see to when it ends.
    Authorized(ConnId, Arc<Identity>),
    /// Close a connection.
    Close(ConnId, Parting),
}

impl Effect {
    /// The connection that it is about; none if it is about many.
    #[must_use]
    pub fn conn(&self) -> Option<ConnId> {
        match self {
            Self::Send(conn, _)
            | Self::Joined { conn, .. }
            | Self::Unfollow(conn, _)
            | Self::Authorized(conn, _)
            | Self::Close(conn, _) => Some(*conn),
            Self::Append(append) => Some(append.conn),
            Self::Follow(follow) => Some(follow.conn),
            Self::Read(reading) => Some(reading.conn),
            Self::Announce { .. } => None,
        }
    }
}

/// A group of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Those in a room.
    Room(RoomName),
}

/// A message on its way into a log.
#[derive(Debug)]
pub struct Append {
    /// The log.
    pub log: LogName,
    /// Who sends it.
    pub conn: ConnId,
    /// Whether the sender is to get it as others do, and not only its ack.
    pub comes_back: bool,
    pub(super) from: UserName,
    pub(super) session: Session,
    pub(super) content: Box<RawValue>,
    pub(super) seq: Option<Box<RawValue>>,
    pub(super) id: Option<Box<RawValue>>,
}

impl Append {
    /// The bytes of the content.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.content.get().len()
    }

    /// What goes into the log.
    #[must_use]
    pub fn draft(&self, time: u64) -> Draft {
        Draft {
            log: self.log.clone(),
            from: self.from.clone(),
            session: self.session.clone(),
            seq: self.seq.clone(),
            content: self.content.clone(),
            time,
        }
    }
}

/// A connection that is to follow a log.
#[derive(Debug)]
pub struct Follow {
    /// The log.
    pub log: LogName,
    /// The connection.
    pub conn: ConnId,
    /// From where on.
    pub from: ReadFrom,
    /// From where on it wanted to, where its token lets it hear only what is said from now on: it is told of a gap from there.
    pub(super) denied_since: Option<String>,
    /// What it said of that, where it is no position: it is told of a gap from there.
    pub bad_since: Option<String>,
    /// Tells its way to the head from others of the same connection; who carries it out sets it.
    pub ticket: u32,
    /// The room it joins, if it is one: it is told when it is at the head.
    pub(super) room: Option<RoomName>,
    pub(super) with_since: bool,
    pub(super) id: Option<Box<RawValue>>,
}

/// A page of a log for a connection that asked for history.
#[derive(Debug)]
pub struct Reading {
    /// The log.
    pub log: LogName,
    /// Which part.
    pub part: Part,
    /// How many entries at most.
    pub limit: usize,
    /// Who asks.
    pub conn: ConnId,
    pub(super) id: Option<Box<RawValue>>,
}

impl Follow {
    /// A connection that follows a log from `since` on; from now if it does not say, and a user's own messages from what
    /// has not arrived yet.
    #[must_use]
    pub fn new(conn: ConnId, log: LogName, since: Option<&str>) -> Self {
        let parsed = since.map(str::parse::<Since>);
        let bad_since = match (since, parsed) {
            (Some(since), Some(Err(BadPosition))) => Some(since.chars().take(64).collect()),
            _ => None,
        };
        let from = match parsed {
            Some(Ok(since)) => ReadFrom::Since(since),
            // Nobody knows what it missed: it gets all there is, behind a gap.
            Some(Err(BadPosition)) => ReadFrom::Since(Since::Oldest),
            None if log.as_str().starts_with('@') => ReadFrom::Mark,
            None => ReadFrom::Since(Since::Now),
        };
        Self {
            log,
            conn,
            from,
            bad_since,
            denied_since: None,
            ticket: 0,
            room: None,
            with_since: since.is_some(),
            id: None,
        }
    }

    /// Whether the hub is to hear that the connection is at the head, and says that it has joined.
    #[must_use]
    pub const fn is_joining(&self) -> bool {
        self.room.is_some()
    }
}

/// Why the chat ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// A newer connection has its session.
    Replaced,
    /// It sent too many messages in a row that are no command.
    BadMessages,
    /// Its user has too many others.
    TooMany,
    /// The token that was to let it in is not accepted.
    Unauthorized,
}

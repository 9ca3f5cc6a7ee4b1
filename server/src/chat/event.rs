//! What a client is told, as values: which bytes they are is the business of the connection's
//! [dialect](crate::transport::dialect). As JSON it is one object a message, with the field names of docs/PROTOCOL.md.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::ids::{BROADCAST_LOG, ConnId, LogName, RoomName, Session, UserName};
use crate::log::{Entry, Epoch, Gap, Position};

/// An event, and where it answers a request, that request's `id`.
#[derive(Debug, Clone, Serialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
#[allow(
    missing_docs,
    reason = "the fields are the protocol's, described in docs/PROTOCOL.md"
)]
pub enum Event {
    Welcome {
        session: Session,
        user: UserName,
        /// What this connection is called, for whoever complains about it.
        connection: ConnId,
        msg: String,
        heartbeat: u64,
        time: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
    System {
        room_id: RoomName,
        event: &'static str,
        user: UserName,
        content: String,
    },
    Ack {
        seq: Box<RawValue>,
        room_id: LogName,
        offset: u64,
        epoch: Epoch,
        time: u64,
        #[serde(skip_serializing_if = "is_false")]
        dup: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
    Joined {
        room_id: RoomName,
        position: Position,
        recovered: bool,
        members: Vec<UserName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
    Gap {
        room_id: LogName,
        /// What the client said, where that is no position.
        from: String,
        to: Position,
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
    Left {
        room_id: RoomName,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
    History {
        room_id: LogName,
        #[serde(serialize_with = "as_followers_see_them")]
        messages: Vec<Arc<Entry>>,
        position: Position,
        more: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
    Presence {
        room_id: RoomName,
        members: Vec<UserName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
    Typing {
        room_id: RoomName,
        user: UserName,
    },
    TokenExpiring {
        seconds: u64,
    },
    Close {
        code: u16,
        reason: String,
    },
    Reconnect {
        /// Milliseconds.
        after: u64,
    },
    Heartbeat {
        time: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
    Error {
        code: &'static str,
        message: Cow<'static, str>,
        /// Milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<Box<RawValue>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Box<RawValue>>,
    },
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Entries in a list.
///
/// # Errors
/// The serializer's.
pub fn as_followers_see_them<S: Serializer>(
    entries: &[Arc<Entry>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(entries.iter().map(|entry| Shown::new(entry)))
}

impl Event {
    /// What a follower is told that it misses; `from` is what it said itself, where that is no position.
    #[must_use]
    pub fn gap(log: &LogName, from: Option<String>, gap: &Gap, id: Option<Box<RawValue>>) -> Self {
        Self::Gap {
            room_id: log.clone(),
            from: from.unwrap_or_else(|| gap.from.to_string()),
            to: gap.to,
            reason: gap.reason.as_str(),
            id,
        }
    }

    /// What a client over HTTP is told where a WebSocket would get a Close frame.
    #[must_use]
    pub fn close(code: u16, reason: &str) -> Self {
        let reason = reason.to_owned();
        Self::Close { code, reason }
    }

    /// The `id` of the request that it answers.
    #[must_use]
    pub fn id(&self) -> Option<&RawValue> {
        match self {
            Self::Welcome { id, .. }
            | Self::Ack { id, .. }
            | Self::Joined { id, .. }
            | Self::Gap { id, .. }
            | Self::Left { id, .. }
            | Self::History { id, .. }
            | Self::Presence { id, .. }
            | Self::Heartbeat { id, .. }
            | Self::Error { id, .. } => id.as_deref(),
            Self::System { .. }
            | Self::Typing { .. }
            | Self::TokenExpiring { .. }
            | Self::Close { .. }
            | Self::Reconnect { .. } => None,
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Strings, numbers and raw JSON have no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An entry, as its log's followers see it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
#[allow(
    missing_docs,
    reason = "the fields are the protocol's, described in docs/PROTOCOL.md"
)]
pub enum Shown<'a> {
    RoomMsg {
        room_id: &'a str,
        offset: u64,
        epoch: Epoch,
        from: &'a str,
        content: &'a RawValue,
        time: u64,
    },
    PrivateMsg {
        from: &'a str,
        content: &'a RawValue,
        time: u64,
        offset: u64,
        epoch: Epoch,
    },
    Broadcast {
        from: &'a str,
        content: &'a RawValue,
        time: u64,
        offset: u64,
        epoch: Epoch,
    },
}

impl<'a> Shown<'a> {
    /// Which of them it is, its log says.
    #[must_use]
    pub fn new(entry: &'a Entry) -> Self {
        let draft = &entry.draft;
        let (from, content, time) = (draft.from.as_str(), &*draft.content, draft.time);
        let Position { epoch, offset } = entry.position;
        let log = draft.log.as_str();
        if log == BROADCAST_LOG {
            Self::Broadcast {
                from,
                content,
                time,
                offset,
                epoch,
            }
        } else if log.starts_with('@') {
            Self::PrivateMsg {
                from,
                content,
                time,
                offset,
                epoch,
            }
        } else {
            Self::RoomMsg {
                room_id: log,
                offset,
                epoch,
                from,
                content,
                time,
            }
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn to_text(self) -> String {
        // As an event's.
        serde_json::to_string(&self).unwrap_or_default()
    }
}

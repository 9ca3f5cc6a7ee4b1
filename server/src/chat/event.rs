//! What a client is told: one JSON object a message, with the field names of docs/PROTOCOL.md.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::ids::{BROADCAST_LOG, LogName};
use crate::log::{Entry, Epoch, Gap, Position};

/// An event, and where it answers a request, that request's `id`.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
#[allow(
    missing_docs,
    reason = "the fields are the protocol's, described in docs/PROTOCOL.md"
)]
pub enum Event<'a> {
    Welcome {
        session: &'a str,
        user: &'a str,
        /// What this connection is called, for whoever complains about it.
        connection: &'a str,
        msg: &'a str,
        heartbeat: u64,
        time: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
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
    System {
        room_id: &'a str,
        event: &'a str,
        user: &'a str,
        content: &'a str,
    },
    Ack {
        seq: &'a RawValue,
        room_id: &'a str,
        offset: u64,
        epoch: Epoch,
        time: u64,
        #[serde(skip_serializing_if = "is_false")]
        dup: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Joined {
        room_id: &'a str,
        position: Position,
        recovered: bool,
        members: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Gap {
        room_id: &'a str,
        from: &'a str,
        to: Position,
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Left {
        room_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    History {
        room_id: &'a str,
        messages: Vec<Self>,
        position: Position,
        more: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Presence {
        room_id: &'a str,
        members: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Typing {
        room_id: &'a str,
        user: &'a str,
    },
    TokenExpiring {
        seconds: u64,
    },
    Close {
        code: u16,
        reason: &'a str,
    },
    Reconnect {
        after: u64,
    },
    Heartbeat {
        time: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Error {
        code: &'a str,
        message: &'a str,
        /// Milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What followers of its log are told of an entry: the JSON text.
#[must_use]
pub fn entry_text(entry: &Entry) -> String {
    Event::of_entry(entry).to_text()
}

/// What a follower is told that it misses; `from` is what it said itself, where that is no position, and `id` that of its
/// request, if it asked for just this.
#[must_use]
pub fn gap_text(log: &LogName, from: Option<&str>, gap: &Gap, id: Option<&RawValue>) -> String {
    let position = gap.from.to_string();
    Event::Gap {
        room_id: log.as_str(),
        from: from.unwrap_or(&position),
        to: gap.to,
        reason: gap.reason.as_str(),
        id,
    }
    .to_text()
}

/// When a client is to come back that is about to be closed, in milliseconds.
#[must_use]
pub fn reconnect_text(after: u64) -> String {
    Event::Reconnect { after }.to_text()
}

/// What a client over HTTP is told where a WebSocket would get a Close frame.
#[must_use]
pub fn close_text(code: u16, reason: &str) -> String {
    Event::Close { code, reason }.to_text()
}

/// What a client is told before its token ends.
#[must_use]
pub fn token_expiring_text(seconds: u64) -> String {
    Event::TokenExpiring { seconds }.to_text()
}

impl<'a> Event<'a> {
    /// An entry, as its log's followers see it.
    #[must_use]
    pub fn of_entry(entry: &'a Entry) -> Self {
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
    pub fn to_text(&self) -> String {
        // Strings, numbers and raw JSON have no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

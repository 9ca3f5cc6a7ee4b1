//! What a client is told: one JSON object a message, with the field names of docs/PROTOCOL.md.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::log::Epoch;

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
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Joined {
        room_id: &'a str,
        position: &'a str,
        recovered: bool,
        members: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Gap {
        room_id: &'a str,
        from: &'a str,
        to: &'a str,
        reason: &'a str,
    },
    Left {
        room_id: &'a str,
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
    Heartbeat {
        time: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Error {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
}

impl Event<'_> {
    /// The JSON text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Strings, numbers and raw JSON have no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

//! From what the chat tells to binary messages.

use prost::Message as _;
use serde_json::value::RawValue;

use super::binary;
use super::schema::entry::Content;
use super::schema::event::Event as Told;
use super::schema::{
    Ack, Close, Entry, Error, Event as Sent, Gap, Heartbeat, Joined, Members, Page, Reconnect,
    RoomOnly, System, TokenExpiring, Typing, Welcome, ack, error,
};
use crate::chat::{Event, Shown};
use crate::ids::UserName;
use crate::log::Entry as Kept;

/// What followers of its log get of an entry.
#[must_use]
pub(crate) fn entry(entry: &Kept) -> Vec<u8> {
    let event = match Shown::new(entry) {
        Shown::RoomMsg { .. } => Told::RoomMsg(message(entry)),
        Shown::PrivateMsg { .. } => Told::PrivateMsg(message(entry)),
        Shown::Broadcast { .. } => Told::Broadcast(message(entry)),
    };
    encode(None, event)
}

/// Anything else that a connection is told.
#[must_use]
pub(crate) fn event(event: &Event) -> Vec<u8> {
    let id = event.id().and_then(number);
    encode(id, told(event))
}

fn encode(id: Option<u64>, event: Told) -> Vec<u8> {
    let event = Some(event);
    Sent { id, event }.encode_to_vec()
}

fn told(event: &Event) -> Told {
    match event {
        Event::Welcome {
            session,
            user,
            connection,
            msg,
            heartbeat,
            time,
            id: _,
        } => Told::Welcome(Welcome {
            session: session.as_str().to_owned(),
            user: user.to_string(),
            connection: connection.to_string(),
            msg: msg.clone(),
            heartbeat: *heartbeat,
            time: *time,
        }),
        Event::System {
            room_id,
            event,
            user,
            content,
        } => Told::System(System {
            room_id: room_id.to_string(),
            event: (*event).to_owned(),
            user: user.to_string(),
            content: content.clone(),
        }),
        Event::Ack {
            seq,
            room_id,
            offset,
            epoch,
            time,
            dup,
            id: _,
        } => Told::Ack(Ack {
            number: Some(
                number(seq).map_or_else(|| ack::Number::SeqText(text(seq)), ack::Number::Seq),
            ),
            room_id: room_id.to_string(),
            offset: *offset,
            epoch: epoch.number(),
            time: *time,
            dup: *dup,
        }),
        Event::Joined {
            room_id,
            position,
            recovered,
            members,
            id: _,
        } => Told::Joined(Joined {
            room_id: room_id.to_string(),
            position: position.to_string(),
            recovered: *recovered,
            members: names(members),
        }),
        Event::Gap {
            room_id,
            from,
            to,
            reason,
            id: _,
        } => Told::Gap(Gap {
            room_id: room_id.to_string(),
            from: from.clone(),
            to: to.to_string(),
            reason: (*reason).to_owned(),
        }),
        Event::Left { room_id, id: _ } => Told::Left(RoomOnly {
            room_id: room_id.to_string(),
        }),
        Event::History {
            room_id,
            messages,
            position,
            more,
            id: _,
        } => Told::History(Page {
            room_id: room_id.to_string(),
            messages: messages.iter().map(|entry| message(entry)).collect(),
            position: position.to_string(),
            more: *more,
        }),
        Event::Presence {
            room_id,
            members,
            id: _,
        } => Told::Presence(Members {
            room_id: room_id.to_string(),
            members: names(members),
        }),
        Event::Typing { room_id, user } => Told::Typing(Typing {
            room_id: room_id.to_string(),
            user: user.to_string(),
        }),
        Event::TokenExpiring { seconds } => {
            Told::TokenExpiring(TokenExpiring { seconds: *seconds })
        }
        Event::Close { code, reason } => Told::Close(Close {
            code: (*code).into(),
            reason: reason.clone(),
        }),
        Event::Reconnect { after } => Told::Reconnect(Reconnect { after: *after }),
        Event::Heartbeat { time, id: _ } => Told::Heartbeat(Heartbeat { time: *time }),
        Event::Error {
            code,
            message,
            retry_after,
            seq,
            id: _,
        } => Told::Error(Error {
            code: (*code).to_owned(),
            message: message.clone().into_owned(),
            retry_after: *retry_after,
            number: seq.as_deref().map(|seq| {
                number(seq).map_or_else(|| error::Number::SeqText(text(seq)), error::Number::Seq)
            }),
        }),
    }
}

fn message(entry: &Kept) -> Entry {
    let draft = &entry.draft;
    let room_id = match Shown::new(entry) {
        Shown::RoomMsg { room_id, .. } => room_id.to_owned(),
        Shown::PrivateMsg { .. } | Shown::Broadcast { .. } => String::new(),
    };
    let content = binary::bytes_of(&draft.content).map_or_else(
        || Content::Json(draft.content.get().to_owned()),
        Content::Binary,
    );
    Entry {
        room_id,
        offset: entry.position.offset,
        epoch: entry.position.epoch.number(),
        from: draft.from.to_string(),
        content: Some(content),
        time: draft.time,
    }
}

fn names(users: &[UserName]) -> Vec<String> {
    users.iter().map(UserName::to_string).collect()
}

/// Whoever speaks this has said only numbers of this kind, and texts.
fn number(json: &RawValue) -> Option<u64> {
    json.get().parse().ok()
}

fn text(json: &RawValue) -> String {
    serde_json::from_str(json.get()).unwrap_or_else(|_| json.get().to_owned())
}

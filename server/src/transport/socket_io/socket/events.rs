//! What clients are emitted: from entries and events of the chat to packets. Each event has one object for an argument, and behind it,
//! where connections can be recovered, an offset; an ack has one object.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::attachments::take_out;
use super::names::{Dictionary, Name};
use super::packet::{Kind, MAIN, head};
use crate::chat::{Event, Refused, Shown};
use crate::ids::LogName;
use crate::log::{Entry, Epoch};

/// A packet and what is attached to it.
pub(super) type Attached = (String, Vec<Vec<u8>>);

/// An entry, as an event or a page of history shows it.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    from: &'a str,
    content: &'a RawValue,
    offset: u64,
    epoch: Epoch,
    time: u64,
}

impl<'a> Message<'a> {
    fn new(entry: &'a Entry) -> Self {
        let draft = &entry.draft;
        Self {
            room: match Shown::new(entry) {
                Shown::RoomMsg { room_id, .. } => Some(room_id),
                Shown::PrivateMsg { .. } | Shown::Broadcast { .. } => None,
            },
            from: draft.from.as_str(),
            content: &draft.content,
            offset: entry.position.offset,
            epoch: entry.position.epoch,
            time: draft.time,
        }
    }
}

/// The event that a log's followers get of an entry that has no bytes in it; the same for all that cannot be recovered.
pub(crate) fn entry(entry: &Entry, names: Dictionary) -> String {
    let head = head(Kind::Event, 0, MAIN, None);
    format!("{head}[{}]", entry_arguments(entry, names))
}

/// The same with an offset.
pub(super) fn with_offset(packet: &str, offset: &str) -> String {
    let list = packet.strip_suffix(']').unwrap_or(packet);
    format!("{list},{}]", quoted(offset))
}

/// The event of an entry that has bytes in it.
pub(super) fn entry_with_bytes(entry: &Entry, names: Dictionary, offset: Option<&str>) -> Attached {
    packet(Kind::Event, None, entry_arguments(entry, names), offset)
}

fn entry_arguments(entry: &Entry, names: Dictionary) -> String {
    let event = match Shown::new(entry) {
        Shown::RoomMsg { .. } => Name::Msg,
        Shown::PrivateMsg { .. } => Name::Private,
        Shown::Broadcast { .. } => Name::Broadcast,
    };
    // Strings, numbers and raw JSON have no way to fail.
    let message = serde_json::to_string(&Message::new(entry)).unwrap_or_default();
    format!("{},{message}", names.json(event))
}

/// An event whose argument has no bytes in it.
pub(super) fn emit(
    event: Name,
    argument: &Value,
    names: Dictionary,
    offset: Option<&str>,
) -> String {
    let list = format!("{},{argument}", names.json(event));
    packet(Kind::Event, None, list, offset).0
}

/// An ack.
pub(super) fn ack(id: u64, argument: &str) -> Attached {
    packet(Kind::Ack, Some(id), argument.to_owned(), None)
}

fn packet(kind: Kind, id: Option<u64>, mut list: String, offset: Option<&str>) -> Attached {
    if let Some(offset) = offset {
        list.push(',');
        list.push_str(&quoted(offset));
    }
    let (list, attachments) = take_out(&list);
    let head = head(kind, attachments.len(), MAIN, id);
    (format!("{head}[{list}]"), attachments)
}

fn quoted(text: &str) -> String {
    // A string has no way to fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// What the ack of an answered request carries; `None` if an event answers no request.
pub(super) fn answer(event: &Event) -> Option<String> {
    let value = match event {
        Event::Welcome { session, user, .. } => json!({ "user": user, "session": session }),
        Event::Ack {
            room_id,
            offset,
            epoch,
            time,
            dup,
            ..
        } => {
            let mut ack = json!({ "offset": offset, "epoch": epoch, "time": time });
            if let Some(room) = room_of(room_id) {
                ack["room"] = room.into();
            }
            if *dup {
                ack["dup"] = true.into();
            }
            ack
        }
        Event::Joined {
            room_id,
            position,
            recovered,
            members,
            ..
        } => json!({
            "room": room_id, "position": position, "recovered": recovered, "members": members,
        }),
        Event::Left { room_id, .. } => json!({ "room": room_id }),
        Event::Presence {
            room_id, members, ..
        } => json!({ "room": room_id, "members": members }),
        Event::History {
            room_id,
            messages,
            position,
            more,
            ..
        } => {
            let page = Page {
                room: room_id,
                messages: messages.iter().map(|entry| Message::new(entry)).collect(),
                position: position.to_string(),
                more: *more,
            };
            return Some(page.to_json());
        }
        Event::Error {
            code,
            message,
            retry_after,
            ..
        } => refused(code, message, *retry_after),
        Event::Heartbeat { time, .. } => json!({ "time": time }),
        Event::System { .. }
        | Event::Gap { .. }
        | Event::Typing { .. }
        | Event::TokenExpiring { .. }
        | Event::Close { .. }
        | Event::Reconnect { .. } => return None,
    };
    Some(value.to_string())
}

#[derive(Serialize)]
struct Page<'a> {
    room: &'a LogName,
    messages: Vec<Message<'a>>,
    position: String,
    more: bool,
}

impl Page<'_> {
    fn to_json(&self) -> String {
        // It has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An error, and after how many milliseconds to try again, if that helps.
fn refused(code: &str, message: &str, retry_after: Option<u64>) -> Value {
    let mut error = json!({ "code": code, "message": message });
    if let Some(millis) = retry_after {
        error["retryAfter"] = millis.into();
    }
    json!({ "error": error })
}

/// The name of a log if it is a room.
fn room_of(log: &LogName) -> Option<&str> {
    let name = log.as_str();
    (name != LogName::broadcast().as_str() && !name.starts_with('@')).then_some(name)
}

/// What a client is emitted of something that answers nothing.
pub(super) fn news(event: &Event) -> Option<(Name, Value)> {
    Some(match event {
        Event::System {
            room_id,
            event,
            user,
            ..
        } => {
            let name = if *event == "join" {
                Name::Join
            } else {
                Name::Leave
            };
            (name, json!({ "room": room_id, "user": user }))
        }
        Event::Typing { room_id, user } => (Name::Typing, json!({ "room": room_id, "user": user })),
        Event::Gap {
            room_id,
            from,
            to,
            reason,
            ..
        } => (
            Name::Gap,
            json!({ "room": room_id, "from": from, "to": to, "reason": reason }),
        ),
        Event::Joined {
            room_id,
            position,
            recovered,
            members,
            ..
        } => (
            Name::Joined,
            json!({ "room": room_id, "position": position, "recovered": recovered, "members": members }),
        ),
        Event::TokenExpiring { seconds } => (Name::TokenExpiring, json!({ "seconds": seconds })),
        Event::Reconnect { after } => (Name::Restarting, json!({ "after": after })),
        Event::Error { code, message, .. } => {
            (Name::Error, json!({ "code": code, "message": message }))
        }
        Event::Welcome {
            session,
            user,
            connection,
            time,
            ..
        } => (
            Name::Welcome,
            json!({ "user": user, "session": session, "connection": connection, "time": time }),
        ),
        Event::Ack { .. }
        | Event::Left { .. }
        | Event::History { .. }
        | Event::Presence { .. }
        | Event::Close { .. }
        | Event::Heartbeat { .. } => return None,
    })
}

/// What the ack of a request carries that the chat was not asked about.
pub(super) fn refusal(refused: &Refused) -> String {
    self::refused(refused.code, &refused.message, None).to_string()
}

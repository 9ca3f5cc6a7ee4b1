//! From a binary message to a request.

use std::borrow::Cow;

use prost::Message as _;
use serde_json::value::RawValue;

use super::binary;
use super::schema::message::{Content, Number};
use super::schema::request::Command as Said;
use super::schema::{History, Message, Request as Sent};
use crate::chat::{BadCommand, Command, Refused, Request, check_seq};
use crate::transport::dialect::Parsed;

/// Reads a message.
///
/// # Errors
/// It is no `Request`, has no command, or misses a field; the connection stays open.
pub fn parse(bytes: &[u8]) -> Parsed<'static> {
    let sent = Sent::decode(bytes).map_err(|error| BadCommand {
        refused: Refused {
            code: "bad_protobuf",
            message: format!("The message is no Request of tidewire.v1.proto: {error}."),
        },
        seq: None,
        id: None,
    })?;
    let id = sent.id.map(number);
    let seq = sent.command.as_ref().and_then(seq_of);
    let checked = check_seq(seq.as_deref());
    match checked.and_then(|()| command(sent.command, seq.clone())) {
        Ok(command) => Ok(Request { command, id }),
        Err(refused) => Err(BadCommand { refused, seq, id }),
    }
}

type Json = Cow<'static, RawValue>;

fn command(said: Option<Said>, seq: Option<Json>) -> Result<Command<'static>, Refused> {
    let Some(said) = said else {
        let message = "A Request has a command.";
        return Err(missing(message));
    };
    Ok(match said {
        Said::Hello(hello) => Command::Hello {
            user: hello.user.map(Cow::Owned),
            session: hello.session.map(Cow::Owned),
            token: hello.token.map(Cow::Owned),
        },
        Said::JoinRoom(join) => Command::JoinRoom {
            room: Cow::Owned(join.room_id),
            since: join.since.map(Cow::Owned),
        },
        Said::LeaveRoom(leave) => Command::LeaveRoom {
            room: Cow::Owned(leave.room_id),
        },
        Said::RoomMsg(message) => Command::RoomMsg {
            content: content(message.content)?,
            room: message.to.map(Cow::Owned),
            seq,
        },
        Said::PrivateMsg(Message {
            to, content: said, ..
        }) => Command::PrivateMsg {
            to_user: to
                .map(Cow::Owned)
                .ok_or_else(|| missing("A private_msg needs \"to\"."))?,
            content: content(said)?,
            seq,
        },
        Said::Broadcast(message) => Command::Broadcast {
            content: content(message.content)?,
            seq,
        },
        Said::Typing(room) => Command::Typing {
            room: Cow::Owned(room.room_id),
        },
        Said::History(History {
            room_id,
            since,
            before,
            limit,
        }) => Command::History {
            room: Cow::Owned(room_id),
            since: since.map(Cow::Owned),
            before: before.map(Cow::Owned),
            limit,
        },
        Said::Presence(room) => Command::Presence {
            room: Cow::Owned(room.room_id),
        },
        Said::Heartbeat(_) => Command::Heartbeat,
    })
}

fn seq_of(said: &Said) -> Option<Json> {
    let (Said::RoomMsg(message) | Said::PrivateMsg(message) | Said::Broadcast(message)) = said
    else {
        return None;
    };
    match message.number.as_ref()? {
        Number::Seq(seq) => Some(number(*seq)),
        Number::SeqText(text) => serde_json::value::to_raw_value(text).ok().map(Cow::Owned),
    }
}

fn content(said: Option<Content>) -> Result<Json, Refused> {
    match said {
        Some(Content::Json(text)) => {
            let content = RawValue::from_string(text).map_err(|error| Refused {
                code: "bad_json",
                message: format!("\"json\" is the text of a JSON value: {error}."),
            });
            Ok(Cow::Owned(content?))
        }
        Some(Content::Binary(bytes)) => Ok(Cow::Owned(binary::content_of(&bytes))),
        None => Err(missing("A message needs \"json\" or \"binary\".")),
    }
}

fn number(number: u64) -> Json {
    // Digits are JSON.
    let json = RawValue::from_string(number.to_string());
    json.map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}

fn missing(message: &str) -> Refused {
    Refused {
        code: "missing_field",
        message: message.to_owned(),
    }
}

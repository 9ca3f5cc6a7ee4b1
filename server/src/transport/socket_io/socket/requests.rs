//! What a client emits: from an event's name and arguments to a command of the chat.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::names::Name;
use crate::chat::{Command, Refused};
use crate::ids::BROADCAST_LOG;

type Json = Cow<'static, RawValue>;

/// A command, and what has to hold beside what the chat sees to.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) command: Command<'static>,
    /// The room that one has to be in.
    pub(super) room: Option<String>,
}

/// `{room, content, key}` and its like: what many write instead of a list of arguments.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    room: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    content: Option<Box<RawValue>>,
    #[serde(default)]
    key: Option<Box<RawValue>>,
    #[serde(default)]
    since: Option<String>,
}

/// `null` is a content like any other, not an absent one.
fn even_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    <Box<RawValue>>::deserialize(deserializer).map(Some)
}

/// What `history` may say.
#[derive(Deserialize, Default)]
struct Part {
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    before: Option<String>,
    #[serde(default)]
    limit: Option<u64>,
}

/// Reads an event. A message that is to be acknowledged without a key of its own gets `fallback_key`, which nobody uses again.
pub(super) fn read(
    event: Name,
    args: &[&RawValue],
    fallback_key: Option<Json>,
) -> Result<Emitted, Refused> {
    let of = |command| Emitted {
        command,
        room: None,
    };
    Ok(match event {
        Name::Join => {
            let (room, since) = room_and_since(args)?;
            let (room, since) = (room.into(), since.map(Cow::Owned));
            of(Command::JoinRoom { room, since })
        }
        Name::Leave => of(Command::LeaveRoom {
            room: text(args, 0, "room")?.into(),
        }),
        Name::Msg => {
            let message = Said::read(args, |fields| fields.room.take(), "room")?;
            let (seq, content) = (message.key.or(fallback_key), message.content);
            Emitted {
                room: Some(message.to.clone()),
                command: publish(message.to, content, seq),
            }
        }
        Name::Private => {
            let message = Said::read(args, |fields| fields.to.take(), "user")?;
            of(Command::PrivateMsg {
                to_user: message.to.into(),
                content: message.content,
                seq: message.key.or(fallback_key),
            })
        }
        Name::Broadcast => {
            let content = arg(args, 0, "content")?;
            let seq = key(args.get(1).copied()).or(fallback_key);
            of(publish(BROADCAST_LOG.to_owned(), owned(content), seq))
        }
        Name::Typing => of(Command::Typing {
            room: text(args, 0, "room")?.into(),
        }),
        Name::History => of(history(args)?),
        Name::Presence => of(Command::Presence {
            room: text(args, 0, "room")?.into(),
        }),
        Name::Token => of(Command::Hello {
            user: None,
            session: None,
            token: Some(text(args, 0, "token")?.into()),
        }),
        Name::Welcome
        | Name::Joined
        | Name::Gap
        | Name::TokenExpiring
        | Name::Restarting
        | Name::Error => return Err(bad("That is an event that only the server emits.")),
    })
}

fn history(args: &[&RawValue]) -> Result<Command<'static>, Refused> {
    let room = text(args, 0, "room")?;
    let part: Part = match args.get(1) {
        None => Part::default(),
        Some(part) => serde_json::from_str(part.get()).map_err(|_| {
            bad("The second argument of history is an object with since, before and limit.")
        })?,
    };
    Ok(Command::History {
        room: room.into(),
        since: part.since.map(Cow::Owned),
        before: part.before.map(Cow::Owned),
        limit: part.limit,
    })
}

/// A message to a room, a user or everybody. Its sender gets it as others do: `io.to(room).emit` does so.
fn publish(log: String, content: Json, seq: Option<Json>) -> Command<'static> {
    Command::Publish {
        log: log.into(),
        content,
        seq,
        comes_back: true,
    }
}

/// What a message says: as a list of arguments, or as an object.
struct Said {
    to: String,
    content: Json,
    key: Option<Json>,
}

impl Said {
    fn read(
        args: &[&RawValue],
        to: impl FnOnce(&mut Fields) -> Option<String>,
        whom: &str,
    ) -> Result<Self, Refused> {
        if let Some(object) = args.first().filter(|arg| arg.get().starts_with('{')) {
            let mut fields: Fields = fields(object)?;
            let to = to(&mut fields).ok_or_else(|| missing(whom))?;
            let content = fields.content.ok_or_else(|| missing("content"))?;
            return Ok(Self {
                to,
                content: Cow::Owned(content),
                key: key(fields.key.as_deref()),
            });
        }
        Ok(Self {
            to: text(args, 0, whom)?,
            content: owned(arg(args, 1, "content")?),
            key: key(args.get(2).copied()),
        })
    }
}

fn room_and_since(args: &[&RawValue]) -> Result<(String, Option<String>), Refused> {
    if let Some(object) = args.first().filter(|arg| arg.get().starts_with('{')) {
        let fields: Fields = fields(object)?;
        return Ok((fields.room.ok_or_else(|| missing("room"))?, fields.since));
    }
    let since = match args.get(1) {
        None => None,
        Some(since) if since.get() == "null" => None,
        Some(_) => Some(text(args, 1, "since")?),
    };
    Ok((text(args, 0, "room")?, since))
}

fn fields(object: &RawValue) -> Result<Fields, Refused> {
    serde_json::from_str(object.get()).map_err(|_| bad("\"room\", \"to\" and \"since\" are texts."))
}

fn arg<'a>(args: &[&'a RawValue], place: usize, name: &str) -> Result<&'a RawValue, Refused> {
    args.get(place).copied().ok_or_else(|| missing(name))
}

fn text(args: &[&RawValue], place: usize, name: &str) -> Result<String, Refused> {
    let arg = arg(args, place, name)?;
    serde_json::from_str(arg.get()).map_err(|_| Refused {
        code: "bad_field",
        message: format!("Argument {} is the {name}, a text.", place + 1),
    })
}

/// A message's own key; `null` is none.
fn key(value: Option<&RawValue>) -> Option<Json> {
    value.filter(|value| value.get() != "null").map(owned)
}

fn owned(value: &RawValue) -> Json {
    Cow::Owned(value.to_owned())
}

fn missing(name: &str) -> Refused {
    Refused {
        code: "missing_field",
        message: format!("An argument is missing: the {name}."),
    }
}

fn bad(message: &str) -> Refused {
    Refused {
        code: "bad_field",
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(event: Name, args: &str) -> Result<String, &'static str> {
        let args: Vec<&RawValue> = serde_json::from_str(args).unwrap();
        let read = read(event, &args, None).map_err(|refused| refused.code)?;
        Ok(format!("{:?} {:?}", read.command, read.room))
    }

    #[test]
    fn a_message_is_a_list_or_an_object() {
        let list = emitted(Name::Msg, r#"["a",{"x":1},"k"]"#).unwrap();
        let object = emitted(Name::Msg, r#"[{"room":"a","content":{"x":1},"key":"k"}]"#);
        assert_eq!(Ok(&list), object.as_ref());
        assert!(
            list.contains("comes_back: true") && list.ends_with(r#"Some("a")"#),
            "{list}"
        );
        let list = emitted(Name::Private, r#"["bob",7]"#);
        assert_eq!(
            list,
            emitted(Name::Private, r#"[{"to":"bob","content":7}]"#)
        );
        assert_eq!(
            emitted(Name::Join, r#"["a",null]"#),
            emitted(Name::Join, r#"[{"room":"a"}]"#)
        );
        assert!(emitted(Name::Join, r#"["a",""]"#).unwrap().contains("Some"));
        for (event, args) in [
            (Name::Broadcast, "[null]"),
            (Name::Msg, r#"["a",null]"#),
            (Name::Msg, r#"[{"room":"a","content":null}]"#),
        ] {
            assert!(emitted(event, args).is_ok(), "null is a content: {args}");
        }
    }

    #[test]
    fn what_is_missing_or_of_a_wrong_kind_is_told() {
        for (event, args, code) in [
            (Name::Join, "[]", "missing_field"),
            (Name::Join, "[7]", "bad_field"),
            (Name::Join, r#"["a",7]"#, "bad_field"),
            (Name::Join, r#"[{"room":7}]"#, "bad_field"),
            (Name::Join, "[{}]", "missing_field"),
            (Name::Leave, "[null]", "bad_field"),
            (Name::Msg, r#"["a"]"#, "missing_field"),
            (Name::Msg, r#"[{"room":"a"}]"#, "missing_field"),
            (
                Name::Private,
                r#"[{"room":"a","content":1}]"#,
                "missing_field",
            ),
            (Name::Broadcast, "[]", "missing_field"),
            (Name::History, r#"["a",7]"#, "bad_field"),
            (Name::History, r#"["a",{"limit":-1}]"#, "bad_field"),
            (Name::Token, "[{}]", "bad_field"),
            (Name::Joined, "[]", "bad_field"),
        ] {
            assert_eq!(emitted(event, args), Err(code), "{event:?} {args}");
        }
    }
}

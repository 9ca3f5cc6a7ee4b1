//! What a client can say. A [dialect](crate::transport::dialect) makes these of what comes; as JSON it is one object a message,
//! parsed here in one pass, and `content` stays the bytes it was.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::ids::NAME_BYTES_MAX;

/// A command and the `id` that its answer is to carry.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is asked.
    pub command: Command<'a>,
    /// Any JSON value.
    pub id: Option<Cow<'a, RawValue>>,
}

/// What is asked.
#[derive(Debug)]
pub enum Command<'a> {
    /// Say who one is.
    Hello {
        /// The name; unchanged if absent.
        user: Option<Cow<'a, str>>,
        /// The session; unchanged if absent.
        session: Option<Cow<'a, str>>,
        /// A token; the one that was shown before counts on if absent.
        token: Option<Cow<'a, str>>,
    },
    /// Follow a room.
    JoinRoom {
        /// The room.
        room: Cow<'a, str>,
        /// The position behind which messages are missing.
        since: Option<Cow<'a, str>>,
    },
    /// Follow a room no more.
    LeaveRoom {
        /// The room.
        room: Cow<'a, str>,
    },
    /// Append to a room's log.
    RoomMsg {
        /// The room; `None` means that of the address.
        room: Option<Cow<'a, str>>,
        /// Any JSON value.
        content: Cow<'a, RawValue>,
        /// The client's number of the message.
        seq: Option<Cow<'a, RawValue>>,
    },
    /// Append to a user's log.
    PrivateMsg {
        /// The receiver.
        to_user: Cow<'a, str>,
        /// Any JSON value.
        content: Cow<'a, RawValue>,
        /// The client's number of the message.
        seq: Option<Cow<'a, RawValue>>,
    },
    /// Append to everyone's log.
    Broadcast {
        /// Any JSON value.
        content: Cow<'a, RawValue>,
        /// The client's number of the message.
        seq: Option<Cow<'a, RawValue>>,
    },
    /// Append to a log without being in its room, as who publishes over HTTP does.
    Publish {
        /// The log: a room's, `@` and a user's name, or `*`.
        log: Cow<'a, str>,
        /// Any JSON value.
        content: Cow<'a, RawValue>,
        /// The client's number of the message.
        seq: Option<Cow<'a, RawValue>>,
        /// Whether the sender gets it as other followers do: else the ack is its copy.
        comes_back: bool,
    },
    /// Follow one's own private messages (`@` and one's name) or the broadcasts (`*`), of who [chooses](super::Joiner::chooses) that.
    Follow {
        /// The log.
        log: Cow<'a, str>,
        /// The position behind which messages are missing; private messages are followed from what has not arrived yet if absent.
        since: Option<Cow<'a, str>>,
    },
    /// Follow one of these no more.
    Unfollow {
        /// The log.
        log: Cow<'a, str>,
    },
    /// Say what is to be published if the connection ends without goodbye; nothing takes back what was said before.
    Will(Option<Testament<'a>>),
    /// Tell the others in a room that one is typing.
    Typing {
        /// The room.
        room: Cow<'a, str>,
    },
    /// Read a room's log.
    History {
        /// The room; also `@` and the reader's own name, or `*`.
        room: Cow<'a, str>,
        /// What comes behind this position.
        since: Option<Cow<'a, str>>,
        /// What comes before this position.
        before: Option<Cow<'a, str>>,
        /// How many messages at most.
        limit: Option<u64>,
    },
    /// Ask who is in a room.
    Presence {
        /// The room.
        room: Cow<'a, str>,
    },
    /// Ask for a sign of life.
    Heartbeat,
}

/// What is to be published when a connection has ended.
#[derive(Debug)]
pub struct Testament<'a> {
    /// The log: a room's, `@` and a user's name, or `*`.
    pub log: Cow<'a, str>,
    /// Any JSON value.
    pub content: Cow<'a, RawValue>,
    /// How long the session may take to come back: then it is not published.
    pub delay: Duration,
}

/// A message that is no command, with what an answer to it can still carry.
#[derive(Debug)]
pub struct BadCommand<'a> {
    /// What is wrong with it.
    pub refused: Refused,
    /// Its number, where it could be read.
    pub seq: Option<Cow<'a, RawValue>>,
    /// Its id, where it could be read.
    pub id: Option<Cow<'a, RawValue>>,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A stable word.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}

/// Every field that a command can have; which ones it must have depends on `type`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    room_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    to_user: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    session: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    since: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    before: Option<Cow<'a, str>>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    content: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    seq: Option<&'a RawValue>,
}

/// What an answer can still carry where a field is of a wrong type, and which one that is.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Marks<'a> {
    #[serde(borrow, default, deserialize_with = "even_null")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    seq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    room_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    to_user: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session: Option<&'a RawValue>,
    #[serde(borrow, default)]
    token: Option<&'a RawValue>,
    #[serde(borrow, default)]
    since: Option<&'a RawValue>,
    #[serde(borrow, default)]
    before: Option<&'a RawValue>,
    #[serde(borrow, default)]
    limit: Option<&'a RawValue>,
}

/// `null` is an id or a content like any other, not an absent one.
fn even_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Request<'a> {
    /// Reads a text message.
    ///
    /// # Errors
    /// It is no JSON object, has an unknown `type`, or misses a field; the connection stays open.
    pub fn parse(text: &'a str) -> Result<Self, BadCommand<'a>> {
        let bad = |refused, seq: Option<&'a RawValue>, id: Option<&'a RawValue>| BadCommand {
            refused,
            seq: seq.map(Cow::Borrowed),
            id: id.map(Cow::Borrowed),
        };
        let fields = Fields::parse(text).map_err(|refused| {
            let marks = Marks::parse(text);
            bad(marks.wrong_type().unwrap_or(refused), marks.seq, marks.id)
        })?;
        let (seq, id) = (fields.seq, fields.id);
        match check_seq(seq).and_then(|()| Command::from_fields(fields)) {
            Ok(command) => Ok(Self {
                command,
                id: id.map(Cow::Borrowed),
            }),
            Err(refused) => Err(bad(refused, seq, id)),
        }
    }
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, Refused> {
        let fields = serde_json::from_str(text).map_err(|error| Refused::bad_json(&error))?;
        if is_object(text) {
            Ok(fields)
        } else {
            Err(Refused::not_an_object())
        }
    }
}

impl<'a> Marks<'a> {
    /// None where the text is no object, or no JSON at all.
    fn parse(text: &'a str) -> Self {
        let marks = serde_json::from_str(text).ok();
        marks.filter(|_| is_object(text)).unwrap_or_default()
    }

    /// Names the field that is of a wrong type, if that is what is wrong.
    fn wrong_type(&self) -> Option<Refused> {
        let strings = [
            ("type", self.r#type),
            ("roomId", self.room_id),
            ("toUser", self.to_user),
            ("user", self.user),
            ("session", self.session),
            ("token", self.token),
            ("since", self.since),
            ("before", self.before),
        ];
        let is_other = |value: &RawValue| !value.get().starts_with('"');
        let other = strings
            .iter()
            .find(|(_, value)| value.is_some_and(is_other));
        if let Some((name, _)) = other {
            return Some(Refused::wrong_type(name, "a string"));
        }
        let is_other = |value: &RawValue| value.get().parse::<u64>().is_err();
        let is_wrong = self.limit.is_some_and(is_other);
        is_wrong.then(|| Refused::wrong_type("limit", "a whole number"))
    }
}

/// serde would take an array for an object without its names.
fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

impl<'a> Command<'a> {
    /// The client's number of the message, if it has one.
    pub(super) fn seq(&self) -> Option<&RawValue> {
        match self {
            Self::RoomMsg { seq, .. }
            | Self::PrivateMsg { seq, .. }
            | Self::Broadcast { seq, .. }
            | Self::Publish { seq, .. } => seq.as_deref(),
            Self::Hello { .. }
            | Self::JoinRoom { .. }
            | Self::LeaveRoom { .. }
            | Self::Follow { .. }
            | Self::Unfollow { .. }
            | Self::Will(_)
            | Self::Typing { .. }
            | Self::History { .. }
            | Self::Presence { .. }
            | Self::Heartbeat => None,
        }
    }

    /// Whether it may be answered with much more than it is long: a list of members, a page of history.
    #[must_use]
    pub const fn asks_for_much(&self) -> bool {
        match self {
            Self::Hello { .. }
            | Self::JoinRoom { .. }
            | Self::Follow { .. }
            | Self::History { .. }
            | Self::Presence { .. } => true,
            Self::LeaveRoom { .. }
            | Self::RoomMsg { .. }
            | Self::PrivateMsg { .. }
            | Self::Broadcast { .. }
            | Self::Publish { .. }
            | Self::Unfollow { .. }
            | Self::Will(_)
            | Self::Typing { .. }
            | Self::Heartbeat => false,
        }
    }

    /// Whether it counts against no rate, because it must not be refused: who says goodbye has no will any more.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        matches!(self, Self::Will(None) | Self::Unfollow { .. })
    }

    fn from_fields(fields: Fields<'a>) -> Result<Self, Refused> {
        let Some(kind) = fields.r#type else {
            return Self::without_type(fields.seq, fields.data);
        };
        let seq = fields.seq.map(Cow::Borrowed);
        let room = || {
            fields
                .room_id
                .ok_or_else(|| Refused::missing(&kind, "roomId"))
        };
        let content = || {
            let content = fields.content.map(Cow::Borrowed);
            content.ok_or_else(|| Refused::missing(&kind, "content"))
        };
        match kind.as_ref() {
            "hello" => Ok(Self::Hello {
                user: fields.user,
                session: fields.session,
                token: fields.token,
            }),
            "join_room" => Ok(Self::JoinRoom {
                room: room()?,
                since: fields.since,
            }),
            "leave_room" => Ok(Self::LeaveRoom { room: room()? }),
            "room_msg" => Ok(Self::RoomMsg {
                room: Some(room()?),
                content: content()?,
                seq,
            }),
            "private_msg" => {
                let to_user = fields
                    .to_user
                    .ok_or_else(|| Refused::missing(&kind, "toUser"))?;
                Ok(Self::PrivateMsg {
                    to_user,
                    content: content()?,
                    seq,
                })
            }
            "broadcast" => Ok(Self::Broadcast {
                content: content()?,
                seq,
            }),
            "typing" => Ok(Self::Typing { room: room()? }),
            "history" => Ok(Self::History {
                room: room()?,
                since: fields.since,
                before: fields.before,
                limit: fields.limit,
            }),
            "presence" => Ok(Self::Presence { room: room()? }),
            "heartbeat" => Ok(Self::Heartbeat),
            unknown => Err(Refused::unknown_type(unknown)),
        }
    }

    /// The short form: `{"seq":…,"data":…}` is a message to the room of the address.
    fn without_type(
        seq: Option<&'a RawValue>,
        data: Option<&'a RawValue>,
    ) -> Result<Self, Refused> {
        match (seq, data) {
            (Some(seq), Some(content)) => Ok(Self::RoomMsg {
                room: None,
                content: Cow::Borrowed(content),
                seq: Some(Cow::Borrowed(seq)),
            }),
            _ => Err(Refused {
                code: "missing_field",
                message: "A message has a \"type\", or \"seq\" and \"data\".".to_owned(),
            }),
        }
    }
}

/// Checks a message's number: a JSON number or a short string, since it is kept with the message.
///
/// # Errors
/// It is something else, or longer than 128 bytes.
pub fn check_seq(seq: Option<&RawValue>) -> Result<(), Refused> {
    let Some(seq) = seq.map(RawValue::get) else {
        return Ok(());
    };
    let is_short = match seq.as_bytes() {
        [b'"', inside @ .., b'"'] => inside.len() <= NAME_BYTES_MAX || is_short_string(seq),
        [b'-' | b'0'..=b'9', ..] => seq.len() <= NAME_BYTES_MAX,
        _ => false,
    };
    if is_short {
        return Ok(());
    }
    Err(Refused {
        code: "bad_field",
        message: "\"seq\" is a number or a short string.".to_owned(),
    })
}

/// Whether the string itself is short, however long its JSON text: many serializers write escapes for all but ASCII.
fn is_short_string(text: &str) -> bool {
    const ESCAPE_BYTES: usize = r"\u0000".len();
    text.len() <= NAME_BYTES_MAX * ESCAPE_BYTES + 2
        && serde_json::from_str(text).is_ok_and(|string: String| string.len() <= NAME_BYTES_MAX)
}

impl Refused {
    fn bad_json(error: &serde_json::Error) -> Self {
        let code = match error.classify() {
            serde_json::error::Category::Data => "bad_field",
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => "bad_json",
        };
        // It quotes a string that stands where none belongs, however long.
        let shown: String = error.to_string().chars().take(100).collect();
        Self {
            code,
            message: format!("The message is not a JSON object with the right fields: {shown}."),
        }
    }

    fn wrong_type(field: &str, what: &str) -> Self {
        Self {
            code: "bad_field",
            message: format!("\"{field}\" is {what}."),
        }
    }

    fn not_an_object() -> Self {
        Self {
            code: "bad_field",
            message: "The message is not a JSON object.".to_owned(),
        }
    }

    fn missing(kind: &str, field: &str) -> Self {
        Self {
            code: "missing_field",
            message: format!("A {kind} needs \"{field}\"."),
        }
    }

    fn unknown_type(kind: &str) -> Self {
        let shown: String = kind.chars().take(40).collect();
        Self {
            code: "unknown_type",
            message: format!("There is no message of type {shown:?}."),
        }
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;

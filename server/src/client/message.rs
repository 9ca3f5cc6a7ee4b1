//! The server's JSON messages as a client reads them: one struct with every field, then the one that was meant.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::log::{Epoch, Position};

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The session is there.
    Welcome {
        /// What the client is called here; a guest has its name from the server.
        user: String,
    },
    /// A message has its place for good.
    Ack {
        /// Its number.
        seq: u64,
        /// The log.
        room: String,
        /// The place.
        position: Position,
        /// It had it already.
        dup: bool,
    },
    /// An entry of a log.
    Entry(Entry),
    /// The client has everything up to here.
    Joined {
        /// The room.
        room: String,
        /// The head.
        position: Position,
        /// Who is there.
        members: Vec<String>,
    },
    /// The server ends the connection, and says when to come back.
    Reconnect {
        /// After how long.
        after: Duration,
    },
    /// Somebody came to a room.
    Came {
        /// The room.
        room: String,
        /// Who.
        user: String,
    },
    /// Somebody left a room.
    Left {
        /// The room.
        room: String,
        /// Who.
        user: String,
    },
    /// Who is in a room, as was asked.
    Presence {
        /// The room.
        room: String,
        /// Their names.
        members: Vec<String>,
    },
    /// Something is missing.
    Gap {
        /// The room.
        room: String,
        /// Behind this, as the client had said it.
        from: String,
        /// Up to and with this.
        to: Position,
        /// Why.
        reason: String,
        /// It is part of an answer that was asked for with an `id`, and not of what is followed.
        is_answer: bool,
    },
    /// A page of a room's log.
    History {
        /// The room.
        room: String,
        /// Oldest first.
        entries: Vec<Entry>,
        /// Where to read on.
        position: Position,
        /// There is more.
        more: bool,
    },
    /// Something was refused.
    Error {
        /// A stable word.
        code: String,
        /// A sentence.
        message: String,
        /// The number of the message that was refused.
        seq: Option<u64>,
    },
    /// Something that a client may pass over, such as who types.
    Other,
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it was said.
    pub log: Log,
    /// The place.
    pub position: Position,
    /// When it was kept, in milliseconds since 1970.
    pub time: u64,
    /// Who said it.
    pub from: String,
    /// What was said.
    pub content: Content,
}

/// A log, as its reader names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Log {
    /// A room.
    Room(String),
    /// One's own private messages.
    Private,
    /// What goes to everybody.
    Broadcast,
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A string.
    Text(String),
    /// Other JSON, as it came.
    Json(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    room_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    time: u64,
    #[serde(borrow)]
    epoch: Option<Cow<'a, str>>,
    offset: Option<u64>,
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    seq: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    dup: bool,
    #[serde(borrow)]
    position: Option<Cow<'a, str>>,
    #[serde(borrow)]
    to: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    messages: Vec<Self>,
    #[serde(default)]
    more: bool,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    after: Option<u64>,
}

/// A value that is there, also where it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Heard {
    /// Reads a text message; `None` for what no server of this protocol says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Fields<'_>>(text).ok()?.into_heard()
    }
}

impl Fields<'_> {
    fn into_heard(self) -> Option<Heard> {
        Some(match self.r#type.as_ref() {
            "welcome" => Heard::Welcome {
                user: self.user.unwrap_or_default().into_owned(),
            },
            "ack" => Heard::Ack {
                seq: self.number()?,
                position: self.place()?,
                dup: self.dup,
                room: self.room_id?.into_owned(),
            },
            "room_msg" | "private_msg" | "broadcast" => Heard::Entry(self.into_entry()?),
            "joined" => Heard::Joined {
                position: self.position?.parse().ok()?,
                room: self.room_id?.into_owned(),
                members: self.members,
            },
            "system" => {
                let (room, user) = (self.room_id?.into_owned(), self.user?.into_owned());
                match self.event.as_deref()? {
                    "join" => Heard::Came { room, user },
                    "leave" => Heard::Left { room, user },
                    _ => Heard::Other,
                }
            }
            "presence" => Heard::Presence {
                room: self.room_id?.into_owned(),
                members: self.members,
            },
            "gap" => Heard::Gap {
                room: self.room_id?.into_owned(),
                from: self.from?.into_owned(),
                to: self.to?.parse().ok()?,
                reason: self.reason?.into_owned(),
                is_answer: self.id.is_some(),
            },
            "history" => Heard::History {
                room: self.room_id?.into_owned(),
                entries: self
                    .messages
                    .into_iter()
                    .map(Self::into_entry)
                    .collect::<Option<_>>()?,
                position: self.position?.parse().ok()?,
                more: self.more,
            },
            "error" => Heard::Error {
                seq: self.number(),
                code: self.code?.into_owned(),
                message: self.message?.into_owned(),
            },
            "reconnect" => Heard::Reconnect {
                after: Duration::from_millis(self.after?),
            },
            "typing" | "heartbeat" | "left" => Heard::Other,
            _ => return None,
        })
    }

    fn into_entry(self) -> Option<Entry> {
        Some(Entry {
            position: self.place()?,
            log: match self.r#type.as_ref() {
                "private_msg" => Log::Private,
                "broadcast" => Log::Broadcast,
                _ => Log::Room(self.room_id?.into_owned()),
            },
            time: self.time,
            from: self.from?.into_owned(),
            content: Content::of(self.content?),
        })
    }

    fn place(&self) -> Option<Position> {
        let epoch = self.epoch.as_deref()?;
        let digits = epoch.len() == 8 && epoch.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Position {
            epoch: Epoch::new(u32::from_str_radix(epoch, 16).ok().filter(|_| digits)?),
            offset: self.offset?,
        })
    }

    fn number(&self) -> Option<u64> {
        self.seq?.get().parse().ok()
    }
}

impl Content {
    fn of(raw: &RawValue) -> Self {
        serde_json::from_str(raw.get())
            .map_or_else(|_| Self::Json(raw.get().to_owned()), Self::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position {
            epoch: Epoch::new(0xabc),
            offset,
        }
    }

    #[test]
    fn null_is_a_content() {
        let text = r#"{"type":"room_msg","roomId":"r","offset":3,"epoch":"00000abc","from":"a","content":null,"time":1}"#;
        let Some(Heard::Entry(entry)) = Heard::parse(text) else {
            panic!("{text}")
        };
        assert_eq!(entry.content, Content::Json("null".to_owned()));
        assert_eq!(Heard::parse(&text.replace(r#","content":null"#, "")), None);
    }

    #[test]
    fn an_entry_is_read_with_its_place() {
        let text = r#"{"type":"room_msg","roomId":"r","offset":3,"epoch":"00000abc","from":"a","content":"x\"y","time":1}"#;
        let entry = Entry {
            log: Log::Room("r".to_owned()),
            position: at(3),
            time: 1,
            from: "a".to_owned(),
            content: Content::Text("x\"y".to_owned()),
        };
        assert_eq!(Heard::parse(text), Some(Heard::Entry(entry.clone())));
        let page = format!(
            r#"{{"type":"history","roomId":"r","messages":[{text}],"position":"00000abc-3","more":true}}"#
        );
        let history = Heard::History {
            room: "r".to_owned(),
            entries: vec![entry],
            position: at(3),
            more: true,
        };
        assert_eq!(Heard::parse(&page), Some(history));
    }

    #[test]
    fn entries_of_no_room_say_of_which_log_they_are() {
        for (kind, log) in [("private_msg", Log::Private), ("broadcast", Log::Broadcast)] {
            let text = format!(
                r#"{{"type":"{kind}","offset":3,"epoch":"00000abc","from":"a","content":1,"time":1}}"#
            );
            let Some(Heard::Entry(entry)) = Heard::parse(&text) else {
                panic!("{text}");
            };
            assert_eq!((entry.log, entry.position), (log, at(3)));
        }
    }

    #[test]
    fn who_comes_and_goes_is_read() {
        let system = |event: &str| {
            let text = format!(
                r#"{{"type":"system","roomId":"r","event":"{event}","user":"b","content":"b did."}}"#
            );
            Heard::parse(&text)
        };
        let (room, user) = ("r".to_owned(), "b".to_owned());
        let came = Heard::Came {
            room: room.clone(),
            user: user.clone(),
        };
        assert_eq!(system("join"), Some(came));
        assert_eq!(system("leave"), Some(Heard::Left { room, user }));
        assert_eq!(system("sneeze"), Some(Heard::Other), "later servers may");
    }

    #[test]
    fn answers_are_read() {
        let ack = r#"{"type":"ack","seq":7,"roomId":"r","offset":3,"epoch":"00000abc","time":1,"dup":true}"#;
        let heard = Heard::Ack {
            seq: 7,
            room: "r".to_owned(),
            position: at(3),
            dup: true,
        };
        assert_eq!(Heard::parse(ack), Some(heard));
        let gap = r#"{"type":"gap","roomId":"r","from":"x","to":"00000abc-3","reason":"expired"}"#;
        let heard = Heard::Gap {
            room: "r".to_owned(),
            from: "x".to_owned(),
            to: at(3),
            reason: "expired".to_owned(),
            is_answer: false,
        };
        assert_eq!(Heard::parse(gap), Some(heard));
        let error = r#"{"type":"error","code":"rate_limited","message":"Slow.","seq":9}"#;
        let heard = Heard::Error {
            code: "rate_limited".to_owned(),
            message: "Slow.".to_owned(),
            seq: Some(9),
        };
        assert_eq!(Heard::parse(error), Some(heard));
    }

    #[test]
    fn what_no_server_says_is_nothing() {
        for text in [
            "",
            "[]",
            r#"{"type":"no_such"}"#,
            r#"{"type":"ack","seq":7,"roomId":"r","offset":3,"epoch":"xyz"}"#,
            r#"{"type":"room_msg","roomId":"r","offset":3,"epoch":"00000abc"}"#,
        ] {
            assert_eq!(Heard::parse(text), None, "{text}");
        }
    }
}

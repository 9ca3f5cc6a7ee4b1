//! What nodes tell each other, and how it is written: a note is one JSON object, the content of one entry of the log `$cluster`.
//! What a newer node says that this one does not know is passed over.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest as _, Sha256};

use crate::chat::parked::Place;
use crate::ids::{NodeName, RoomName, Session, UserName};

/// What one of them has in its JSON beside names, at most.
const SYNTAX_BYTES: usize = 64;

/// A digest of a session and its user: what nodes call it by, since who knows the session itself can take it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::chat) struct Tag(u128);

impl Tag {
    /// That of a user's session.
    pub(in crate::chat) fn of(user: &UserName, session: &Session) -> Self {
        // No name has a control character, so this separates them.
        let digest = Sha256::new()
            .chain_update(user.as_str())
            .chain_update([0])
            .chain_update(session.as_str())
            .finalize();
        let first = digest.iter().take(16);
        Self(first.fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let number = u128::from_str_radix(text, 16);
        number.map(Self).map_err(D::Error::custom)
    }
}

/// One thing that a node tells the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Delta {
    /// It does not know who is where: the one that is named, or everybody, is to tell all it has.
    Hello(Option<NodeName>),
    /// It is there.
    Beat,
    /// A user is in a room, with its first connection there.
    Enter(RoomName, UserName),
    /// It has none there any more.
    Leave(RoomName, UserName),
    /// A user is connected.
    Here(UserName),
    /// It is not any more.
    Gone(UserName),
    /// A part of all that the node has.
    State(Chunk),
    /// A connection has come that names its session.
    Claim(Claim),
    /// To the node that has claimed a session: where that was.
    Places(Places),
    /// The session is where it was: its old places are held no more.
    Settled(Tag, UserName),
    /// A user is typing in a room.
    Typing(RoomName, UserName),
    /// An operator asks all others for something.
    Ask(u32, Value),
    /// To the node that has asked: a part of the answer.
    Found(Findings),
    /// The node stops.
    Bye,
}

/// A part of all that a node has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    /// It is the first: what was known before does not count.
    pub(super) first: bool,
    /// It is the last: what was not told is not so.
    pub(super) last: bool,
    /// Users that are connected.
    pub(super) here: Vec<UserName>,
    /// Who is in which room.
    pub(super) places: Vec<(RoomName, UserName)>,
}

/// A connection of this user has come that names its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::chat) struct Claim {
    pub(in crate::chat) user: UserName,
    pub(in crate::chat) tag: Tag,
    /// It will be in all its rooms again: it is to stay there for the others until then.
    pub(in crate::chat) waits: bool,
}

/// Where a session was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::chat) struct Places {
    pub(in crate::chat) to: NodeName,
    pub(in crate::chat) user: UserName,
    pub(in crate::chat) tag: Tag,
    pub(in crate::chat) places: Vec<Place>,
}

/// A part of the answer to what an operator asked at another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Findings {
    pub(super) to: NodeName,
    /// Which question that was.
    pub(super) number: u32,
    /// Nothing follows.
    pub(super) last: bool,
    pub(super) items: Vec<Value>,
}

impl Delta {
    /// Bytes of its JSON, at most: of what names may have, `"` and `\` take two each.
    pub(super) fn weight(&self) -> usize {
        SYNTAX_BYTES
            + match self {
                Self::Hello(_) | Self::Beat | Self::Bye => SYNTAX_BYTES,
                Self::Enter(room, user) | Self::Leave(room, user) | Self::Typing(room, user) => {
                    pair_weight(room, user)
                }
                Self::Here(user) | Self::Gone(user) | Self::Settled(_, user) => name_weight(user),
                Self::Ask(_, question) => json_weight(question),
                Self::Found(findings) => {
                    let items = findings.items.iter().map(json_weight);
                    2 * SYNTAX_BYTES + items.sum::<usize>()
                }
                Self::State(chunk) => {
                    let places = chunk.places.iter();
                    let places = places.map(|(room, user)| pair_weight(room, user));
                    places.chain(chunk.here.iter().map(name_weight)).sum()
                }
                Self::Claim(claim) => SYNTAX_BYTES + name_weight(&claim.user),
                Self::Places(places) => {
                    let rooms = places.places.iter().map(|(room, _)| room.as_str().len());
                    let rooms = rooms.map(|bytes| 2 * bytes + SYNTAX_BYTES);
                    2 * SYNTAX_BYTES + name_weight(&places.user) + rooms.sum::<usize>()
                }
            }
    }
}

/// Bytes of any JSON, with what separates it from the next.
pub(super) fn json_weight(value: &Value) -> usize {
    value.to_string().len() + 1
}

/// Bytes of a user's name in JSON, with what separates it from the next.
pub(super) fn name_weight(user: &UserName) -> usize {
    2 * user.as_str().len() + 3
}

/// The same of a place.
pub(super) fn pair_weight(room: &RoomName, user: &UserName) -> usize {
    2 * room.as_str().len() + name_weight(user) + 6
}

/// What one entry of the log says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) node: NodeName,
    /// Which process of that name: a random number.
    pub(super) life: u64,
    /// Counts the notes of that process, from 1.
    pub(super) number: u64,
    pub(super) deltas: Vec<Delta>,
}

#[derive(Serialize)]
struct Written<'a> {
    node: &'a NodeName,
    life: u64,
    number: u64,
    deltas: &'a [Delta],
}

#[derive(Deserialize)]
struct Raw<'a> {
    node: NodeName,
    life: u64,
    number: u64,
    #[serde(borrow)]
    deltas: Vec<&'a RawValue>,
}

impl Note {
    /// The JSON.
    pub(super) fn write(&self) -> Box<RawValue> {
        let Self {
            node,
            life,
            number,
            deltas,
        } = self;
        let written = Written {
            node,
            life: *life,
            number: *number,
            deltas,
        };
        // Names and numbers have no way to fail.
        to_raw_value(&written).unwrap_or_default()
    }

    /// What the JSON says; `None` if it is no note.
    pub(super) fn read(text: &str) -> Option<Self> {
        let raw: Raw<'_> = serde_json::from_str(text).ok()?;
        let deltas = raw.deltas.into_iter();
        let known = deltas.filter_map(|delta| serde_json::from_str(delta.get()).ok());
        Some(Self {
            node: raw.node,
            life: raw.life,
            number: raw.number,
            deltas: known.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::log::{Epoch, Position};

    fn names() -> (RoomName, UserName) {
        let text = "\"\\".repeat(64);
        (RoomName::new(&text).unwrap(), UserName::new(&text).unwrap())
    }

    fn every_delta() -> Vec<Delta> {
        let (room, user) = names();
        let node = NodeName::new(&"n".repeat(64)).unwrap();
        let tag = Tag::of(&user, &Session::new("s").unwrap());
        let position = Position {
            epoch: Epoch::new(u32::MAX),
            offset: u64::MAX,
        };
        let place = (room.clone(), user.clone());
        vec![
            Delta::Hello(None),
            Delta::Hello(Some(node.clone())),
            Delta::Beat,
            Delta::Enter(room.clone(), user.clone()),
            Delta::Leave(room.clone(), user.clone()),
            Delta::Here(user.clone()),
            Delta::Gone(user.clone()),
            Delta::State(Chunk {
                first: true,
                last: false,
                here: vec![user.clone(); 3],
                places: vec![place; 3],
            }),
            Delta::Claim(Claim {
                user: user.clone(),
                tag,
                waits: true,
            }),
            Delta::Places(Places {
                to: node,
                user: user.clone(),
                tag,
                places: vec![(room.clone(), position); 3],
            }),
            Delta::Settled(tag, user.clone()),
            Delta::Typing(room, user.clone()),
            Delta::Ask(u32::MAX, json!({"why": {"user": user}})),
            Delta::Found(Findings {
                to: NodeName::new(&"n".repeat(64)).unwrap(),
                number: u32::MAX,
                last: false,
                items: vec![json!({"user": user, "n": 1}); 3],
            }),
            Delta::Bye,
        ]
    }

    #[test]
    fn a_note_is_read_as_it_was_written_and_no_delta_is_longer_than_it_weighs() {
        let note = Note {
            node: NodeName::new("a").unwrap(),
            life: u64::MAX,
            number: 1,
            deltas: every_delta(),
        };
        assert_eq!(Note::read(note.write().get()), Some(note));
        for delta in every_delta() {
            let json = serde_json::to_string(&delta).unwrap();
            assert!(json.len() <= delta.weight(), "{json}");
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_no_note_is_none() {
        let text = r#"{"node":"a","life":1,"number":2,"deltas":["beat",{"new":1},{"enter":["@a","b"]},"bye"],"more":0}"#;
        let note = Note::read(text).unwrap();
        assert_eq!(note.deltas, [Delta::Beat, Delta::Bye]);
        for text in [
            "",
            "1",
            "{}",
            r#"{"node":"","life":1,"number":2,"deltas":[]}"#,
        ] {
            assert_eq!(Note::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_tag_tells_sessions_of_users_apart_and_does_not_tell_them() {
        let tag = |user: &str, session: &str| {
            Tag::of(
                &UserName::new(user).unwrap(),
                &Session::new(session).unwrap(),
            )
        };
        // SHA-256 of "alice", a zero and "s1".
        assert_eq!(
            tag("alice", "s1").to_string(),
            "961f35188ca5bbfb3b1fd29b58b8c1c9"
        );
        assert_ne!(tag("alice", "s1"), tag("alices", "1"));
        assert_ne!(tag("alice", "s1"), tag("bob", "s1"));
    }
}

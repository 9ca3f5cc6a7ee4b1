//! Names and numbers that tell things apart. A value of one of these types is legal: it was checked when it was made.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};

use arcstr::{ArcStr, literal};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest room, user or session name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// The log that everyone follows.
pub const BROADCAST_LOG: &str = "*";

const BROADCAST_TEXT: ArcStr = literal!("*");

/// The log of the messages by which the server sees that messages arrive; no client can name it.
pub const CANARY_LOG: &str = "$canary";

const CANARY_TEXT: ArcStr = literal!("$canary");

/// The log by which nodes tell each other who is where; no client can name it.
pub const CLUSTER_LOG: &str = "$cluster";

const CLUSTER_TEXT: ArcStr = literal!("$cluster");

/// What the logs of sessions of MQTT are called before their digests; no client can name one.
pub const MQTT_SESSION_PREFIX: &str = "$mqtt/";

/// A connection: its place in the table, and a number that no connection at that place had before, so that a stale
/// event finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnId {
    /// The place among all workers' connections ([`Lane`]).
    pub index: u32,
    /// Counts the connections of the worker.
    pub generation: u32,
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c-{}-{}", self.index, self.generation)
    }
}

/// When the server read what names a session, as a number that counts over all workers: of two that name the same, the one that
/// was read later is the newer, whichever the hub hears of first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival(u64);

impl Arrival {
    /// The one with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A text that names no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadConnId;

impl std::str::FromStr for ConnId {
    type Err = BadConnId;

    fn from_str(text: &str) -> Result<Self, BadConnId> {
        let numbers = text
            .strip_prefix("c-")
            .and_then(|rest| rest.split_once('-'));
        let (index, generation) = numbers.ok_or(BadConnId)?;
        let number = |text: &str| match text.as_bytes() {
            // What is written in two ways would be found in one.
            [b'0', _, ..] | [b'+', ..] => Err(BadConnId),
            _ => text.parse().map_err(|_| BadConnId),
        };
        Ok(Self {
            index: number(index)?,
            generation: number(generation)?,
        })
    }
}

impl Serialize for ConnId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|BadConnId| D::Error::custom("no connection has such a name"))
    }
}

/// Whose a connection is: several workers deal places out in turn, so that those of all are dense together, and a place tells
/// its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    number: u32,
    bits: u32,
}

impl Lane {
    /// The lane of a worker that is alone.
    pub const ONLY: Self = Self { number: 0, bits: 0 };

    /// The lane of one of so many workers, which count from 0.
    #[must_use]
    pub const fn new(number: u32, workers: u32) -> Self {
        let bits = workers.next_power_of_two().trailing_zeros();
        Self { number, bits }
    }

    /// The place of this lane's connection in the given slot of its worker's table.
    #[must_use]
    pub const fn place(self, slot: u32) -> u32 {
        slot << self.bits | self.number
    }

    /// The slot of a connection in its worker's table.
    #[must_use]
    pub const fn slot(self, conn: ConnId) -> u32 {
        conn.index >> self.bits
    }

    /// The number of the connection's worker.
    #[must_use]
    pub const fn owner(self, conn: ConnId) -> usize {
        (conn.index & ((1 << self.bits) - 1)) as usize
    }

    /// Whether the connection is this lane's.
    #[must_use]
    pub const fn owns(self, conn: ConnId) -> bool {
        self.owner(conn) == self.number as usize
    }
}

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has more than [`NAME_BYTES_MAX`] bytes.
    TooLong,
    /// It has a control character.
    Control,
    /// It begins with `@` or `$mqtt/`, or is `*`, `$canary` or `$cluster`: those are the logs of users, of the broadcast, and the
    /// server's own.
    Reserved,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong => write!(f, "is longer than {NAME_BYTES_MAX} bytes"),
            Self::Control => f.write_str("has a control character"),
            Self::Reserved => f.write_str(
                "begins with @ or $mqtt/, or is *, $canary or $cluster, which are not names of rooms",
            ),
        }
    }
}

impl std::error::Error for NameError {}

/// Whether a log of this name is the server's own.
fn is_own(name: &str) -> bool {
    name.starts_with('$')
        && ([CANARY_LOG, CLUSTER_LOG].contains(&name) || name.starts_with(MQTT_SESSION_PREFIX))
}

fn check_name(name: &str) -> Result<(), NameError> {
    match name {
        "" => Err(NameError::Empty),
        _ if name.len() > NAME_BYTES_MAX => Err(NameError::TooLong),
        _ if name.chars().any(char::is_control) => Err(NameError::Control),
        _ => Ok(()),
    }
}

/// Makes a type of shared, immutable text that is found in a map by its `str`. The text in memory may have something in front
/// of the name, so that another name can share it.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, behind $prefix:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(ArcStr);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                let prefix: &str = $prefix;
                &self.0[prefix.len()..]
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name))
                    .field(&self.as_str())
                    .finish()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

name! {
    /// A user. It shares the text of its log.
    UserName, behind "@"
}

name! {
    /// A room that users join.
    RoomName, behind ""
}

name! {
    /// What a client calls one run of itself; with the user and `seq` it is the idempotency key of a message.
    Session, behind ""
}

name! {
    /// A log: a room's, a user's (`@name`) or the broadcast's (`*`).
    LogName, behind ""
}

name! {
    /// A node: one of several servers that share their logs.
    NodeName, behind ""
}

/// Makes a name pass through JSON as its text, which is checked on its way back.
macro_rules! told {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::new(&text).map_err(D::Error::custom)
            }
        }
    )*};
}

told! { UserName RoomName LogName Session NodeName }

/// The longest name of a node, in bytes.
const NODE_BYTES_MAX: usize = 64;

/// A text that names no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadNodeName;

impl fmt::Display for BadNodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a node's name has 1 to {NODE_BYTES_MAX} letters, digits, dots, hyphens and underscores"
        )
    }
}

impl std::error::Error for BadNodeName {}

impl NodeName {
    /// Checks a name. It stands before a connection's in what operators see and type: there is no `/` in it.
    ///
    /// # Errors
    /// It is empty or too long, or has another character than ASCII letters, digits, `.`, `-` and `_`.
    pub fn new(name: &str) -> Result<Self, BadNodeName> {
        if (1..=NODE_BYTES_MAX).contains(&name.len()) && name.bytes().all(Self::is_fine) {
            Ok(Self(name.into()))
        } else {
            Err(BadNodeName)
        }
    }

    /// A name made of a text that may have other characters, and a number that tells it from others.
    #[must_use]
    pub(crate) fn numbered(text: &str, number: u32) -> Self {
        let plain = text.replace(|c| !u8::try_from(c).is_ok_and(Self::is_fine), "-");
        // All of it is ASCII now.
        let start = plain.get(..NODE_BYTES_MAX - 9).unwrap_or(&plain);
        Self(arcstr::format!("{start}-{number:08x}"))
    }

    const fn is_fine(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
    }
}

impl UserName {
    /// Checks a name.
    ///
    /// # Errors
    /// It is empty, too long or has a control character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_name(name)?;
        Ok(Self(arcstr::format!("@{name}")))
    }

    /// The server, as the sender of its own messages.
    pub(crate) fn server() -> Self {
        Self(literal!("@$server"))
    }

    /// The log of what is sent to this user.
    #[must_use]
    pub fn log(&self) -> LogName {
        LogName(self.0.clone())
    }
}

impl RoomName {
    /// Checks a name.
    ///
    /// # Errors
    /// It is empty, too long, has a control character, begins with `@` or `$mqtt/`, or is `*`, `$canary` or `$cluster`.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_name(name)?;
        if name.starts_with('@') || name == BROADCAST_LOG || is_own(name) {
            return Err(NameError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// The room's log.
    #[must_use]
    pub fn log(&self) -> LogName {
        LogName(self.0.clone())
    }
}

impl Session {
    /// The session of a random number: its 32 hexadecimal digits.
    #[must_use]
    pub fn random(number: u128) -> Self {
        Self(arcstr::format!("{number:032x}"))
    }

    /// The session of who publishes over HTTP and names none.
    #[must_use]
    pub fn http() -> Self {
        Self(literal!("http"))
    }

    /// Checks a name.
    ///
    /// # Errors
    /// It is empty, too long or has a control character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_name(name)?;
        Ok(Self(name.into()))
    }
}

impl LogName {
    /// Checks the name of a log of any kind: a room's, `@` and a user's, or `*`.
    ///
    /// # Errors
    /// What it names cannot be called so.
    pub fn new(name: &str) -> Result<Self, NameError> {
        match name.strip_prefix('@') {
            Some(user) => UserName::new(user).map(|user| user.log()),
            None if name == BROADCAST_LOG => Ok(Self::broadcast()),
            None => RoomName::new(name).map(|room| room.log()),
        }
    }

    /// The log that everyone follows.
    #[must_use]
    pub fn broadcast() -> Self {
        Self(BROADCAST_TEXT)
    }

    /// The server's own.
    #[must_use]
    pub fn canary() -> Self {
        Self(CANARY_TEXT)
    }

    /// The one that nodes tell each other by.
    #[must_use]
    pub fn cluster() -> Self {
        Self(CLUSTER_TEXT)
    }

    /// That of a session of MQTT, by a digest of whose it is.
    #[must_use]
    pub(crate) fn mqtt_session(digest: u128) -> Self {
        Self(arcstr::format!("{MQTT_SESSION_PREFIX}{digest:032x}"))
    }

    /// Whether it is the server's own: no client can name it, and nobody finds it.
    #[must_use]
    pub fn is_own(&self) -> bool {
        is_own(self.as_str())
    }

    /// A name that is saved: of any log that there can be.
    ///
    /// # Errors
    /// No log is called so.
    pub(crate) fn saved(name: &str) -> Result<Self, NameError> {
        match name {
            CANARY_LOG => Ok(Self::canary()),
            CLUSTER_LOG => Ok(Self::cluster()),
            name if is_own(name) => check_name(name).map(|()| Self(name.into())),
            name => Self::new(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_1_to_128_bytes_and_no_control_characters() {
        assert_eq!(UserName::new("").err(), Some(NameError::Empty));
        assert_eq!(UserName::new(&"ü".repeat(64)).err(), None);
        assert_eq!(
            UserName::new(&"x".repeat(129)).err(),
            Some(NameError::TooLong)
        );
        assert_eq!(UserName::new("a\nb").err(), Some(NameError::Control));
    }

    #[test]
    fn a_connection_is_known_by_its_two_numbers() {
        let conn = ConnId {
            index: 5,
            generation: 17,
        };
        assert_eq!(conn.to_string(), "c-5-17");
        assert_eq!("c-5-17".parse(), Ok(conn));
        for text in [
            "", "c-5", "5-17", "c-5-", "c-+5-1", "c-05-1", "c-5-17-1", "alice",
        ] {
            assert_eq!(text.parse::<ConnId>(), Err(BadConnId), "{text}");
        }
    }

    #[test]
    fn a_room_is_not_called_like_a_users_log() {
        assert_eq!(RoomName::new("@alice").err(), Some(NameError::Reserved));
        assert_eq!(RoomName::new("*").err(), Some(NameError::Reserved));
        for name in [CANARY_LOG, CLUSTER_LOG, "@$canary "] {
            assert!(RoomName::new(name).is_err(), "{name}");
        }
        let session = LogName::mqtt_session(7);
        for own in [CANARY_LOG, CLUSTER_LOG, session.as_str(), "$mqtt/"] {
            assert!(LogName::new(own).is_err(), "{own}");
            let saved = LogName::saved(own).unwrap();
            assert_eq!((saved.as_str(), saved.is_own()), (own, true));
        }
        let room = LogName::new("$mqtt").unwrap();
        assert!(!room.is_own() && !LogName::broadcast().is_own());
        assert_eq!(UserName::new("alice").unwrap().log().as_str(), "@alice");
    }

    #[test]
    fn a_node_has_a_plain_name() {
        for name in ["a", "eu-1.example_2", &"x".repeat(64)] {
            let node = NodeName::new(name).unwrap();
            let json = serde_json::to_string(&node).unwrap();
            assert_eq!(json, format!("{name:?}"));
            assert_eq!(serde_json::from_str::<NodeName>(&json).unwrap(), node);
        }
        for name in ["", "a/b", "a b", "ü", &"x".repeat(65)] {
            assert_eq!(NodeName::new(name), Err(BadNodeName), "{name}");
        }
        for (text, expected) in [("a b/ü", "a-b---0000000f"), ("", "-0000000f")] {
            assert_eq!(NodeName::numbered(text, 15).as_str(), expected);
        }
        let long = NodeName::numbered(&"x".repeat(90), 15);
        assert_eq!(NodeName::new(long.as_str()), Ok(long));
        assert!(serde_json::from_str::<RoomName>("\"@alice\"").is_err());
    }

    #[test]
    fn a_place_tells_its_worker() {
        for workers in [1, 2, 3, 4, 64] {
            let mut places = std::collections::BTreeSet::new();
            for number in 0..workers {
                let lane = Lane::new(number, workers);
                for slot in 0..10 {
                    let (index, generation) = (lane.place(slot), 1);
                    let conn = ConnId { index, generation };
                    assert_eq!(lane.owner(conn), number as usize);
                    assert!(lane.owns(conn));
                    assert_eq!(lane.slot(conn), slot);
                    assert!(places.insert(index), "{index} twice");
                }
            }
            assert!(places.last() < Some(&(10 * workers.next_power_of_two())));
        }
        assert_eq!(Lane::new(0, 1), Lane::ONLY);
    }

    #[test]
    fn a_name_is_found_by_its_text() {
        use std::collections::{BTreeSet, HashSet};
        let names = || ["b", "a"].map(|name| UserName::new(name).unwrap());
        assert!(HashSet::from(names()).contains("a"));
        let sorted = BTreeSet::from(names());
        assert_eq!(sorted.first().map(UserName::as_str), Some("a"));
        assert!(sorted.contains("b") && !sorted.contains("@b"));
    }
}

//! What the events of Socket.IO are called: as most tutorials call them, or as the configuration says.

use std::fmt;
use std::ptr;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use crate::ids::NAME_BYTES_MAX;

/// Names that a client's library keeps for itself.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Makes the events, and what each is called if nobody says otherwise.
macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)+) => {
        /// An event, whatever it is called.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Name {
            $($(#[$doc])* $variant,)+
        }

        impl Name {
            /// All of them, in the order of their places.
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// What it is called in the documentation.
            const fn default_name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

events! {
    /// To join a room; that somebody has.
    Join "join",
    /// To leave a room; that somebody has.
    Leave "leave",
    /// A message to a room.
    Msg "msg",
    /// A message to a user.
    Private "private",
    /// A message to everybody.
    Broadcast "broadcast",
    /// That somebody is typing.
    Typing "typing",
    /// To read what was said.
    History "history",
    /// To ask who is in a room.
    Presence "presence",
    /// To show a fresh token.
    Token "token",
    /// Who one is.
    Welcome "welcome",
    /// One is in a room, and has been shown what was missed.
    Joined "joined",
    /// Something that was missed is not there any more.
    Gap "gap",
    /// The token is about to end.
    TokenExpiring "token_expiring",
    /// The server is about to stop.
    Restarting "restarting",
    /// Something is refused, and nobody waits for an ack.
    Error "error",
}

/// Those that a client says: no two may be called the same.
const SAID: [Name; 9] = [
    Name::Join,
    Name::Leave,
    Name::Msg,
    Name::Private,
    Name::Broadcast,
    Name::Typing,
    Name::History,
    Name::Presence,
    Name::Token,
];

/// A name for an event: `msg=chat message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventName {
    event: Name,
    name: String,
}

/// A text is no name for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEventName(String);

impl fmt::Display for BadEventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadEventName {}

impl FromStr for EventName {
    type Err = BadEventName;

    fn from_str(text: &str) -> Result<Self, BadEventName> {
        let bad = |told: String| Err(BadEventName(told));
        let Some((event, name)) = text.split_once('=') else {
            return bad("write EVENT=NAME, as msg=\"chat message\"".to_owned());
        };
        let known = Name::ALL.iter().find(|known| known.default_name() == event);
        let Some(&event) = known else {
            let known: Vec<_> = Name::ALL.iter().map(|known| known.default_name()).collect();
            return bad(format!(
                "there is no event {event:?}: it is one of {}",
                known.join(", ")
            ));
        };
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return bad(format!(
                "a name has 1 to {NAME_BYTES_MAX} bytes and no control characters"
            ));
        }
        if RESERVED.contains(&name) {
            return bad(format!(
                "{name:?} is an event of the client's library itself"
            ));
        }
        let name = name.to_owned();
        Ok(Self { event, name })
    }
}

/// The names of all events, in the order of [`Name::ALL`].
#[derive(Debug, PartialEq, Eq)]
struct Names(Vec<Pair>);

/// A name, and the same as JSON.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    name: String,
    json: String,
}

/// The names of a server's events. It lives as long as the process, so that an encoding can name it; two are the same if they are
/// one.
#[derive(Debug, Clone, Copy)]
pub struct Dictionary(&'static Names);

impl PartialEq for Dictionary {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl Eq for Dictionary {}

/// Those that there are: nearly always one, and one more for each time that a configuration with other names is read.
static KNOWN: Mutex<Vec<Dictionary>> = Mutex::new(Vec::new());

impl Dictionary {
    /// The names as these say; of several for one event the last holds. Where two that a client says would be called the same, the
    /// first of them is meant.
    #[must_use]
    pub fn new(changed: &[EventName]) -> Self {
        let pair = |event: &Name| {
            let changed = changed.iter().rev().find(|changed| changed.event == *event);
            let name = changed.map_or_else(|| event.default_name(), |changed| &changed.name);
            // A string has no way to fail.
            let json = serde_json::to_string(name).unwrap_or_default();
            let name = name.to_owned();
            Pair { name, json }
        };
        let names = Names(Name::ALL.iter().map(pair).collect());
        // Whoever panicked with the lock, the list is in order.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let same = known.iter().find(|known| *known.0 == names).copied();
        same.unwrap_or_else(|| {
            let dictionary = Self(Box::leak(Box::new(names)));
            known.push(dictionary);
            dictionary
        })
    }

    /// What an event is called, as JSON.
    pub(super) fn json(self, event: Name) -> &'static str {
        self.0.0.get(event as usize).map_or("", |pair| &pair.json)
    }

    /// What a client means by a name.
    pub(super) fn meant(self, name: &str) -> Option<Name> {
        let is_it = |event: &Name| {
            let pair = self.0.0.get(*event as usize);
            pair.is_some_and(|pair| pair.name == name)
        };
        SAID.into_iter().find(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_called_as_the_configuration_says() {
        let plain = Dictionary::new(&[]);
        assert_eq!(plain, Dictionary::new(&[]));
        assert_eq!(
            (plain.json(Name::Msg), plain.meant("msg")),
            ("\"msg\"", Some(Name::Msg))
        );
        assert_eq!((plain.meant("welcome"), plain.meant("")), (None, None));
        let names = [r"msg=chat message", "join=enter \"room\""].map(|text| text.parse().unwrap());
        let other = Dictionary::new(&names);
        assert_ne!(plain, other);
        assert_eq!(other.meant("chat message"), Some(Name::Msg));
        assert_eq!(
            (other.meant("msg"), other.meant("leave")),
            (None, Some(Name::Leave))
        );
        assert_eq!(other.json(Name::Join), r#""enter \"room\"""#);
        for (place, event) in Name::ALL.iter().enumerate() {
            assert_eq!(*event as usize, place);
        }
    }

    #[test]
    fn what_is_no_name_for_an_event_is_told() {
        for (text, told) in [
            ("msg", "write EVENT=NAME"),
            ("x=y", "there is no event \"x\""),
            ("msg=", "1 to 128 bytes"),
            ("msg=a\nb", "no control characters"),
            ("msg=connect", "the client's library"),
        ] {
            let problem = text.parse::<EventName>().unwrap_err().to_string();
            assert!(problem.contains(told), "{text}: {problem}");
        }
    }
}

//! What an operator asks the hub: who somebody is, and whom and what there is whose name has something in it.

use std::collections::HashMap;

use super::Hub;
use crate::chat::effect::Except;
use crate::ids::{ConnId, UserName};

/// A user, and how many connections and rooms those have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Somebody<'a> {
    /// The name.
    pub user: &'a str,
    /// How many connections.
    pub connections: usize,
    /// In how many rooms the one of them is that is in the most.
    pub rooms: usize,
}

impl Hub {
    /// Whose a connection is, and in how many rooms it is.
    #[must_use]
    pub fn who(&self, conn: ConnId) -> Option<(&UserName, usize)> {
        let member = self.people.get(conn)?;
        Some((&member.user, member.rooms.len()))
    }

    /// All connections of a user.
    #[must_use]
    pub fn connections_of(&self, user: &UserName) -> Except {
        self.people.connections(user)
    }

    /// Connections of users whose name has this text in it, `max` at most; none for no text.
    #[must_use]
    pub fn connections_like(&self, text: &str, max: usize) -> Vec<ConnId> {
        let members = self.people.iter().filter(|_| !text.is_empty());
        let like = members.filter(|member| is_like(member.user.as_str(), text));
        like.map(|member| member.conn).take(max).collect()
    }

    /// Users whose name has this text in it, `max` at most: those with the most connections first.
    #[must_use]
    pub fn users_like(&self, text: &str, max: usize) -> Vec<Somebody<'_>> {
        let mut users: HashMap<&str, Somebody<'_>, foldhash::fast::RandomState> =
            HashMap::default();
        for member in self.people.iter() {
            let user = member.user.as_str();
            let rooms = member.rooms.len();
            if let Some(somebody) = users.get_mut(user) {
                somebody.connections += 1;
                somebody.rooms = somebody.rooms.max(rooms);
            } else if users.len() < max && is_like(user, text) {
                let connections = 1;
                let somebody = Somebody {
                    user,
                    connections,
                    rooms,
                };
                users.insert(user, somebody);
            }
        }
        let mut users: Vec<_> = users.into_values().collect();
        users.sort_unstable_by_key(|somebody| (usize::MAX - somebody.connections, somebody.user));
        users
    }

    /// Rooms whose name has this text in it and how many users each has: the `max` with the most, largest first.
    #[must_use]
    pub fn rooms_like(&self, text: &str, max: usize) -> Vec<(&str, usize)> {
        self.rooms.largest(max, |name| is_like(name, text))
    }
}

/// Whether a name has a text in it, in which the case of ASCII letters does not matter.
fn is_like(name: &str, text: &str) -> bool {
    let (name, text) = (name.as_bytes(), text.as_bytes());
    text.is_empty()
        || name
            .windows(text.len())
            .any(|part| part.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::chat::{HubConfig, Joiner};
    use crate::clock::Now;
    use crate::ids::RoomName;

    #[test]
    fn names_are_found_by_a_part_of_them() {
        let now = Now {
            instant: Instant::now(),
            unix_ms: 0,
        };
        let mut hub = Hub::new(HubConfig::default(), 0);
        let id = |index| ConnId {
            index,
            generation: 7,
        };
        for (index, user, rooms) in [
            (0, "Alice", &["lobby", "games"][..]),
            (1, "Alice", &["lobby"]),
            (2, "bob", &[]),
            (3, "malice", &["Lobby 2"]),
        ] {
            let rooms = rooms.iter().map(|room| RoomName::new(room).unwrap());
            let joiner = Joiner {
                user: Some(UserName::new(user).unwrap()),
                rooms: rooms.collect(),
                ..Joiner::default()
            };
            hub.connect(id(index), joiner, now);
        }
        let alice = Somebody {
            user: "Alice",
            connections: 2,
            rooms: 2,
        };
        let found = hub.users_like("alice", 10);
        assert_eq!(found[0], alice);
        assert_eq!((found.len(), found[1].user), (2, "malice"));
        assert_eq!(hub.users_like("", 1), [alice]);
        assert_eq!(hub.connections_like("ALICE", 10), [id(0), id(1), id(3)]);
        assert_eq!(hub.connections_like("", 10), []);
        assert_eq!(hub.rooms_like("lobby", 10), [("Lobby 2", 1), ("lobby", 1)]);
        let (user, rooms) = hub.who(id(0)).unwrap();
        assert_eq!((user.as_str(), rooms), ("Alice", 2));
        assert!(
            hub.who(ConnId {
                index: 0,
                generation: 8
            })
            .is_none()
        );
        let bob = UserName::new("bob").unwrap();
        assert_eq!(hub.connections_of(&bob)[..], [id(2)]);
    }
}

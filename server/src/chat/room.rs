//! The rooms and who is in them: their connections, and how many of them each user has.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::conn_set::ConnSet;
use crate::ids::{ConnId, RoomName, UserName};

/// All rooms that somebody is in.
#[derive(Debug, Default)]
pub(super) struct Rooms(HashMap<RoomName, Room, foldhash::fast::RandomState>);

#[derive(Debug, Default)]
struct Room {
    followers: ConnSet,
    /// Connections of each user, and those that are expected back, in the order of names: that is how members are listed.
    users: BTreeMap<UserName, u32>,
}

impl Rooms {
    /// The name as it is in memory already, if somebody is in the room.
    pub(super) fn known(&self, name: &RoomName) -> RoomName {
        let known = self.0.get_key_value(name);
        known.map_or(name, |(name, _)| name).clone()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a connection of a user; `true` if it is the user's first there.
    pub(super) fn enter(&mut self, name: &RoomName, conn: ConnId, user: &UserName) -> bool {
        let room = self.0.entry(name.clone()).or_default();
        room.followers.insert(conn.index);
        let connections = room.users.entry(user.clone()).or_insert(0);
        *connections += 1;
        *connections == 1
    }

    /// Takes a connection of a user out; `true` if it was the user's last there.
    pub(super) fn leave(&mut self, name: &RoomName, conn: ConnId, user: &UserName) -> bool {
        self.unfollow(name, conn);
        self.let_go(name, user)
    }

    /// Takes a connection out, whose user stays until [`let_go`](Self::let_go).
    pub(super) fn unfollow(&mut self, name: &RoomName, conn: ConnId) {
        if let Some(room) = self.0.get_mut(name.as_str()) {
            room.followers.remove(conn.index);
        }
    }

    /// Takes a user out who has one connection less there, or is not waited for any more; `true` if that was the last.
    pub(super) fn let_go(&mut self, name: &RoomName, user: &UserName) -> bool {
        let Some(room) = self.0.get_mut(name.as_str()) else {
            return false;
        };
        let last = match room.users.get_mut(user.as_str()) {
            Some(connections) if *connections > 1 => {
                *connections -= 1;
                false
            }
            Some(_) => room.users.remove(user.as_str()).is_some(),
            None => false,
        };
        if room.users.is_empty() {
            self.0.remove(name.as_str());
        }
        last
    }

    /// The connections in a room.
    pub(super) fn followers(&self, name: &RoomName) -> Option<&ConnSet> {
        self.0.get(name.as_str()).map(|room| &room.followers)
    }

    /// The names of the first users in a room, sorted: `max` of them at most.
    pub(super) fn members(&self, name: &str, max: usize) -> Vec<&str> {
        self.0.get(name).map_or_else(Vec::new, |room| {
            room.users.keys().map(UserName::as_str).take(max).collect()
        })
    }

    /// Names and numbers of users of the `max` largest rooms that are wanted, largest first, and by name where they are as large.
    pub(super) fn largest(
        &self,
        max: usize,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Vec<(&str, usize)> {
        // The smallest of those found so far is on top: however many rooms there are, only `max` are sorted.
        let mut found = BinaryHeap::with_capacity(max.min(self.0.len()) + 1);
        for (name, room) in self.0.iter().filter(|(name, _)| is_wanted(name.as_str())) {
            found.push((Reverse(room.users.len()), name.as_str()));
            if found.len() > max {
                found.pop();
            }
        }
        let found = found.into_sorted_vec().into_iter();
        found.map(|(Reverse(users), name)| (name, users)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_rooms_come_first_and_each_user_counts_once() {
        let mut rooms = Rooms::default();
        let mut enter = |room: &str, index: u32, user: &str| {
            let conn = ConnId {
                index,
                generation: 0,
            };
            let (room, user) = (RoomName::new(room).unwrap(), UserName::new(user).unwrap());
            rooms.enter(&room, conn, &user);
        };
        for (index, user) in ["alice", "bob", "bob"].into_iter().enumerate() {
            enter("two", index as u32, user);
        }
        for room in ["b", "a", "c"] {
            enter(room, 9, "carol");
        }
        let largest = |max| rooms.largest(max, |_| true);
        assert_eq!(largest(9), [("two", 2), ("a", 1), ("b", 1), ("c", 1)]);
        assert_eq!(largest(2), [("two", 2), ("a", 1)]);
        assert_eq!(largest(0), []);
        assert_eq!(rooms.largest(9, |name| name == "c"), [("c", 1)]);
    }
}

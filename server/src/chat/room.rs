//! The rooms and who is in them: their connections, how many of them each user has, and on how many other nodes it is there.

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
    /// Where each user is there, in the order of names: that is how members are listed.
    users: BTreeMap<UserName, Count>,
}

/// How often a user is in a room.
#[derive(Debug, Default)]
struct Count {
    /// With connections of this node, and those that are expected back.
    here: u32,
    /// On how many other nodes.
    elsewhere: u32,
}

impl Count {
    const fn is_none(&self) -> bool {
        self.here == 0 && self.elsewhere == 0
    }
}

/// What became of a user who entered a room, or left it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// It was not there on this node before, or is not now.
    pub(super) here: bool,
    /// It was not there at all, or is not now: the others are told.
    pub(super) anywhere: bool,
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

    /// Adds a connection of a user.
    pub(super) fn enter(&mut self, name: &RoomName, conn: ConnId, user: &UserName) -> Change {
        let room = self.0.entry(name.clone()).or_default();
        room.followers.insert(conn.index);
        room.count_in(user)
    }

    /// Takes a connection of a user out.
    pub(super) fn leave(&mut self, name: &RoomName, conn: ConnId, user: &UserName) -> Change {
        self.unfollow(name, conn);
        self.let_go(name, user)
    }

    /// Lets a user stay until [`let_go`](Self::let_go), whatever becomes of its connections.
    pub(super) fn hold(&mut self, name: &RoomName, user: &UserName) {
        if let Some(room) = self.0.get_mut(name.as_str()) {
            room.count_in(user);
        }
    }

    /// Takes a connection out, whose user stays until [`let_go`](Self::let_go).
    pub(super) fn unfollow(&mut self, name: &RoomName, conn: ConnId) {
        if let Some(room) = self.0.get_mut(name.as_str()) {
            room.followers.remove(conn.index);
        }
    }

    /// Takes a user out who has one connection less there, or is not waited for any more.
    pub(super) fn let_go(&mut self, name: &RoomName, user: &UserName) -> Change {
        self.take_out(name, user, |count| {
            let is_last = count.here == 1;
            count.here = count.here.saturating_sub(1);
            is_last
        })
    }

    /// A user is there on one other node more; returns whether it was not there at all.
    pub(super) fn enter_elsewhere(&mut self, name: RoomName, user: UserName) -> bool {
        let room = self.0.entry(name).or_default();
        let count = room.users.entry(user).or_default();
        let is_first = count.is_none();
        count.elsewhere += 1;
        is_first
    }

    /// A user is there on one other node less; returns whether it is not there at all now.
    pub(super) fn leave_elsewhere(&mut self, name: &RoomName, user: &UserName) -> bool {
        let change = self.take_out(name, user, |count| {
            count.elsewhere = count.elsewhere.saturating_sub(1);
            false
        });
        change.anywhere
    }

    /// Lets `less` take from the count of a user, who is out when nothing is left.
    fn take_out(
        &mut self,
        name: &RoomName,
        user: &UserName,
        less: impl FnOnce(&mut Count) -> bool,
    ) -> Change {
        let Some(room) = self.0.get_mut(name.as_str()) else {
            return Change::default();
        };
        let Some(count) = room.users.get_mut(user.as_str()) else {
            return Change::default();
        };
        let here = less(count);
        let anywhere = count.is_none();
        if anywhere {
            room.users.remove(user.as_str());
        }
        if room.users.is_empty() {
            self.0.remove(name.as_str());
        }
        Change { here, anywhere }
    }

    /// Who is where on this node.
    pub(super) fn places_here(&self) -> impl Iterator<Item = (&RoomName, &UserName)> {
        let rooms = self.0.iter();
        rooms.flat_map(|(name, room)| {
            let users = room.users.iter();
            let here = users.filter(|(_, count)| count.here > 0);
            here.map(move |(user, _)| (name, user))
        })
    }

    /// The connections in a room.
    pub(super) fn followers(&self, name: &RoomName) -> Option<&ConnSet> {
        self.0.get(name.as_str()).map(|room| &room.followers)
    }

    /// The names of the first users in a room, sorted: `max` of them at most.
    pub(super) fn members(&self, name: &str, max: usize) -> impl Iterator<Item = &UserName> {
        let room = self.0.get(name).into_iter();
        room.flat_map(|room| room.users.keys()).take(max)
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

impl Room {
    fn count_in(&mut self, user: &UserName) -> Change {
        let count = self.users.entry(user.clone()).or_default();
        let change = Change {
            here: count.here == 0,
            anywhere: count.is_none(),
        };
        count.here += 1;
        change
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

    #[test]
    fn a_user_is_there_while_it_is_on_any_node_and_counts_once() {
        let mut rooms = Rooms::default();
        let (room, user) = (RoomName::new("r").unwrap(), UserName::new("u").unwrap());
        let conn = ConnId {
            index: 0,
            generation: 0,
        };
        let change = |here, anywhere| Change { here, anywhere };
        assert!(rooms.enter_elsewhere(room.clone(), user.clone()));
        assert_eq!(rooms.enter(&room, conn, &user), change(true, false));
        assert!(!rooms.enter_elsewhere(room.clone(), user.clone()));
        assert_eq!(rooms.largest(1, |_| true), [("r", 1)]);
        assert_eq!(rooms.places_here().count(), 1);
        rooms.hold(&room, &user);
        assert_eq!(rooms.leave(&room, conn, &user), change(false, false));
        assert!(!rooms.leave_elsewhere(&room, &user));
        assert_eq!(rooms.let_go(&room, &user), change(true, false));
        assert_eq!(rooms.let_go(&room, &user), change(false, false));
        assert_eq!(rooms.places_here().count(), 0);
        assert!(rooms.leave_elsewhere(&room, &user));
        assert!(!rooms.leave_elsewhere(&room, &user));
        assert_eq!(
            (rooms.len(), rooms.let_go(&room, &user)),
            (0, Change::default())
        );
    }
}

//! The rooms that a client is in, how far it has come in each, and what it says to get in. No sockets here.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::log::{Position, Positions};

/// Where a client begins in a room that it has not been in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At the oldest entry that is kept.
    Oldest,
    /// At the head: only what comes.
    Now,
    /// Behind this.
    After(Position),
    /// So many entries before the head, shown as a page of history, and then what comes.
    Newest(u16),
}

/// The rooms; they are named by their place in the list, which never changes.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: Vec<Room>,
}

#[derive(Debug)]
struct Room {
    name: String,
    begin: Begin,
    /// Everything up to here was seen.
    position: Option<Position>,
    is_followed: bool,
    /// ... and the server said so on this socket.
    is_joined: bool,
}

impl Rooms {
    /// Adds a room to follow, or comes back to one that was left; returns its place.
    pub(super) fn follow(&mut self, name: &str, begin: Begin) -> usize {
        let room = Room {
            name: name.to_owned(),
            begin,
            position: None,
            is_followed: true,
            is_joined: false,
        };
        match self.index_of(name) {
            Some(index) => {
                self.rooms[index] = room;
                index
            }
            None => {
                self.rooms.push(room);
                self.rooms.len() - 1
            }
        }
    }

    /// Follows a room no more: returns what to say, if it was followed.
    pub(super) fn leave(&mut self, index: usize) -> Option<String> {
        let room = self.rooms.get_mut(index).filter(|room| room.is_followed)?;
        room.is_followed = false;
        Some(json!({"type": "leave_room", "roomId": room.name}).to_string())
    }

    /// Follows nothing.
    pub(super) fn leave_all(&mut self) {
        self.rooms
            .iter_mut()
            .for_each(|room| room.is_followed = false);
    }

    /// The socket is gone.
    pub(super) fn lost(&mut self) {
        self.rooms
            .iter_mut()
            .for_each(|room| room.is_joined = false);
    }

    /// What to say to get into all rooms that the client is not in on this socket.
    pub(super) fn greetings(&self) -> impl Iterator<Item = String> {
        let waiting = self
            .followed()
            .filter(|(_, room)| !room.is_joined)
            .map(|(index, _)| index);
        waiting.filter_map(|index| self.greeting(index))
    }

    /// What to say to get into a room.
    pub(super) fn greeting(&self, index: usize) -> Option<String> {
        let room = self.rooms.get(index)?;
        let join = |since: Option<String>| {
            let mut join = json!({"type": "join_room", "roomId": room.name});
            if let Some(since) = since {
                join["since"] = Value::String(since);
            }
            join.to_string()
        };
        Some(match (room.position, room.begin) {
            (Some(position), _) | (None, Begin::After(position)) => {
                join(Some(position.to_string()))
            }
            (None, Begin::Oldest) => join(Some(String::new())),
            (None, Begin::Now) => join(None),
            // The room is joined behind the page, so that nothing is between the two.
            (None, Begin::Newest(count)) => {
                let ask =
                    json!({"type": "history", "roomId": room.name, "limit": count, "id": "newest"});
                ask.to_string()
            }
        })
    }

    /// A page came; returns what to say now if it was the way into a room.
    pub(super) fn page(&mut self, index: usize, position: Position) -> Option<String> {
        let room = self.rooms.get_mut(index)?;
        let is_way_in = room.is_followed && matches!(room.begin, Begin::Newest(_));
        if !is_way_in || room.position.is_some() {
            return None;
        }
        room.position = Some(position);
        self.greeting(index)
    }

    /// The rooms and positions for an address, where all are known.
    pub(super) fn query(&self) -> Option<String> {
        let of = |(_, room): (usize, &Room)| Some((room.name.clone(), room.position?));
        let positions: Vec<_> = self.followed().map(of).collect::<Option<_>>()?;
        if positions.is_empty() {
            return None;
        }
        let mut query = String::new();
        for (name, _) in &positions {
            query += &format!("&room={}", escaped(name));
        }
        let pairs = positions
            .iter()
            .map(|(name, position)| (name.as_str(), *position));
        Some(query + &format!("&since={}", escaped(&Positions::encode(pairs))))
    }

    /// Those that are followed, with how far the client has come.
    pub(super) fn positions(&self) -> impl Iterator<Item = (usize, Option<Position>)> {
        self.followed().map(|(index, room)| (index, room.position))
    }

    /// The name of a room.
    pub(super) fn name(&self, index: usize) -> Option<&str> {
        self.rooms.get(index).map(|room| room.name.as_str())
    }

    /// Everything up to here was seen.
    pub(super) fn position(&self, index: usize) -> Option<Position> {
        self.rooms.get(index)?.position
    }

    /// A room's place.
    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        self.rooms.iter().position(|room| room.name == name)
    }

    /// An entry, or the end of a gap, was seen.
    pub(super) fn seen(&mut self, index: usize, position: Position) {
        if let Some(room) = self.rooms.get_mut(index) {
            room.position = Some(position);
        }
    }

    /// The server says that everything up to here was shown.
    pub(super) fn joined(&mut self, index: usize, position: Position) {
        if let Some(room) = self.rooms.get_mut(index) {
            // An empty room has no entry that would say where it is.
            room.position.get_or_insert(position);
            room.is_joined = true;
        }
    }

    /// The acknowledgement is the sender's copy: where it is what comes next, the room was seen up to there.
    pub(super) fn acknowledged(&mut self, name: &str, position: Position) {
        let follows = |seen: Position| {
            seen.epoch == position.epoch && seen.offset.checked_add(1) == Some(position.offset)
        };
        if let Some(index) = self.index_of(name)
            && self.position(index).is_some_and(follows)
        {
            self.seen(index, position);
        }
    }

    fn followed(&self) -> impl Iterator<Item = (usize, &Room)> {
        self.rooms
            .iter()
            .enumerate()
            .filter(|(_, room)| room.is_followed)
    }
}

/// A value for an address.
pub(super) fn escaped(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn at(offset: u64) -> Position {
        Position {
            epoch: Epoch::new(1),
            offset,
        }
    }

    fn greetings(rooms: &Rooms) -> Vec<Value> {
        rooms
            .greetings()
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect()
    }

    #[test]
    fn a_room_is_joined_where_its_reader_begins_and_later_behind_what_it_saw() {
        let cases = [
            (Begin::Oldest, json!({"since": ""})),
            (Begin::Now, json!({})),
            (Begin::After(at(3)), json!({"since": "00000001-3"})),
        ];
        for (begin, mut first) in cases {
            let mut rooms = Rooms::default();
            let index = rooms.follow("r", begin);
            first["type"] = json!("join_room");
            first["roomId"] = json!("r");
            assert_eq!(greetings(&rooms), [first], "{begin:?}");
            rooms.seen(index, at(7));
            let then = json!({"type": "join_room", "roomId": "r", "since": "00000001-7"});
            assert_eq!(greetings(&rooms), [then]);
            rooms.joined(index, at(9));
            assert!(greetings(&rooms).is_empty(), "it is there");
            rooms.lost();
            assert_eq!(rooms.position(index), Some(at(7)), "not behind what it saw");
            assert_eq!(greetings(&rooms).len(), 1);
        }
    }

    #[test]
    fn the_newest_entries_come_before_joining_behind_them() {
        let mut rooms = Rooms::default();
        let index = rooms.follow("r", Begin::Newest(5));
        let ask = json!({"type": "history", "roomId": "r", "limit": 5, "id": "newest"});
        assert_eq!(greetings(&rooms), [ask]);
        let join = rooms.page(index, at(8)).unwrap();
        assert!(join.contains(r#""since":"00000001-8""#), "{join}");
        assert_eq!(rooms.page(index, at(3)), None, "that was an older page");
        assert_eq!(rooms.position(index), Some(at(8)));
    }

    #[test]
    fn a_room_that_was_left_is_entered_as_if_for_the_first_time() {
        let mut rooms = Rooms::default();
        let index = rooms.follow("r", Begin::Now);
        rooms.joined(index, at(8));
        assert!(rooms.leave(index).is_some() && rooms.leave(index).is_none());
        assert_eq!(greetings(&rooms).len(), 0);
        assert_eq!(rooms.follow("r", Begin::Oldest), index);
        assert_eq!(rooms.position(index), None);
    }

    #[test]
    fn an_address_names_all_rooms_once_their_positions_are_known() {
        let mut rooms = Rooms::default();
        assert_eq!(rooms.query(), None);
        let (r, q) = (
            rooms.follow("r", Begin::Oldest),
            rooms.follow("q", Begin::Oldest),
        );
        rooms.seen(r, at(1));
        assert_eq!(rooms.query(), None);
        rooms.seen(q, at(2));
        let query = "&room=r&room=q&since=r%3A00000001%2D1%2Cq%3A00000001%2D2";
        assert_eq!(rooms.query().as_deref(), Some(query));
    }
}

//! The relay's rooms: whoever connects is in, whatever comes goes to the others, nothing is kept.

use std::collections::HashMap;

use super::followers::Followers;
use crate::ids::{ConnId, RoomName};

/// Who listens to whom at `/relay`.
#[derive(Debug, Default)]
pub struct Relay {
    rooms: HashMap<RoomName, Followers, foldhash::fast::RandomState>,
}

impl Relay {
    /// Puts a connection into a room.
    pub fn enter(&mut self, room: &RoomName, conn: ConnId) {
        self.rooms.entry(room.clone()).or_default().insert(conn);
    }

    /// Takes a connection out of a room.
    pub fn leave(&mut self, room: &RoomName, conn: ConnId) {
        if let Some(followers) = self.rooms.get_mut(room.as_str()) {
            followers.remove(conn);
            if followers.is_empty() {
                self.rooms.remove(room.as_str());
            }
        }
    }

    /// All connections in a room.
    #[must_use]
    pub fn followers(&self, room: &RoomName) -> &[ConnId] {
        self.rooms.get(room.as_str()).map_or(&[], Followers::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_there_while_somebody_is_in_it() {
        let (room, id) = (RoomName::new("r").unwrap(), |index| ConnId { index, generation: 0 });
        let mut relay = Relay::default();
        relay.enter(&room, id(1));
        relay.enter(&room, id(2));
        assert_eq!(relay.followers(&room), [id(1), id(2)]);
        relay.leave(&room, id(1));
        relay.leave(&room, id(2));
        assert_eq!(relay.followers(&room), []);
        assert!(relay.rooms.is_empty());
    }
}

//! One connection that chats: who it is, where it is, and how far it has certainly come.

use crate::chat::parked::Place;
use crate::ids::{RoomName, Session, UserName};
use crate::limit::TokenBucket;
use crate::log::Position;

/// A connection that chats.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) user: UserName,
    pub(super) session: Session,
    /// The room of the address.
    pub(super) home: Option<RoomName>,
    pub(super) rooms: Vec<Joined>,
    /// Where its session was before, until it says `hello`.
    pub(super) earlier: Vec<Place>,
    pub(super) bad_messages: u8,
    pub(super) bucket: TokenBucket,
}

/// A room that a connection is in.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    pub(super) room: RoomName,
    /// Up to where its messages have certainly arrived; unknown before it was at the head.
    pub(super) arrived: Option<Position>,
}

impl Member {
    pub(super) fn is_in(&self, room: &RoomName) -> bool {
        self.rooms.iter().any(|joined| joined.room == *room)
    }

    /// Where it is, and how far it has certainly come.
    pub(super) fn places(&self) -> Vec<Place> {
        let place = |joined: &Joined| Some((joined.room.clone(), joined.arrived?));
        self.rooms.iter().filter_map(place).collect()
    }
}

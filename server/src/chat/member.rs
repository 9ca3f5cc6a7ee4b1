//! One connection that chats: who it is, where it is, and how far it has certainly come. There are tens of thousands: what few
//! have is elsewhere.

use smallvec::SmallVec;

use super::parked::Place;
use crate::ids::{ConnId, RoomName, Session, UserName};
use crate::limit::TokenBucket;
use crate::log::{Epoch, Position};

/// A connection that chats.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) conn: ConnId,
    pub(super) user: UserName,
    pub(super) session: Session,
    /// The room of the address.
    pub(super) home: Option<RoomName>,
    pub(super) rooms: SmallVec<[Joined; 1]>,
    pub(super) bucket: TokenBucket,
    pub(super) bad_messages: u8,
}

/// A room that a connection is in.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    pub(super) room: RoomName,
    /// Up to where its messages have certainly arrived, if `has_arrived`: a position in parts, which takes a word less.
    offset: u64,
    epoch: Epoch,
    has_arrived: bool,
}

impl Member {
    pub(super) fn is_in(&self, room: &RoomName) -> bool {
        self.rooms.iter().any(|joined| joined.room == *room)
    }

    /// Where it is, and how far it has certainly come.
    pub(super) fn places(&self) -> Vec<Place> {
        let place = |joined: &Joined| Some((joined.room.clone(), joined.arrived()?));
        self.rooms.iter().filter_map(place).collect()
    }
}

impl Joined {
    /// A room, of which nothing has arrived yet.
    pub(super) const fn new(room: RoomName) -> Self {
        Self {
            room,
            offset: 0,
            epoch: Epoch::new(0),
            has_arrived: false,
        }
    }

    /// Up to where its messages have certainly arrived; unknown before it was at the head.
    fn arrived(&self) -> Option<Position> {
        let Self { offset, epoch, .. } = *self;
        self.has_arrived.then_some(Position { epoch, offset })
    }

    pub(super) const fn set_arrived(&mut self, position: Position) {
        (self.epoch, self.offset) = (position.epoch, position.offset);
        self.has_arrived = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_small() {
        assert_eq!(size_of::<Option<Member>>(), 80);
    }
}

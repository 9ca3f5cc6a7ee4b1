//! One connection that chats: who it is, where it is, and how far it has certainly come. There are tens of thousands: what few
//! have is elsewhere.

use smallvec::SmallVec;

use super::parked::Place;
use crate::ids::{Arrival, ConnId, RoomName, Session, UserName};
use crate::limit::Spent;
use crate::log::{Epoch, Position};

/// A connection that chats.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) conn: ConnId,
    pub(super) user: UserName,
    pub(super) session: KeptSession,
    /// When its connection came, or the `hello` that named the session.
    pub(super) arrived: Arrival,
    /// The room of the address.
    pub(super) home: Option<RoomName>,
    pub(super) rooms: SmallVec<[Joined; 1]>,
    pub(super) spent: Spent,
}

/// A session as it is kept: a random one as its number, until its text is needed for a message. Who only listens never says
/// one, and the text would be a tenth of what it costs.
#[derive(Debug, Clone)]
pub(super) enum KeptSession {
    Number([u8; 16]),
    Text(Session),
}

/// What tells sessions apart, however they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SessionKey<'a> {
    Number([u8; 16]),
    Text(&'a str),
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

impl KeptSession {
    pub(super) fn new(session: Session) -> Self {
        match SessionKey::of(&session) {
            SessionKey::Number(number) => Self::Number(number),
            SessionKey::Text(_) => Self::Text(session),
        }
    }

    pub(super) fn key(&self) -> SessionKey<'_> {
        match self {
            Self::Number(number) => SessionKey::Number(*number),
            Self::Text(session) => SessionKey::of(session),
        }
    }

    /// The session.
    pub(super) fn get(&self) -> Session {
        match self {
            Self::Number(number) => Session::random(u128::from_be_bytes(*number)),
            Self::Text(session) => session.clone(),
        }
    }

    /// The same, for who will ask again.
    pub(super) fn keep_text(&mut self) -> Session {
        let session = self.get();
        *self = Self::Text(session.clone());
        session
    }
}

impl<'a> SessionKey<'a> {
    /// The number of a text that [`Session::random`] makes, or the text.
    pub(super) fn of(session: &'a Session) -> Self {
        let text = session.as_str();
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let number = (text.len() == 32 && text.bytes().all(is_digit))
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten();
        number.map_or(Self::Text(text), |number| {
            Self::Number(number.to_be_bytes())
        })
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
        assert_eq!(size_of::<Option<Member>>(), 104);
    }

    #[test]
    fn a_session_is_the_same_however_it_is_kept() {
        for text in [
            "s1",
            "00000000000000000000000000000007",
            "ffffffffffffffffffffffffffffffff",
            "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
            "+fffffffffffffffffffffffffffffff",
            "fffffffffffffffffffffffffffffffff",
        ] {
            let session = Session::new(text).unwrap();
            let mut kept = KeptSession::new(session.clone());
            let is_number = matches!(kept, KeptSession::Number(_));
            assert_eq!(is_number, text.len() == 32 && text.starts_with(['0', 'f']));
            assert_eq!(
                (kept.key(), kept.get()),
                (SessionKey::of(&session), session.clone())
            );
            assert_eq!(kept.keep_text(), session);
            assert_eq!(
                (kept.key(), kept.get()),
                (SessionKey::of(&session), session.clone())
            );
        }
    }
}

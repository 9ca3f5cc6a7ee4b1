//! Sessions whose connection is gone: in which rooms they were and how far they had come, for who comes back.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::cluster::Tag;
use crate::ids::{RoomName, Session, UserName};
use crate::log::Position;

/// How long a session is remembered.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// How many are remembered: half of the 28,672 that a table of 32,768 buckets takes. One that is fuller grows to twice its size once
/// what is taken out has left marks enough, for good and after some hundred thousand clients.
const SESSIONS_MAX: usize = 14_336;

/// In how many rooms they may have been together, each some 200 bytes.
const PLACES_MAX: usize = 32_768;

/// A room and the position up to which its messages have certainly arrived.
pub(super) type Place = (RoomName, Position);

/// Sessions without a connection, the one that ended first at the front.
#[derive(Debug, Default)]
pub(super) struct Parked {
    sessions: HashMap<Tag, Entry, foldhash::fast::RandomState>,
    order: VecDeque<(Tag, u64)>,
    count: u64,
    places: usize,
}

#[derive(Debug)]
struct Entry {
    places: Vec<Place>,
    until: Instant,
    number: u64,
}

impl Parked {
    /// A connection is gone that was in these rooms.
    pub(super) fn park(
        &mut self,
        user: &UserName,
        session: &Session,
        places: Vec<Place>,
        now: Instant,
    ) {
        self.forget_old(places.len(), now);
        if places.is_empty() {
            return;
        }
        self.places += places.len();
        self.count += 1;
        let (key, number) = (Tag::of(user, session), self.count);
        self.order.push_back((key, number));
        let until = now + KEPT_FOR;
        let entry = Entry {
            places,
            until,
            number,
        };
        if let Some(older) = self.sessions.insert(key, entry) {
            self.places -= older.places.len();
        }
    }

    /// Takes out where a session was.
    pub(super) fn take(&mut self, user: &UserName, session: &Session, now: Instant) -> Vec<Place> {
        if self.sessions.is_empty() {
            // Most who come were never here: that is to cost no digest.
            return Vec::new();
        }
        self.take_tagged(Tag::of(user, session), now)
    }

    /// The same of a session of which only its tag is known.
    pub(super) fn take_tagged(&mut self, tag: Tag, now: Instant) -> Vec<Place> {
        self.remove(&tag)
            .filter(|entry| now < entry.until)
            .map_or_else(Vec::new, |entry| entry.places)
    }

    fn remove(&mut self, key: &Tag) -> Option<Entry> {
        let entry = self.sessions.remove(key)?;
        self.places -= entry.places.len();
        Some(entry)
    }

    /// Makes room for a session that was in so many rooms.
    fn forget_old(&mut self, places: usize, now: Instant) {
        while let Some((key, number)) = self.order.front() {
            let entry = self
                .sessions
                .get(key)
                .filter(|entry| entry.number == *number);
            let is_there = entry.is_some();
            let is_kept = entry.is_some_and(|entry| now < entry.until);
            let has_room = self.order.len() < SESSIONS_MAX && self.places + places <= PLACES_MAX;
            if is_kept && has_room {
                return;
            }
            if let Some((key, _)) = self.order.pop_front()
                && is_there
            {
                self.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn key(number: usize) -> (UserName, Session) {
        let session = Session::new(&format!("s{number}")).unwrap();
        (UserName::new("a").unwrap(), session)
    }

    fn place() -> Vec<Place> {
        let position = Position {
            epoch: Epoch::new(1),
            offset: 7,
        };
        vec![(RoomName::new("r").unwrap(), position)]
    }

    #[test]
    fn a_session_is_remembered_once_and_for_a_time() {
        let (mut parked, now) = (Parked::default(), Instant::now());
        let (user, session) = key(1);
        parked.park(&user, &session, place(), now);
        assert_eq!(parked.take(&user, &session, now), place());
        assert_eq!(parked.take(&user, &session, now), []);
        parked.park(&user, &session, place(), now);
        assert_eq!(parked.take(&user, &session, now + KEPT_FOR), []);
    }

    #[test]
    fn all_together_were_in_so_many_rooms() {
        let (mut parked, now) = (Parked::default(), Instant::now());
        let places: Vec<Place> = std::iter::repeat_n(place(), 128).flatten().collect();
        for number in 0..1000 {
            let (user, session) = key(number);
            parked.park(&user, &session, places.clone(), now);
            assert!(parked.places <= PLACES_MAX);
        }
        let (user, session) = key(999);
        assert_eq!(parked.take(&user, &session, now).len(), 128);
        let (user, session) = key(1);
        parked.park(&user, &session, place(), now + 2 * KEPT_FOR);
        assert_eq!(parked.places, 1);
    }

    #[test]
    fn the_table_never_grows_beyond_twice_what_is_remembered() {
        let (mut parked, now) = (Parked::default(), Instant::now());
        for number in 0..30 * SESSIONS_MAX {
            let (user, session) = key(number);
            parked.park(&user, &session, place(), now);
            assert!(parked.sessions.capacity() <= 2 * SESSIONS_MAX, "{number}");
        }
        assert_eq!(parked.sessions.len(), SESSIONS_MAX);
    }

    #[test]
    fn so_many_are_remembered_and_the_oldest_is_forgotten() {
        let (mut parked, now) = (Parked::default(), Instant::now());
        for number in 0..SESSIONS_MAX + 10 {
            let (user, session) = key(number);
            parked.park(&user, &session, place(), now);
            assert!(parked.order.len() <= SESSIONS_MAX);
        }
        let (user, session) = key(5);
        assert_eq!(parked.take(&user, &session, now), []);
        let (user, session) = key(SESSIONS_MAX + 5);
        assert_eq!(parked.take(&user, &session, now), place());
        // Coming and going again and again leaves nothing behind.
        for _ in 0..3 * SESSIONS_MAX {
            parked.park(&user, &session, place(), now);
            parked.take(&user, &session, now);
        }
        assert!(parked.order.len() <= SESSIONS_MAX && parked.sessions.len() <= SESSIONS_MAX);
        let (user, session) = key(1);
        parked.park(&user, &session, place(), now + 2 * KEPT_FOR);
        assert_eq!((parked.order.len(), parked.sessions.len()), (1, 1));
    }
}

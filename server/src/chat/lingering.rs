//! Who was here a moment ago and is expected back: a client that polls has no connection between two polls, and nobody is to
//! see it leave and join each time.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::cluster::Tag;
use crate::ids::{RoomName, Session, UserName};

/// How many sessions are expected back ...
const SESSIONS_MAX: usize = 16_384;

/// ... and in how many rooms they may be together.
const ROOMS_MAX: usize = 65_536;

/// Sessions between two connections, the one that is to leave first at the front: all are given the same time.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    sessions: HashMap<Tag, Entry, foldhash::fast::RandomState>,
    order: VecDeque<(Tag, u64)>,
    count: u64,
    rooms: usize,
}

#[derive(Debug)]
struct Entry {
    user: UserName,
    rooms: Vec<RoomName>,
    until: Instant,
    number: u64,
}

impl Lingering {
    /// A session is expected back until then, and stays in these rooms.
    pub(super) fn add(
        &mut self,
        user: UserName,
        session: &Session,
        rooms: Vec<RoomName>,
        until: Instant,
    ) {
        self.count += 1;
        self.rooms += rooms.len();
        let (key, number) = (Tag::of(&user, session), self.count);
        self.order.push_back((key, number));
        let entry = Entry {
            user,
            rooms,
            until,
            number,
        };
        self.sessions.insert(key, entry);
    }

    /// The session is back, or will not come: takes out the rooms where it was.
    pub(super) fn take(&mut self, user: &UserName, session: &Session) -> Vec<RoomName> {
        if self.sessions.is_empty() {
            return Vec::new();
        }
        self.take_tagged(Tag::of(user, session))
    }

    /// The same of a session of which only its tag is known.
    pub(super) fn take_tagged(&mut self, tag: Tag) -> Vec<RoomName> {
        let entry = self.remove(&tag);
        self.forget_stale();
        entry.map_or_else(Vec::new, |entry| entry.rooms)
    }

    /// Whether this session is expected back.
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.sessions.contains_key(&tag)
    }

    /// Takes out one that is not expected any more, or the oldest where there are too many.
    pub(super) fn next_to_leave(&mut self, now: Instant) -> Option<(UserName, Vec<RoomName>)> {
        let is_full = self.order.len() > SESSIONS_MAX || self.rooms > ROOMS_MAX;
        if !is_full && self.until().is_none_or(|until| now < until) {
            return None;
        }
        let (key, _) = self.order.pop_front()?;
        let entry = self.remove(&key)?;
        self.forget_stale();
        Some((entry.user, entry.rooms))
    }

    /// When [`next_to_leave`](Self::next_to_leave) has something.
    pub(super) fn until(&self) -> Option<Instant> {
        let (key, _) = self.order.front()?;
        Some(self.sessions.get(key)?.until)
    }

    fn remove(&mut self, key: &Tag) -> Option<Entry> {
        let entry = self.sessions.remove(key)?;
        self.rooms -= entry.rooms.len();
        Some(entry)
    }

    /// Whoever is at the front is there.
    fn forget_stale(&mut self) {
        while let Some((key, number)) = self.order.front()
            && self.sessions.get(key).map(|entry| entry.number) != Some(*number)
        {
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(number: usize) -> (UserName, Session) {
        let session = Session::new(&format!("s{number}")).unwrap();
        (UserName::new("a").unwrap(), session)
    }

    fn rooms(count: usize) -> Vec<RoomName> {
        vec![RoomName::new("r").unwrap(); count]
    }

    #[test]
    fn who_comes_back_does_not_leave_and_who_does_not_leaves_once() {
        let (mut lingering, now) = (Lingering::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        for (number, until) in [(1, now), (2, now), (1, later)] {
            let (user, session) = key(number);
            // As a client that asks again at once.
            lingering.take(&user, &session);
            lingering.add(user, &session, rooms(1), until);
        }
        let (user, session) = key(2);
        assert_eq!(lingering.take(&user, &session), rooms(1));
        assert_eq!(lingering.until(), Some(later), "the older one is forgotten");
        assert_eq!(lingering.next_to_leave(now), None);
        let (user, _) = key(1);
        assert_eq!(lingering.next_to_leave(later), Some((user, rooms(1))));
        assert_eq!(
            (lingering.next_to_leave(later), lingering.until()),
            (None, None)
        );
        assert_eq!((lingering.rooms, lingering.order.len()), (0, 0));
    }

    #[test]
    fn only_so_many_are_expected_back_in_so_many_rooms() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        for (sessions, each) in [(2 * SESSIONS_MAX, 1), (1000, 128)] {
            let mut lingering = Lingering::default();
            for number in 0..sessions {
                let (user, session) = key(number);
                lingering.add(user, &session, rooms(each), later);
                while lingering.next_to_leave(now).is_some() {}
                assert!(lingering.order.len() <= SESSIONS_MAX && lingering.rooms <= ROOMS_MAX);
            }
            let (user, session) = key(0);
            assert_eq!(lingering.take(&user, &session), [], "the oldest has left");
            let (user, session) = key(sessions - 1);
            assert_eq!(lingering.take(&user, &session), rooms(each));
        }
    }
}

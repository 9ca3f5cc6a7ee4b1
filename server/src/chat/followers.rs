//! A set of connections to walk through often and to change in constant time.

use std::collections::HashMap;

use crate::ids::ConnId;

/// Connections in no particular order.
#[derive(Debug, Default)]
pub(super) struct Followers {
    list: Vec<ConnId>,
    places: HashMap<ConnId, u32, foldhash::fast::RandomState>,
}

impl Followers {
    /// Adds a connection; `false` if it is there already.
    pub(super) fn insert(&mut self, conn: ConnId) -> bool {
        let place = self.list.len() as u32;
        if self.places.contains_key(&conn) {
            return false;
        }
        self.places.insert(conn, place);
        self.list.push(conn);
        true
    }

    /// Takes a connection out; `false` if it is not there.
    pub(super) fn remove(&mut self, conn: ConnId) -> bool {
        let Some(place) = self.places.remove(&conn) else {
            return false;
        };
        self.list.swap_remove(place as usize);
        if let Some(moved) = self.list.get(place as usize) {
            self.places.insert(*moved, place);
        }
        if self.list.len() * 4 < self.list.capacity() {
            self.list.shrink_to(self.list.len() * 2);
            self.places.shrink_to(self.list.len() * 2);
        }
        true
    }

    /// All of them.
    pub(super) fn as_slice(&self) -> &[ConnId] {
        &self.list
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserting_and_removing_in_any_order_keeps_the_set() {
        let id = |index| ConnId {
            index,
            generation: 1,
        };
        let mut followers = Followers::default();
        assert!((0..100).all(|index| followers.insert(id(index))));
        assert!(!followers.insert(id(5)));
        for index in (0..100).step_by(3) {
            assert!(followers.remove(id(index)));
            assert!(!followers.remove(id(index)));
        }
        let mut left: Vec<u32> = followers.as_slice().iter().map(|conn| conn.index).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            (0..100).filter(|index| index % 3 != 0).collect::<Vec<_>>()
        );
        assert!(
            left.iter()
                .all(|&index| followers.places.contains_key(&id(index)))
        );
    }
}

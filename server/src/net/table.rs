//! The worker's connections, found by index and generation: an event for a connection that is gone finds nobody, even
//! where a new one has its place.

use mio::Token;
use slab::Slab;

use super::conn::Conn;
use crate::ids::{ConnId, Lane};

/// The first slots are those of no connection: the worker itself follows a log from there.
const SLOTS_RESERVED: u32 = 1;

/// Tokens from here on are not connections.
pub(super) const FIRST_RESERVED_TOKEN: usize = usize::MAX - 15;

/// All connections of a worker.
#[derive(Debug)]
pub(super) struct Table {
    lane: Lane,
    conns: Slab<Conn>,
    generation: u32,
}

impl Table {
    /// An empty one, whose places are those of a lane.
    pub(super) const fn new(lane: Lane) -> Self {
        Self {
            lane,
            conns: Slab::new(),
            generation: 0,
        }
    }

    /// Puts in the connection that `make` makes of its generation.
    pub(super) fn insert(&mut self, make: impl FnOnce(u32) -> Conn) -> ConnId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        // There are never 2^32 descriptors.
        let key = self.conns.insert(make(generation)) as u32;
        ConnId {
            index: self.lane.place(key + SLOTS_RESERVED),
            generation,
        }
    }

    /// The place of a worker that follows a log itself: no connection's.
    pub(super) const fn own_place(lane: Lane) -> ConnId {
        ConnId {
            index: lane.place(0),
            generation: 0,
        }
    }

    fn key(&self, id: ConnId) -> Option<usize> {
        self.lane
            .slot(id)
            .checked_sub(SLOTS_RESERVED)
            .map(|key| key as usize)
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns
            .get_mut(self.key(id)?)
            .filter(|conn| conn.generation == id.generation && !conn.dead)
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Conn> {
        let conn = self.conns.get(self.key(id)?)?;
        (conn.generation == id.generation && !conn.dead).then_some(conn)
    }

    /// Takes out a connection, dead or alive; its socket closes when it is dropped.
    pub(super) fn take(&mut self, id: ConnId) -> Option<Conn> {
        let key = self.key(id)?;
        let conn = self.conns.get(key)?;
        (conn.generation == id.generation).then(|| self.conns.remove(key))
    }

    /// The first `max` connections that are meant.
    pub(super) fn find(&self, max: usize, is_meant: impl Fn(ConnId, &Conn) -> bool) -> Vec<ConnId> {
        let conns = self.conns.iter().filter(|(_, conn)| !conn.dead);
        let conns = conns.map(|(key, conn)| (self.id_at(key, conn), conn));
        let meant = conns.filter(|(id, conn)| is_meant(*id, conn));
        meant.map(|(id, _)| id).take(max).collect()
    }

    const fn id_at(&self, key: usize, conn: &Conn) -> ConnId {
        ConnId {
            index: self.lane.place(key as u32 + SLOTS_RESERVED),
            generation: conn.generation,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }

    /// The ids of all connections.
    pub(super) fn ids(&self) -> Vec<ConnId> {
        let conns = self.conns.iter();
        conns.map(|(key, conn)| self.id_at(key, conn)).collect()
    }
}

/// The token of a connection.
pub(super) const fn token_of(id: ConnId) -> Token {
    Token((id.generation as usize) << 32 | id.index as usize)
}

/// The connection of a token.
pub(super) const fn id_of(token: Token) -> ConnId {
    ConnId {
        index: token.0 as u32,
        generation: (token.0 >> 32) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_connection() {
        let id = ConnId {
            index: 7,
            generation: u32::MAX - 1,
        };
        assert_eq!(id_of(token_of(id)), id);
        assert!(token_of(id).0 < FIRST_RESERVED_TOKEN);
    }
}

//! The worker's connections, found by index and generation: an event for a connection that is gone finds nobody, even
//! where a new one has its place.

use mio::Token;
use slab::Slab;

use super::conn::Conn;
use crate::ids::{ConnId, Lane};

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
        let slot = self.conns.insert(make(generation)) as u32;
        ConnId {
            index: self.lane.place(slot),
            generation,
        }
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns
            .get_mut(self.lane.slot(id) as usize)
            .filter(|conn| conn.generation == id.generation && !conn.dead)
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Conn> {
        self.conns
            .get(self.lane.slot(id) as usize)
            .filter(|conn| conn.generation == id.generation && !conn.dead)
    }

    /// Takes out a connection, dead or alive; its socket closes when it is dropped.
    pub(super) fn take(&mut self, id: ConnId) -> Option<Conn> {
        let slot = self.lane.slot(id) as usize;
        let conn = self.conns.get(slot);
        conn.is_some_and(|conn| conn.generation == id.generation)
            .then(|| self.conns.remove(slot))
    }

    /// The first `max` connections that are meant.
    pub(super) fn find(&self, max: usize, is_meant: impl Fn(ConnId, &Conn) -> bool) -> Vec<ConnId> {
        let conns = self.conns.iter().filter(|(_, conn)| !conn.dead);
        let conns = conns.map(|(slot, conn)| (self.id_at(slot, conn), conn));
        let meant = conns.filter(|(id, conn)| is_meant(*id, conn));
        meant.map(|(id, _)| id).take(max).collect()
    }

    const fn id_at(&self, slot: usize, conn: &Conn) -> ConnId {
        ConnId {
            index: self.lane.place(slot as u32),
            generation: conn.generation,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }

    /// The ids of all connections.
    pub(super) fn ids(&self) -> Vec<ConnId> {
        let conns = self.conns.iter();
        conns.map(|(slot, conn)| self.id_at(slot, conn)).collect()
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

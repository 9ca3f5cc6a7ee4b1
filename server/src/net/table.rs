//! The worker's connections, found by index and generation: an event for a connection that is gone finds nobody, even
//! where a new one has its place.

use mio::Token;
use slab::Slab;

use super::conn::Conn;
use crate::ids::ConnId;

/// Tokens from here on are not connections.
pub(super) const FIRST_RESERVED_TOKEN: usize = usize::MAX - 15;

/// All connections of a worker.
#[derive(Debug, Default)]
pub(super) struct Table {
    conns: Slab<Conn>,
    generation: u32,
}

impl Table {
    /// Puts in the connection that `make` makes of its generation.
    pub(super) fn insert(&mut self, make: impl FnOnce(u32) -> Conn) -> ConnId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.conns.insert(make(generation));
        // There are never 2^32 descriptors.
        ConnId {
            index: index as u32,
            generation,
        }
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns
            .get_mut(id.index as usize)
            .filter(|conn| conn.generation == id.generation && !conn.dead)
    }

    /// Takes out a connection, dead or alive; its socket closes with it.
    pub(super) fn remove(&mut self, id: ConnId) {
        if self
            .conns
            .get(id.index as usize)
            .is_some_and(|conn| conn.generation == id.generation)
        {
            self.conns.remove(id.index as usize);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }

    /// The ids of all connections.
    pub(super) fn ids(&self) -> Vec<ConnId> {
        let id = |(index, conn): (usize, &Conn)| ConnId {
            index: index as u32,
            generation: conn.generation,
        };
        self.conns.iter().map(id).collect()
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

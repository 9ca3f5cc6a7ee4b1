//! Where connections are: who is at the head of a log, who is behind, where and since when. Only looks.

use std::time::Instant;

use super::{Cursor, Feeds};
use crate::ids::{ConnId, Lane, LogName};
use crate::log::Position;

impl Feeds {
    /// The connections at the head of a log that was [pushed](Self::push) to.
    #[must_use]
    pub fn live(&self, log: &LogName) -> Vec<ConnId> {
        let Some(feed) = self.feeds.get(log.as_str()) else {
            return Vec::new();
        };
        let mut live = Vec::with_capacity(feed.live.len());
        let slots = feed.live.iter();
        live.extend(slots.map(|slot| conn_at(slot, self.lane, &self.generations)));
        live
    }

    /// All who follow a log.
    #[must_use]
    pub fn followers(&self, log: &LogName) -> Vec<ConnId> {
        if let Some(quiet) = self.quiet.get(log.as_str()) {
            return vec![quiet.follower];
        }
        let Some(feed) = self.feeds.get(log.as_str()) else {
            return Vec::new();
        };
        let slots = feed.live.iter().chain(feed.behind.iter());
        let conns = slots.map(|slot| conn_at(slot, self.lane, &self.generations));
        conns.collect()
    }

    /// Up to where the connection was given a log that it follows.
    #[must_use]
    pub fn position_of(&self, conn: ConnId, log: &LogName) -> Option<Position> {
        if let Some(quiet) = self.quiet.get(log.as_str()) {
            return (quiet.follower == conn).then(|| quiet.head());
        }
        let feed = self.feeds.get(log.as_str())?;
        if feed.live.contains(self.lane.slot(conn)) {
            return feed.head;
        }
        let cursors = self.cursors.get(&conn)?;
        let cursor = cursors.iter().find(|cursor| cursor.log == *log)?;
        cursor.after
    }

    /// How many connections are behind somewhere.
    pub fn behind(&self) -> usize {
        self.cursors.len()
    }

    /// Since when the one that is behind for the longest time is.
    pub fn behind_since(&self) -> Option<Instant> {
        let cursors = self.cursors.values().flatten();
        cursors.filter_map(|cursor| cursor.fell_behind).min()
    }

    /// Whether the connection is behind somewhere.
    pub fn is_behind(&self, conn: ConnId) -> bool {
        self.cursors.contains_key(&conn)
    }

    /// Where the connection has been behind for the longest time, since when, and how far it has come there.
    pub fn longest_behind(&self, conn: ConnId) -> Option<(Instant, &LogName, Position)> {
        let cursors = self.cursors.get(&conn)?;
        let behind = |cursor: &'_ Cursor| Some((cursor.fell_behind?, cursor.after?));
        cursors
            .iter()
            .filter_map(|cursor| behind(cursor).map(|(since, at)| (since, &cursor.log, at)))
            .min_by_key(|(since, _, _)| *since)
    }
}

/// The connection in a slot.
fn conn_at(slot: u32, lane: Lane, generations: &[u32]) -> ConnId {
    let index = lane.place(slot);
    let generation = generations[slot as usize];
    ConnId { index, generation }
}

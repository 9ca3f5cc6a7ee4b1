//! Joiners that wait: where it takes a while until a connection can be told that it has joined, it stays at the position that it
//! has reached until then, and so do the acks of what comes behind that.

use std::mem;
use std::time::Instant;

use super::Feeds;
use crate::chat::Event;
use crate::ids::{ConnId, LogName};
use crate::log::Slow;

impl Feeds {
    /// Who joins a room waits at its head after [`Step::AtHead`](super::Step::AtHead) until [`joined`](Self::joined), so that it hears of that before
    /// what comes next: here it takes a while.
    pub const fn let_joiners_wait(&mut self) {
        self.joiners_wait = true;
    }

    /// The connection is to be told that it has joined, and can go on from there; returns what was [held back](Self::hold_back).
    /// `None` if it has left since, or joined again.
    pub fn joined(&mut self, conn: ConnId, ticket: u32, now: Instant) -> Option<Vec<Event>> {
        let mut cursors = self.cursors.get_mut(&conn)?.iter_mut();
        let cursor = cursors.find(|cursor| cursor.ticket == ticket && cursor.waits)?;
        cursor.waits = false;
        // What is more than it has room for makes it slow, as if it were at the head already.
        let slow = self.rules.of(cursor.log.as_str()).slow;
        cursor.jumps = slow == Slow::Latest;
        cursor.fell_behind = (!cursor.jumps).then_some(now);
        Some(mem::take(&mut cursor.held_back))
    }

    /// What was held back for a connection that does not wait any more, because it leaves or joins again.
    pub fn take_held_back(&mut self, conn: ConnId, log: &LogName) -> Vec<Event> {
        let cursor = self.cursor_in(conn, log);
        cursor.map_or_else(Vec::new, |cursor| mem::take(&mut cursor.held_back))
    }

    /// Keeps what names a position of a log (an ack) until the connection has been told that it has joined, if it waits for
    /// that: what it is told then names an earlier one. Else gives it back.
    pub fn hold_back(&mut self, conn: ConnId, log: &LogName, event: Event) -> Option<Event> {
        match self.cursor_in(conn, log) {
            Some(cursor) if cursor.waits => {
                cursor.held_back.push(event);
                None
            }
            Some(_) | None => Some(event),
        }
    }
}

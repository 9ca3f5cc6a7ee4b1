//! Shedding: when memory has run out, the connections that hold the most are closed, and at once, since one that does not read
//! would hold it until its time is up. Who holds little is let alone: closing it would free nothing.

use std::io::ErrorKind;

use tidewire_protocol::CloseCode;

use super::Worker;
use crate::ids::ConnId;
use crate::net::conn::State;
use crate::recorder::EndCause;

/// Bytes up to which a connection is not worth closing.
const HELD_BYTES_MIN: usize = 32 << 10;

impl Worker {
    /// Closes connections that hold so many bytes together, those that hold the most first.
    pub(super) fn shed(&mut self, bytes: u64) {
        let mut holders: Vec<(usize, ConnId)> = self
            .table
            .ids()
            .into_iter()
            .filter_map(|id| Some((self.table.get_mut(id)?.held_bytes(), id)))
            .filter(|(held, _)| *held >= HELD_BYTES_MIN)
            .collect();
        holders.sort_unstable_by_key(|(held, _)| usize::MAX - held);
        let (mut freed, mut closed) = (0, 0);
        for (held, id) in holders {
            if freed >= bytes {
                break;
            }
            self.shed_one(id);
            freed += held as u64;
            closed += 1;
        }
        if closed == 0 {
            // The log is not to be filled ten times a second while nothing can be done.
            return;
        }
        self.status.own.shed += closed;
        tracing::warn!(
            event = "shed",
            connections = closed,
            bytes = freed,
            "Memory has run out: connections that held the most were closed."
        );
    }

    fn shed_one(&mut self, id: ConnId) {
        self.blame(id, EndCause::MemoryShed);
        let is_web_socket = self
            .table
            .get_mut(id)
            .is_some_and(|conn| matches!(conn.state, State::WebSocket(_)));
        if is_web_socket {
            let reason = "the server is short of memory";
            self.close(id, CloseCode::TRY_AGAIN_LATER, reason);
            // One that reads, and only sends what is never whole, hears of it.
            self.flush(id);
        } else {
            self.with_http(id, |http, _| http.abandon());
        }
        self.lose(id, ErrorKind::OutOfMemory);
    }
}

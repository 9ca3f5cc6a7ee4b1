//! How much is sent: what connections of an address send together, and what one sends to the relay. What a connection and a
//! user of the chat send the hub counts.

use std::time::{Duration, Instant};

use super::Worker;
use super::chat::{Chat, weight};
use super::mail::{Mail, Said};
use crate::ids::ConnId;
use crate::limit::Addresses;
use crate::net::conn::{App, Conn, State, WebSocket};
use crate::transport::dialect::{Parsed, owned};
use crate::transport::{Response, too_many};

/// How long a sender of the relay is held back at once: less than any heartbeat, since its pongs wait, too.
const HELD_MAX: Duration = Duration::from_secs(1);

impl Worker {
    /// Counts a message against the address of its connection.
    pub(super) fn spend_of_address(&mut self, id: ConnId, bytes: usize) -> Result<(), Duration> {
        let Some(conn) = self.table.get(id) else {
            return Ok(());
        };
        let spent = take_of_address(self.http.addresses.as_ref(), conn, bytes, self.now.instant);
        self.status.own.address_limited += u64::from(spent.is_err());
        spent
    }

    /// A connection says something that is not heard.
    pub(super) fn refuse_to_hear(
        &mut self,
        id: ConnId,
        parsed: Parsed<'_>,
        bytes: usize,
        wait: Duration,
    ) {
        match &mut self.chat {
            Chat::Here(hub) => {
                hub.refuse_to_hear(id, parsed, wait);
                self.run_effects();
            }
            Chat::There(_) => {
                let bytes = weight(bytes);
                let said = Said::TooMuch(id, Box::new(owned(parsed)), bytes, wait);
                self.peers.tell_home(said);
                self.wait_more(id, bytes);
            }
        }
    }

    // ---- the relay ----

    /// A connection of the relay has said something: if that was too much, it is not heard for a moment. It cannot be told,
    /// and nothing is lost: TCP holds it.
    pub(super) fn hold_back(&mut self, id: ConnId, bytes: usize) {
        let now = self.now.instant;
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let spent = take_of_address(self.http.addresses.as_ref(), conn, bytes, now);
        self.status.own.address_limited += u64::from(spent.is_err());
        let State::WebSocket(WebSocket {
            app: App::Relay(place),
            ..
        }) = &mut conn.state
        else {
            return;
        };
        let pause = place
            .spent
            .overdraw(&self.relay_limit, bytes as f32, self.clock.since_start());
        let pause = pause.max(spent.err().unwrap_or_default());
        if pause.is_zero() {
            return;
        }
        place.is_held = true;
        let until: Instant = now + pause.min(HELD_MAX);
        conn.set_wake_at(Some(until));
        self.status.own.relay_held += 1;
        self.mark_dirty(id);
    }

    // ---- over HTTP ----

    /// At home: who publishes has sent too much.
    pub(super) fn refuse_author(&mut self, id: ConnId, wait: Duration) {
        if self.peers.is_ours(id) {
            self.refuse_publication(id, wait);
        } else {
            self.peers.post_to_owner(id, Mail::Refused(id, wait));
        }
    }

    /// Answers a publication that is not made.
    pub(super) fn refuse_publication(&mut self, id: ConnId, wait: Duration) {
        self.publishing -= 1;
        self.respond(id, &too_much(wait));
    }

    // ---- counting ----

    /// Takes over what the hub has counted.
    pub(super) const fn count_refusals(&mut self) {
        if let Chat::Here(hub) = &self.chat {
            let (tally, own) = (hub.tally(), &mut self.status.own);
            own.connection_limited = tally.connection_limited;
            own.user_limited = tally.user_limited;
            own.user_full = tally.connections_refused;
            own.rooms_refused = tally.rooms_refused;
        }
    }
}

/// Counts a message against the address of a connection, where that is limited.
fn take_of_address(
    addresses: Option<&Addresses>,
    conn: &Conn,
    bytes: usize,
    now: Instant,
) -> Result<(), Duration> {
    match (addresses, &conn.pass) {
        (Some(addresses), Some(pass)) => addresses.take(pass, bytes, now),
        _ => Ok(()),
    }
}

/// The answer to a publication that comes too soon after others.
pub(super) fn too_much(wait: Duration) -> Response {
    too_many(
        "rate_limited",
        "Too many messages or bytes in too short a time: this one was dropped.",
        wait,
    )
}

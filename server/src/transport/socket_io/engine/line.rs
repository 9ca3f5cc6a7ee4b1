//! The way to the client: a WebSocket, or what waits until the client polls. A packet is put on it as what it is, so that what
//! waited can go over the WebSocket that takes a session over.

use std::mem;
use std::time::{Duration, Instant};

use tidewire_protocol::Prepared;

use super::packet::{SEPARATOR, push_binary};
use crate::ids::ConnId;
use crate::transport::dialect::{Answer, Out};

/// What waits for a poll from which on entries do not come any more: the session goes on from its cursors.
const WAITING_BYTES_HIGH: usize = 64 << 10;

/// What waits for a poll at most: a client that asks for answers and does not fetch them is let go.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// What a packet that waits takes beside its bytes.
const PACKET_BYTES: usize = 32;

/// A packet of polling that tells nothing.
const NOOP: &str = "6";

/// The way to the client.
#[derive(Debug)]
pub(in crate::transport::socket_io) enum Line {
    WebSocket,
    Polling(Polling),
}

/// What a session without a socket has of its client.
#[derive(Debug, Default)]
pub(in crate::transport::socket_io) struct Polling {
    queue: Vec<Waiting>,
    bytes: usize,
    /// The connection whose GET is to be answered.
    pub(super) poll: Option<ConnId>,
    /// The one whose POST is.
    pub(super) post: Option<ConnId>,
    /// A WebSocket that wants to take over, and until when it may.
    pub(super) probe: Option<(ConnId, Instant)>,
}

#[derive(Debug)]
enum Waiting {
    Text(String),
    Binary(Vec<u8>),
}

impl Line {
    /// Sends a text packet, its digit included.
    pub(in crate::transport::socket_io) fn send_text(&mut self, packet: String, out: &mut Out) {
        match self {
            Self::WebSocket => out.send_text(packet),
            Self::Polling(polling) => polling.push(packet.len(), Waiting::Text(packet)),
        }
    }

    /// Sends bytes.
    pub(in crate::transport::socket_io) fn send_binary(&mut self, bytes: Vec<u8>, out: &mut Out) {
        match self {
            Self::WebSocket => out.send_binary(bytes),
            Self::Polling(polling) => polling.push(bytes.len(), Waiting::Binary(bytes)),
        }
    }

    /// Sends a text packet that others get, too.
    pub(in crate::transport::socket_io) fn send_prepared(
        &mut self,
        packet: &Prepared,
        out: &mut Out,
    ) {
        match self {
            Self::WebSocket => out.send_prepared(packet.clone()),
            Self::Polling(_) => {
                // It was a text when it was prepared.
                let text = str::from_utf8(packet.payload()).unwrap_or_default();
                self.send_text(text.to_owned(), out);
            }
        }
    }

    /// Whether it is a WebSocket: what others get goes to it just so.
    pub(in crate::transport::socket_io) const fn is_web_socket(&self) -> bool {
        matches!(self, Self::WebSocket)
    }

    /// Whether entries may come.
    pub(in crate::transport::socket_io) const fn has_room(&self) -> bool {
        self.held_bytes() <= WAITING_BYTES_HIGH
    }

    /// Whether more waits than may.
    pub(super) const fn is_overfull(&self) -> bool {
        self.held_bytes() > WAITING_BYTES_MAX
    }

    pub(super) const fn held_bytes(&self) -> usize {
        match self {
            Self::WebSocket => 0,
            Self::Polling(polling) => polling.bytes,
        }
    }
}

impl Polling {
    /// A session whose first poll came on this connection.
    pub(super) fn begun_by(opener: ConnId) -> Self {
        Self {
            poll: Some(opener),
            ..Self::default()
        }
    }

    fn push(&mut self, bytes: usize, packet: Waiting) {
        self.bytes += bytes + PACKET_BYTES;
        self.queue.push(packet);
    }

    /// Answers what can be: a POST while no more than can be dealt with is on its way, a poll if there is something. Returns
    /// whether a poll was.
    pub(super) fn flush(&mut self, is_full: bool, out: &mut Out) -> bool {
        if let Some(conn) = self.post.take_if(|_| !is_full) {
            out.answer(conn, Answer::Taken);
        }
        // Who probes waits for the end of its poll, and says nothing before that.
        let is_due = !self.queue.is_empty() || self.probe.is_some();
        let Some(conn) = self.poll.take_if(|_| is_due) else {
            return false;
        };
        out.answer(conn, Answer::Payload(self.take_payload()));
        true
    }

    /// Ends it: what waits goes with the last packet, if somebody waits for it. If not, that is returned, unless nothing waits.
    pub(super) fn end(&mut self, last: &str, out: &mut Out) -> Option<String> {
        let mut ended = mem::take(self);
        if let Some(conn) = ended.post {
            out.answer(conn, Answer::Taken);
        }
        if ended.poll.is_none() && ended.queue.is_empty() {
            return None;
        }
        ended.push(last.len(), Waiting::Text(last.to_owned()));
        let payload = ended.take_payload();
        match ended.poll {
            Some(conn) => {
                out.answer(conn, Answer::Payload(payload));
                None
            }
            None => Some(payload),
        }
    }

    /// A WebSocket has taken over: what waits goes there.
    pub(super) fn move_on(self, out: &mut Out) {
        for conn in [self.poll, self.post].into_iter().flatten() {
            let is_poll = self.poll == Some(conn);
            let noop = || Answer::Payload(NOOP.to_owned());
            out.answer(conn, if is_poll { noop() } else { Answer::Taken });
        }
        for packet in self.queue {
            match packet {
                Waiting::Text(text) => out.send_text(text),
                Waiting::Binary(bytes) => out.send_binary(bytes),
            }
        }
    }

    /// Whether a WebSocket may ask to take over: one at a time may.
    pub(super) fn can_be_probed(&mut self, conn: ConnId, now: Instant, time: Duration) -> bool {
        if self.probe.is_some_and(|(_, until)| now < until) {
            return false;
        }
        self.probe = Some((conn, now + time));
        true
    }

    fn take_payload(&mut self) -> String {
        self.bytes = 0;
        let mut payload = String::new();
        for packet in mem::take(&mut self.queue) {
            if !payload.is_empty() {
                payload.push(SEPARATOR);
            }
            match packet {
                Waiting::Text(text) => payload.push_str(&text),
                Waiting::Binary(bytes) => push_binary(&bytes, &mut payload),
            }
        }
        if payload.is_empty() {
            NOOP.clone_into(&mut payload);
        }
        payload
    }
}

//! A WebSocket that wants to take a polled session over: it probes, is answered once the session agrees, and goes on or leaves.

use std::time::Instant;

use tidewire_protocol::{CloseCode, Message};

use super::UPGRADE_TIME;
use super::packet::Packet;
use crate::chat::Event;
use crate::clock::Now;
use crate::ids::ConnId;
use crate::transport::dialect::{Knock, Out, Protocol, Session, Sid};
use crate::transport::feeds::Shared;

/// Such a WebSocket, until its socket is the session's.
#[derive(Debug)]
pub(crate) struct Probing {
    sid: Sid,
    state: State,
    until: Instant,
}

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The client's `2probe`.
    AwaitsProbe,
    /// The session's consent.
    AwaitsConsent,
    /// The client's `5`.
    AwaitsUpgrade,
    Over,
}

impl Probing {
    /// One for the session of this name.
    pub(crate) fn new(sid: Sid, now: Now) -> Self {
        Self {
            sid,
            state: State::AwaitsProbe,
            until: now.instant + UPGRADE_TIME,
        }
    }

    fn end(&mut self, code: CloseCode, reason: &str, out: &mut Out) {
        self.state = State::Over;
        out.close(code, reason);
    }
}

impl Session for Probing {
    fn opened(&mut self, _now: Now, out: &mut Out) {
        out.knock_at(self.sid, Knock::Come);
    }

    fn message(&mut self, message: &Message<'_>, _now: Now, out: &mut Out) {
        let packet = match message {
            Message::Text(text) => Packet::parse(text).ok(),
            Message::Binary(_) => None,
        };
        match (self.state, packet) {
            (State::AwaitsProbe, Some(Packet::Ping("probe"))) => {
                self.state = State::AwaitsConsent;
                out.knock_at(self.sid, Knock::Probe);
            }
            (State::AwaitsUpgrade, Some(Packet::Upgrade)) => {
                self.state = State::Over;
                out.knock_at(self.sid, Knock::Upgrade);
            }
            (State::Over, _) => {}
            (State::AwaitsProbe | State::AwaitsConsent | State::AwaitsUpgrade, _) => {
                self.end(CloseCode::PROTOCOL_ERROR, "not what an upgrade says", out);
            }
        }
    }

    fn knock(&mut self, _from: ConnId, _sid: Sid, knock: &Knock, _now: Now, out: &mut Out) -> bool {
        let is_awaited = *knock == Knock::Granted && self.state == State::AwaitsConsent;
        if is_awaited {
            self.state = State::AwaitsUpgrade;
            out.send_text("3probe".to_owned());
        }
        is_awaited
    }

    fn told(&mut self, _event: &Event, _now: Now, _out: &mut Out) {}

    fn entry(&mut self, _entry: &Shared, _now: Now, _out: &mut Out) {}

    fn protocol(&self) -> Option<Protocol> {
        Some(Protocol::SocketIo)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.state != State::Over).then_some(self.until)
    }

    fn timeout(&mut self, now: Now, out: &mut Out) {
        if self.state != State::Over && self.until <= now.instant {
            self.end(CloseCode::POLICY_VIOLATION, "no upgrade in time", out);
        }
    }

    fn parting(&mut self) -> Option<(Sid, Knock)> {
        Some((self.sid, Knock::Gone))
    }

    fn closing(&mut self, _code: CloseCode, _reason: &str, _out: &mut Out) {
        self.state = State::Over;
    }
}

//! Engine.IO v4: a session that is polled or speaks over a WebSocket, changes from the one to the other, and has a heartbeat.
//!
//! ```text
//!             2probe, 3probe                 5
//!  Polling ──────────────────► probed by R ─────► WebSocket   (R's socket is the session's from then on)
//!     │  ▲                        │                  │
//!     │  └── R does not go on ────┘                  │
//!     └──────► over: no pong, a packet that is none, two polls or two posts at once, a poll that is given up, `1`
//! ```

mod heart;
mod line;
mod packet;
mod probe;

use std::time::{Duration, Instant};

use serde::Serialize;
use tidewire_protocol::{CloseCode, Message};

use self::heart::{Beat, Heart};
pub(super) use self::line::Line;
use self::line::Polling;
pub(super) use self::packet::Body;
use self::packet::{BadPacket, Packet, packets};
pub(crate) use self::probe::Probing;
use super::Settings;
use super::app::{App, End};
use crate::chat::Event;
use crate::clock::Now;
use crate::config::HEARTBEAT_LOST;
use crate::ids::{ConnId, LogName};
use crate::transport::dialect::{Answer, Encoding, Knock, Out, Protocol, Refusal, Session, Sid};
use crate::transport::feeds::Shared;

/// The time from a probe to the end of the upgrade: Engine.IO's own.
const UPGRADE_TIME: Duration = Duration::from_secs(10);

/// The packet that ends a session.
const CLOSE: &str = "1";
const PING: &str = "2";
const NOOP: &str = "6";

/// A session: what comes and goes, whichever way, and what it is for.
#[derive(Debug)]
pub(crate) struct Engine {
    sid: Sid,
    settings: Settings,
    line: Line,
    heart: Heart,
    app: App,
    is_over: bool,
}

/// The first packet (`0`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    sid: String,
    upgrades: &'static [&'static str],
    ping_interval: u64,
    ping_timeout: u64,
    max_payload: u64,
}

impl Engine {
    /// A session over a WebSocket.
    pub(crate) fn over_web_socket(sid: Sid, settings: Settings, app: App, now: Now) -> Self {
        Self::new(sid, settings, app, Line::WebSocket, now)
    }

    /// A session that is polled, and that a poll on `opener` began.
    pub(crate) fn polled_by(
        opener: ConnId,
        sid: Sid,
        settings: Settings,
        app: App,
        now: Now,
    ) -> Self {
        let polling = Polling::begun_by(opener);
        Self::new(sid, settings, app, Line::Polling(polling), now)
    }

    fn new(sid: Sid, settings: Settings, app: App, line: Line, now: Now) -> Self {
        let heart = Heart::new(settings.ping_interval, settings.ping_timeout, now.instant);
        Self {
            sid,
            settings,
            line,
            heart,
            app,
            is_over: false,
        }
    }

    fn open_packet(&self) -> String {
        let open = Open {
            sid: self.sid.to_string(),
            upgrades: if self.line.is_web_socket() {
                &[]
            } else {
                &["websocket"]
            },
            ping_interval: self.settings.ping_interval.as_millis() as u64,
            ping_timeout: self.settings.ping_timeout.as_millis() as u64,
            max_payload: self.settings.payload_bytes_max,
        };
        // Strings and numbers have no way to fail.
        format!("0{}", serde_json::to_string(&open).unwrap_or_default())
    }

    // ---- packets ----

    fn packet(
        &mut self,
        packet: Result<Packet<'_>, BadPacket>,
        now: Now,
        out: &mut Out,
    ) -> Result<(), BadPacket> {
        match packet? {
            Packet::Message(body) => {
                let done = self.app.message(&body, now, &mut self.line, out);
                self.end_if(done, out);
            }
            Packet::Pong(_) => self.heart.pong(now.instant),
            Packet::Close => {
                self.end(NOOP, CloseCode::NORMAL, "the client has closed", out);
            }
            // The server pings, in this version.
            Packet::Ping(_) => return Err(BadPacket),
            // An upgrade of what is one already, and what only a server says, mean nothing.
            Packet::Open | Packet::Upgrade | Packet::Noop => {}
        }
        Ok(())
    }

    fn bad_packet(&mut self, out: &mut Out) {
        let reason = "a packet of Engine.IO or Socket.IO is malformed";
        self.end(CLOSE, CloseCode::PROTOCOL_ERROR, reason, out);
    }

    fn end_if(&mut self, done: Result<(), End>, out: &mut Out) {
        match done {
            Ok(()) => {}
            Err(End::BadPacket) => self.bad_packet(out),
            Err(End::Left) => self.end(CLOSE, CloseCode::NORMAL, "the client has left", out),
            Err(End::NoConnect) => {
                let reason = "no namespace was connected to in time";
                self.end(CLOSE, CloseCode::POLICY_VIOLATION, reason, out);
            }
        }
    }

    /// Ends the session; who polls is told so by this packet.
    fn end(&mut self, last: &str, code: CloseCode, reason: &str, out: &mut Out) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        if let Line::Polling(polling) = &mut self.line {
            // Who broke the rules is told where it asks, and nowhere else.
            let _ = polling.end(last, out);
        }
        out.close(code, reason);
    }

    fn end_if_overfull(&mut self, out: &mut Out) {
        if self.line.is_overfull() {
            let code = CloseCode::POLICY_VIOLATION;
            self.end(CLOSE, code, "answers were not fetched", out);
        }
    }

    /// Does what is due by now.
    fn catch_up(&mut self, now: Now, out: &mut Out) {
        while !self.is_over
            && let Some(beat) = self.heart.beat(now.instant)
        {
            match beat {
                Beat::Ping => self.line.send_text(PING.to_owned(), out),
                Beat::Stop => {
                    let code = CloseCode::new(HEARTBEAT_LOST).unwrap_or(CloseCode::NORMAL);
                    self.end(CLOSE, code, "no answer to a ping", out);
                }
            }
        }
        let is_due = |at: Instant| at <= now.instant;
        if !self.is_over && self.app.due_at().is_some_and(is_due) {
            let done = self.app.timeout(&mut self.line, out);
            self.end_if(done, out);
        }
    }

    // ---- polling ----

    fn polled(&mut self, from: ConnId, out: &mut Out) {
        let Line::Polling(polling) = &mut self.line else {
            let why = "The session has a WebSocket now.";
            return out.answer(from, Answer::Refused(Refusal::BadRequest(why)));
        };
        if polling.poll.is_some() {
            return self.overlap(from, "A poll of this session waits already.", out);
        }
        polling.poll = Some(from);
        self.app.arrived(out);
    }

    fn posted(&mut self, from: ConnId, payload: &[u8], now: Now, out: &mut Out) {
        let Line::Polling(polling) = &mut self.line else {
            let why = "The session has a WebSocket now.";
            return out.answer(from, Answer::Refused(Refusal::BadRequest(why)));
        };
        if polling.post.is_some() {
            return self.overlap(
                from,
                "A request of this session is being dealt with already.",
                out,
            );
        }
        polling.post = Some(from);
        let is_fine =
            str::from_utf8(payload).is_ok_and(|payload| self.take_payload(payload, now, out));
        if !is_fine && !self.is_over {
            if let Line::Polling(polling) = &mut self.line {
                polling.post = None;
            }
            let why = "The payload has something that is no packet.";
            out.answer(from, Answer::Refused(Refusal::BadRequest(why)));
            self.bad_packet(out);
        }
        self.end_if_overfull(out);
    }

    /// Takes packets up to the first that ends the session; `false` if one is none.
    fn take_payload(&mut self, payload: &str, now: Now, out: &mut Out) -> bool {
        for packet in packets(payload) {
            if self.packet(packet, now, out).is_err() {
                return false;
            }
            if self.is_over {
                break;
            }
        }
        true
    }

    /// One request at a time in each direction: the order of more would be anybody's guess.
    fn overlap(&mut self, from: ConnId, why: &'static str, out: &mut Out) {
        out.answer(from, Answer::Refused(Refusal::BadRequest(why)));
        self.end(
            CLOSE,
            CloseCode::PROTOCOL_ERROR,
            "two requests at once",
            out,
        );
    }

    fn gone(&mut self, from: ConnId, out: &mut Out) {
        let Line::Polling(polling) = &mut self.line else {
            return;
        };
        polling.probe.take_if(|(conn, _)| *conn == from);
        if polling.poll == Some(from) {
            // What it was to be told may be lost.
            polling.poll = None;
            self.end(CLOSE, CloseCode::GOING_AWAY, "a poll was given up", out);
        }
    }

    fn probed(&mut self, from: ConnId, now: Now, out: &mut Out) -> bool {
        let Line::Polling(polling) = &mut self.line else {
            return false;
        };
        let may = polling.can_be_probed(from, now.instant, UPGRADE_TIME);
        if may {
            polling.flush(true, out);
            out.knock(from, Knock::Granted);
        }
        may
    }

    fn taken_over(&mut self, from: ConnId, out: &mut Out) -> bool {
        match &mut self.line {
            Line::Polling(polling) if polling.probe.is_some_and(|(conn, _)| conn == from) => {
                let polling = std::mem::take(polling);
                self.line = Line::WebSocket;
                out.take_socket(from);
                polling.move_on(out);
                true
            }
            Line::Polling(_) | Line::WebSocket => false,
        }
    }
}

impl Session for Engine {
    fn opened(&mut self, now: Now, out: &mut Out) {
        let open = self.open_packet();
        self.line.send_text(open, out);
        self.app.opened(now, self.settings.connect_time);
    }

    fn message(&mut self, message: &Message<'_>, now: Now, out: &mut Out) {
        self.catch_up(now, out);
        if self.is_over {
            return;
        }
        let packet = match message {
            Message::Text(text) => Packet::parse(text),
            Message::Binary(bytes) => Ok(Packet::Message(Body::Binary((&**bytes).into()))),
        };
        if self.packet(packet, now, out).is_err() {
            self.bad_packet(out);
        }
    }

    fn told(&mut self, event: &Event, _now: Now, out: &mut Out) {
        self.app.told(event, &mut self.line, out);
        self.end_if_overfull(out);
    }

    fn entry(&mut self, entry: &Shared, _now: Now, out: &mut Out) {
        self.app.entry(entry, &mut self.line, out);
    }

    fn shares(&self, log: &LogName) -> Option<Encoding> {
        self.app.shares(log).filter(|_| self.line.is_web_socket())
    }

    fn has_room(&self) -> bool {
        self.line.has_room()
    }

    fn held_bytes(&self) -> usize {
        self.line.held_bytes() + self.app.held_bytes()
    }

    fn protocol(&self) -> Option<Protocol> {
        Some(Protocol::SocketIo)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let due = self.app.due_at().unwrap_or_else(|| self.heart.at());
        (!self.is_over).then(|| due.min(self.heart.at()))
    }

    fn timeout(&mut self, now: Now, out: &mut Out) {
        self.catch_up(now, out);
    }

    fn knock(&mut self, from: ConnId, sid: Sid, knock: &Knock, now: Now, out: &mut Out) -> bool {
        if sid != self.sid {
            return false;
        }
        self.catch_up(now, out);
        if self.is_over {
            return false;
        }
        match knock {
            Knock::Poll => self.polled(from, out),
            Knock::Post(payload) => self.posted(from, payload, now, out),
            Knock::Gone => self.gone(from, out),
            Knock::Come => return !self.line.is_web_socket(),
            Knock::Probe => return self.probed(from, now, out),
            Knock::Upgrade => return self.taken_over(from, out),
            Knock::Granted => return false,
        }
        true
    }

    fn flush(&mut self, is_full: bool, out: &mut Out) {
        if let Line::Polling(polling) = &mut self.line
            && polling.flush(is_full, out)
        {
            self.app.handed_over();
        }
    }

    fn closing(&mut self, code: CloseCode, reason: &str, out: &mut Out) {
        if !self.is_over {
            self.app.closing(code, reason, &mut self.line, out);
        }
        if let Line::Polling(polling) = &mut self.line
            && let Some(payload) = polling.end(CLOSE, out)
        {
            out.leave(self.sid, payload);
        }
        self.is_over = true;
    }
}

/// Reads a payload, whatever it is: what is written of its bytes is read again as they were.
///
/// # Panics
/// It is not.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn fuzz_payload(text: &str) {
    for packet in packets(text) {
        if let Ok(Packet::Message(Body::Binary(bytes))) = packet {
            let mut payload = String::new();
            packet::push_binary(&bytes, &mut payload);
            let again = Packet::parse(&payload);
            assert_eq!(again, Ok(Packet::Message(Body::Binary(bytes))));
        }
    }
}

#[cfg(test)]
mod tests;

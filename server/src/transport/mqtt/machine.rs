//! The machine of a connection that speaks MQTT: packets and what the chat tells come in, packets and what is asked of the chat go out.
//! Pure: no sockets, no clock.
//!
//! ```text
//! Awaiting ──CONNECT──▶ Entering ──the chat welcomes──▶ Open ──DISCONNECT, an error──▶ Over
//!                          └──its log is to be read──▶ Recalling ─▲
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tidewire_protocol::{CloseCode, Message};

use super::connect::Entering;
use super::encode;
use super::joins::{Join, Joins};
use super::packet::{Answer, Packet, QoS, Version, decode, version_of};
use super::publish::Alias;
use super::reason::{Bad, Reason, forbidden};
use super::recall::Recalling;
use super::store::{Claim, Memo, Sessions};
use super::wire::{Frame, Frames};
use crate::chat::{Command, Event, Joiner, Request};
use crate::clock::Now;
use crate::ids::{LogName, UserName};
use crate::log::{Entry, Position, StoreError};
use crate::transport::dialect::{Encoding, Out, Protocol, Session};
use crate::transport::feeds::Shared;

/// How long a client may take from the handshake to its CONNECT, and for all of it.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// What may come before the server has let the client in, beside one packet of the largest size: "Clients are allowed to send further
/// packets immediately after sending a CONNECT packet" (§3.1.4).
const EARLY_BYTES_MAX: usize = 64 << 10;

/// Messages of QoS 1 and 2 on their way to a client at once, unless it wants fewer.
pub(super) const WINDOW_MAX: usize = 128;

/// What a server's configuration says about MQTT.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The largest packet that is taken.
    pub(crate) packet_bytes_max: usize,
}

/// A connection that speaks MQTT.
#[derive(Debug)]
pub(crate) struct Mqtt {
    pub(super) sessions: Arc<Sessions>,
    pub(super) limits: Limits,
    pub(super) frames: Frames,
    pub(super) phase: Phase,
    pub(super) version: Version,
    pub(super) user: Option<UserName>,
    pub(super) claim: Option<Claim>,
    /// How long the session is to wait for the client.
    pub(super) expiry: Duration,
    pub(super) has_will: bool,
    /// What the client takes.
    pub(super) window: usize,
    pub(super) packet_bytes_max: usize,
    /// "One and a half times the Keep Alive time period" (§3.1.2.10).
    pub(super) silence_max: Option<Duration>,
    heard: Option<Instant>,
    asks: u64,
    asked: HashMap<u64, Asked, foldhash::fast::RandomState>,
    pub(super) aliases: Vec<Alias>,
    pub(super) joins: Joins,
    /// All that it is sent of a room is sent as it is to others.
    pub(super) is_plain: bool,
    pub(super) has_room: bool,
    /// When its session is to be written.
    pub(super) keep_at: Option<Instant>,
    last_memo: Option<Memo>,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Phase {
    /// CONNECT is to come, until then.
    Awaiting(Box<Joiner>),
    /// The chat has been asked to let it in.
    Entering(Box<Entering>),
    /// It was let in, and its session is read.
    Recalling(Box<Recalling>),
    Open,
    /// It has ended, or is about to.
    Over,
}

/// What the chat was asked, and has not answered.
#[derive(Debug)]
pub(super) enum Asked {
    /// To keep a message.
    Message {
        id: u16,
        qos: QoS,
        seq: Box<str>,
    },
    Will,
    /// For the last entry of a log.
    Last(Join),
    /// To let it join or leave a room.
    Join(Join),
    /// To let it follow what is no room, which only a refusal answers.
    Follow(Join),
}

impl Mqtt {
    /// A connection whose address and handshake said this.
    pub(crate) fn new(joiner: Joiner, sessions: Arc<Sessions>, limits: Limits) -> Self {
        Self {
            sessions,
            limits,
            frames: Frames::new(limits.packet_bytes_max),
            phase: Phase::Awaiting(Box::new(joiner)),
            version: Version::Three,
            user: None,
            claim: None,
            expiry: Duration::ZERO,
            has_will: false,
            window: WINDOW_MAX,
            packet_bytes_max: usize::MAX,
            silence_max: None,
            heard: None,
            asks: 0,
            asked: HashMap::default(),
            aliases: Vec::new(),
            joins: Joins::default(),
            is_plain: true,
            has_room: true,
            keep_at: None,
            last_memo: None,
        }
    }

    // ---- what the client says ----

    /// Takes all packets that are there.
    pub(super) fn go_on(&mut self, now: Now, out: &mut Out) {
        loop {
            match self.phase {
                Phase::Over => return,
                Phase::Entering(_) | Phase::Recalling(_) => {
                    if self.frames.len() > EARLY_BYTES_MAX + self.limits.packet_bytes_max {
                        let (reason, why) = (Reason::QuotaExceeded, "too much came too soon");
                        self.fail(Bad { reason, why }, out);
                    }
                    return;
                }
                Phase::Awaiting(_) | Phase::Open => {}
            }
            let taken = match self.frames.next() {
                Ok(None) => return,
                Ok(Some(frame)) => self.take(&frame, now, out),
                Err(bad) => Err(bad),
            };
            if let Err(bad) = taken {
                return self.fail(bad, out);
            }
        }
    }

    fn take(&mut self, frame: &Frame, now: Now, out: &mut Out) -> Result<(), Bad> {
        if let Phase::Awaiting(_) = self.phase {
            // "After a Network Connection is established by a Client to a Server, the first packet sent from the Client to the
            // Server MUST be a CONNECT packet" (§3.1).
            if frame.first >> 4 != 1 {
                return Err(forbidden("the first packet is no CONNECT"));
            }
            // It is answered in its own language, as far as there is one.
            if version_of(frame) >= Some(5) {
                self.version = Version::Five;
            }
        }
        let bytes = frame.body.len();
        match decode(frame, self.version)? {
            Packet::Connect(connect) => self.connect(&connect, out),
            Packet::Publish(publish) => self.publish(&publish, bytes, out),
            Packet::Acknowledged(acknowledged) if acknowledged.answer == Answer::Release => {
                self.release(acknowledged.id, out);
                Ok(())
            }
            Packet::Acknowledged(acknowledged) => {
                self.acknowledged(&acknowledged, out);
                Ok(())
            }
            Packet::Subscribe(subscribe) => {
                self.subscribe(&subscribe, now, out);
                Ok(())
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.unsubscribe(&unsubscribe, now, out);
                Ok(())
            }
            Packet::Ping => {
                out.send_binary(encode::pong());
                Ok(())
            }
            Packet::Disconnect(disconnect) => self.disconnect(&disconnect, out),
            Packet::Authenticate => Err(forbidden("no authentication was agreed on")),
        }
    }

    /// The connection ends: the client broke a rule, or cannot be served.
    pub(super) fn fail(&mut self, bad: Bad, out: &mut Out) {
        let Bad { reason, why } = bad;
        self.end(reason, why, out);
    }

    /// The same, with any sentence.
    pub(super) fn end(&mut self, reason: Reason, why: &str, out: &mut Out) {
        match self.phase {
            Phase::Over => return,
            Phase::Awaiting(_) if reason != Reason::UnsupportedProtocolVersion => {}
            Phase::Awaiting(_) | Phase::Entering(_) | Phase::Recalling(_) => {
                out.send_binary(encode::refusal(self.version, reason, why));
            }
            Phase::Open => self.say_goodbye(reason, why, out),
        }
        self.phase = Phase::Over;
        let code = if reason == Reason::PacketTooLarge {
            CloseCode::MESSAGE_TOO_BIG
        } else {
            CloseCode::POLICY_VIOLATION
        };
        out.close(code, why);
    }

    fn say_goodbye(&self, reason: Reason, why: &str, out: &mut Out) {
        if self.version == Version::Five {
            out.send_binary(encode::disconnect(reason, why));
        }
    }

    // ---- what is asked of the chat ----

    /// Asks the chat, and notes what was asked if the answer matters.
    pub(super) fn ask(
        &mut self,
        command: Command<'static>,
        bytes: usize,
        asked: Option<Asked>,
        out: &mut Out,
    ) {
        let id = asked.map(|asked| {
            self.asks += 1;
            self.asked.insert(self.asks, asked);
            number(self.asks)
        });
        out.ask(Request { command, id }, bytes);
    }

    /// Forgets that it was asked to follow a log that is no room: that was done, or is asked anew.
    pub(super) fn forget_following(&mut self, log: &LogName) {
        self.asked
            .retain(|_, asked| !matches!(asked, Asked::Follow(join) if join.is_of(log)));
    }

    /// What an event answers.
    fn answered(&mut self, event: &Event) -> Option<Asked> {
        let id: u64 = event.id()?.get().parse().ok()?;
        // What tells of a hole comes before the answer.
        if let Event::Gap { .. } = event {
            return None;
        }
        self.asked.remove(&id)
    }

    fn answer(&mut self, asked: Asked, event: &Event, now: Now, out: &mut Out) {
        match (asked, event) {
            (
                asked,
                Event::Error {
                    code,
                    message,
                    retry_after,
                    ..
                },
            ) => {
                let wait = retry_after.map(Duration::from_millis);
                self.refused(asked, code, message, wait, now, out);
            }
            (Asked::Message { id, qos, seq }, _) => self.kept(id, qos, &seq, out),
            (
                Asked::Last(join),
                Event::History {
                    messages, position, ..
                },
            ) => {
                self.last(join, messages.last(), *position, now, out);
            }
            (Asked::Join(join), Event::Joined { position, .. }) => {
                self.joined(join, *position, now, out);
            }
            (Asked::Join(join), _) => self.left(join, now, out),
            (Asked::Last(_) | Asked::Follow(_) | Asked::Will, _) => {}
        }
    }

    fn refused(
        &mut self,
        asked: Asked,
        code: &str,
        message: &str,
        wait: Option<Duration>,
        now: Now,
        out: &mut Out,
    ) {
        match asked {
            Asked::Message { id, qos, seq } => {
                self.not_kept(id, qos, &seq, Reason::of_error(code), message, out);
            }
            Asked::Will => self.end(Reason::of_error(code), message, out),
            Asked::Last(join) | Asked::Join(join) if code == "rate_limited" => {
                self.join_later(join, wait.unwrap_or_default(), now);
            }
            Asked::Follow(join) => self.follow_later(join, wait.unwrap_or_default(), now),
            Asked::Last(join) if code == "forbidden" => self.follow_unread(join, now, out),
            Asked::Last(join) | Asked::Join(join) => {
                self.not_joined(join, code, message, now, out);
            }
        }
    }

    fn hear(&mut self, event: &Event, now: Now, out: &mut Out) {
        if let Phase::Entering(_) = self.phase {
            if let Event::Welcome { session, user, .. } = event {
                self.heard = Some(now.instant);
                self.welcomed(user, session, now, out);
                return self.go_on(now, out);
            }
            if let Event::Error { code, message, .. } = event {
                return self.not_welcomed(code, message, out);
            }
        }
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        if let Event::Gap {
            room_id,
            from,
            to,
            // That of a page of history is no hole in what it follows.
            id: None,
            ..
        } = event
        {
            self.missed(room_id, from, *to);
        } else if let Some(asked) = self.answered(event) {
            self.answer(asked, event, now, out);
        }
    }
}

impl Session for Mqtt {
    fn protocol(&self) -> Option<Protocol> {
        Some(Protocol::Mqtt)
    }

    fn opened(&mut self, now: Now, _out: &mut Out) {
        self.heard = Some(now.instant);
        self.silence_max = Some(CONNECT_WAIT);
    }

    fn message(&mut self, message: &Message<'_>, now: Now, out: &mut Out) {
        match message {
            // "If any other type of data frame is received the recipient MUST close the Network Connection" (§6).
            Message::Text(_) => {
                self.phase = Phase::Over;
                out.close(
                    CloseCode::UNSUPPORTED_DATA,
                    "MQTT is spoken in binary messages",
                );
            }
            Message::Binary(bytes) => {
                if !matches!(self.phase, Phase::Awaiting(_)) {
                    self.heard = Some(now.instant);
                }
                self.frames.push(bytes);
                self.go_on(now, out);
                self.keep_on(now, out);
            }
        }
    }

    fn told(&mut self, event: &Event, now: Now, out: &mut Out) {
        self.hear(event, now, out);
        self.keep_on(now, out);
    }

    fn entry(&mut self, entry: &Shared, now: Now, out: &mut Out) {
        self.deliver(entry, out);
        if !self.is_plain {
            self.keep_on(now, out);
        }
    }

    fn found(&mut self, rooms: &[(LogName, Option<Position>)], now: Now, out: &mut Out) {
        self.rooms_found(rooms, now, out);
        self.keep_on(now, out);
    }

    fn recalled(&mut self, found: Result<&[Arc<Entry>], StoreError>, now: Now, out: &mut Out) {
        self.was_recalled(found, now, out);
    }

    fn memo_kept(&mut self, now: Now, out: &mut Out) {
        self.was_kept(now, out);
    }

    fn shares(&self, log: &LogName) -> Option<Encoding> {
        let encoding = match self.version {
            Version::Three => Encoding::Mqtt3,
            Version::Five => Encoding::Mqtt5,
        };
        // Who wants no large packets is looked at with each.
        let takes_all = self.packet_bytes_max == usize::MAX;
        let is_shared = self.is_plain && takes_all && !log.as_str().starts_with('@');
        is_shared.then_some(encoding)
    }

    fn has_room(&self) -> bool {
        self.has_room
    }

    fn confirms(&self) -> bool {
        true
    }

    fn held_bytes(&self) -> usize {
        let state = self.claim.as_ref().and_then(Claim::state);
        self.frames.len() + self.joins.bytes() + state.map_or(0, |state| state.bytes())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if let Phase::Over = self.phase {
            return None;
        }
        let silent = self.heard.zip(self.silence_max);
        let silent = silent.map(|(heard, silence)| heard + silence);
        let recalls = match &self.phase {
            Phase::Recalling(recalling) => Some(recalling.wake_at()),
            Phase::Awaiting(_) | Phase::Entering(_) | Phase::Open | Phase::Over => None,
        };
        let due = [silent, recalls, self.joins.retry_at, self.keep_at];
        due.into_iter().flatten().min()
    }

    fn timeout(&mut self, now: Now, out: &mut Out) {
        let silent = self.heard.zip(self.silence_max);
        if silent.is_some_and(|(heard, silence)| heard + silence <= now.instant) {
            let why = match self.phase {
                Phase::Awaiting(_) => "no CONNECT came in time",
                Phase::Entering(_) | Phase::Recalling(_) | Phase::Open | Phase::Over => {
                    "nothing came for one and a half times the keep alive time"
                }
            };
            return self.end(Reason::KeepAliveTimeout, why, out);
        }
        self.recall_again(now, out);
        self.join_more(now, out);
        self.keep_on(now, out);
    }

    fn closing(&mut self, code: CloseCode, reason: &str, out: &mut Out) {
        if let Phase::Open = self.phase {
            self.say_goodbye(Reason::of_closing(code), reason, out);
        }
        self.phase = Phase::Over;
    }

    fn ended(&mut self, now: Now) {
        self.phase = Phase::Over;
        if let Some(claim) = self.claim.take() {
            self.last_memo = self.sessions.release(&claim, self.expiry, now.instant);
        }
    }

    fn last_memo(&mut self) -> Option<Memo> {
        self.last_memo.take()
    }
}

/// A number as JSON.
fn number(number: u64) -> Cow<'static, RawValue> {
    // Digits are JSON.
    let json = RawValue::from_string(number.to_string());
    json.map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}

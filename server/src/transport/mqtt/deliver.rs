//! What a client gets: the entries of the logs that it follows, as messages of the QoS that it subscribed with. At QoS 0 most of them are
//! the same bytes for all; at 1 and 2 each has a packet identifier and a record of its own.

use std::sync::Arc;

use tidewire_protocol::{Message, Prepared};

use super::about::split;
use super::encode::{self, Head};
use super::machine::Mqtt;
use super::packet::{Acknowledged, Answer, QoS, Version};
use super::payload::payload_of;
use super::reason::Reason;
use super::state::{RECORDS_MAX, Record, Stage, State, is_shown};
use super::subscribe::all_plain;
use crate::ids::LogName;
use crate::log::{Entry, Position};
use crate::transport::dialect::{Encoding, Out};
use crate::transport::feeds::Shared;

/// An entry for all who follow its log at QoS 0, in MQTT 3.1.1.
pub(crate) fn message_of_3(entry: &Entry) -> Prepared {
    plain(Version::Three, entry)
}

/// The same in 5.
pub(crate) fn message_of_5(entry: &Entry) -> Prepared {
    plain(Version::Five, entry)
}

fn plain(version: Version, entry: &Entry) -> Prepared {
    let bytes = message(&Head::plain(version), entry);
    Prepared::new(&Message::binary(&bytes))
}

fn message(head: &Head<'_>, entry: &Entry) -> Vec<u8> {
    let (about, content) = split(&entry.draft.content);
    encode::publish(head, &about, entry.draft.log.as_str(), &payload_of(content))
}

impl Mqtt {
    /// A log that the client follows has an entry.
    pub(super) fn deliver(&mut self, shared: &Shared, out: &mut Out) {
        let entry = &shared.entry;
        let log = &entry.draft.log;
        let Some(claim) = &self.claim else {
            return;
        };
        let Some(mut guard) = claim.state() else {
            return;
        };
        let state = &mut *guard;
        let Some(place) = state.places.get_mut(log) else {
            return;
        };
        if is_shown(place.shown, entry.position) {
            send_again(state, self.version, entry, out);
        } else {
            place.shown = Some(entry.position);
            let is_own = place.way.no_local && claim.has_said(entry);
            let is_plain =
                place.way.qos == QoS::AtMostOnce && place.way.ids.is_empty() && place.gap.is_none();
            if is_own {
                settle(state, log, out);
            } else if is_plain {
                let encoding = match self.version {
                    Version::Three => Encoding::Mqtt3,
                    Version::Five => Encoding::Mqtt5,
                };
                let prepared = shared.prepared(encoding);
                if prepared.payload().len() <= self.packet_bytes_max {
                    out.send_prepared(prepared.clone());
                }
                settle(state, log, out);
            } else {
                let had_gap = place.gap.is_some();
                let sent = (self.version, self.packet_bytes_max);
                send_own(state, sent, entry, false, out);
                if had_gap {
                    self.is_plain = all_plain(state);
                }
            }
        }
        self.has_room = has_room(state, self.window);
    }

    /// The last entry of a room, for who has just subscribed to it.
    pub(super) fn deliver_retained(&mut self, entry: &Arc<Entry>, out: &mut Out) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        let sent = (self.version, self.packet_bytes_max);
        send_own(&mut state, sent, entry, true, out);
        self.has_room = has_room(&state, self.window);
    }

    /// The same for who follows it already: at QoS 0, since what is behind the cursor has no record.
    pub(super) fn deliver_again(&self, entry: &Entry, out: &mut Out) {
        let head = Head {
            retain: true,
            ..Head::plain(self.version)
        };
        let bytes = message(&head, entry);
        if bytes.len() <= self.packet_bytes_max {
            out.send_binary(bytes);
        }
    }

    /// The client answers to a message.
    pub(super) fn acknowledged(&mut self, said: &Acknowledged, out: &mut Out) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        let release = |reason, out: &mut Out| {
            let answer = Answer::Release;
            out.send_binary(encode::answer(self.version, answer, said.id, reason, ""));
        };
        let Some(record) = state.record_of(said.id) else {
            if said.answer == Answer::Received {
                release(Reason::PacketIdentifierNotFound, out);
            }
            return;
        };
        match (said.answer, record.stage) {
            (Answer::Received, Stage::Receipt | Stage::Completion) if !said.failed => {
                record.stage = Stage::Completion;
                state.keeping.change();
                return release(Reason::Success, out);
            }
            (Answer::Acknowledge, Stage::Acknowledgement)
            | (Answer::Received, Stage::Receipt)
            | (Answer::Complete, Stage::Completion) => record.stage = Stage::Done,
            (
                Answer::Acknowledge | Answer::Received | Answer::Complete | Answer::Release,
                Stage::Acknowledgement | Stage::Receipt | Stage::Completion | Stage::Done,
            ) => return,
        }
        let log = record.log.clone();
        state.keeping.change();
        settle(&mut state, &log, out);
        self.has_room = has_room(&state, self.window);
    }

    /// Looks again whether there is room.
    pub(super) fn look_for_room(&mut self) {
        if let Some(state) = self.claim.as_ref().and_then(|claim| claim.state()) {
            self.has_room = has_room(&state, self.window);
        }
    }

    /// Something of a log is not there any more: the next message says so, and what was to be sent again of it is not.
    pub(super) fn missed(&mut self, log: &LogName, from: &str, to: Position) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        state.forget_lost(log, to);
        if let Some(place) = state.places.get_mut(log) {
            place.gap = Some(format!("{from} to {to}"));
            self.is_plain = false;
        }
    }
}

/// Sends an entry that nobody else gets just so.
fn send_own(
    state: &mut State,
    (version, packet_bytes_max): (Version, usize),
    entry: &Entry,
    retain: bool,
    out: &mut Out,
) {
    let log = &entry.draft.log;
    let Some(place) = state.places.get_mut(log) else {
        return;
    };
    let (way, gap) = (place.way.clone(), place.gap.take());
    let mut head = Head {
        qos: way.qos,
        retain,
        subscription_ids: &way.ids,
        gap: gap.as_deref(),
        ..Head::plain(version)
    };
    if way.qos > QoS::AtMostOnce {
        head.id = state.record(log, entry.position, way.qos);
    }
    let bytes = message(&head, entry);
    if bytes.len() <= packet_bytes_max {
        out.send_binary(bytes);
    } else if let Some(record) = state.record_of(head.id) {
        // "Where a Packet is too large to send, the Server MUST discard it without sending it and then behave as if it had completed
        // sending that Application Message" (§3.1.2.11.4).
        record.stage = Stage::Done;
    }
    settle(state, log, out);
}

/// An entry comes again that was sent over an earlier connection: so does its message, unless it had arrived.
fn send_again(state: &mut State, version: Version, entry: &Entry, out: &mut Out) {
    let log = &entry.draft.log;
    let is_meant = |record: &&mut Record| {
        !record.is_out && record.position == entry.position && record.log == *log
    };
    let Some(record) = state.records.iter_mut().find(is_meant) else {
        return;
    };
    record.is_out = true;
    let qos = match record.stage {
        Stage::Acknowledgement => QoS::AtLeastOnce,
        Stage::Receipt => QoS::ExactlyOnce,
        Stage::Completion | Stage::Done => return,
    };
    let head = Head {
        qos,
        dup: true,
        id: record.id,
        ..Head::plain(version)
    };
    out.send_binary(message(&head, entry));
}

/// What has arrived is told to the chat where it remembers that: of private messages.
fn settle(state: &mut State, log: &LogName, out: &mut Out) {
    if let Some(position) = state.settle(log)
        && log.as_str().starts_with('@')
    {
        out.arrived(log.clone(), position);
    }
}

/// Whether another message may be on its way.
fn has_room(state: &State, window: usize) -> bool {
    let is_free = state.on_their_way() < window && state.records.len() < RECORDS_MAX;
    is_free && !state.is_ahead_of_its_log()
}

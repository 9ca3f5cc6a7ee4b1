//! What a client publishes. A message of QoS 1 or 2 has a number that goes into the log with it (`seq`), so that it is kept once however
//! often it comes: the session notes the number until the message is done with.
//!
//! | QoS | is done with | so that |
//! |---|---|---|
//! | 1 | when PUBACK is sent, after it is kept | what comes again before that is kept once; PUBACK lost, and it is kept twice |
//! | 2 | when PUBREL comes | it is kept once |
//!
//! A packet identifier alone would not do: it is free again with PUBACK, and the next message that has it may say the same, and come with
//! DUP because its first attempt was lost. Taking that for a retry would lose it.

use std::borrow::Cow;
use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use serde_json::value::{RawValue, to_raw_value};

use super::about::About;
use super::encode;
use super::machine::{Asked, Mqtt};
use super::packet::{Answer, Publish, QoS, Version};
use super::payload::content_of;
use super::reason::{Bad, Reason, forbidden};
use super::state::{Inbound, State};
use super::topic::{is_plain, log_of};
use crate::chat::{Command, check_seq};
use crate::ids::LogName;
use crate::transport::dialect::Out;

/// Messages of QoS 1 and 2 that a client of 5 may have on their way: Receive Maximum. 3.1.1 cannot be told; there are as many as there
/// are packet identifiers.
pub(super) const RECEIVE_MAX: usize = 1024;

/// Topic aliases that a client may use.
pub(super) const ALIASES_MAX: u16 = 16;

/// A number for a topic.
#[derive(Debug)]
pub(super) struct Alias {
    number: u16,
    topic: Box<str>,
}

/// Why a message is not taken: it ends the connection where it cannot be answered.
type Refusal = (Reason, &'static str);

impl Mqtt {
    /// The client publishes.
    pub(super) fn publish(
        &mut self,
        publish: &Publish<'_>,
        bytes: usize,
        out: &mut Out,
    ) -> Result<(), Bad> {
        let topic = self.topic_of(publish)?;
        let (log, seq) = match checked(publish, &topic) {
            Ok(checked) => checked,
            Err((reason, why)) => return self.refuse(publish, reason, why, out),
        };
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return Ok(());
        };
        let place = state.places.get(&log);
        let comes_back = place.is_none_or(|place| !place.way.no_local);
        let content = content_of(publish.payload, About::of(&publish.properties));
        let command = |seq: Option<Box<RawValue>>| Command::Publish {
            log: Cow::Owned(log.as_str().to_owned()),
            content: Cow::Owned(content),
            seq: seq.map(Cow::Owned),
            comes_back,
        };
        if publish.qos == QoS::AtMostOnce {
            drop(state);
            self.ask(command(seq), bytes, None, out);
            return Ok(());
        }
        let known = state.inbound.contains_key(&publish.id);
        if self.version == Version::Five && !known && state.inbound.len() >= RECEIVE_MAX {
            return Err(Bad {
                reason: Reason::ReceiveMaximumExceeded,
                why: "more messages are on their way than the server said",
            });
        }
        let Some(seq) = note(&mut state, publish, &log, seq) else {
            drop(state);
            let (id, reason) = (publish.id, Reason::Success);
            let received = encode::answer(self.version, Answer::Received, id, reason, "");
            out.send_binary(received);
            return Ok(());
        };
        drop(state);
        let asked = Asked::Message {
            id: publish.id,
            qos: publish.qos,
            seq: seq.get().into(),
        };
        self.ask(command(Some(seq)), bytes, Some(asked), out);
        Ok(())
    }

    /// The topic, which an alias may stand for (§3.3.2.3.4).
    fn topic_of<'a>(&mut self, publish: &Publish<'a>) -> Result<Cow<'a, str>, Bad> {
        let topic = publish.topic;
        if !is_plain(topic) {
            return Err(Bad {
                reason: Reason::TopicNameInvalid,
                why: "a topic has a wildcard",
            });
        }
        let Some(number) = publish.properties.topic_alias else {
            if topic.is_empty() {
                return Err(forbidden("a message has no topic"));
            }
            return Ok(Cow::Borrowed(topic));
        };
        if number == 0 || number > ALIASES_MAX {
            return Err(Bad {
                reason: Reason::TopicAliasInvalid,
                why: "a topic alias is 0 or more than the server said",
            });
        }
        let known = self.aliases.iter().position(|alias| alias.number == number);
        if topic.is_empty() {
            let known = known.ok_or(forbidden("a topic alias stands for nothing"))?;
            return Ok(Cow::Owned(self.aliases[known].topic.as_ref().to_owned()));
        }
        if let Some(known) = known {
            self.aliases.swap_remove(known);
        }
        // What is no room is refused, and not remembered: it may be long.
        if log_of(topic).is_some() {
            let topic = topic.into();
            self.aliases.push(Alias { number, topic });
        }
        Ok(Cow::Borrowed(topic))
    }

    /// The client hears that a message is not taken; 3.1.1 has no word for that, nor QoS 0: then the connection ends, so that nobody
    /// believes that it was.
    fn refuse(
        &self,
        publish: &Publish<'_>,
        reason: Reason,
        why: &'static str,
        out: &mut Out,
    ) -> Result<(), Bad> {
        match answer_to(publish.qos) {
            Some(answer) if self.version == Version::Five => {
                out.send_binary(encode::answer(
                    self.version,
                    answer,
                    publish.id,
                    reason,
                    why,
                ));
                Ok(())
            }
            Some(_) | None => Err(Bad { reason, why }),
        }
    }

    /// A message is in the log for good.
    pub(super) fn kept(&mut self, id: u16, qos: QoS, seq: &str, out: &mut Out) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        if let Some(inbound) = state
            .inbound
            .get_mut(&id)
            .filter(|known| *known.seq == *seq)
        {
            if qos == QoS::ExactlyOnce {
                inbound.is_kept = true;
            } else {
                state.inbound.remove(&id);
            }
        }
        if let Some(answer) = answer_to(qos) {
            out.send_binary(encode::answer(
                self.version,
                answer,
                id,
                Reason::Success,
                "",
            ));
        }
    }

    /// It is not.
    pub(super) fn not_kept(
        &mut self,
        id: u16,
        qos: QoS,
        seq: &str,
        reason: Reason,
        why: &str,
        out: &mut Out,
    ) {
        if let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state())
            && state
                .inbound
                .get(&id)
                .is_some_and(|known| *known.seq == *seq)
        {
            state.inbound.remove(&id);
        }
        match answer_to(qos) {
            Some(answer) if self.version == Version::Five => {
                out.send_binary(encode::answer(self.version, answer, id, reason, why));
            }
            Some(_) | None => self.end(reason, why, out),
        }
    }

    /// PUBREL: the client has heard that its message is kept, and its identifier is free.
    pub(super) fn release(&mut self, id: u16, out: &mut Out) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        let inbound = state.inbound.get(&id);
        let is_known = inbound.is_some_and(|inbound| inbound.qos == QoS::ExactlyOnce);
        let reason = if is_known {
            state.inbound.remove(&id);
            state.keeping.change();
            Reason::Success
        } else {
            Reason::PacketIdentifierNotFound
        };
        let complete = encode::answer(self.version, Answer::Complete, id, reason, "");
        out.send_binary(complete);
    }
}

/// The log that a message is for, and the number that it has of its own.
fn checked(
    publish: &Publish<'_>,
    topic: &str,
) -> Result<(LogName, Option<Box<RawValue>>), Refusal> {
    let why = "the topic is no room: it is longer than 128 bytes, or has a name that is reserved";
    let log = log_of(topic).ok_or((Reason::TopicNameInvalid, why))?;
    if publish.properties.is_text && str::from_utf8(publish.payload).is_err() {
        let why = "the payload is not the text that it says";
        return Err((Reason::PayloadFormatInvalid, why));
    }
    let seq = publish.properties.seq().map(to_raw_value);
    // A string has no way to fail.
    let seq = seq.and_then(Result::ok);
    check_seq(seq.as_deref()).map_err(|_| {
        let why = "the user property \"seq\" is longer than 128 bytes";
        (Reason::UnspecifiedError, why)
    })?;
    Ok((log, seq))
}

/// Notes a message of QoS 1 or 2, and returns the number under which it is to be kept; `None` if it is, and waits for PUBREL.
fn note(
    state: &mut State,
    publish: &Publish<'_>,
    log: &LogName,
    own: Option<Box<RawValue>>,
) -> Option<Box<RawValue>> {
    let digest = FixedState::default().hash_one((log.as_str(), publish.payload));
    let known = state.inbound.get(&publish.id).filter(|known| {
        // Of QoS 2 the identifier is taken until PUBREL; of QoS 1, DUP tells the retry.
        let comes_again = publish.dup || publish.qos == QoS::ExactlyOnce;
        comes_again && known.qos == publish.qos && known.digest == digest
    });
    if known.is_some_and(|known| known.is_kept) {
        return None;
    }
    let seq = match (known, own) {
        (Some(known), _) => known.seq.clone(),
        (None, Some(own)) => own.get().into(),
        (None, None) => state.next_number(),
    };
    let inbound = Inbound {
        seq: seq.clone(),
        digest,
        qos: publish.qos,
        is_kept: false,
    };
    state.inbound.insert(publish.id, inbound);
    if publish.qos == QoS::ExactlyOnce {
        state.keeping.change();
    }
    // It was JSON when it was noted.
    RawValue::from_string(seq.into()).ok()
}

const fn answer_to(qos: QoS) -> Option<Answer> {
    match qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(Answer::Acknowledge),
        QoS::ExactlyOnce => Some(Answer::Received),
    }
}

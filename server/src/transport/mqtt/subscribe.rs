//! What a client asks for: SUBSCRIBE and UNSUBSCRIBE, and how the logs behind the filters are followed.
//!
//! A room is joined in two steps: its last entry is read, which is the retained message, and then it is followed from behind that, so that
//! nothing is missed between and nothing comes twice. Few such steps are under way at once; the others wait, and are tried again later
//! where the chat says that they come too fast.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::encode;
use super::machine::{Asked, Mqtt};
use super::packet::{Options, QoS, Retained, Subscribe, Unsubscribe};
use super::payload::payload_of;
use super::reason::Reason;
use super::state::{Place, SUBSCRIPTIONS_MAX, State, Subscription};
use super::topic::{Wanted, check, is_plain, is_room, log_of, matches};
use crate::chat::Command;
use crate::clock::Now;
use crate::ids::{BROADCAST_LOG, LogName};
use crate::log::{Entry, Position};
use crate::transport::dialect::Out;

/// Questions about rooms that wait for the chat's answer.
const ASKED_MAX: usize = 8;

/// Logs that a session may follow: more than the chat lets it join, unless that has no limit.
const PLACES_MAX: usize = 1024;

/// What a client waits for, in bytes, each.
const JOIN_BYTES: usize = 64;

/// A log that is to be followed or left.
#[derive(Debug)]
pub(super) struct Join {
    log: LogName,
    how: How,
    /// Who waits for it: the number of a [`Pending`], and the place of its code there.
    answers: Option<(u64, usize)>,
}

impl Join {
    /// Whether it is about this log.
    pub(super) fn is_of(&self, log: &LogName) -> bool {
        self.log == *log
    }
}

#[derive(Debug)]
enum How {
    /// From its head on, and perhaps with its last entry.
    Fresh {
        retained: bool,
    },
    /// From behind this place; from its head if not said.
    From(Option<String>),
    /// It is followed; its last entry is to be sent again.
    Again,
    Leave,
}

/// A SUBSCRIBE or UNSUBSCRIBE that has no answer yet.
#[derive(Debug)]
struct Pending {
    number: u64,
    id: u16,
    codes: Vec<u8>,
    /// Logs that it waits for.
    open: usize,
    subscribes: bool,
}

/// What is to be followed and left.
#[derive(Debug, Default)]
pub(super) struct Joins {
    waiting: VecDeque<Join>,
    asked: usize,
    pub(super) retry_at: Option<Instant>,
    pending: Vec<Pending>,
    number: u64,
    /// The rooms that are found next may have been there while the client was not.
    has_come_back: bool,
}

impl Joins {
    pub(super) fn bytes(&self) -> usize {
        (self.waiting.len() + self.pending.len()) * JOIN_BYTES
    }

    fn begin(&mut self, id: u16, codes: Vec<u8>, subscribes: bool) -> u64 {
        self.number += 1;
        self.pending.push(Pending {
            number: self.number,
            id,
            codes,
            open: 0,
            subscribes,
        });
        self.number
    }

    fn add(&mut self, log: LogName, how: How, answers: Option<(u64, usize)>) {
        if let Some((number, _)) = answers
            && let Some(pending) = self.pending_of(number)
        {
            pending.open += 1;
        }
        self.waiting.push_back(Join { log, how, answers });
    }

    fn pending_of(&mut self, number: u64) -> Option<&mut Pending> {
        let mut pending = self.pending.iter_mut();
        pending.find(|pending| pending.number == number)
    }
}

impl Mqtt {
    // ---- SUBSCRIBE ----

    pub(super) fn subscribe(&mut self, said: &Subscribe<'_>, now: Now, out: &mut Out) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        let own = self.user.as_ref().map(|user| user.log());
        let codes = vec![0; said.filters.len()];
        let number = self.joins.begin(said.id, codes, true);
        let mut looks = false;
        for (index, (filter, options)) in said.filters.iter().enumerate() {
            let code = match allowed(&state, filter, own.as_ref()) {
                Err(reason) => reason.code(),
                Ok(()) => {
                    looks |= !is_plain(filter);
                    let wanted = (*filter, *options, said.properties.subscription_id);
                    add(
                        &mut state,
                        &mut self.joins,
                        own.as_ref(),
                        wanted,
                        (number, index),
                    );
                    options.qos.bits()
                }
            };
            if let Some(pending) = self.joins.pending_of(number) {
                pending.codes[index] = code;
            }
        }
        state.review();
        self.is_plain = all_plain(&state);
        let wildcards = state.wildcards();
        drop(state);
        self.join_more(now, out);
        self.answer_pending(out);
        if looks {
            out.look(Some(Arc::new(Wanted(wildcards))));
        }
    }

    // ---- UNSUBSCRIBE ----

    pub(super) fn unsubscribe(&mut self, said: &Unsubscribe<'_>, now: Now, out: &mut Out) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        let looked = !state.wildcards().is_empty();
        let codes = said.filters.iter().map(|filter| {
            let known = state.subscriptions.remove(*filter);
            known
                .map_or(Reason::NoSubscriptionExisted, |_| Reason::Success)
                .code()
        });
        let codes = codes.collect();
        let number = self.joins.begin(said.id, codes, false);
        for log in state.review() {
            self.joins.add(log, How::Leave, Some((number, 0)));
        }
        self.is_plain = all_plain(&state);
        let wildcards = state.wildcards();
        drop(state);
        if looked {
            let wanted = Arc::new(Wanted(wildcards));
            out.look((!wanted.0.is_empty()).then_some(wanted));
        }
        self.join_more(now, out);
        self.answer_pending(out);
    }

    // ---- what is resumed ----

    /// The client is back: it follows its logs again, from where it was.
    pub(super) fn resume(&mut self, now: Now, out: &mut Out) {
        let Some(state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        for (log, place) in &state.places {
            let cursor = place.cursor.filter(|_| place.way.qos > QoS::AtMostOnce);
            let how = How::From(cursor.map(|cursor| cursor.to_string()));
            self.joins.add(log.clone(), how, None);
        }
        self.is_plain = all_plain(&state);
        let wildcards = state.wildcards();
        drop(state);
        self.join_more(now, out);
        if !wildcards.is_empty() {
            self.joins.has_come_back = true;
            out.look(Some(Arc::new(Wanted(wildcards))));
        }
    }

    /// There are rooms that a filter with wildcards may match; of a new one, where it begins.
    pub(super) fn rooms_found(
        &mut self,
        rooms: &[(LogName, Option<Position>)],
        now: Now,
        out: &mut Out,
    ) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        for (log, begin) in rooms {
            if state.places.contains_key(log.as_str()) {
                continue;
            }
            let Some(way) = state.way_of(log) else {
                continue;
            };
            let how = match begin {
                Some(begin) => How::From(Some(begin.to_string())),
                // It has come to be while the client was away: all of it was missed.
                None if self.joins.has_come_back && way.qos > QoS::AtMostOnce => {
                    How::From(Some(String::new()))
                }
                None => How::Fresh {
                    retained: !self.joins.has_come_back && wants_retained(&state, log),
                },
            };
            let place = Place {
                way,
                shown: *begin,
                cursor: *begin,
                gap: None,
            };
            state.places.insert(log.clone(), place);
            self.joins.add(log.clone(), how, None);
        }
        if rooms.iter().all(|(_, begin)| begin.is_none()) {
            self.joins.has_come_back = false;
        }
        self.is_plain = all_plain(&state);
        let is_too_much = state.places.len() > PLACES_MAX;
        drop(state);
        if is_too_much {
            let why = "the topic filters match more rooms than a session may follow";
            return self.end(Reason::QuotaExceeded, why, out);
        }
        self.join_more(now, out);
    }

    // ---- step by step ----

    /// Asks for as much as may be asked for at once.
    pub(super) fn join_more(&mut self, now: Now, out: &mut Out) {
        if self.joins.retry_at.is_some_and(|at| at > now.instant) {
            return;
        }
        self.joins.retry_at = None;
        while self.joins.asked < ASKED_MAX
            && let Some(join) = self.joins.waiting.pop_front()
        {
            match &join.how {
                How::Fresh { .. } | How::Again => {
                    self.joins.asked += 1;
                    let last = Command::History {
                        room: name(&join.log),
                        since: None,
                        before: None,
                        limit: Some(1),
                    };
                    self.ask(last, 0, Some(Asked::Last(join)), out);
                }
                How::From(since) => {
                    let since = since.clone();
                    self.follow(join, since, out);
                }
                How::Leave => self.leave(join, out),
            }
        }
    }

    fn follow(&mut self, join: Join, since: Option<String>, out: &mut Out) {
        let since = since.map(Cow::Owned);
        if is_room(&join.log) {
            self.joins.asked += 1;
            let room = name(&join.log);
            let command = Command::JoinRoom { room, since };
            return self.ask(command, 0, Some(Asked::Join(join)), out);
        }
        // Nobody is a member of what is no room: nothing answers but a refusal.
        self.forget_following(&join.log);
        self.finish(&join, None, out);
        let log = name(&join.log);
        let asked = Join {
            answers: None,
            ..join
        };
        let command = Command::Follow { log, since };
        self.ask(command, 0, Some(Asked::Follow(asked)), out);
    }

    fn leave(&mut self, join: Join, out: &mut Out) {
        if is_room(&join.log) {
            self.joins.asked += 1;
            let room = name(&join.log);
            let command = Command::LeaveRoom { room };
            return self.ask(command, 0, Some(Asked::Join(join)), out);
        }
        let log = name(&join.log);
        self.ask(Command::Unfollow { log }, 0, None, out);
        self.finish(&join, None, out);
    }

    /// A log's last entry is there, and its position.
    pub(super) fn last(
        &mut self,
        join: Join,
        last: Option<&Arc<Entry>>,
        head: Position,
        now: Now,
        out: &mut Out,
    ) {
        self.joins.asked -= 1;
        // "A Retained Message with a payload that contains zero bytes" is none (§3.3.1.3).
        let last = last.filter(|entry| !payload_of(&entry.draft.content).is_empty());
        match join.how {
            How::Again => {
                if let Some(entry) = last {
                    self.deliver_again(entry, out);
                }
                self.finish(&join, None, out);
            }
            How::Fresh { retained } if self.arrive(&join.log, head) => {
                if let Some(entry) = last.filter(|_| retained) {
                    self.deliver_retained(entry, out);
                }
                self.follow(join, Some(head.to_string()), out);
            }
            // Nobody wants it any more.
            How::Fresh { .. } | How::From(_) | How::Leave => self.finish(&join, None, out),
        }
        self.join_more(now, out);
    }

    /// A log is shown from here on.
    fn arrive(&self, log: &LogName, head: Position) -> bool {
        let state = self.claim.as_ref().and_then(|claim| claim.state());
        let Some(mut state) = state else {
            return false;
        };
        state.places.get_mut(log).is_some_and(|place| {
            (place.shown, place.cursor) = (Some(head), Some(head));
            true
        })
    }

    /// A log that may be followed and not be read is followed from now on.
    pub(super) fn follow_unread(&mut self, join: Join, now: Now, out: &mut Out) {
        self.joins.asked -= 1;
        match join.how {
            How::Again => self.finish(&join, None, out),
            How::Fresh { .. } | How::From(_) | How::Leave => self.follow(join, None, out),
        }
        self.join_more(now, out);
    }

    /// It is in a room, and has been shown all up to here.
    pub(super) fn joined(&mut self, join: Join, position: Position, now: Now, out: &mut Out) {
        self.joins.asked -= 1;
        let is_wanted = {
            let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
                return;
            };
            // What did not come again until now will not.
            state.forget_unsent(&join.log, position);
            state.places.contains_key(join.log.as_str())
        };
        if !is_wanted {
            self.joins.add(join.log.clone(), How::Leave, None);
        }
        self.finish(&join, None, out);
        self.join_more(now, out);
    }

    /// It has left a room.
    pub(super) fn left(&mut self, join: Join, now: Now, out: &mut Out) {
        self.joins.asked -= 1;
        // The client may have subscribed again meanwhile.
        let state = self.claim.as_ref().and_then(|claim| claim.state());
        let is_wanted = state.is_some_and(|state| state.places.contains_key(join.log.as_str()));
        let is_on_its_way = self
            .joins
            .waiting
            .iter()
            .any(|waiting| waiting.log == join.log);
        if is_wanted && !is_on_its_way {
            let how = How::Fresh { retained: false };
            self.joins.add(join.log.clone(), how, None);
        }
        self.finish(&join, None, out);
        self.join_more(now, out);
    }

    /// The chat has too much to do: this is asked for again after a while.
    pub(super) fn join_later(&mut self, join: Join, wait: Duration, now: Now) {
        self.joins.asked -= 1;
        self.joins.waiting.push_front(join);
        self.joins.retry_at = Some(now.instant + wait);
    }

    /// The same of what is no room.
    pub(super) fn follow_later(&mut self, join: Join, wait: Duration, now: Now) {
        self.joins.asked += 1;
        self.join_later(join, wait, now);
    }

    /// It may not follow a log.
    pub(super) fn not_joined(
        &mut self,
        join: Join,
        code: &str,
        why: &str,
        now: Now,
        out: &mut Out,
    ) {
        self.joins.asked -= 1;
        let reason = match Reason::of_error(code) {
            Reason::TopicNameInvalid => Reason::TopicFilterInvalid,
            reason => reason,
        };
        // It is not there any more, or what was there cannot be read now.
        if let How::Leave | How::Again = join.how {
            self.finish(&join, None, out);
            return self.join_more(now, out);
        }
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        let name = join.log.as_str();
        state.places.remove(name);
        state.records.retain(|record| record.log != join.log);
        let is_exact = state.subscriptions.remove(name).is_some();
        drop(state);
        // Rooms that a wildcard matches and that it may not see are not there for it. Anything else would be a hole.
        if join.answers.is_none() && (is_exact || reason != Reason::NotAuthorized) {
            return self.end(reason, why, out);
        }
        self.finish(&join, Some(reason), out);
        self.join_more(now, out);
    }

    fn finish(&mut self, join: &Join, refused: Option<Reason>, out: &mut Out) {
        let Some((number, index)) = join.answers else {
            return;
        };
        if let Some(pending) = self.joins.pending_of(number) {
            pending.open -= 1;
            if let Some((reason, code)) = refused.zip(pending.codes.get_mut(index)) {
                *code = reason.code();
            }
        }
        self.answer_pending(out);
    }

    /// Answers what waits for nothing any more.
    fn answer_pending(&mut self, out: &mut Out) {
        let version = self.version;
        self.joins.pending.retain(|pending| {
            if pending.open == 0 {
                out.send_binary(if pending.subscribes {
                    encode::subscribed(version, pending.id, &pending.codes)
                } else {
                    encode::unsubscribed(version, pending.id, &pending.codes)
                });
            }
            pending.open > 0
        });
    }
}

/// Whether a client may subscribe.
fn allowed(state: &State, filter: &str, own: Option<&LogName>) -> Result<(), Reason> {
    check(filter)?;
    if filter.starts_with('@') && is_plain(filter) && own.map(LogName::as_str) != Some(filter) {
        return Err(Reason::NotAuthorized);
    }
    if state.subscriptions.len() >= SUBSCRIPTIONS_MAX && !state.subscriptions.contains_key(filter) {
        return Err(Reason::QuotaExceeded);
    }
    Ok(())
}

/// Notes a subscription, and what is to be done for it.
fn add(
    state: &mut State,
    joins: &mut Joins,
    own: Option<&LogName>,
    (filter, options, id): (&str, Options, Option<u32>),
    answers: (u64, usize),
) {
    let subscription = Subscription { options, id };
    let older = state.subscriptions.insert(filter.to_owned(), subscription);
    let retained = match options.retained {
        Retained::Always => true,
        Retained::IfNew => older.is_none(),
        Retained::Never => false,
    };
    let known = state.places.iter();
    let known = known.filter(|(log, _)| is_plain(log.as_str()) && matches(filter, log.as_str()));
    for (log, place) in known {
        if place.way.qos == QoS::AtMostOnce && options.qos > QoS::AtMostOnce {
            // From now on it counts how far it has come.
            joins.add(log.clone(), beginning(log, retained), Some(answers));
        } else if retained && is_room(log) {
            joins.add(log.clone(), How::Again, None);
        }
    }
    let exact = log_of(filter).into_iter();
    let of_wildcard = own.cloned().into_iter().chain([LogName::broadcast()]);
    let of_wildcard = of_wildcard.filter(|log| !is_plain(filter) && matches(filter, log.as_str()));
    for log in exact.chain(of_wildcard) {
        if !state.places.contains_key(log.as_str()) {
            joins.add(log.clone(), beginning(&log, retained), Some(answers));
            state.places.insert(log, Place::default());
        }
    }
}

/// How a log is followed first: private messages from what their user has not got yet.
fn beginning(log: &LogName, retained: bool) -> How {
    match log.as_str() {
        BROADCAST_LOG => How::Fresh { retained: false },
        name if name.starts_with('@') => How::From(None),
        _ => How::Fresh { retained },
    }
}

fn wants_retained(state: &State, log: &LogName) -> bool {
    let subscriptions = state.subscriptions.iter();
    let mut matching = subscriptions.filter(|(filter, _)| matches(filter, log.as_str()));
    matching.any(|(_, subscription)| subscription.options.retained != Retained::Never)
}

/// Whether all that is followed is sent as it is to others.
pub(super) fn all_plain(state: &State) -> bool {
    state.places.values().all(|place| {
        place.way.qos == QoS::AtMostOnce && place.way.ids.is_empty() && place.gap.is_none()
    })
}

fn name(log: &LogName) -> Cow<'static, str> {
    Cow::Owned(log.as_str().to_owned())
}

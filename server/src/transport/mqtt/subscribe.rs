//! What a client asks for: SUBSCRIBE and UNSUBSCRIBE, and how the logs behind the filters are followed.
//!
//! A room is joined in two steps: its last entry is read, which is the retained message, and then it is followed from behind that, so that
//! nothing is missed between and nothing comes twice ([`joins`](super::joins)).

use std::sync::Arc;

use super::joins::{How, Joins};
use super::machine::Mqtt;
use super::packet::{Options, QoS, Retained, Subscribe, Unsubscribe};
use super::reason::Reason;
use super::state::{Place, SUBSCRIPTIONS_MAX, State, Subscription};
use super::topic::{Wanted, check, is_plain, is_room, log_of, matches};
use crate::clock::Now;
use crate::ids::{BROADCAST_LOG, LogName};
use crate::log::Position;
use crate::transport::dialect::Out;

/// Logs that a session may follow: more than the chat lets it join, unless that has no limit.
const PLACES_MAX: usize = 1024;

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
            state.keeping.change_now();
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

//! Step by step into rooms: what is to be followed and left waits here, and is asked of the chat a few at a time. What comes too fast, as
//! the chat says, is tried again later.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::about::split;
use super::encode;
use super::machine::{Asked, Mqtt};
use super::payload::payload_of;
use super::reason::Reason;
use super::topic::is_room;
use crate::chat::Command;
use crate::clock::Now;
use crate::ids::LogName;
use crate::log::{Entry, Position};
use crate::transport::dialect::Out;

/// Questions about rooms that wait for the chat's answer.
const ASKED_MAX: usize = 8;

/// Logs that wait to be followed or left: more than a session follows.
const WAITING_MAX: usize = 4096;

/// SUBSCRIBEs and UNSUBSCRIBEs without an answer.
const PENDING_MAX: usize = 1024;

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
pub(super) enum How {
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
pub(super) struct Pending {
    number: u64,
    id: u16,
    pub(super) codes: Vec<u8>,
    /// Logs that it waits for.
    open: usize,
    subscribes: bool,
    /// That change of the session is to be in its log before.
    change: Option<u64>,
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
    pub(super) has_come_back: bool,
}

impl Joins {
    pub(super) fn bytes(&self) -> usize {
        (self.waiting.len() + self.pending.len()) * JOIN_BYTES
    }

    pub(super) fn begin(&mut self, id: u16, codes: Vec<u8>, subscribes: bool) -> u64 {
        self.number += 1;
        self.pending.push(Pending {
            number: self.number,
            id,
            codes,
            open: 0,
            subscribes,
            change: None,
        });
        self.number
    }

    pub(super) fn add(&mut self, log: LogName, how: How, answers: Option<(u64, usize)>) {
        if let Some((number, _)) = answers
            && let Some(pending) = self.pending_of(number)
        {
            pending.open += 1;
        }
        self.waiting.push_back(Join { log, how, answers });
    }

    pub(super) fn pending_of(&mut self, number: u64) -> Option<&mut Pending> {
        let mut pending = self.pending.iter_mut();
        pending.find(|pending| pending.number == number)
    }
}

impl Mqtt {
    /// Asks for as much as may be asked for at once.
    pub(super) fn join_more(&mut self, now: Now, out: &mut Out) {
        let joins = &self.joins;
        if joins.waiting.len() > WAITING_MAX || joins.pending.len() > PENDING_MAX {
            let why = "more is subscribed to than the chat can follow so soon";
            return self.end(Reason::QuotaExceeded, why, out);
        }
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
        let last = last.filter(|entry| !payload_of(split(&entry.draft.content).1).is_empty());
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
        }) && {
            state.keeping.change_now();
            true
        }
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
        let reason = if code == "bad_name" {
            Reason::TopicFilterInvalid
        } else {
            Reason::of_error(code)
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
        state.keeping.change_now();
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

    /// Answers what waits for nothing any more, neither for the chat nor for the session's log: who was answered finds its subscriptions after a
    /// restart, too.
    pub(super) fn answer_pending(&mut self, out: &mut Out) {
        let (version, keeps) = (self.version, self.keeps());
        if self.joins.pending.is_empty() {
            return;
        }
        let state = self.claim.as_ref().filter(|_| keeps);
        let mut state = state.and_then(|claim| claim.state());
        self.joins.pending.retain_mut(|pending| {
            if pending.open > 0 {
                return true;
            }
            if let Some(state) = &mut state {
                let keeping = &mut state.keeping;
                let change = *pending.change.get_or_insert_with(|| keeping.change_now());
                if !keeping.is_settled(change) {
                    return true;
                }
            }
            out.send_binary(if pending.subscribes {
                encode::subscribed(version, pending.id, &pending.codes)
            } else {
                encode::unsubscribed(version, pending.id, &pending.codes)
            });
            false
        });
    }
}

fn name(log: &LogName) -> Cow<'static, str> {
    Cow::Owned(log.as_str().to_owned())
}

//! Who reads rooms over HTTP: event streams and polls, which follow logs as WebSockets do.

use std::mem;
use std::time::{Duration, Instant};

use super::Worker;
use crate::chat::{Follow, Part};
use crate::ids::{ConnId, LogName};
use crate::log::{Page, Position, Positions, StoreError};
use crate::transport::feeds::Shared;
use crate::transport::{
    Progress, Subscription, event_stream, history_page, polled, server_sent_event,
    server_sent_position,
};

/// A connection that follows logs over HTTP.
#[derive(Debug)]
pub(super) struct Reader {
    progress: Progress,
    /// What a poll has so far; an event stream has sent it.
    poll: Option<Poll>,
}

#[derive(Debug)]
struct Poll {
    until: Instant,
    messages: Vec<String>,
    gaps: Vec<String>,
}

impl Poll {
    const fn has_something(&self) -> bool {
        !(self.messages.is_empty() && self.gaps.is_empty())
    }
}

impl Worker {
    // ---- calls ----

    pub(super) fn history_read(&mut self, id: ConnId, part: Part, page: &Result<Page, StoreError>) {
        self.respond(id, &history_page(part, page));
    }

    pub(super) fn begin_events(&mut self, id: ConnId, subscription: Subscription) {
        self.respond(id, &event_stream());
        if self.with_http(id, |http, _| http.is_calling()) == Some(true) {
            self.subscribe(id, subscription, None);
        }
    }

    pub(super) fn begin_poll(&mut self, id: ConnId, subscription: Subscription, time: Duration) {
        let until = self.now.instant + time;
        self.with_http(id, |http, _| http.wait_longer(time));
        let poll = Poll {
            until,
            messages: Vec::new(),
            gaps: Vec::new(),
        };
        self.subscribe(id, subscription, Some(poll));
        self.note_behind(id);
    }

    fn subscribe(&mut self, id: ConnId, subscription: Subscription, poll: Option<Poll>) {
        let Subscription { logs, since } = subscription;
        let progress = Progress::new(logs.clone());
        self.readers.insert(id, Reader { progress, poll });
        for log in logs {
            let since = since.as_deref();
            let since = since.and_then(|since| Positions::new(since).of(log.as_str()));
            self.follow(Box::new(Follow::new(id, log.clone(), since)));
        }
    }

    // ---- what they get ----

    /// Gives an entry to a connection that reads over HTTP.
    pub(super) fn give_entry(&mut self, id: ConnId, shared: &Shared) {
        let entry = &shared.entry;
        self.give(id, &entry.draft.log, entry.position, shared.text(), false);
    }

    /// Tells it of a gap up to `to`.
    pub(super) fn give_gap(&mut self, id: ConnId, log: &LogName, to: Position, text: &str) {
        self.give(id, log, to, text, true);
    }

    fn give(&mut self, id: ConnId, log: &LogName, at: Position, text: &str, is_gap: bool) {
        let Some(reader) = self.readers.get_mut(&id) else {
            return;
        };
        reader.progress.set(log, at);
        match &mut reader.poll {
            Some(poll) if is_gap => poll.gaps.push(text.to_owned()),
            Some(poll) => poll.messages.push(text.to_owned()),
            None => {
                let event = server_sent_event(reader.progress.token().as_deref(), text);
                self.with_http(id, |http, _| http.push(&event));
            }
        }
        self.mark_dirty(id);
    }

    /// It is at the head for the first time: an event stream that has nothing to show yet still says where it begins.
    pub(super) fn give_head(&mut self, id: ConnId, log: &LogName, at: Position) {
        let Some(reader) = self.readers.get_mut(&id) else {
            return;
        };
        reader.progress.set(log, at);
        if reader.poll.is_none()
            && let Some(token) = reader.progress.token()
        {
            let event = server_sent_position(&token);
            self.with_http(id, |http, _| http.push(&event));
        }
        self.mark_dirty(id);
    }

    /// Answers a poll that has something, or has waited for long enough; what comes in the same turn is in one answer.
    pub(super) fn answer_poll(&mut self, id: ConnId) {
        let now = self.now.instant;
        let Some(reader) = self.readers.get_mut(&id) else {
            return;
        };
        let Some(poll) = &mut reader.poll else {
            return;
        };
        let has_something = poll.has_something();
        // Before the first pages are there, an answer could not say where to go on.
        if let Some(token) = reader.progress.token()
            && (has_something || poll.until <= now)
        {
            let (messages, gaps) = (mem::take(&mut poll.messages), mem::take(&mut poll.gaps));
            let response = polled(&messages, &gaps, &token);
            self.forget_reader(id);
            self.respond(id, &response);
        }
    }

    /// When a poll has waited for long enough.
    pub(super) fn poll_until(&self, id: ConnId) -> Option<Instant> {
        let poll = self.readers.get(&id)?.poll.as_ref()?;
        Some(poll.until)
    }

    /// Whether this is a poll that has something to answer with: it reads no second page.
    pub(super) fn has_answer(&self, id: ConnId) -> bool {
        let poll = self
            .readers
            .get(&id)
            .and_then(|reader| reader.poll.as_ref());
        poll.is_some_and(Poll::has_something)
    }

    /// Nobody waits for a poll's answer any more, or not for long: it is answered with what there is.
    pub(super) fn hurry_poll(&mut self, id: ConnId) {
        let now = self.now.instant;
        let reader = self.readers.get_mut(&id);
        if let Some(poll) = reader.and_then(|reader| reader.poll.as_mut()) {
            poll.until = now;
            self.mark_dirty(id);
        }
    }

    /// Whether it is a poll.
    pub(super) fn is_poll(&self, id: ConnId) -> bool {
        self.readers
            .get(&id)
            .is_some_and(|reader| reader.poll.is_some())
    }

    /// It follows nothing any more.
    pub(super) fn forget_reader(&mut self, id: ConnId) {
        let Some(reader) = self.readers.remove(&id) else {
            return;
        };
        for log in reader.progress.logs() {
            self.feeds.unfollow(id, log);
        }
        self.note_behind(id);
    }
}

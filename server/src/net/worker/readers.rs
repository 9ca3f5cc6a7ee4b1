//! Who reads rooms over HTTP: event streams and polls, which follow logs as WebSockets do.

use std::collections::HashMap;
use std::mem;
use std::time::{Duration, Instant};

use super::Worker;
use super::chat_readers::ChatReader;
use crate::chat::Follow;
use crate::ids::{ConnId, LogName};
use crate::log::{Page, Part, Position, Positions, StoreError};
use crate::net::conn::{Conn, State};
use crate::transport::feeds::Shared;
use crate::transport::{
    Progress, Response, Subscription, event_stream, history_page, polled, server_sent_event,
    server_sent_position,
};

/// Those who read over HTTP.
pub(super) type Readers = HashMap<ConnId, Reader, foldhash::fast::RandomState>;

/// A connection that reads over HTTP.
#[derive(Debug)]
pub(super) enum Reader {
    /// It follows rooms, and the hub does not know of it.
    Rooms(RoomReader),
    /// It chats.
    Chat(ChatReader),
}

/// A connection that follows rooms over HTTP.
#[derive(Debug)]
pub(super) struct RoomReader {
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

impl RoomReader {
    pub(super) fn logs(&self) -> impl Iterator<Item = &LogName> {
        self.progress.logs()
    }

    /// It was sent these.
    pub(super) fn is_given<'s>(&mut self, shared: impl DoubleEndedIterator<Item = &'s Shared>) {
        if let Some(last) = shared.map(|shared| &shared.entry).next_back() {
            self.progress.set(&last.draft.log, last.position);
        }
    }

    /// What an event stream that follows one room is sent for an entry: it is the same for all.
    pub(super) fn event_of_one_room(shared: &Shared) -> Vec<u8> {
        let id = shared.entry.position.to_string();
        server_sent_event(Some(&id), shared.text())
    }

    fn has_answer(&self) -> bool {
        self.poll.as_ref().is_some_and(Poll::has_something)
    }

    /// The answer to a poll, if it has something, or has waited for long enough.
    fn due_answer(&mut self, now: Instant) -> Option<Response> {
        let has_something = self.has_answer();
        let poll = self.poll.as_mut()?;
        // Before the first pages are there, an answer could not say where to go on.
        let token = self.progress.token()?;
        (has_something || poll.until <= now).then(|| {
            let (messages, gaps) = (mem::take(&mut poll.messages), mem::take(&mut poll.gaps));
            polled(&messages, &gaps, &token)
        })
    }
}

impl Reader {
    /// When a poll has waited for long enough.
    fn poll_until(&self) -> Option<Instant> {
        match self {
            Self::Rooms(reader) => Some(reader.poll.as_ref()?.until),
            Self::Chat(chat) => chat.poll_until(),
        }
    }
}

/// The reader, if it is an event stream that follows one room and nobody looks on.
pub(super) fn stream_of_one_room<'r>(
    readers: &'r mut Readers,
    id: ConnId,
    conn: &Conn,
) -> Option<&'r mut RoomReader> {
    let State::Http(_) = conn.state else {
        return None;
    };
    match readers.get_mut(&id) {
        Some(Reader::Rooms(reader)) if !conn.is_tapped() => {
            let is_one = reader.poll.is_none() && reader.logs().count() == 1;
            is_one.then_some(reader)
        }
        Some(Reader::Rooms(_) | Reader::Chat(_)) | None => None,
    }
}

/// What a poll holds until it is answered: it counts as what is unsent does.
pub(super) fn held_bytes(readers: &Readers, id: ConnId, conn: &Conn) -> usize {
    let State::Http(_) = conn.state else {
        return 0;
    };
    match readers.get(&id) {
        Some(Reader::Chat(chat)) => chat.held_bytes(),
        Some(Reader::Rooms(_)) | None => 0,
    }
}

impl Worker {
    // ---- calls ----

    pub(super) fn history_read(&mut self, id: ConnId, part: Part, page: &Result<Page, StoreError>) {
        self.respond(id, &history_page(part, page));
    }

    pub(super) fn begin_events(&mut self, id: ConnId, subscription: Subscription) {
        self.open_stream(id);
        if self.with_http(id, |http, _| http.is_calling()) == Some(true) {
            self.subscribe(id, subscription, None);
        }
    }

    /// Begins the answer that an event stream is.
    pub(super) fn open_stream(&mut self, id: ConnId) {
        self.respond(id, &event_stream());
        // Who does not read is told so before the kernel gives it up.
        let config = &self.web_sockets.chat;
        let silence_max = config.ping_interval.unwrap_or_default() + config.pong_wait;
        let patience = silence_max.max(2 * self.lag_max);
        if let Some(conn) = self.table.get_mut(id) {
            conn.stream.give_up_unacknowledged(patience);
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
        let Subscription {
            logs,
            since,
            access,
        } = subscription;
        self.hold_token(id, &access);
        let progress = Progress::new(logs.clone());
        self.count_reader(poll.is_some());
        let reader = RoomReader { progress, poll };
        self.readers.insert(id, Reader::Rooms(reader));
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
        let reader = match self.readers.get_mut(&id) {
            Some(Reader::Rooms(reader)) => reader,
            Some(Reader::Chat(chat)) => {
                chat.set_position(log, at);
                return self.say_to_reader(id, text);
            }
            None => return,
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
    pub(super) fn give_head(&mut self, id: ConnId, follow: &Follow, at: Position) {
        let reader = match self.readers.get_mut(&id) {
            Some(Reader::Rooms(reader)) => reader,
            Some(Reader::Chat(chat)) => {
                chat.note_head(follow, at);
                return self.mark_dirty(id);
            }
            None => return,
        };
        reader.progress.set(&follow.log, at);
        if reader.poll.is_none()
            && let Some(token) = reader.progress.token()
        {
            let event = server_sent_position(&token);
            self.with_http(id, |http, _| http.push(&event));
        }
        self.mark_dirty(id);
    }

    /// Answers a poll for which it is time; what comes in the same turn is in one answer.
    pub(super) fn answer_poll(&mut self, id: ConnId) {
        let now = self.now.instant;
        let answer = match self.readers.get_mut(&id) {
            Some(Reader::Rooms(reader)) => reader.due_answer(now),
            Some(Reader::Chat(chat)) => chat.due_answer(now),
            None => None,
        };
        if let Some(response) = answer {
            self.forget_reader(id);
            self.respond(id, &response);
        }
    }

    /// When a poll has waited for long enough.
    pub(super) fn poll_until(&self, id: ConnId) -> Option<Instant> {
        self.readers.get(&id)?.poll_until()
    }

    /// Whether this is a poll that has something to answer with: it reads no second page.
    pub(super) fn has_answer(&self, id: ConnId) -> bool {
        match self.readers.get(&id) {
            Some(Reader::Rooms(reader)) => reader.has_answer(),
            Some(Reader::Chat(chat)) => chat.has_answer(),
            None => false,
        }
    }

    /// Nobody waits for a poll's answer any more, or not for long: it is answered with what there is.
    pub(super) fn hurry_poll(&mut self, id: ConnId) {
        let now = self.now.instant;
        match self.readers.get_mut(&id) {
            Some(Reader::Rooms(RoomReader {
                poll: Some(poll), ..
            })) => poll.until = now,
            Some(Reader::Chat(chat)) => chat.hurry(now),
            Some(Reader::Rooms(_)) | None => return,
        }
        self.mark_dirty(id);
    }

    /// Whether it is a poll.
    pub(super) fn is_poll(&self, id: ConnId) -> bool {
        self.poll_until(id).is_some()
    }

    /// It follows nothing any more.
    pub(super) fn forget_reader(&mut self, id: ConnId) {
        // Whatever is asked for next shows a token again.
        self.expiries.forget(id);
        match self.readers.remove(&id) {
            Some(Reader::Rooms(reader)) => {
                self.count_reader_gone(reader.poll.is_some());
                for log in reader.progress.logs() {
                    self.feeds.unfollow(id, log);
                }
            }
            Some(Reader::Chat(chat)) => {
                let is_poll = chat.poll_until().is_some();
                self.count_reader_gone(is_poll);
                if is_poll {
                    self.linger(id);
                } else {
                    self.end_chat(id);
                }
            }
            None => return,
        }
        self.note_behind(id);
    }
}

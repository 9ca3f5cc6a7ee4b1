//! The chat over HTTP: event streams and polls that are connections of the hub, as WebSockets are. What a WebSocket gets as
//! messages, a stream gets as events and a poll as a list; what they say themselves comes as calls of the API.
//!
//! A poll is such a connection only until it is answered. Then its session [lingers](Worker::linger), so that nobody sees it
//! leave, and the next poll, on whichever connection and at whichever worker, takes its place.

use std::time::{Duration, Instant};

use tidewire_protocol::CloseCode;

use super::Worker;
use super::readers::Reader;
use crate::auth::Right;
use crate::chat::{Event, Follow, Joiner};
use crate::ids::{ConnId, LogName, RoomName};
use crate::log::{Position, Request};
use crate::transport::{Progress, Response, chat_polled, server_sent_event};

/// A connection that chats over HTTP.
#[derive(Debug)]
pub(super) struct ChatReader {
    progress: Progress,
    /// It has had its `welcome`: what another worker's hub says before that is about an earlier poll of the same connection.
    is_welcomed: bool,
    /// What a poll has so far; an event stream has sent it.
    poll: Option<ChatPoll>,
}

#[derive(Debug)]
struct ChatPoll {
    until: Instant,
    /// Where it goes on, as it says itself.
    since: Option<String>,
    /// The logs that it follows, once the hub has said so of all.
    logs: usize,
    /// It does not go on from an earlier one: its answer says where it begins, and does not wait for more.
    is_first: bool,
    /// There is more to tell than that it is here.
    has_news: bool,
    /// Rooms at whose head it is, and has not been told so yet.
    unjoined: usize,
    texts: Vec<String>,
    bytes: usize,
}

impl ChatPoll {
    fn new(joiner: &Joiner, until: Instant) -> Self {
        let may_join = |room: &&RoomName| joiner.access.has(Right::Join, room.as_str());
        Self {
            until,
            since: joiner.since.clone(),
            // Beside the rooms that it may be in, the user's private messages and the broadcasts.
            logs: joiner.rooms.iter().filter(may_join).count() + 2,
            is_first: !joiner.goes_on(),
            has_news: false,
            unjoined: 0,
            texts: Vec::new(),
            bytes: 0,
        }
    }

    fn add(&mut self, text: &str, is_news: bool) {
        self.bytes += text.len();
        self.has_news |= is_news;
        self.texts.push(text.to_owned());
    }

    fn answer(&self, progress: &Progress) -> Response {
        chat_polled(&self.texts, &progress.pairs(self.since.as_deref()))
    }
}

impl ChatReader {
    /// When a poll has waited for long enough.
    pub(super) fn poll_until(&self) -> Option<Instant> {
        Some(self.poll.as_ref()?.until)
    }

    pub(super) fn has_answer(&self) -> bool {
        self.poll.as_ref().is_some_and(|poll| poll.has_news)
    }

    /// What a poll has so far, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.poll.as_ref().map_or(0, |poll| poll.bytes)
    }

    pub(super) fn hurry(&mut self, now: Instant) {
        if let Some(poll) = &mut self.poll {
            poll.until = now;
        }
    }

    /// The answer to a poll, if it is time for it. Each of its logs has been looked into by then: an answer that came before
    /// that could not say where to go on.
    pub(super) fn due_answer(&self, now: Instant) -> Option<Response> {
        let poll = self.poll.as_ref()?;
        if self.progress.known() < poll.logs {
            return None;
        }
        let is_told_all = poll.unjoined == 0 && (poll.has_news || poll.is_first);
        (is_told_all || poll.until <= now).then(|| poll.answer(&self.progress))
    }

    pub(super) fn set_position(&mut self, log: &LogName, at: Position) {
        self.progress.set(log, at);
    }

    /// It is at the head of a log for the first time, and will be told so if that is a room.
    pub(super) fn note_head(&mut self, follow: &Follow, at: Position) {
        self.progress.set(&follow.log, at);
        if let Some(poll) = &mut self.poll {
            poll.unjoined += usize::from(follow.is_joining());
        }
    }
}

impl Worker {
    // ---- calls ----

    pub(super) fn begin_chat_events(&mut self, id: ConnId, joiner: Joiner) {
        self.open_stream(id);
        if self.is_gone(id) {
            return self.end_stream(id);
        }
        // Who asks only for the head is not here to stay.
        if self.with_http(id, |http, _| http.is_calling()) == Some(true) {
            self.begin_chat_reader(id, joiner, None);
        }
    }

    pub(super) fn begin_chat_poll(&mut self, id: ConnId, joiner: Joiner, time: Duration) {
        if self.is_gone(id) {
            let since = joiner.since.as_deref().unwrap_or_default();
            return self.respond(id, &chat_polled(&[], since));
        }
        let poll = ChatPoll::new(&joiner, self.now.instant + time);
        self.with_http(id, |http, _| http.wait_longer(time));
        self.begin_chat_reader(id, joiner, Some(poll));
        self.note_behind(id);
    }

    /// Whether the client went before its request was read. It may be back elsewhere: its session is not to be taken from it.
    fn is_gone(&mut self, id: ConnId) -> bool {
        let conn = self.table.get_mut(id);
        conn.is_none_or(|conn| conn.read_closed)
    }

    fn begin_chat_reader(&mut self, id: ConnId, joiner: Joiner, poll: Option<ChatPoll>) {
        // It sends no pong that would tell.
        if let Some((log, position)) = joiner.receipt() {
            self.logs.send(Request::Mark(log, position));
        }
        let reader = ChatReader {
            progress: Progress::new(Vec::new()),
            is_welcomed: false,
            poll,
        };
        self.count_reader(reader.poll.is_some());
        self.readers.insert(id, Reader::Chat(reader));
        self.hold_token(id, &joiner.access);
        self.begin_chat(id, joiner);
        if let Some(drain) = self.closing_for() {
            self.close_for_stop(id, drain);
        }
    }

    // ---- what they get ----

    /// The hub lets a connection follow a log.
    pub(super) fn note_followed(&mut self, id: ConnId, log: &LogName) {
        if let Some(Reader::Chat(chat)) = self.readers.get_mut(&id) {
            chat.progress.add(log);
        }
    }

    /// Tells a connection that chats over HTTP what a WebSocket would be sent.
    pub(super) fn say_to_reader(&mut self, id: ConnId, text: &str) {
        let Some(Reader::Chat(chat)) = self.readers.get_mut(&id) else {
            return;
        };
        let is_welcome = !chat.is_welcomed;
        chat.is_welcomed = true;
        match &mut chat.poll {
            Some(poll) => poll.add(text, !is_welcome),
            None => {
                let event = server_sent_event(None, text);
                self.with_http(id, |http, _| http.push(&event));
            }
        }
        self.mark_dirty(id);
    }

    /// Tells a connection that it has joined a room, which is no news to who goes on there.
    pub(super) fn say_joined(&mut self, id: ConnId, joined: Event) {
        if let Some(Reader::Chat(chat)) = self.readers.get_mut(&id)
            && let Some(poll) = &mut chat.poll
        {
            poll.unjoined = poll.unjoined.saturating_sub(1);
            poll.add(&joined.to_text(), false);
            return self.mark_dirty(id);
        }
        self.say(id, joined);
    }

    // ---- the end ----

    /// Closes it as a WebSocket is closed, and tells the others.
    pub(super) fn close_reader(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        let is_welcomed =
            |reader: &Reader| matches!(reader, Reader::Chat(chat) if chat.is_welcomed);
        if self.readers.get(&id).is_some_and(is_welcomed) {
            self.end_reader(id, code, reason);
            self.end_chat(id);
        }
    }

    /// Tells it why it ends, and ends it, if it chats; the hub does not hear of that.
    pub(super) fn end_reader(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        if !matches!(self.readers.get(&id), Some(Reader::Chat(_))) {
            return;
        }
        self.say_to_reader(id, &Event::close(code.get(), reason).to_text());
        if let Some(Reader::Chat(chat)) = self.readers.remove(&id) {
            // Whatever is asked for next shows a token again.
            self.expiries.forget(id);
            self.count_reader_gone(chat.poll.is_some());
            match chat.poll {
                Some(poll) => self.respond(id, &poll.answer(&chat.progress)),
                None => {
                    self.with_http(id, |http, turn| http.end_stream(turn));
                }
            }
        }
        self.note_behind(id);
    }
}

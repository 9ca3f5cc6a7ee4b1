//! Between the log's thread and the connections: what is to be appended and read goes out, what was comes back, and
//! everybody who follows gets it.

use std::mem;

use tidewire_protocol::CloseCode;

use super::Worker;
use super::chat::{Chat, weight};
use super::elsewhere::is_asked_again;
use super::fanout::Sender;
use crate::chat::{Append, Event, Follow, Reading, appended, history};
use crate::ids::{ConnId, LogName};
use crate::log::{AppendError, Page, PageMax, Part, Placed, Position, Reply, Request, StoreError};
use crate::transport::dialect::Out;
use crate::transport::feeds::{Read, Shared, Step};
use crate::transport::mqtt::Ticket;
use crate::transport::published;

/// Unsent bytes above which a follower is behind: it goes on from a cursor when it has taken them.
pub(super) const OUTBOX_BYTES_HIGH: usize = 256 << 10;

/// Unsent bytes up to which a follower that is behind gets more, and as many as it gets at once. What it does not take is the
/// memory that it costs beside its cursor; the kernel has several times as much to send meanwhile.
const OUTBOX_BYTES_LOW: usize = 16 << 10;

/// Followers that are behind and are served in a turn; the others are served in the next ones, behind what came for those at
/// the head.
const LAGGARDS_PER_TURN_MAX: usize = 32;

/// What is read of a log at once.
const PAGE_MAX: PageMax = PageMax {
    entries: 256,
    bytes: 64 << 10,
};

/// What one answer about history holds, in bytes of content.
const HISTORY_BYTES_MAX: u32 = 256 << 10;

/// What the worker needs to go on with an answer of the log.
#[derive(Debug)]
pub(super) enum Context {
    Append(Append),
    Publish(ConnId, LogName),
    Page(Read),
    History(Box<Reading>),
    HttpHistory(ConnId, Part),
    Find(ConnId),
    Recall(ConnId),
    Memo(ConnId, Box<Ticket>),
    /// The server's own message.
    Canary,
    /// What it tells other nodes.
    Note,
}

/// The same, and which worker that is.
#[derive(Debug)]
pub(in crate::net) struct Asked {
    pub(super) worker: usize,
    context: Context,
}

impl Worker {
    // ---- what goes out ----

    pub(super) fn append(&mut self, append: Append) {
        let draft = append.draft(self.now.unix_ms);
        self.wait_more(append.conn, append_bytes(&append));
        let asked = self.asked(Context::Append(append));
        self.ask(Request::Append(draft, asked));
    }

    pub(super) fn follow(&mut self, follow: Box<Follow>) {
        let conn = follow.conn;
        if self.table.get_mut(conn).is_none() {
            // Nobody would say that it follows no more.
            return;
        }
        self.note_followed(conn, &follow.log);
        self.follow_unseen(follow);
        self.note_behind(conn);
        self.retap(conn);
    }

    /// The same for who is no connection.
    pub(super) fn follow_unseen(&mut self, follow: Box<Follow>) {
        if let Some(read) = self.feeds.follow(follow.conn, follow.from, follow) {
            self.read_page(read);
        }
    }

    pub(super) fn read_page(&mut self, read: Read) {
        let entries = if read.is_short { 1 } else { PAGE_MAX.entries };
        let max = PageMax {
            entries,
            ..PAGE_MAX
        };
        let (log, from) = (read.place.log.clone(), read.place.from);
        let context = self.asked(Context::Page(read));
        self.ask(Request::Read {
            log,
            from,
            max,
            context,
        });
    }

    pub(super) fn read_history(&mut self, reading: Box<Reading>) {
        let (log, part, limit) = (reading.log.clone(), reading.part, reading.limit);
        self.wait_more(reading.conn, HISTORY_BYTES_MAX);
        self.read_part_of_log(log, part, limit, Context::History(reading));
    }

    /// Asks for what one answer holds of a log.
    pub(super) fn read_part_of_log(
        &mut self,
        log: LogName,
        part: Part,
        limit: usize,
        context: Context,
    ) {
        let max = PageMax {
            entries: limit,
            bytes: HISTORY_BYTES_MAX as usize,
        };
        let context = self.asked(context);
        self.ask(Request::History {
            log,
            part,
            max,
            context,
        });
    }

    /// What comes back with the answer.
    pub(super) fn asked(&self, context: Context) -> Asked {
        let worker = self.peers.number();
        Asked { worker, context }
    }

    pub(super) fn ask(&mut self, request: Request<Asked>) {
        self.tell_what_is_watched();
        self.logs.send(request);
    }

    /// A connection waits for the log; too much of that, and it is not read.
    pub(super) fn wait_more(&mut self, id: ConnId, bytes: u32) {
        if let Some(web_socket) = self.web_socket(id) {
            web_socket.waiting_bytes += bytes;
        }
    }

    pub(super) fn wait_less(&mut self, id: ConnId, bytes: u32) {
        if let Some(web_socket) = self.web_socket(id) {
            web_socket.waiting_bytes -= bytes;
            // It may be read on.
            self.mark_dirty(id);
        }
    }

    // ---- what comes back ----

    /// Handles an answer of the log.
    pub(super) fn handle_reply(&mut self, reply: Reply<Asked>) {
        let is_new = matches!(&reply, Reply::Appended(Ok(Placed::New(_)), _));
        self.status.own.appended += u64::from(is_new);
        match reply {
            Reply::Appended(result, asked) => match asked.context {
                Context::Append(append) => {
                    self.wait_less(append.conn, append_bytes(&append));
                    self.appended(append, &result);
                }
                Context::Publish(conn, log) => {
                    self.publishing -= 1;
                    if let Ok(Placed::New(entry)) = &result {
                        self.announce(entry, None);
                    }
                    self.respond(conn, &published(&log, &result));
                }
                Context::Canary => self.canary_placed(&result),
                Context::Note => self.note_placed(&result),
                Context::Memo(conn, ticket) => self.memo_placed(conn, *ticket, &result),
                Context::Page(_)
                | Context::History(_)
                | Context::Recall(_)
                | Context::HttpHistory(..)
                | Context::Find(_) => {}
            },
            Reply::Page(page, asked) => match asked.context {
                Context::Page(read) => match page {
                    Err(error) if is_asked_again(&read.place.log, &error) => self.put_off(read),
                    page => self.page(&read, page),
                },
                Context::History(reading) => {
                    self.wait_less(reading.conn, HISTORY_BYTES_MAX);
                    let conn = reading.conn;
                    for event in history(*reading, page) {
                        self.say(conn, event);
                    }
                }
                Context::HttpHistory(conn, part) => self.history_read(conn, part, &page),
                Context::Recall(conn) => self.recalled(conn, page),
                Context::Append(_)
                | Context::Memo(..)
                | Context::Publish(..)
                | Context::Find(_)
                | Context::Canary
                | Context::Note => {}
            },
            Reply::Found(logs, asked) => {
                if let Context::Find(conn) = asked.context {
                    self.found(conn, logs);
                }
            }
            // They came as mail of their own.
            Reply::Announced(_) | Reply::Broken(_) => {}
        }
        self.run_effects();
    }

    fn appended(&mut self, append: Append, result: &Result<Placed, AppendError>) {
        let (conn, comes_back) = (append.conn, append.comes_back);
        if let Ok(Placed::New(entry)) = result {
            let ack = appended(append, result.as_ref());
            let sender = Sender {
                conn,
                comes_back,
                ack,
            };
            return self.announce(entry, Some(sender));
        }
        // Behind the acks that wait with entries.
        self.deliver();
        let log = append.log.clone();
        let ack = appended(append, result.as_ref());
        if let Some(ack) = ack.and_then(|ack| self.feeds.hold_back(conn, &log, ack)) {
            self.say(conn, ack);
        }
    }

    /// Queues an entry on a connection of either kind.
    pub(super) fn send_entry(&mut self, id: ConnId, shared: &Shared) {
        self.status.own.messages_sent += 1;
        self.note_entry(id, &shared.entry, false);
        let now = self.now;
        let Some(web_socket) = self.web_socket(id) else {
            return self.give_entry(id, shared);
        };
        let is_urgent = is_urgent(&shared.entry.draft.log);
        let is_due = !web_socket.confirms() && {
            web_socket.receipt.sent(1, is_urgent);
            web_socket.receipt.is_due()
        };
        if let Some(session) = web_socket.session() {
            let mut out = Out::default();
            session.entry(shared, now, &mut out);
            self.carry_out(id, out);
        } else if let Some(encoding) = web_socket.encoding() {
            // Refused while closing: then nobody waits for it.
            let _ = web_socket
                .connection
                .send_prepared(shared.prepared(encoding));
        }
        self.mark_dirty(id);
        if is_due {
            self.ask_for_receipt(id);
        }
    }

    /// A page goes to all who wait for it. The first takes of it at once, so that it was not read in vain whatever comes
    /// meanwhile; the others have their turns.
    fn page(&mut self, read: &Read, page: Result<Page, StoreError>) {
        let readers = self.feeds.arrived(read, page.as_ref().ok());
        while let Some(next) = self.feeds.next_read() {
            self.read_page(next);
        }
        for (index, reader) in readers.into_iter().enumerate() {
            let id = reader.conn;
            match &page {
                Ok(page) => {
                    // A poll must hear of every log that it follows, and gets one page of each.
                    let room = match index {
                        _ if self.is_poll(id) => PAGE_MAX.bytes,
                        0 => self.room_of(id),
                        _ => 0,
                    };
                    let mut steps = Vec::new();
                    self.feeds.page(reader, page, room, &mut steps);
                    self.run_steps(id, steps);
                    // At once: hundreds may have waited, and each is told who is there.
                    self.run_effects();
                    self.note_behind(id);
                    self.serve_later(id);
                }
                Err(error) => {
                    self.close(id, CloseCode::INTERNAL_ERROR, &error.to_string());
                    self.end_stream(id);
                }
            }
        }
    }

    /// What was announced of a log may not be there any more: its followers read on from where they are.
    pub(super) fn broken(&mut self, log: &LogName) {
        for id in self.feeds.break_off(log) {
            self.serve(id);
            self.serve_later(id);
        }
        self.run_effects();
    }

    // ---- those who are behind ----

    /// A connection that is behind somewhere, and whose page is there, waits for its turn.
    pub(super) fn serve_later(&mut self, id: ConnId) {
        if self.feeds.can_go_on(id)
            && let Some(conn) = self.table.get_mut(id)
            && !mem::replace(&mut conn.in_laggards, true)
        {
            self.laggards.push_back(id);
        }
    }

    /// So many of those that wait get more.
    pub(super) fn serve_laggards(&mut self) {
        for _ in 0..LAGGARDS_PER_TURN_MAX {
            let Some(id) = self.laggards.pop_front() else {
                return;
            };
            if let Some(conn) = self.table.get_mut(id) {
                conn.in_laggards = false;
                self.serve(id);
                self.run_effects();
            }
        }
    }

    /// A connection that is behind gets more, if it has room.
    fn serve(&mut self, id: ConnId) {
        let room = self.room_of(id);
        if room == 0 {
            // It is served when it has taken what it got.
            return;
        }
        let mut steps = Vec::new();
        self.feeds.go_on(id, room, &mut steps);
        self.worked |= !steps.is_empty();
        self.run_steps(id, steps);
        self.note_behind(id);
    }

    /// Tells a connection that it has joined; then what waited for that may come.
    pub(super) fn joined(&mut self, id: ConnId, ticket: u32, joined: Event) {
        if matches!(self.chat, Chat::Here(_)) {
            return self.say_joined(id, joined);
        }
        let Some(held_back) = self.feeds.joined(id, ticket, self.now.instant) else {
            return;
        };
        self.say_joined(id, joined);
        for event in held_back {
            self.say(id, event);
        }
        self.serve(id);
        self.serve_later(id);
        self.note_behind(id);
    }

    /// Says what waits for being told that it has joined, which it will not be.
    pub(super) fn say_held_back(&mut self, id: ConnId, log: &LogName) {
        for event in self.feeds.take_held_back(id, log) {
            self.say(id, event);
        }
    }

    /// Bytes that a connection that is behind may get now.
    fn room_of(&mut self, id: ConnId) -> usize {
        let Some(conn) = self.table.get_mut(id) else {
            // Nobody would serve the worker itself later.
            return if self.is_own_follower(id) {
                usize::MAX
            } else {
                0
            };
        };
        if conn.unsent_bytes() > OUTBOX_BYTES_LOW || !conn.has_room() || self.has_answer(id) {
            return 0;
        }
        OUTBOX_BYTES_LOW
    }

    fn run_steps(&mut self, id: ConnId, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Entry(shared) if self.is_own_follower(id) => {
                    self.hear_own_log(&shared.entry);
                }
                Step::Entry(shared) => self.send_entry(id, &shared),
                Step::Gap { log, .. } if self.is_own_follower(id) => self.nodes_followed(&log),
                Step::Gap { log, from, gap } => {
                    let event = Event::gap(&log, from, &gap, None);
                    if self.web_socket(id).is_some() {
                        self.say(id, event);
                    } else {
                        self.give_gap(id, &log, gap.to, &event.to_text());
                    }
                }
                Step::AtHead {
                    follow,
                    position,
                    whole,
                } => {
                    if self.is_own_follower(id) {
                        self.nodes_followed(&follow.log);
                    }
                    self.give_head(id, &follow, position);
                    self.note_at_head(follow, position, whole);
                }
                Step::Read(read) => self.read_page(read),
                Step::OffTheLog { position } => self.give_up(id, Some(position)),
            }
        }
    }

    /// Notes whether a connection is behind, and when it is to be looked at.
    pub(super) fn note_behind(&mut self, id: ConnId) {
        let is_behind = self.feeds.is_behind(id) && !self.is_poll(id);
        let since = self.feeds.longest_behind(id).map(|(since, _, _)| since);
        let give_up_at = since.map(|since| since + self.lag_max);
        let wake_at = self.poll_until(id).or(give_up_at);
        if let Some(conn) = self.table.get_mut(id)
            && (conn.is_behind, conn.wake_at()) != (is_behind, wake_at)
        {
            conn.is_behind = is_behind;
            conn.set_wake_at(wake_at);
            // Its deadline has moved.
            self.mark_dirty(id);
        }
    }

    /// Closes a connection that has been behind for too long, and tells it where to go on.
    pub(super) fn close_if_slow(&mut self, id: ConnId) {
        let (now, lag_max) = (self.now.instant, self.lag_max);
        if let Some((_, _, at)) = self
            .feeds
            .longest_behind(id)
            .filter(|(since, _, _)| *since + lag_max <= now)
        {
            self.give_up(id, Some(at));
        }
    }

    pub(super) fn give_up(&mut self, id: ConnId, position: Option<Position>) {
        self.tell_slow(id);
        let reason = position.map_or_else(
            || "reads too slowly".to_owned(),
            |position| format!("reads too slowly: go on with since={position}"),
        );
        self.close_slow(id, &reason);
        self.end_stream(id);
    }

    /// Ends an event stream: an `EventSource` comes back by itself, and says where it was.
    pub(super) fn end_stream(&mut self, id: ConnId) {
        self.with_http(id, |http, turn| http.end_stream(turn));
        self.forget_call_if_over(id);
        self.mark_dirty(id);
    }
}

/// A private message is to be confirmed at once, since it is sent again until it is.
pub(super) fn is_urgent(log: &LogName) -> bool {
    log.as_str().starts_with('@')
}

/// What a message takes on its way to the log, roughly.
fn append_bytes(append: &Append) -> u32 {
    weight(append.content_bytes())
}

//! The worker: one thread, one `Poll`, its connections. [`Worker::turn`] is the loop's body and reads like the list of
//! what happens in a turn.

mod calls;
mod captures;
mod chat;
mod chat_readers;
mod cluster;
mod delivery;
mod dispatch;
mod elsewhere;
mod engine;
mod fanout;
mod guests;
mod inquiries;
mod io;
mod last_words;
mod looking;
mod mail;
mod memos;
mod observe;
mod operator;
mod rates;
mod readers;
mod receipts;
mod recording;
mod reloading;
mod sessions;
mod shedding;
mod start;
mod stopping;
mod tokens;

use std::collections::{HashMap, VecDeque};
use std::io::{Error, ErrorKind, Result};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

pub(super) use delivery::Asked;
pub(super) use io::OVERLOADED_MAX;
pub(super) use mail::{Farewell, HOME, Mail, Peers, Recipient, hand_out};
pub(super) use start::Parts;

use self::calls::Transfer;
use self::captures::Tapping;
use self::chat::Chat;
use self::elsewhere::PutOff;
use self::fanout::{Relayed, Together};
use self::last_words::LastWords;
use self::looking::Lookers;
use self::observe::Observer;
use self::operator::Desk;
use self::readers::Readers;
use self::recording::Recording;
use self::stopping::Stopping;
use super::capacity::Capacity;
use super::drain::Drain;
use super::files::Files;
use super::inbox::Inbox;
use super::listener::Listener;
use super::logs::Logs;
use super::memory::Memory;
use super::shutdown::Shutdown;
use super::table::{FIRST_RESERVED_TOKEN, Table, id_of};
use super::tls::Credentials;
use super::worklist::Worklist;
use crate::auth::Expiries;
use crate::chat::{Effect, Relay};
use crate::clock::{LoopClock, Now, earlier};
use crate::config::WebSocketConfigs;
use crate::ids::ConnId;
use crate::limit::Allowance;
use crate::log::Reply;
use crate::metrics::Status;
use crate::timer::{Tick, Wheel};
use crate::transport::dialect::Sid;
use crate::transport::feeds::Feeds;
use crate::transport::mqtt::Sessions;
use crate::transport::{Date, HttpConfig, Turn};

const LISTENER: Token = Token(FIRST_RESERVED_TOKEN);
const SIGNALS: Token = Token(FIRST_RESERVED_TOKEN + 1);
pub(super) const INBOX: Token = Token(FIRST_RESERVED_TOKEN + 2);

/// Events taken from the kernel at once.
const EVENTS_PER_TURN_MAX: usize = 1024;

/// Messages of other threads after which what is queued is written: a burst must not make followers seem slow.
const MAIL_PER_FLUSH: usize = 128;

/// Bytes that followers are told of who comes and goes, after which what is queued is written: that grows with the square of a
/// crowd, and need not be in memory at once.
const TOLD_BYTES_PER_FLUSH: usize = 1 << 20;

/// A thread's loop and everything in it.
pub(super) struct Worker {
    poll: Poll,
    /// The other workers, and which this one is.
    peers: Peers,
    listener: Option<Listener>,
    /// What it speaks TLS with, if it does.
    credentials: Option<Credentials>,
    /// Signals; home has them.
    shutdown: Option<Shutdown>,
    /// A signal came in this turn.
    signalled: bool,
    /// A worker ended before the server was told to stop.
    one_failed: bool,
    /// Home asked this worker to stop, or to let its clients go first.
    asked_to_stop: Option<Drain>,
    /// How fast it can take connections.
    capacity: Capacity,
    /// How long the server may take to stop.
    drain_time: Duration,
    stopping: Stopping,
    table: Table,
    wheel: Wheel,
    /// Connections with something to read.
    ready: Worklist,
    /// Connections with something to write, or whose deadline may have moved.
    dirty: Worklist,
    /// Followers that are behind, and can be given more.
    laggards: VecDeque<ConnId>,
    dead: Worklist,
    due: Vec<(ConnId, Tick)>,
    /// When something is due that is no connection's: looked at in every turn, asked for before it.
    own_due: Option<Instant>,
    read_buffer: Box<[u8]>,
    chat: Chat,
    effects: Vec<Effect>,
    feeds: Feeds,
    /// Before the threads that it is waited for: they may wait for room in it.
    inbox: Inbox<Mail>,
    logs: Arc<Logs>,
    /// Pages that could not be read.
    put_off: PutOff,
    /// How long a connection may be behind.
    lag_max: Duration,
    /// What followers were told since the last flush, and is not kept.
    told_bytes: usize,
    relay: Relay,
    /// Sessions that look for logs.
    lookers: Lookers,
    /// The sessions of clients that speak MQTT, at all workers.
    mqtt: Arc<Sessions>,
    /// What was said to the relay.
    relayed: Option<Relayed>,
    /// Publications over HTTP that have no answer yet.
    publishing: usize,
    /// Entries about sessions, in logs of the server's own, that have no answer yet.
    memos: usize,
    /// Entries that came together.
    together: Together,
    /// The inbox has something.
    mail_came: bool,
    files: Arc<Files>,
    /// Files on their way, by the connections that wait for them.
    transfers: HashMap<ConnId, Transfer, foldhash::fast::RandomState>,
    /// Why connections end.
    recording: Recording,
    /// What an operator asks for; at home.
    desk: Option<Box<Desk>>,
    /// Those who follow logs over HTTP.
    readers: Readers,
    /// The sessions that connections wait for, which have polled or told them something.
    knocking: HashMap<ConnId, Sid, foldhash::fast::RandomState>,
    last_words: LastWords,
    /// The connection that has the socket which another one had, if that was found out while it was read.
    moved_to: Option<ConnId>,
    /// When the tokens of connections end.
    expiries: Expiries,
    tapping: Tapping,
    web_sockets: WebSocketConfigs,
    http: HttpConfig,
    status: Status,
    observer: Observer,
    date: Date,
    /// What a sender of the relay may send.
    relay_limit: Allowance,
    /// Where the process stands with its memory.
    memory: Arc<Memory>,
    /// Connections that are only told that they are not let in.
    turned_away: usize,
    clock: LoopClock,
    now: Now,
    /// Something was done in this turn.
    worked: bool,
}

impl Worker {
    /// Where it listens.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(super) fn local_address(&self) -> Result<SocketAddr> {
        self.listener
            .as_ref()
            .ok_or_else(|| Error::from(ErrorKind::NotConnected))?
            .local_address()
    }

    /// Serves until told to stop by SIGTERM or SIGINT and all connections have ended, or their time is up.
    ///
    /// # Errors
    /// The kernel's readiness queue fails, which it does not do while the process is in order; or another worker has ended
    /// before its time.
    pub(super) fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        self.follow_canary();
        self.follow_nodes();
        while !self.is_done() {
            self.turn(&mut events)?;
        }
        self.tell_who_is_left();
        if self.one_failed {
            return Err(Error::other("a worker has ended"));
        }
        Ok(())
    }

    /// One turn. The order matters: what came is read before timers judge who is silent, and everything is written at
    /// the end, at once.
    fn turn(&mut self, events: &mut Events) -> Result<()> {
        let waits_at_most = self.wait_for_events(events)?;
        self.now = self.clock.read(waits_at_most);
        if self.clock.has_stood() {
            self.tell_how_far_behind();
        }
        self.date.update(self.now.unix_ms);
        self.recording.set_time(self.clock.since_start());
        self.worked = false;
        self.note_events(events);
        self.take_inbox();
        self.accept();
        self.read_ready();
        self.stop_if_asked();
        self.expire_timers();
        self.serve_laggards();
        self.tell_nodes();
        self.peers.send();
        self.flush_dirty();
        self.free_dead();
        self.tell_what_is_watched();
        // A broken socket is found by writing, and home is to hear of it.
        self.peers.send();
        self.count();
        Ok(())
    }

    /// Tells those that count for all workers how much the clock of this one is behind.
    fn tell_how_far_behind(&mut self) {
        let behind = self.clock.stood_for();
        self.status.set_behind(behind, self.now.instant);
        if let Some(addresses) = &mut self.http.addresses {
            addresses.set_behind(behind);
        }
    }

    /// Returns how long it waits at most.
    fn wait_for_events(&mut self, events: &mut Events) -> Result<Option<Duration>> {
        let timeout = self.time_to_wait();
        let waited = match self.poll.poll(events, timeout) {
            // A process that was stopped and goes on is interrupted, too: what came meanwhile is to be read before timers
            // judge who was silent.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.poll_now(events),
            result => result,
        };
        waited.map(|()| timeout)
    }

    fn poll_now(&mut self, events: &mut Events) -> Result<()> {
        match self.poll.poll(events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            result => result,
        }
    }

    /// How long nothing is due, unless something happens.
    fn time_to_wait(&mut self) -> Option<Duration> {
        let now = self.now.instant;
        let accepting = self
            .listener
            .as_ref()
            .is_some_and(|listener| listener.is_ready(now));
        let has_work =
            !(self.ready.is_empty() && self.dirty.is_empty() && self.laggards.is_empty());
        if accepting || has_work {
            self.own_due = Some(now);
            return Some(Duration::ZERO);
        }
        self.own_due = self.next_own();
        let others = [
            self.wheel.next_at(),
            self.listener.as_ref().and_then(Listener::retry_at),
            self.stop_waiting_at(),
        ];
        let next = others.into_iter().fold(self.own_due, earlier);
        Some(next?.saturating_duration_since(now))
    }

    /// When something is due that is no connection's.
    fn next_own(&self) -> Option<Instant> {
        let due = [
            self.canary_at(),
            self.expiries.next(),
            self.desk.as_ref().map(|desk| desk.sample_at()),
            self.ask_again_at(),
            self.inquiries_due(),
        ];
        due.into_iter().fold(self.chat.wait_until(), earlier)
    }

    fn note_events(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                LISTENER => {
                    if let Some(listener) = &mut self.listener {
                        listener.set_ready();
                    }
                }
                SIGNALS => self.signalled = true,
                INBOX => self.mail_came = true,
                token => {
                    let id = id_of(token);
                    let Some(conn) = self.table.get_mut(id) else {
                        continue;
                    };
                    conn.readable |=
                        event.is_readable() || event.is_read_closed() || event.is_error();
                    conn.read_closed |= event.is_read_closed() || event.is_error();
                    if conn.readable && !mem::replace(&mut conn.in_ready, true) {
                        self.ready.push(id);
                    }
                    if event.is_writable() {
                        self.mark_dirty(id);
                    }
                }
            }
        }
    }

    // ---- other threads ----

    /// Takes what other threads have sent.
    fn take_inbox(&mut self) {
        if !mem::take(&mut self.mail_came) {
            return;
        }
        let mut mail = self.inbox.take();
        for (index, mail) in mail.drain(..).enumerate() {
            self.worked = true;
            self.handle_mail(mail);
            if (index + 1) % MAIL_PER_FLUSH == 0 || self.told_bytes > TOLD_BYTES_PER_FLUSH {
                self.deliver();
                self.peers.send();
                self.flush_dirty();
            }
        }
        self.deliver();
        self.tell_lookers();
        self.inbox.give_back(mail);
    }

    fn handle_mail(&mut self, mail: Mail) {
        // Entries may wait for others that come right behind them, and nothing else for them.
        if !matches!(mail, Mail::Announced(_) | Mail::Log(Reply::Appended(..))) {
            self.deliver();
        }
        match mail {
            Mail::Files(id, done) => self.file_done(id, done),
            Mail::Log(reply) => self.handle_reply(reply),
            Mail::Announced(entry) => self.announce(&entry, None),
            Mail::Broken(log) => self.broken(&log),
            Mail::Refused(id, wait) => self.refuse_publication(id, wait),
            Mail::Memory(level) => self.note_memory(level),
            Mail::Shed(bytes) => self.shed(bytes),
            Mail::Said(said) => self.hear_from_afar(said),
            Mail::Effect(effect) => self.run_effect(effect),
            Mail::Told(room, except, told) => self.tell_followers(&room, &except, &told),
            Mail::Publish(id, publish) => self.publish(id, publish),
            Mail::Respond(id, response) => self.respond(id, &response),
            Mail::Accepted(stream, peer) => self.take_over(stream, peer),
            Mail::Moved(conn, accepted, input) => self.take_in(*conn, *accepted, input),
            Mail::Knock(from, sid, knock) => self.knock(from, sid, knock),
            Mail::Reply(id, answer) => self.answer_knock(id, &answer),
            Mail::Relayed(senders, room, batch) => self.relay_from_afar(senders, &room, &batch),
            Mail::CaptureBegins(capture) => self.add_capture(capture),
            Mail::CaptureEnded(number) => self.end_capture(number),
            Mail::Captured(id, bytes) => self.send_captured(id, bytes),
            Mail::Taken(id, bytes) => self.wait_less(id, bytes),
            Mail::Drain(drain) => self.begin_to_pace(drain.here(self.clock.stood_for())),
            Mail::Stop(drain) => self.asked_to_stop = Some(drain.here(self.clock.stood_for())),
            Mail::Answered => self.note_answered(),
            Mail::Close(drain, how) => {
                self.begin_to_close(drain.here(self.clock.stood_for()), how);
            }
            Mail::Ended => self.note_ended(),
            Mail::Reload(reloaded) => self.take_reloaded(&reloaded),
            Mail::Kick(id) => self.kick(id),
            Mail::Ending(account) => self.keep(*account),
            Mail::Ask(number, question) => self.answer_home(number, &question),
            Mail::Found(number, found) => self.note_found(number, found),
        }
    }

    // ---- timers ----

    fn expire_timers(&mut self) {
        let mut due = mem::take(&mut self.due);
        self.wheel.expire(self.now.instant, &mut due);
        for (id, tick) in due.drain(..) {
            self.worked = true;
            let now = self.now.instant;
            let Some(conn) = self
                .table
                .get_mut(id)
                .filter(|conn| conn.scheduled == Some(tick))
            else {
                continue;
            };
            conn.scheduled = None;
            if conn.deadline().is_some_and(|deadline| deadline <= now) {
                conn.let_go_on(now);
                conn.state.handle_timeout(Turn {
                    peer: conn.peer.ip,
                    config: &self.http,
                    status: &self.status,
                    date: &self.date,
                    now,
                    unix_ms: self.now.unix_ms,
                });
                self.after_silent_change(id);
                self.wake_session(id);
                self.answer_poll(id);
                self.close_if_slow(id);
            }
            self.mark_dirty(id);
        }
        self.due = due;
        // What has become due since it was asked for is seen in the next turn, which comes at once.
        if self.own_due.is_some_and(|at| at <= self.now.instant) {
            self.expire_own();
        }
    }

    /// What is due and no connection's.
    fn expire_own(&mut self) {
        self.expire_chat();
        self.ask_again();
        self.send_canary_if_due();
        self.expire_tokens();
        self.sample();
        self.conclude_old_inquiries();
    }

    // ---- the end ----

    /// The socket is broken: whoever followed the connection hears that it is gone.
    fn lose(&mut self, id: ConnId, error: ErrorKind) {
        self.note_lost(id, error);
        if let Some(conn) = self.table.get_mut(id) {
            conn.state.handle_eof(&self.http, self.now.instant);
        }
        self.after_silent_change(id);
        self.kill(id);
    }

    fn kill(&mut self, id: ConnId) {
        if let Some(conn) = self.table.get_mut(id) {
            self.turned_away -= usize::from(conn.is_turned_away());
            conn.dead = true;
            self.dead.push(id);
            self.worked = true;
        }
    }

    fn free_dead(&mut self) {
        let dead = self.dead.take();
        for &id in &dead {
            self.observer.note_unsent(id, 0);
            self.free(id);
            self.forget_outlet(id);
            self.forget_call(id);
            self.expiries.forget(id);
            if let Some(listener) = &mut self.listener {
                listener.descriptor_freed();
            }
        }
        self.dead.give_back(dead);
    }
}

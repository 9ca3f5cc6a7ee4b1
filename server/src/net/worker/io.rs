//! The parts of a turn that touch sockets: accepting, reading, writing, each within a budget.

use std::io::Write as _;
use std::mem;
use std::net::SocketAddr;

use mio::net::TcpStream;
use tidewire_protocol::Transport;
use tracing::debug;

use super::mail::Mail;
use super::stopping::Stopping;
use super::{TOLD_BYTES_PER_FLUSH, Worker};
use crate::ids::ConnId;
use crate::metrics::Status;
use crate::net::conn::{App, Conn, Flushed, State};
use crate::net::listener::Accepted;
use crate::net::stream::Stream;
use crate::net::table::token_of;
use crate::net::tls::{Credentials, News, Received};
use crate::net::worklist::Worklist;
use crate::recorder::EndCause;
use crate::timer::Wheel;
use crate::transport::{Date, Http, Response, TurnedAway, last_response, overloaded};

/// Connections accepted in a turn; the others wait in the queue while those that are here are served.
const ACCEPTS_PER_TURN_MAX: usize = 64;

/// Reads of a connection in a turn; what is left waits for the next, behind everybody else.
const READS_PER_TURN_MAX: usize = 4;

/// What is read at once of a connection that speaks HTTP and sends no file: no more than a head can have.
const HTTP_READ_BYTES: usize = 16 << 10;

/// What is read at once of one that sends a file, or messages that are not large.
const READ_BYTES: usize = 64 << 10;

/// Unsent bytes, beside those of one message, above which a connection is closed as slow, if others write to it.
const OUTBOX_BYTES_MAX: usize = 256 << 10;

/// Connections over the limit that are still told so, before connections are cut without a word.
pub(in crate::net) const OVERLOADED_MAX: usize = 32;

impl Worker {
    // ---- accepting ----

    pub(super) fn accept(&mut self) {
        let listener = self.listener.as_ref();
        if !listener.is_some_and(|listener| listener.is_ready(self.now.instant)) {
            return self.capacity.note_pause();
        }
        let accepted = self.accept_some();
        let is_full = accepted == ACCEPTS_PER_TURN_MAX;
        self.capacity.note_turn(accepted, is_full, self.now.instant);
        self.status.own.accepts_per_second = self.capacity.per_second();
    }

    /// Takes connections from the queue until it is empty, or as many as a turn may; how many.
    fn accept_some(&mut self) -> usize {
        let others = self.status.connections_of_others();
        for accepted in 0..ACCEPTS_PER_TURN_MAX {
            let now = self.now.instant;
            let Some(listener) = self
                .listener
                .as_mut()
                .filter(|listener| listener.is_ready(now))
            else {
                return accepted;
            };
            match listener.accept(now) {
                Accepted::Nothing => return accepted,
                Accepted::Stream(stream, peer)
                    if others + self.table.len()
                        >= self.status.connections_max + OVERLOADED_MAX =>
                {
                    refuse(stream, self.credentials.as_ref(), &overloaded(), &self.date);
                    self.tell_refused(Some(peer));
                    self.status.ends.count(EndCause::Overload);
                }
                Accepted::Stream(stream, peer) => match self.status.pass_on(self.table.len()) {
                    Some(worker) => self.peers.post(worker, Mail::Accepted(stream, peer)),
                    None => self.admit(stream, peer, others),
                },
                Accepted::OnReserve(stream) => {
                    refuse(stream, self.credentials.as_ref(), &overloaded(), &self.date);
                    listener.restore_reserve();
                    self.tell_refused(None);
                    self.status.ends.count(EndCause::Overload);
                }
            }
            self.worked = true;
        }
        ACCEPTS_PER_TURN_MAX
    }

    /// Takes a connection that another worker had no room for beside its own.
    pub(super) fn take_over(&mut self, socket: TcpStream, peer: SocketAddr) {
        // Who stops takes none.
        if self.listener.is_some() {
            self.admit(socket, peer, self.status.connections_of_others());
        }
    }

    fn admit(&mut self, socket: TcpStream, peer: SocketAddr, others: usize) {
        let overloaded = others + self.table.len() >= self.status.connections_max;
        let http = Http::new(&self.http, overloaded, self.now.instant);
        let guest = match self.let_in(peer.ip()) {
            Ok(guest) => guest,
            Err(turned_away) => {
                self.status.ends.count(match turned_away {
                    TurnedAway::Address(_) => EndCause::RateLimited,
                    TurnedAway::Memory => EndCause::Overload,
                });
                let credentials = self.credentials.as_ref();
                return refuse(socket, credentials, &turned_away.response(), &self.date);
            }
        };
        let Ok(stream) = Stream::new(socket, self.credentials.as_ref()) else {
            return self.send_away(&guest);
        };
        let opened = self.recording.opened(self.now);
        let id = self
            .table
            .insert(|generation| guest.into_conn(stream, peer, generation, http));
        self.status.own.accepted += 1;
        if overloaded {
            self.tell_refused(Some(peer));
        }
        tracing::debug!(event = "connection_opened", %peer, "a connection has come");
        let registry = self.poll.registry();
        let registered = self.table.get_mut(id).is_some_and(|conn| {
            conn.opened = opened;
            conn.stream.register(registry, token_of(id)).is_ok()
        });
        if registered {
            self.tap_new(id);
            self.mark_dirty(id);
        } else {
            self.kill(id);
        }
    }

    // ---- reading ----

    pub(super) fn read_ready(&mut self) {
        let mut buffer = mem::take(&mut self.read_buffer);
        let ready = self.ready.take();
        for &id in &ready {
            self.read(id, &mut buffer);
            if self.told_bytes > TOLD_BYTES_PER_FLUSH {
                self.flush_dirty();
            }
        }
        self.ready.give_back(ready);
        self.read_buffer = buffer;
        self.relay();
    }

    /// Reads a connection until it is drained, or its budget is spent.
    fn read(&mut self, id: ConnId, buffer: &mut [u8]) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        conn.in_ready = false;
        if matches!(self.stopping, Stopping::Answering { .. }) {
            return;
        }
        if conn.awaits_preface {
            self.take_preface(id);
        }
        for _ in 0..READS_PER_TURN_MAX {
            let Some(conn) = self.table.get_mut(id) else {
                return;
            };
            if !conn.readable || conn.is_paused() || conn.awaits_preface {
                // A paused one is read on when its unsent bytes have left.
                break;
            }
            let size = read_size(conn, buffer.len());
            let received = conn.stream.read(buffer, size);
            if let Some(news) = conn.stream.take_news() {
                note_tls(news, conn, &mut self.status);
            }
            match received {
                Ok(Received::End) => {
                    conn.readable = false;
                    self.read_to_the_end(id);
                }
                Ok(Received::Bytes { count, is_drained }) => {
                    conn.readable = !is_drained || conn.read_closed;
                    self.worked = true;
                    let is_over = !conn.readable;
                    // TLS has had something for itself where there is none.
                    if count > 0 {
                        if conn.is_tapped() {
                            conn.tap_read(&buffer[..count], self.now.instant);
                        }
                        match &conn.state {
                            State::Http(_) => self.handle_http(id, &mut buffer[..count]),
                            State::WebSocket(_) => {
                                self.handle_web_socket(id, &mut buffer[..count]);
                            }
                        }
                    }
                    if is_over {
                        break;
                    }
                }
                Ok(Received::Nothing) => conn.readable = false,
                Err(error) => {
                    self.worked = true;
                    return self.lose(id, error.kind());
                }
            }
        }
        if let Some(conn) = self.table.get_mut(id) {
            mark(&mut self.dirty, id, conn);
            requeue(&mut self.ready, id, conn);
        }
    }

    /// The peer says no more.
    fn read_to_the_end(&mut self, id: ConnId) {
        self.worked = true;
        if let Some(conn) = self.table.get_mut(id) {
            conn.state.handle_eof(&self.http, self.now.instant);
        }
        self.after_silent_change(id);
        self.hurry_poll(id);
        self.knock_no_more(id);
    }

    pub(super) fn requeue_if_readable(&mut self, id: ConnId) {
        if let Some(conn) = self.table.get_mut(id) {
            requeue(&mut self.ready, id, conn);
        }
    }

    // ---- writing ----

    /// Notes that a connection has something to write, or that its deadline may have moved.
    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        if let Some(conn) = self.table.get_mut(id) {
            mark(&mut self.dirty, id, conn);
        }
    }

    /// Sees to it that a connection is looked at when something is due.
    pub(super) fn schedule(&mut self, id: ConnId) {
        if let Some(conn) = self.table.get_mut(id) {
            schedule(&mut self.wheel, id, conn);
        }
    }

    pub(super) fn flush_dirty(&mut self) {
        // What becomes dirty by flushing (a slow one is closed, its room hears of it) is flushed in the next turn.
        self.told_bytes = 0;
        let mut dirty = self.dirty.take();
        // Who keeps up does not wait for who does not.
        let mut behind = 0;
        for place in 0..dirty.len() {
            let id = dirty[place];
            if self.table.get(id).is_some_and(|conn| conn.is_behind) {
                dirty[behind] = id;
                behind += 1;
            } else {
                self.flush(id);
            }
        }
        for &id in &dirty[..behind] {
            self.flush(id);
        }
        self.dirty.give_back(dirty);
    }

    pub(super) fn flush(&mut self, id: ConnId) {
        let Some(mut conn) = self.table.get_mut(id) else {
            return;
        };
        if conn.stream.is_nowhere() {
            self.flush_session(id);
            match self.table.get_mut(id) {
                Some(again) => conn = again,
                None => return,
            }
        }
        if let State::Http(_) = conn.state {
            self.answer_poll(id);
            match self.table.get_mut(id) {
                Some(again) => conn = again,
                None => return,
            }
        }
        conn.in_dirty = false;
        let before = conn.unsent_bytes();
        let flushed = conn.flush(self.poll.registry(), token_of(id), self.now.instant);
        let unsent = conn.unsent_bytes();
        self.worked |= unsent < before;
        self.observer.note_unsent(id, unsent);
        let transport = conn.state.transport();
        conn.tap_flushed(id, self.now.instant);
        if unsent < before {
            self.tapping.note_sent(id, before - unsent);
        }
        match flushed {
            Flushed::Failed(error) => return self.lose(id, error),
            // What TLS still has of it goes nowhere.
            Flushed::Blocked if conn.is_given_up(self.now.instant) => return self.kill(id),
            Flushed::Blocked => self.check_slow(id),
            Flushed::Budget => {
                self.mark_dirty(id);
                // What comes in faster than it can be written is too much, too.
                self.check_slow(id);
            }
            Flushed::All => match transport {
                Transport::Drop => {
                    conn.stream.close();
                    return self.kill(id);
                }
                Transport::HalfClose => {
                    conn.half_close();
                    if self.closing_for().is_some() {
                        // All that was owed is sent: a server that stops does not wait for the peer's end, too.
                        return self.kill(id);
                    }
                }
                // Nearly always there is nothing more to do.
                Transport::Keep if conn.has_nothing_to_go_on_with() => {
                    requeue(&mut self.ready, id, conn);
                    return schedule(&mut self.wheel, id, conn);
                }
                Transport::Keep => {
                    if conn.is_behind {
                        self.serve_later(id);
                    }
                    self.read_part(id);
                    self.resume(id);
                }
            },
        }
        self.requeue_if_readable(id);
        self.schedule(id);
    }

    /// A relay connection that does not take what others write to it is closed: they must not pay for it.
    fn check_slow(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let State::WebSocket(web_socket) = &mut conn.state else {
            return;
        };
        // Nobody else writes to the others, or in the chat, as much as there is room for.
        if !matches!(web_socket.app, App::Relay(_)) {
            return;
        }
        // However fast it reads, a large message does not leave at once.
        let unsent_bytes_max = OUTBOX_BYTES_MAX + self.web_sockets.relay.message_bytes_max as usize;
        if web_socket.connection.unsent_bytes() > unsent_bytes_max
            && web_socket.connection.is_open()
        {
            self.tell_slow(id);
            self.close_slow(id, "reads too slowly");
        }
    }
}

/// Lists a connection as one with something to write, unless it is there.
fn mark(dirty: &mut Worklist, id: ConnId, conn: &mut Conn) {
    if !mem::replace(&mut conn.in_dirty, true) {
        dirty.push(id);
    }
}

/// How much is read of a connection at once, of so many bytes that there is room for.
fn read_size(conn: &Conn, room: usize) -> usize {
    match &conn.state {
        State::Http(http) if !http.is_receiving() => HTTP_READ_BYTES,
        // A message that is left half-way has left the caches, too, when its turn comes again.
        State::WebSocket(_) if conn.sends_large() => room,
        State::Http(_) | State::WebSocket(_) => READ_BYTES,
    }
}

/// Lists a connection that is to be read on, unless it is there.
fn requeue(ready: &mut Worklist, id: ConnId, conn: &mut Conn) {
    if conn.readable && !conn.is_paused() && !mem::replace(&mut conn.in_ready, true) {
        ready.push(id);
    }
}

/// Puts a connection's deadline into the wheel, unless an earlier slot is there that will find it.
fn schedule(wheel: &mut Wheel, id: ConnId, conn: &mut Conn) {
    let is_sooner = conn.take_sooner();
    if conn.scheduled.is_some() && !is_sooner {
        return;
    }
    let Some(deadline) = conn.deadline() else {
        return;
    };
    if conn
        .scheduled
        .is_none_or(|scheduled| wheel.tick_of(deadline) < scheduled)
    {
        conn.scheduled = Some(wheel.insert(id, deadline));
    }
}

/// Tells a connection that there is no place for it, as far as one write can: with TLS that is nothing.
fn refuse(
    mut socket: TcpStream,
    credentials: Option<&Credentials>,
    response: &Response,
    date: &Date,
) {
    if credentials.is_none() {
        let _ = socket.write(&last_response(response, date));
    }
}

/// Counts what TLS has come to; why it failed is for those who look for it, since the internet is full of what fails.
fn note_tls(news: News, conn: &Conn, status: &mut Status) {
    match news {
        News::Shaken => status.own.tls_handshakes += 1,
        News::Failed => {
            status.own.tls_failures += 1;
            let reason = conn.stream.tls_failure().unwrap_or_default();
            debug!(event = "tls_failed", peer = %conn.peer.ip, port = conn.peer.port, reason, "TLS failed");
        }
    }
}

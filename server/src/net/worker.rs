//! The worker: one thread, one `Poll`, its connections. [`Worker::turn`] is the loop's body and reads like the list of
//! what happens in a turn.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use tidewire_protocol::Transport;

use super::conn::{App, Conn, Flushed, State};
use super::listener::{Accepted, Listener};
use super::shutdown::{Shutdown, Stop};
use super::table::{FIRST_RESERVED_TOKEN, Table, id_of, token_of};
use crate::chat::{Effect, Hub, Relay};
use crate::clock::Now;
use crate::config::{Config, WebSocketConfigs};
use crate::ids::ConnId;
use crate::log::{Epoch, MemoryLog};
use crate::metrics::Status;
use crate::timer::{Tick, Wheel};
use crate::transport::{Http, HttpConfig, overloaded_response};

const LISTENER: Token = Token(FIRST_RESERVED_TOKEN);
const SIGNALS: Token = Token(FIRST_RESERVED_TOKEN + 1);

/// Events taken from the kernel at once.
const EVENTS_PER_TURN_MAX: usize = 1024;

/// Connections accepted in a turn; the others wait in the queue while those that are here are served.
const ACCEPTS_PER_TURN_MAX: usize = 64;

/// Reads of a connection in a turn; what is left waits for the next, behind everybody else.
const READS_PER_TURN_MAX: usize = 4;

/// The buffer that all connections are read into.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// What is read at once of a connection that speaks HTTP: no more than a head can have.
const HTTP_READ_BYTES: usize = 16 << 10;

/// Unsent bytes above which a connection is closed as slow, if others write to it.
const OUTBOX_BYTES_MAX: usize = 256 << 10;

/// Memory for encoding that is kept between turns, a buffer at the most this large.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// Connections over the limit that are still told so, before connections are cut without a word.
const OVERLOADED_MAX: usize = 32;

/// Descriptors that are not for connections: standard streams, poll, listener, reserve, signals, files, and
/// [`OVERLOADED_MAX`].
const RESERVED_DESCRIPTORS: u64 = 64;

/// A thread's loop and everything in it.
pub struct Worker {
    poll: Poll,
    listener: Option<Listener>,
    shutdown: Shutdown,
    /// When to give up on connections that do not end, once told to stop.
    stopping: Option<(Stop, Instant)>,
    pub(super) table: Table,
    wheel: Wheel,
    /// Connections with something to read.
    ready: Vec<ConnId>,
    /// Connections with something to write, or whose deadline may have moved.
    dirty: Vec<ConnId>,
    dead: Vec<ConnId>,
    due: Vec<(ConnId, Tick)>,
    read_buffer: Box<[u8]>,
    spares: Vec<Vec<u8>>,
    pub(super) hub: Hub,
    pub(super) effects: Vec<Effect>,
    pub(super) log: MemoryLog,
    pub(super) relay: Relay,
    pub(super) web_sockets: WebSocketConfigs,
    pub(super) http: HttpConfig,
    pub(super) status: Status,
    pub(super) now: Now,
    /// Something was done in this turn.
    worked: bool,
}

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// Too few files may be open to hold a connection.
    TooFewDescriptors(u64),
    /// The kernel refused something that a loop needs.
    Loop(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) if error.kind() == ErrorKind::AddrInUse => {
                write!(
                    f,
                    "{address} is in use: stop what listens there, or choose another with --listen"
                )
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::TooFewDescriptors(limit) => write!(
                f,
                "only {limit} files may be open, and {RESERVED_DESCRIPTORS} are needed beside the connections: \
                 raise it with ulimit -n"
            ),
            Self::Loop(error) => write!(f, "cannot set up the event loop: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl Worker {
    /// Listens, and is ready to [`run`](Self::run).
    ///
    /// # Errors
    /// The address is taken, or the system has too little of something.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let connections_max = connections_max(config.connections_max)?;
        let listen = |error| StartError::Listen(config.listen, error);
        let poll = Poll::new().map_err(StartError::Loop)?;
        let mut listener = Listener::bind(config.listen).map_err(listen)?;
        listener
            .register(poll.registry(), LISTENER)
            .map_err(listen)?;
        let shutdown = Shutdown::register(poll.registry(), SIGNALS).map_err(StartError::Loop)?;
        let now = Now::read();
        Ok(Self {
            poll,
            listener: Some(listener),
            shutdown,
            stopping: None,
            table: Table::default(),
            wheel: Wheel::new(now.instant),
            ready: Vec::new(),
            dirty: Vec::new(),
            dead: Vec::new(),
            due: Vec::new(),
            read_buffer: vec![0; READ_BUFFER_BYTES].into(),
            spares: Vec::new(),
            hub: Hub::new(config.hub(), rand::random()),
            effects: Vec::new(),
            log: MemoryLog::new(Epoch::new(rand::random())),
            relay: Relay::default(),
            web_sockets: config.web_sockets(),
            http: config.http(),
            status: Status {
                status: "up",
                version: env!("CARGO_PKG_VERSION"),
                connections_max,
                ..Status::default()
            },
            now,
            worked: false,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener
            .as_ref()
            .ok_or(ErrorKind::NotConnected)?
            .local_address()
    }

    /// Serves until told to stop by SIGTERM or SIGINT and all connections have ended, or their time is up.
    ///
    /// # Errors
    /// The kernel's readiness queue fails, which it does not do while the process is in order.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        while !self.is_done() {
            self.turn(&mut events)?;
        }
        Ok(())
    }

    /// One turn. The order matters: what came is read before timers judge who is silent, and everything is written at
    /// the end, at once.
    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        self.wait_for_events(events)?;
        self.now = Now::read();
        self.worked = false;
        self.note_events(events);
        self.accept();
        self.read_ready();
        self.expire_timers();
        self.flush_dirty();
        self.free_dead();
        self.count();
        Ok(())
    }

    fn wait_for_events(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.time_to_wait();
        match self.poll.poll(events, timeout) {
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
        if accepting || !self.ready.is_empty() || !self.dirty.is_empty() {
            return Some(Duration::ZERO);
        }
        let retry = self.listener.as_ref().and_then(Listener::retry_at);
        let stop = self.stopping.map(|(_, deadline)| deadline);
        let fixed = retry
            .into_iter()
            .chain(stop)
            .map(|at| at.saturating_duration_since(now))
            .min();
        match (fixed, self.wheel.wait(now)) {
            (Some(fixed), Some(timer)) => Some(fixed.min(timer)),
            (fixed, timer) => fixed.or(timer),
        }
    }

    fn note_events(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                LISTENER => {
                    if let Some(listener) = &mut self.listener {
                        listener.set_ready();
                    }
                }
                SIGNALS => {
                    for stop in self.shutdown.pending() {
                        self.stop(stop);
                    }
                }
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

    // ---- accepting ----

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let now = self.now.instant;
            let Some(listener) = self
                .listener
                .as_mut()
                .filter(|listener| listener.is_ready(now))
            else {
                return;
            };
            match listener.accept(now) {
                Accepted::Nothing => return,
                Accepted::Stream(stream)
                    if self.table.len() >= self.status.connections_max + OVERLOADED_MAX =>
                {
                    refuse(stream);
                    self.status.refused += 1;
                }
                Accepted::Stream(stream) => self.admit(stream),
                Accepted::OnReserve(stream) => {
                    refuse(stream);
                    listener.restore_reserve();
                    self.status.refused += 1;
                }
            }
            self.worked = true;
        }
    }

    fn admit(&mut self, stream: mio::net::TcpStream) {
        let overloaded = self.table.len() >= self.status.connections_max;
        let http = Http::new(&self.http, overloaded, self.now.instant);
        let id = self
            .table
            .insert(|generation| Conn::new(stream, generation, http));
        self.status.accepted += 1;
        self.status.refused += u64::from(overloaded);
        let registry = self.poll.registry();
        let registered = self
            .table
            .get_mut(id)
            .is_some_and(|conn| conn.register(registry, token_of(id)).is_ok());
        if registered {
            self.mark_dirty(id)
        } else {
            self.table.remove(id)
        }
    }

    // ---- reading ----

    fn read_ready(&mut self) {
        let mut buffer = mem::take(&mut self.read_buffer);
        for id in mem::take(&mut self.ready) {
            self.read(id, &mut buffer);
        }
        self.read_buffer = buffer;
    }

    /// Reads a connection until it is drained, or its budget is spent.
    fn read(&mut self, id: ConnId, buffer: &mut [u8]) {
        if let Some(conn) = self.table.get_mut(id) {
            conn.in_ready = false;
        }
        for _ in 0..READS_PER_TURN_MAX {
            let Some(conn) = self.table.get_mut(id) else {
                return;
            };
            if !conn.readable || conn.is_paused() {
                // A paused one is read on when its unsent bytes have left.
                break;
            }
            let size = if matches!(conn.state, State::Http(_)) {
                HTTP_READ_BYTES
            } else {
                buffer.len()
            };
            let (buffer, _) = buffer.split_at_mut(size);
            match conn.read(buffer) {
                Ok(Some(0)) => {
                    conn.readable = false;
                    conn.state.handle_eof(&self.http, self.now.instant);
                    self.worked = true;
                    self.after_silent_change(id);
                }
                Ok(Some(read)) => {
                    // A short read has emptied the socket: edge-triggered readiness tells when there is more.
                    conn.readable = read == size || conn.read_closed;
                    self.worked = true;
                    self.handle_bytes(id, &mut buffer[..read]);
                }
                Ok(None) => conn.readable = false,
                Err(_) => {
                    self.worked = true;
                    return self.lose(id);
                }
            }
        }
        self.mark_dirty(id);
        self.requeue_if_readable(id);
    }

    fn handle_bytes(&mut self, id: ConnId, bytes: &mut [u8]) {
        let spare = self.spares.pop();
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        match &mut conn.state {
            State::Http(_) => {
                self.spares.extend(spare);
                self.handle_http(id, bytes);
            }
            State::WebSocket(web_socket) => {
                let mut spare = spare.unwrap_or_default();
                web_socket.connection.lend_buffer(&mut spare);
                if spare.capacity() > 0 {
                    self.spares.push(spare);
                }
                self.handle_web_socket(id, bytes);
            }
        }
    }

    fn requeue_if_readable(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        if conn.readable && !conn.is_paused() && !mem::replace(&mut conn.in_ready, true) {
            self.ready.push(id);
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
            if conn
                .state
                .deadline()
                .is_some_and(|deadline| deadline <= now)
            {
                conn.state.handle_timeout(&self.http, now);
                self.after_silent_change(id);
            }
            self.mark_dirty(id);
        }
        self.due = due;
    }

    /// Puts the connection's deadline into the wheel, unless an earlier slot is there that will find it.
    fn schedule(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let Some(deadline) = conn.state.deadline() else {
            return;
        };
        if conn
            .scheduled
            .is_none_or(|scheduled| self.wheel.tick_of(deadline) < scheduled)
        {
            conn.scheduled = Some(self.wheel.insert(id, deadline));
        }
    }

    // ---- writing ----

    /// Notes that a connection has something to write, or that its deadline may have moved.
    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        if let Some(conn) = self.table.get_mut(id)
            && !mem::replace(&mut conn.in_dirty, true)
        {
            self.dirty.push(id);
        }
    }

    fn flush_dirty(&mut self) {
        // What becomes dirty by flushing (a slow one is closed, its room hears of it) is flushed in the next turn.
        for id in mem::take(&mut self.dirty) {
            self.flush(id);
        }
    }

    fn flush(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        conn.in_dirty = false;
        let before = conn.unsent_bytes();
        let flushed = conn.flush(self.poll.registry(), token_of(id), self.now.instant);
        self.worked |= conn.unsent_bytes() < before;
        let transport = conn.state.transport();
        match flushed {
            Flushed::Failed => return self.lose(id),
            Flushed::Blocked => self.check_slow(id),
            Flushed::Budget => self.mark_dirty(id),
            Flushed::All => match transport {
                Transport::Drop => return self.kill(id),
                Transport::HalfClose => conn.half_close(),
                Transport::Keep => self.resume(id),
            },
        }
        self.reclaim(id);
        self.requeue_if_readable(id);
        self.schedule(id);
    }

    /// A chat or relay connection that does not take what others write to it is closed: they must not pay for it.
    fn check_slow(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let State::WebSocket(web_socket) = &mut conn.state else {
            return;
        };
        let written_to_by_others = matches!(web_socket.app, App::Chat | App::Relay { .. });
        if written_to_by_others
            && web_socket.connection.unsent_bytes() > OUTBOX_BYTES_MAX
            && web_socket.connection.is_open()
        {
            self.status.slow += 1;
            self.close_slow(id);
        }
    }

    fn reclaim(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        if let State::WebSocket(web_socket) = &mut conn.state {
            let mut spare = Vec::new();
            web_socket.connection.reclaim_buffer(&mut spare);
            if (1..=SPARE_BYTES_MAX).contains(&spare.capacity()) {
                self.spares.push(spare);
            }
        }
    }

    // ---- the end ----

    /// The socket is broken: whoever followed the connection hears that it is gone.
    fn lose(&mut self, id: ConnId) {
        if let Some(conn) = self.table.get_mut(id) {
            conn.state.handle_eof(&self.http, self.now.instant);
        }
        self.after_silent_change(id);
        self.kill(id);
    }

    fn kill(&mut self, id: ConnId) {
        if let Some(conn) = self.table.get_mut(id) {
            conn.dead = true;
            self.dead.push(id);
            self.worked = true;
        }
    }

    fn free_dead(&mut self) {
        for id in self.dead.drain(..) {
            self.table.remove(id);
            if let Some(listener) = &mut self.listener {
                listener.descriptor_freed();
            }
        }
    }

    fn count(&mut self) {
        self.status.turns += 1;
        self.status.idle_turns += u64::from(!self.worked);
        self.status.connections = self.table.len();
    }

    /// Begins to stop; a second time, stops at once.
    fn stop(&mut self, stop: Stop) {
        self.worked = true;
        if self.stopping.is_some() {
            self.stopping = Some((stop, self.now.instant));
            return;
        }
        let deadline = self.now.instant + self.http.close_timeout + Duration::from_secs(1);
        self.stopping = Some((stop, deadline));
        self.status.status = "draining";
        self.listener = None;
        for id in self.table.ids() {
            self.close_for_stop(id, stop);
        }
    }

    /// Tells a connection that the server stops, if it was told to.
    pub(super) fn close_for_stop(&mut self, id: ConnId, stop: Stop) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        match &mut conn.state {
            State::Http(http) => http.drain(&self.http, self.now.instant),
            // One that is closing already goes on closing.
            State::WebSocket(web_socket) => {
                let _ = web_socket.connection.close(
                    stop.close_code(),
                    "server is stopping",
                    self.now.instant,
                );
            }
        }
        self.mark_dirty(id);
    }

    /// Who asked to stop, if somebody did.
    pub(super) fn stop_asked(&self) -> Option<Stop> {
        self.stopping.map(|(stop, _)| stop)
    }

    fn is_done(&self) -> bool {
        self.stopping
            .is_some_and(|(_, deadline)| self.table.len() == 0 || deadline <= self.now.instant)
    }
}

/// Tells a connection that there is no place for it, as far as one write can.
fn refuse(mut stream: mio::net::TcpStream) {
    let _ = stream.write(&overloaded_response());
}

/// How many connections fit, after raising the limit on open files as far as it goes.
fn connections_max(wanted: Option<usize>) -> Result<usize, StartError> {
    let limit = rlimit::increase_nofile_limit(u64::MAX).map_err(StartError::Loop)?;
    match limit.checked_sub(RESERVED_DESCRIPTORS) {
        None | Some(0) => Err(StartError::TooFewDescriptors(limit)),
        Some(fit) => {
            let fit = usize::try_from(fit).unwrap_or(usize::MAX);
            Ok(wanted.map_or(fit, |wanted| wanted.min(fit)))
        }
    }
}

//! What is noted of connections for an operator: why each ends, at the place where that is decided, and an account of it once it
//! is gone, which goes home.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tidewire_protocol::{Closed, Connection, RecorderClock};

use super::Worker;
use super::mail::{HOME, Mail};
use crate::clock::Now;
use crate::config::Switch;
use crate::ids::ConnId;
use crate::net::conn::{App, Conn, State};
use crate::net::tcp_info::tcp_info;
use crate::recorder::{Account, End, EndCause, Kind, TcpState};
use crate::transport::dialect::Protocol;
use crate::transport::{Gate, TurnedAway};

/// Parts of a second that the opening of a connection is told in: 32 bits of them are 13 years.
const OPENED_PER_SECOND: u64 = 10;

/// What a worker notes.
#[derive(Debug)]
pub(super) struct Recording {
    /// The time for all recorders; `None` where nothing is recorded but causes.
    clock: Option<RecorderClock>,
    start: Instant,
    /// Connections whose end is decided and that are not gone yet.
    endings: HashMap<ConnId, Ending, foldhash::fast::RandomState>,
}

/// A connection as it was when its end was decided.
#[derive(Debug)]
struct Ending {
    kind: Kind,
    tcp: Option<TcpState>,
    unsent_bytes: usize,
    behind_ms: Option<u64>,
    closed: Option<Box<Closed>>,
    error: Option<ErrorKind>,
}

impl Recording {
    pub(super) fn new(recorder: Switch, now: Instant) -> Self {
        Self {
            clock: (recorder == Switch::On).then(RecorderClock::default),
            start: now,
            endings: HashMap::default(),
        }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.clock.is_some()
    }

    /// Tells the recorders the turn's time: what the loop's clock went, which began with this.
    pub(super) fn set_time(&self, since_start: Duration) {
        if let Some(clock) = &self.clock {
            clock.set(since_start);
        }
    }

    /// Lets a new WebSocket record, where that is on.
    pub(super) fn begin(&self, connection: &mut Connection) {
        if let Some(clock) = &self.clock {
            connection.record(clock);
        }
    }

    /// The time of a turn, as a connection keeps when it was opened.
    pub(super) fn opened(&self, now: Now) -> u32 {
        let since_start = now.instant.saturating_duration_since(self.start);
        let parts = since_start.as_millis() as u64 * OPENED_PER_SECOND / 1000;
        u32::try_from(parts).unwrap_or(u32::MAX)
    }

    /// The moment from which recorders and openings are counted, in milliseconds since 1970.
    fn start_ms(&self, now: Now) -> u64 {
        let since_start = now.instant.saturating_duration_since(self.start);
        now.unix_ms.saturating_sub(since_start.as_millis() as u64)
    }
}

impl Worker {
    // ---- why it ends ----

    /// The end of a connection is decided, and this is why. The first cause counts: what follows from it is none.
    pub(super) fn blame(&mut self, id: ConnId, cause: EndCause) {
        let behind_ms = self.behind_ms(id);
        let Some(conn) = self.table.get_mut(id).filter(|conn| conn.cause.is_none()) else {
            return;
        };
        conn.cause = Some(cause);
        if self.recording.is_on() {
            let ending = Ending {
                kind: kind_of(conn),
                tcp: tcp_info(&conn.stream),
                unsent_bytes: conn.unsent_bytes(),
                behind_ms,
                closed: None,
                error: None,
            };
            self.recording.endings.insert(id, ending);
        }
    }

    /// The same, unless it is not this that ends it: a WebSocket that is closing already, or HTTP that is answered and may ask for
    /// something else.
    pub(super) fn blame_if_open(&mut self, id: ConnId, cause: EndCause) {
        let conn = self.table.get(id);
        let is_open = conn.is_some_and(|conn| match &conn.state {
            State::WebSocket(web_socket) => web_socket.connection.is_open(),
            State::Http(http) => http.outcome().is_stream,
        });
        if is_open {
            self.blame(id, cause);
        }
    }

    /// A WebSocket says how it ended.
    pub(super) fn note_closed(&mut self, id: ConnId, closed: Closed) {
        self.blame(id, EndCause::of_closed(&closed));
        if let Some(ending) = self.recording.endings.get_mut(&id) {
            ending.closed = Some(Box::new(closed));
        }
    }

    /// A socket failed.
    pub(super) fn note_lost(&mut self, id: ConnId, error: ErrorKind) {
        let is_over = |conn: &mut Conn| match &conn.state {
            // It has what it asked for, or a cause of its own.
            State::Http(http) => !http.outcome().is_stream,
            State::WebSocket(_) => false,
        };
        if self.table.get_mut(id).is_none_or(is_over) {
            return;
        }
        self.blame(id, EndCause::of_error(error));
        if let Some(ending) = self.recording.endings.get_mut(&id) {
            ending.error = Some(error);
        }
    }

    /// Frees a connection, counts why it ended, and sends its account home.
    pub(super) fn free(&mut self, id: ConnId) {
        let Some(conn) = self.table.take(id) else {
            return;
        };
        let ending = self.recording.endings.remove(&id);
        let tls_failure = conn.stream.tls_failure();
        let cause = match (conn.cause, tls_failure) {
            (Some(cause), _) => cause,
            (None, Some(_)) => EndCause::TlsFailed,
            (None, None) => cause_of(&conn.state),
        };
        self.status.ends.count(cause);
        tracing::debug!(event = "connection_closed", peer = %conn.peer, "a connection is gone");
        if !self.recording.is_on() || cause == EndCause::HttpDone {
            return;
        }
        let mut account = self.account_of(id, &conn);
        let mut end = End {
            cause,
            closed: None,
            error: tls_failure.map(ToOwned::to_owned),
            status: status_of(&conn.state),
        };
        if let Some(ending) = ending {
            account.kind = ending.kind;
            account.tcp = ending.tcp;
            account.unsent_bytes = ending.unsent_bytes;
            account.behind_ms = ending.behind_ms;
            end.closed = ending.closed;
            end.error = end
                .error
                .or_else(|| ending.error.map(|error| error.to_string()));
        }
        account.end = Some(end);
        if self.peers.number() == HOME {
            self.keep(account);
        } else {
            self.peers.post_home(Mail::Ending(Box::new(account)));
        }
    }

    // ---- accounts ----

    /// What this worker knows of a connection that is open.
    pub(super) fn account(&mut self, id: ConnId) -> Option<Account> {
        let behind_ms = self.behind_ms(id);
        let conn = self.table.get(id)?;
        let mut account = self.account_of(id, conn);
        account.behind_ms = behind_ms;
        Some(account)
    }

    fn account_of(&self, id: ConnId, conn: &Conn) -> Account {
        let clock_ms = self.recording.start_ms(self.now);
        let recorder = match &conn.state {
            State::WebSocket(web_socket) => web_socket.connection.recorder(),
            State::Http(_) => None,
        };
        let opened_ms = recorder.map_or_else(
            || u64::from(conn.opened) * 1000 / OPENED_PER_SECOND,
            |recorder| recorder.began().as_millis() as u64,
        );
        Account {
            id,
            worker: self.peers.number(),
            peer: conn.peer.into(),
            kind: kind_of(conn),
            user: None,
            rooms: 0,
            opened_ms: clock_ms + opened_ms,
            now_ms: self.now.unix_ms,
            clock_ms,
            unsent_bytes: conn.unsent_bytes(),
            behind_ms: None,
            recorder: recorder.cloned().map(Box::new),
            tcp: tcp_info(&conn.stream),
            end: None,
        }
    }

    fn behind_ms(&self, id: ConnId) -> Option<u64> {
        let (since, _, _) = self.feeds.longest_behind(id)?;
        let behind = self.now.instant.saturating_duration_since(since);
        Some(behind.as_millis() as u64)
    }
}

/// Whether a connection speaks HTTP, and is no event stream.
pub(super) fn is_plain_http(conn: &Conn) -> bool {
    kind_of(conn) == Kind::Http
}

fn kind_of(conn: &Conn) -> Kind {
    match &conn.state {
        State::WebSocket(web_socket) => match &web_socket.app {
            App::Echo => Kind::Echo,
            App::Relay(_) => Kind::Relay,
            App::Chat(_) if web_socket.app.speaks(Protocol::Mqtt) => Kind::Mqtt,
            App::Chat(_) if web_socket.app.speaks(Protocol::SocketIo) => Kind::SocketIo,
            App::Chat(_) | App::Gone => Kind::Chat,
        },
        State::Http(http) if http.outcome().is_stream => Kind::Stream,
        State::Http(_) => Kind::Http,
    }
}

/// Why a connection ended about which nothing was decided.
fn cause_of(state: &State) -> EndCause {
    let State::Http(http) = state else {
        // All its ends are decided somewhere.
        return EndCause::ServerError;
    };
    let outcome = http.outcome();
    match outcome {
        _ if outcome.is_overloaded => EndCause::Overload,
        // Not who only asked for its health, which is answered.
        _ if outcome.status == 429 && (outcome.is_refused || is_from_full_address(&http.gate)) => {
            EndCause::RateLimited
        }
        _ if outcome.status == 503 && http.gate.turned_away.is_some() => EndCause::Overload,
        _ if outcome.is_stream => EndCause::ClientEof,
        _ if outcome.is_late => EndCause::HandshakeTimeout,
        _ if outcome.is_refused => EndCause::HandshakeRefused,
        _ => EndCause::HttpDone,
    }
}

/// Whether everything that is asked over a connection is refused for its address.
const fn is_from_full_address(gate: &Gate) -> bool {
    matches!(gate.turned_away, Some(TurnedAway::Address(_)))
}

fn status_of(state: &State) -> u16 {
    match state {
        State::Http(http) => http.outcome().status,
        State::WebSocket(_) => 0,
    }
}

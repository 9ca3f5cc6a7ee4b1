//! One connection: its socket, and what it speaks at the moment.

mod peer;
mod state;
mod taps;
mod web_socket;

use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::time::Instant;

use mio::{Interest, Registry, Token};
use tidewire_protocol::{Batch, Event, Message, Transport};

pub(super) use self::peer::Peer;
use self::taps::is_tapped;
pub(super) use self::web_socket::{App, RelayPlace, WebSocket};
use super::capture::Taps;
use super::echo::{MOSTLY_LARGE, echo, send_through};
use super::stream::Stream;
use crate::clock::earlier;
use crate::limit::Pass;
use crate::recorder::EndCause;
use crate::timer::Tick;
use crate::transport::Http;

/// Slices of one vectored write.
const SLICES_MAX: usize = 64;

/// Vectored writes of a connection in a turn; what is left goes out in the next.
const WRITES_PER_TURN_MAX: usize = 32;

/// A message from this size on is written from where it lies.
const LARGE_BYTES: usize = 4 << 10;

/// Bytes on their way to the log and back above which a connection is not read: a slow disk must not fill the memory.
const WAITING_BYTES_HIGH: u32 = 512 << 10;

/// ... and up to which it then goes on: one message at a time would be a turn of the loop each.
const WAITING_BYTES_LOW: u32 = WAITING_BYTES_HIGH / 2;

/// A connection in the worker's table. There are tens of thousands: what few have, and not for long, is in `rare`.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) generation: u32,
    pub(super) stream: Stream,
    /// Whose it is: the other end of the socket, or the client that a trusted proxy names.
    pub(super) peer: Peer,
    /// The right to be one of its address's connections, where those are limited.
    pub(super) pass: Option<Pass>,
    pub(super) state: State,
    rare: Option<Box<Rare>>,
    /// When it came, as [`Recording::opened`](super::worker) counts.
    pub(super) opened: u32,
    /// Why it ends, once that is decided.
    pub(super) cause: Option<EndCause>,
    /// There may be more to read: mio tells of new bytes only once.
    pub(super) readable: bool,
    /// The peer ended its half, or the socket failed: read on to the end, however short a read was.
    pub(super) read_closed: bool,
    /// In the worker's list of connections to read.
    pub(super) in_ready: bool,
    /// In the worker's list of connections to flush.
    pub(super) in_dirty: bool,
    /// In the worker's list of followers to be given more.
    pub(super) in_laggards: bool,
    writable_interest: bool,
    half_closed: bool,
    /// To be freed at the end of the turn.
    pub(super) dead: bool,
    /// It follows a log that it has not been shown up to the head.
    pub(super) is_behind: bool,
    /// It comes from a proxy, whose header is to come first.
    pub(super) awaits_preface: bool,
    /// How much more in large messages than others was echoed of late, as [`MOSTLY_LARGE`] counts.
    large: u8,
    /// Its newest slot in the timer wheel.
    pub(super) scheduled: Option<Tick>,
}

/// What few connections have.
#[derive(Debug, Default)]
struct Rare {
    /// When the worker wants to look at it: it has been behind, or has waited, for long enough.
    wake_at: Option<Instant>,
    /// What came behind a message whose answer made too much unsent.
    stash: Vec<u8>,
    /// The captures that it belongs to.
    taps: Option<Box<Taps>>,
}

/// What a connection speaks: nearly all are WebSockets.
#[derive(Debug)]
pub(super) enum State {
    Http(Box<Http>),
    WebSocket(WebSocket),
}

/// What became of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// All is sent.
    All,
    /// The socket is full; an event will tell when it is not.
    Blocked,
    /// There is more, but this turn's budget is spent.
    Budget,
    /// The socket is broken.
    Failed(ErrorKind),
}

impl Conn {
    pub(super) fn new(stream: Stream, peer: SocketAddr, generation: u32, http: Http) -> Self {
        Self {
            generation,
            stream,
            peer: peer.into(),
            pass: None,
            state: State::Http(Box::new(http)),
            readable: false,
            read_closed: false,
            in_ready: false,
            in_dirty: false,
            in_laggards: false,
            writable_interest: false,
            half_closed: false,
            dead: false,
            is_behind: false,
            awaits_preface: false,
            large: 0,
            rare: None,
            opened: 0,
            cause: None,
            scheduled: None,
        }
    }

    /// Whether it is to be read only once its unsent bytes have left.
    #[inline]
    pub(super) fn is_paused(&self) -> bool {
        match &self.state {
            State::Http(http) => http.is_paused(),
            State::WebSocket(web_socket) => {
                web_socket.is_full()
                    || self.has_stash() && web_socket.connection.transport() == Transport::Keep
            }
        }
    }

    /// Whether a WebSocket said something that has no answer yet, and can be given one.
    pub(super) fn is_unanswered(&self) -> bool {
        match &self.state {
            State::Http(_) => false,
            State::WebSocket(web_socket) => {
                // One that does not take its answers is not waited for.
                web_socket.waiting_bytes > 0 || self.has_stash() && !self.writable_interest
            }
        }
    }

    /// Whether it is a WebSocket that has got all there is, and said nothing that waits.
    pub(super) fn has_nothing_to_go_on_with(&self) -> bool {
        matches!(self.state, State::WebSocket(_)) && !self.is_behind && self.rare.is_none()
    }

    /// Whether so much of what it said is answered that it is to be heard on.
    pub(super) fn can_resume(&self) -> bool {
        let waiting_bytes = match &self.state {
            State::Http(_) => 0,
            State::WebSocket(web_socket) => web_socket.waiting_bytes,
        };
        self.is_paused() && waiting_bytes <= WAITING_BYTES_LOW
    }

    /// Whether it is to be read in large pieces.
    pub(super) const fn sends_large(&self) -> bool {
        self.large >= MOSTLY_LARGE
    }

    fn has_stash(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| !rare.stash.is_empty())
    }

    /// Keeps bytes that are to be handled when unsent ones have left.
    pub(super) fn stash(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let rare = self.rare.get_or_insert_default();
            rare.stash.extend_from_slice(bytes);
        }
    }

    pub(super) fn take_stash(&mut self) -> Vec<u8> {
        let rare = self.rare.as_mut();
        let stash = rare.map_or_else(Vec::new, |rare| mem::take(&mut rare.stash));
        self.drop_rare();
        stash
    }

    /// When the worker wants to look at it.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.rare.as_ref()?.wake_at
    }

    pub(super) fn set_wake_at(&mut self, at: Option<Instant>) {
        if at.is_some() || self.rare.is_some() {
            self.rare.get_or_insert_default().wake_at = at;
            self.drop_rare();
        }
    }

    /// A sender of the relay that was held back for long enough is heard again.
    pub(super) fn let_go_on(&mut self, now: Instant) {
        let is_over = self.wake_at().is_some_and(|at| at <= now);
        if let State::WebSocket(WebSocket {
            app: App::Relay(place),
            ..
        }) = &mut self.state
            && is_over
        {
            place.is_held = false;
            self.set_wake_at(None);
        }
    }

    /// Whether it is only told that it is not let in.
    pub(super) fn is_turned_away(&self) -> bool {
        matches!(&self.state, State::Http(http) if http.gate.turned_away.is_some())
    }

    fn drop_rare(&mut self) {
        let rare = self.rare.as_ref();
        let is_empty =
            |rare: &Rare| rare.wake_at.is_none() && rare.stash.is_empty() && rare.taps.is_none();
        if rare.is_some_and(|rare| is_empty(rare)) {
            self.rare = None;
        }
    }

    /// Whether something may be due sooner than it was when this was asked last.
    pub(super) fn take_sooner(&mut self) -> bool {
        match &mut self.state {
            State::Http(_) => true,
            State::WebSocket(web_socket) => {
                web_socket.connection.take_sooner()
                    || self.rare.is_some()
                    || web_socket.session().is_some()
            }
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadline = earlier(self.state.deadline(), self.session_deadline());
        earlier(deadline, self.wake_at())
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.state.unsent_bytes() + self.stream.unsent_bytes()
    }

    /// Bytes of memory that would be free without it.
    pub(super) fn held_bytes(&self) -> usize {
        let stash = self.rare.as_ref().map_or(0, |rare| rare.stash.capacity());
        stash
            + self.stream.held_bytes()
            + match &self.state {
                State::Http(http) => http.held_bytes(),
                State::WebSocket(web_socket) => web_socket.held_bytes(),
            }
    }

    /// Takes from `input` up to the next event of a WebSocket that the worker has to handle: who is only echoed is answered here.
    /// `None` when the input is used up, or with the rest of it when nothing more is to be answered.
    pub(super) fn next_event<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        now: Instant,
    ) -> Option<Event<'b>> {
        let State::WebSocket(web_socket) = &mut self.state else {
            return None;
        };
        let WebSocket {
            connection, app, ..
        } = web_socket;
        if matches!(app, App::Echo) {
            let is_direct = !self.writable_interest && !is_tapped(self.rare.as_deref());
            let stream = is_direct.then_some(&mut self.stream);
            return echo(connection, stream, &mut self.large, input, now);
        }
        // One read can hold a thousand requests, and one answer can have 100 KiB.
        if web_socket.is_full() {
            return None;
        }
        web_socket.connection.handle_input(input, now)
    }

    /// Sends a message if it is a WebSocket that is open. What the socket takes of a large one at once is not copied: hundreds may
    /// get one in a turn.
    pub(super) fn send(&mut self, message: Message<'_>) {
        let State::WebSocket(web_socket) = &mut self.state else {
            return;
        };
        let connection = &mut web_socket.connection;
        // Refused while closing: then nobody waits for it.
        let is_tapped = is_tapped(self.rare.as_deref());
        let _ = if message.payload().len() < LARGE_BYTES || self.writable_interest || is_tapped {
            connection.send(&message)
        } else {
            send_through(connection, &[message], &mut self.stream)
        };
    }

    /// Sends a batch, if it is a WebSocket that is open: at once if nothing else is to be written. Returns whether something is left
    /// to be flushed.
    pub(super) fn send_batch(&mut self, batch: &Batch) -> bool {
        let State::WebSocket(web_socket) = &mut self.state else {
            return false;
        };
        let (connection, stream) = (&mut web_socket.connection, &mut self.stream);
        // Refused while closing: then nobody waits for it.
        let is_tapped = is_tapped(self.rare.as_deref());
        let _ = if self.in_dirty || self.writable_interest || is_tapped {
            connection.send_batch(batch)
        } else {
            // A socket that is broken is found out by the flush of what it did not take.
            connection.send_batch_through(batch, |bytes| stream.write(bytes).unwrap_or(0))
        };
        connection.unsent_bytes() + stream.unsent_bytes() > 0
    }

    /// Sends more of an endless answer: at once if nothing else is to be written. Returns whether something is left to be flushed.
    pub(super) fn send_piece(&mut self, piece: &[u8]) -> bool {
        let is_direct = !self.in_dirty && !self.writable_interest && self.unsent_bytes() == 0;
        let State::Http(http) = &mut self.state else {
            return false;
        };
        let written = if is_direct && http.is_streaming() {
            // A socket that is broken is found out by the flush of what it did not take.
            self.stream.write(piece).unwrap_or(0)
        } else {
            0
        };
        http.push(&piece[written..]);
        self.unsent_bytes() > 0
    }

    /// Notes that so many messages were sent that are to be confirmed; returns whether it is time to ask for that.
    pub(super) fn note_sent(&mut self, messages: usize, is_urgent: bool) -> bool {
        let State::WebSocket(web_socket) = &mut self.state else {
            return false;
        };
        if web_socket.confirms() {
            return false;
        }
        web_socket.receipt.sent(messages, is_urgent);
        web_socket.receipt.is_due()
    }

    /// Writes what is unsent, and asks for an event when the socket takes no more.
    pub(super) fn flush(&mut self, registry: &Registry, token: Token, now: Instant) -> Flushed {
        let flushed = self.write_unsent(now);
        let wanted = flushed == Flushed::Blocked;
        if wanted != self.writable_interest {
            let interest = if wanted {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            if let Err(error) = self.stream.reregister(registry, token, interest) {
                return Flushed::Failed(error.kind());
            }
            self.writable_interest = wanted;
        }
        flushed
    }

    fn write_unsent(&mut self, now: Instant) -> Flushed {
        match self.stream.flush() {
            Ok(true) => {}
            Ok(false) => return Flushed::Blocked,
            Err(error) => return Flushed::Failed(error.kind()),
        }
        for _ in 0..WRITES_PER_TURN_MAX {
            if self.state.unsent_bytes() == 0 {
                return self.all_taken();
            }
            match self.write(now) {
                Ok(0) => return Flushed::Failed(ErrorKind::WriteZero),
                Ok(written) => {
                    if self.writable_interest {
                        self.state.handle_progress(now);
                    }
                    self.state.transmitted(written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.state.transmitted(0);
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Flushed::Failed(error.kind()),
            }
        }
        if self.state.unsent_bytes() == 0 {
            self.all_taken()
        } else {
            Flushed::Budget
        }
    }

    /// What it comes to when the stream has taken all: TLS takes a little more than the socket does.
    fn all_taken(&self) -> Flushed {
        if self.stream.unsent_bytes() == 0 {
            Flushed::All
        } else {
            Flushed::Blocked
        }
    }

    /// Writes once. Nearly always there is but one slice, which the kernel takes faster by itself than in a list.
    fn write(&mut self, now: Instant) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); 2];
        match self.state.poll_transmit(&mut slices) {
            _ if is_tapped(self.rare.as_deref()) => self.write_tapped(now),
            0 | 1 => self.stream.write(&slices[0]),
            _ => {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let filled = self.state.poll_transmit(&mut slices);
                self.stream.write_vectored(&slices[..filled])
            }
        }
    }

    /// Whether nothing more is expected of the socket: what it does not take is not waited for.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        let deadline = self.state.deadline();
        self.state.transport() == Transport::Drop && deadline.is_none_or(|at| at <= now)
    }

    /// Ends our half of the socket, once.
    pub(super) fn half_close(&mut self) {
        if !self.half_closed {
            self.half_closed = true;
            self.stream.half_close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_small() {
        assert_eq!(size_of::<Conn>(), 256, "there are tens of thousands");
    }
}

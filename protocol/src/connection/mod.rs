//! One WebSocket connection after its handshake, for either side: bytes and time in, bytes and events out.
//!
//! ```text
//!             close()                    their Close, or close_timeout
//!   ┌──────┐ ───────────────▶ ┌─────────┐ ──────────────────────────────▶ ┌──────────┐  EOF, close_timeout,  ┌──────┐
//!   │ Open │                  │ Closing │                                 │ Draining │ ────────────────────▶ │ Done │
//!   └──────┘ ───────────────▶ └─────────┘ ──────────────────────────────▶ └──────────┘  linger_bytes_max     └──────┘
//!       │      their Close, EOF, or an error of theirs: straight to Draining      ▲
//!       └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! `Event::Closed` is emitted on entering *Draining*. There, what is still owed (our Close frame last) is sent, a server
//! ends its half of the transport, and the peer's bytes are thrown away, so that no reset destroys what is on its way to
//! it.

mod sending;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use crate::Side;
use crate::close::{CloseCode, CloseFrame};
use crate::config::Config;
use crate::deflate::{
    Compression, Decompression, DeflateAgreement, DeflateConfig, WINDOW_BITS_MAX,
};
use crate::error::Error;
use crate::event::{Closed, Event, Initiator};
use crate::frame::Opcode;
use crate::message::{Message, Received, Receiver};
use crate::recorder::{Recorder, RecorderClock};
use crate::send::{Keys, Sender};
use crate::transport::Transport;

/// A WebSocket connection. It owns no socket and no clock: see the [crate documentation](crate) for the loop around it.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    phase: Phase,
    /// From when on we wait: for anything to come, for an answer to our ping, for the peer's Close, for its end.
    waiting_since: Instant,
    receiver: Receiver,
    sender: Sender,
    /// The end, not told yet.
    closed: Option<Box<Closed>>,
}

#[derive(Debug)]
enum Phase {
    Open {
        /// A ping was sent, and nothing has come since.
        pinged: bool,
        /// The wait may end sooner than it did when somebody asked.
        sooner: bool,
    },
    /// We sent a Close frame and wait for the peer's.
    Closing {
        sent: Box<CloseFrame>,
    },
    /// Over, but for bytes still to be sent and the peer's end of the transport.
    Draining {
        lingered_bytes: u64,
        eof: bool,
    },
    Done,
}

impl Connection {
    /// The server's end of a connection, right after its handshake.
    #[must_use]
    pub fn server(config: Arc<Config>, now: Instant) -> Self {
        Self::new(Side::Server, Keys::Random, config, now)
    }

    /// The client's end of a connection, right after its handshake.
    #[must_use]
    pub fn client(config: Arc<Config>, now: Instant) -> Self {
        Self::new(Side::Client, Keys::Random, config, now)
    }

    /// A client that takes its masking keys from `keys`: for tests, which want to know the bytes.
    #[must_use]
    pub fn client_with_keys(
        config: Arc<Config>,
        now: Instant,
        keys: impl FnMut() -> [u8; 4] + Send + 'static,
    ) -> Self {
        Self::new(
            Side::Client,
            Keys::Given(Box::new(Box::new(keys))),
            config,
            now,
        )
    }

    fn new(side: Side, keys: Keys, config: Arc<Config>, now: Instant) -> Self {
        Self {
            config,
            phase: Phase::Open {
                pinged: false,
                sooner: true,
            },
            waiting_since: now,
            receiver: Receiver::default(),
            sender: Sender::new(side, keys),
            closed: None,
        }
    }

    /// Compresses and decompresses messages as the handshake agreed. Call it before any frame is handled.
    pub fn enable_deflate(&mut self, config: &DeflateConfig, agreement: DeflateAgreement) {
        // An agreement comes from a handshake only, and both halves keep it (RFC 7692 §5). [6455-5.8-1, 7692-5-11]
        let server = (
            agreement.server_max_window_bits,
            !agreement.server_no_context_takeover,
        );
        let client = (
            agreement.client_max_window_bits,
            !agreement.client_no_context_takeover,
        );
        let (ours, theirs) = match self.side() {
            Side::Server => (server, client),
            Side::Client => (client, server),
        };
        self.sender
            .enable_deflate(Compression::new(config, ours.0, ours.1));
        self.receiver.enable_deflate(Decompression::new(theirs.1));
    }

    /// Keeps the headers of the newest frames from now on, each at the time that `clock` shows then.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use tidewire_protocol::{Config, Connection, Message, RecorderClock, frame::Opcode};
    /// # let mut connection = Connection::server(Config::default().into(), Instant::now());
    /// let clock = RecorderClock::default();
    /// connection.record(&clock);
    /// clock.set(Duration::from_secs(2));
    /// connection.send(&Message::text("Hello"))?;
    /// let frame = connection.recorder().and_then(|recorder| recorder.frames().last());
    /// let shown = frame.map(|frame| (frame.at.as_secs(), frame.opcode, frame.length));
    /// assert_eq!(shown, Some((2, Opcode::Text, 5)));
    /// # Ok::<(), tidewire_protocol::Misuse>(())
    /// ```
    pub fn record(&mut self, clock: &RecorderClock) {
        self.sender.recording.begin(clock);
    }

    /// What was recorded; `None` if nobody asked for it.
    #[must_use]
    pub fn recorder(&self) -> Option<&Recorder> {
        self.sender.recording.recorder()
    }

    /// What both sides compress with, as far as it is kept: the receiving window always counts as the largest. `None` where
    /// messages are not compressed.
    ///
    /// With [`is_between_messages`](Self::is_between_messages) this is what somebody needs to know who looks on from the
    /// middle of a connection.
    #[must_use]
    pub fn deflate(&self) -> Option<DeflateAgreement> {
        let compression = self.sender.compression()?;
        let (ours, theirs) = (
            (compression.window_bits(), compression.is_shareable()),
            (WINDOW_BITS_MAX, !self.receiver.context_takeover()?),
        );
        let (server, client) = match self.side() {
            Side::Server => (ours, theirs),
            Side::Client => (theirs, ours),
        };
        Some(DeflateAgreement {
            server_no_context_takeover: server.1,
            client_no_context_takeover: client.1,
            server_max_window_bits: server.0,
            client_max_window_bits: client.0,
        })
    }

    // ---- input ----

    /// Whether the peer's next byte begins a frame that belongs to no message that began before.
    #[must_use]
    pub const fn is_between_messages(&self) -> bool {
        self.receiver.is_between_messages()
    }

    /// Takes bytes that came from the peer, up to and including the next event, and leaves the rest in `input`.
    ///
    /// Call it until it returns `None`: then `input` is used up. Payloads are unmasked in place, and an event borrows
    /// from `input` where its message lay there in one piece, so that the connection can be used meanwhile.
    pub fn handle_input<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        now: Instant,
    ) -> Option<Event<'b>> {
        if !input.is_empty() {
            // Any byte is a sign of life, not only a pong.
            self.handle_progress(now);
        }
        loop {
            if let Some(event) = self.poll_event() {
                return Some(event);
            }
            if !self.is_receiving() {
                self.throw_away(input);
                return None;
            }
            match self.receiver.receive(
                input,
                !self.side(),
                &self.config,
                &mut self.sender.recording,
            ) {
                Ok(None) => return None,
                Ok(Some(Received::Message(message))) => return Some(Event::Message(message)),
                Ok(Some(Received::Piece(piece))) => return Some(Event::Piece(piece)),
                Ok(Some(Received::Control(opcode, payload))) => {
                    if let Some(event) = self.handle_control(opcode, payload, now) {
                        return Some(event);
                    }
                }
                Err(error) => self.fail(error, now),
            }
        }
    }

    /// Takes the next message from `input` if it lies there whole, in one frame that is not compressed. `None` leaves the rest,
    /// whatever it is, to [`handle_input`](Self::handle_input).
    ///
    /// So messages that came together can be answered together, with one write
    /// ([`send_all_through`](Self::send_all_through)), before a Close behind them is looked at.
    pub fn take_message<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        now: Instant,
    ) -> Option<Message<'b>> {
        if !self.is_receiving() {
            return None;
        }
        let message = self.receiver.receive_plain(
            input,
            !self.side(),
            &self.config,
            &mut self.sender.recording,
        )?;
        self.handle_progress(now);
        Some(message)
    }

    /// Takes note that the peer ended its half of the transport.
    ///
    /// Call [`poll_event`](Self::poll_event), [`poll_transmit`](Self::poll_transmit) and
    /// [`transport`](Self::transport) after it.
    pub fn handle_eof(&mut self, now: Instant) {
        match &mut self.phase {
            // "the underlying transport layer connection is unexpectedly lost" (§7.2.1). [6455-7.2.1-2]
            Phase::Open { .. } => self.end(Initiator::Transport, None, None, None, now),
            Phase::Closing { sent, .. } => {
                let sent = Some(std::mem::take(&mut **sent));
                self.end(Initiator::Local, sent, None, None, now);
            }
            Phase::Draining { .. } | Phase::Done => {}
        }
        if let Phase::Draining { eof, .. } = &mut self.phase {
            *eof = true;
        }
    }

    /// Does what is due at `now`: sends a ping, fails a silent peer, gives up waiting for a Close.
    ///
    /// Call it when [`poll_timeout`](Self::poll_timeout) has passed; a call too early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        match &mut self.phase {
            // Nothing else closes unasked (§7.1.7). [6455-7.1.7-6, 6455-7.2.1-3, 6455-7.3-1]
            Phase::Open { pinged: true, .. } => {
                self.fail(Error::PongTimeout(self.config.pong_timeout_code), now);
            }
            Phase::Open { pinged, sooner } => {
                (*pinged, *sooner) = (true, true);
                self.waiting_since = now;
                self.sender.frame(Opcode::Ping, &[]);
            }
            Phase::Closing { sent, .. } => {
                let sent = Some(std::mem::take(&mut **sent));
                self.end(Initiator::Local, sent, None, None, now);
            }
            Phase::Draining { .. } => self.abandon(),
            Phase::Done => {}
        }
    }

    /// Goes by other limits and times from now on. Ask [`poll_timeout`](Self::poll_timeout) again: what is waited for counts from
    /// when the wait began.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        self.config = config;
        if let Phase::Open { sooner, .. } = &mut self.phase {
            *sooner = true;
        }
    }

    /// Takes note that a transport that was full took bytes again: the peer acknowledged some, so that it lives, even
    /// where its answers to pings wait behind what we do not read yet.
    pub const fn handle_progress(&mut self, now: Instant) {
        if let Phase::Open { pinged, sooner } = &mut self.phase {
            *sooner |= *pinged;
            *pinged = false;
            self.waiting_since = now;
        }
    }

    // ---- what there is to do ----

    /// Bytes of memory that would be free without this connection: what is unsent, and the message that is not whole yet.
    /// What is shared with other connections counts for each of them.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.unsent_bytes() + self.receiver.held_bytes()
    }

    /// The event that arose without input: the end, after `handle_eof` or `handle_timeout`.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.closed.take().map(|closed| Event::Closed(*closed))
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: never.
    ///
    /// Ask again after every call that takes `&mut self`. Input moves the time later while the connection is open, but
    /// earlier once it ends: `close_timeout` is shorter than `ping_interval`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wait = match &self.phase {
            Phase::Open { pinged: true, .. } => self.config.pong_wait,
            Phase::Open { pinged: false, .. } => self.config.ping_interval?,
            Phase::Closing { .. } | Phase::Draining { .. } => self.config.close_timeout,
            Phase::Done => return None,
        };
        // What is longer than time can count never comes.
        self.waiting_since.checked_add(wait)
    }

    /// Whether [`poll_timeout`](Self::poll_timeout) may have come nearer since this was asked last. Where it has not, a timer that
    /// is set goes off early enough, and it is enough to ask then: with each message that comes the time only moves away.
    pub const fn take_sooner(&mut self) -> bool {
        match &mut self.phase {
            Phase::Open { sooner, .. } => std::mem::replace(sooner, false),
            Phase::Closing { .. } | Phase::Draining { .. } | Phase::Done => true,
        }
    }

    /// What to do with the transport once everything is sent.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match (&self.phase, self.side()) {
            (Phase::Open { .. } | Phase::Closing { .. }, _) => Transport::Keep,
            // "when a server is instructed to _Close the WebSocket Connection_ it SHOULD initiate a TCP Close immediately,
            // and when a client is instructed to do the same, it SHOULD wait for a TCP Close from the server" (§7.1.1).
            // [6455-7.1.1-2, 6455-7.1.1-3, 6455-7.1.1-4, 6455-5.5.1-7, 6455-5.5.1-8]
            (Phase::Draining { eof: false, .. }, Side::Server) => Transport::HalfClose,
            (Phase::Draining { eof: false, .. }, Side::Client) => Transport::Keep,
            (Phase::Draining { eof: true, .. } | Phase::Done, _) => Transport::Drop,
        }
    }

    /// Whether messages can be sent.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    // ---- inside ----

    const fn side(&self) -> Side {
        self.sender.side()
    }

    /// "Fail the WebSocket Connection" (§7.1.7): a Close frame with the right code behind what is owed, then the end.
    /// [6455-7.1.7-1, 6455-7.1.7-2, 6455-7.1.7-4, 6455-10.7-2]
    fn fail(&mut self, error: Error, now: Instant) {
        let sent = match &mut self.phase {
            Phase::Open { .. } => {
                let frame = CloseFrame::new(error.close_code(), &error.to_string());
                self.sender.close(&frame);
                Some(frame)
            }
            // One Close frame was sent: "after sending a Close frame", nothing follows (§5.5.1).
            Phase::Closing { sent, .. } => Some(std::mem::take(&mut **sent)),
            Phase::Draining { .. } | Phase::Done => return,
        };
        self.end(Initiator::Local, sent, None, Some(error), now);
    }

    fn handle_control<'b>(
        &mut self,
        opcode: Opcode,
        payload: Cow<'b, [u8]>,
        now: Instant,
    ) -> Option<Event<'b>> {
        match opcode {
            Opcode::Ping => {
                self.sender.pong(&payload);
                Some(Event::Ping(payload))
            }
            Opcode::Pong => Some(Event::Pong(payload)),
            Opcode::Close => {
                match CloseFrame::decode(&payload) {
                    Ok(frame) => self.handle_close(frame, now),
                    Err(error) => self.fail(error.into(), now),
                }
                None
            }
            // The receiver makes messages of these. [6455-6.2-2]
            Opcode::Continuation | Opcode::Text | Opcode::Binary => None,
        }
    }

    fn handle_close(&mut self, received: CloseFrame, now: Instant) {
        match &mut self.phase {
            Phase::Open { .. } => {
                // "MUST send a Close frame in response" and "typically echos the status code it received" (§5.5.1); where
                // this side may not send that code, 1000. [6455-5.5.1-4, 6455-5.5.1-5]
                let code = received.code.map(|code| {
                    if code.may_be_sent_by(self.side()) {
                        code
                    } else {
                        CloseCode::NORMAL
                    }
                });
                let echo = CloseFrame {
                    code,
                    reason: String::new(),
                };
                self.sender.close(&echo);
                self.end(Initiator::Peer, Some(echo), Some(received), None, now);
            }
            Phase::Closing { sent, .. } => {
                let sent = Some(std::mem::take(&mut **sent));
                self.end(Initiator::Local, sent, Some(received), None, now);
            }
            Phase::Draining { .. } | Phase::Done => {}
        }
    }

    /// Enters `Draining` and keeps the event for `poll_event`: the only way out of `Open` and `Closing`. Here the WebSocket
    /// connection is closed, and the transport is to be (§5.5.1, §7.1.2). [6455-5.5.1-6, 6455-7.1.2-2]
    fn end(
        &mut self,
        initiator: Initiator,
        sent: Option<CloseFrame>,
        received: Option<CloseFrame>,
        error: Option<Error>,
        now: Instant,
    ) {
        self.closed = Some(Box::new(Closed {
            initiator,
            sent,
            received,
            error,
        }));
        self.waiting_since = now;
        self.phase = Phase::Draining {
            lingered_bytes: 0,
            eof: false,
        };
        self.receiver = Receiver::default();
        self.sender.drop_pong();
    }

    /// Gives up on the transport.
    fn abandon(&mut self) {
        self.phase = Phase::Done;
        self.sender.discard();
    }

    /// "An endpoint MUST NOT continue to attempt to process data (including a responding Close frame) from the remote
    /// endpoint after being instructed to _Fail the WebSocket Connection_" (§7.1.7), and closes TCP "cleanly [...], discarding
    /// any trailing bytes" (§7.1.1). [6455-7.1.7-5, 6455-7.1.1-1]
    fn throw_away(&mut self, input: &mut &mut [u8]) {
        let bytes = std::mem::take(input).len() as u64;
        if let Phase::Draining { lingered_bytes, .. } = &mut self.phase {
            *lingered_bytes += bytes;
            if *lingered_bytes > self.config.linger_bytes_max {
                self.abandon();
            }
        }
    }

    const fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Open { .. } | Phase::Closing { .. })
    }
}

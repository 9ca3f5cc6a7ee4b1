//! One WebSocket of a client on a socket that never blocks: connecting, the handshake (RFC 6455 §4.1), then messages.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use socket2::SockRef;
use tidewire_protocol::handshake::client::{Handshake, HandshakeError, Target, random_nonce};
use tidewire_protocol::{CloseCode, Config, Connection, DeflateConfig, Event, Message, Transport};

use super::stream::{Endpoint, Stream};

/// From connecting to the end of the handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The close code (RFC 6455 §7.1.5); 1006 where the transport ended.
    pub code: u16,
    /// The peer's reason, or what went wrong.
    pub reason: String,
}

/// A WebSocket. Once [`pump`](Self::pump) has returned an [`End`], it is to be dropped.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    phase: Phase,
    /// The request of the handshake, and how much of it went out.
    request: Vec<u8>,
    config: Arc<Config>,
    /// What of compression was offered, until the answer is there.
    deflate: Option<DeflateConfig>,
    /// mio tells once: it is readable until a read would block.
    readable: bool,
    /// A read that brings less than it could empties the socket: whoever notes events also notes that it ends.
    trusts_short_reads: bool,
    writable: bool,
    deadline: Instant,
}

#[derive(Debug)]
enum Phase {
    Shaking(Box<Handshake>),
    Open(Box<Connection>),
}

impl Socket {
    /// Begins to connect, and registers with `token`; `target` says what to ask for.
    ///
    /// # Errors
    /// The system has no socket, there is no way to the address, or something in the request has a line end in it.
    pub fn open(
        to: Endpoint<'_>,
        target: &Target<'_>,
        registry: &Registry,
        token: Token,
        config: Arc<Config>,
        now: Instant,
    ) -> io::Result<Self> {
        let mut request = Vec::new();
        let handshake = Handshake::start(target, random_nonce(), &mut request).map_err(|_| {
            io::Error::new(
                ErrorKind::InvalidInput,
                "the address has a space or a line end in it",
            )
        })?;
        let mut stream = Stream::connect(to)?;
        // Several short messages may be on their way at once; none waits for the answer to another (RFC 896).
        stream.socket.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream.socket, token, interest)?;
        Ok(Self {
            stream,
            phase: Phase::Shaking(Box::new(handshake)),
            request,
            config,
            deflate: target.deflate.cloned(),
            readable: false,
            trusts_short_reads: false,
            writable: false,
            deadline: now + HANDSHAKE_MAX,
        })
    }

    /// Notes what the poll said.
    pub fn note_ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Notes what the poll said, and so much of it that no read is needed only to find the socket empty.
    pub fn note_event(&mut self, event: &mio::event::Event) {
        // The end comes with the last bytes or behind them, but only once.
        // And TLS may have more than the socket.
        let ends = event.is_read_closed() || event.is_error();
        self.trusts_short_reads = !ends && !self.stream.is_tls();
        self.note_ready(event.is_readable(), event.is_writable());
    }

    /// Reads and writes what it can, at most `budget` bytes of input, and hands each text message to `on_text`.
    ///
    /// # Errors
    /// How the socket ended.
    pub fn pump(
        &mut self,
        buffer: &mut [u8],
        budget: usize,
        now: Instant,
        mut on_text: impl FnMut(&str),
    ) -> Result<(), End> {
        self.pump_events(buffer, budget, now, |event| {
            if let Event::Message(Message::Text(text)) = event {
                on_text(text);
            }
        })
    }

    /// The same, but hands over whatever came; [`Event::Closed`] is what it returns.
    ///
    /// # Errors
    /// How the socket ended.
    pub fn pump_events(
        &mut self,
        buffer: &mut [u8],
        budget: usize,
        now: Instant,
        mut on_event: impl FnMut(&Event<'_>),
    ) -> Result<(), End> {
        let mut left = budget;
        while self.readable && left > 0 {
            let max = left.min(buffer.len());
            let read = match self.stream.read(&mut buffer[..max]) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(End::transport(&error)),
            };
            left -= read;
            self.readable = read == max || !self.trusts_short_reads;
            self.handle_input(buffer, 0..read, now, &mut on_event)?;
        }
        self.expire(now)?;
        self.flush()
    }

    /// Whether the handshake is done and messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(&self.phase, Phase::Open(connection) if connection.is_open())
    }

    /// Whether there may be input that was not read.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.readable
    }

    /// Queues a text message; lost where the socket is not open any more.
    pub fn send(&mut self, text: &str) {
        self.send_message(&Message::text(text));
    }

    /// Queues a message; lost where the socket is not open any more.
    pub fn send_message(&mut self, message: &Message<'_>) {
        if let Phase::Open(connection) = &mut self.phase {
            // Refused while closing: whoever waits for an answer sends it again on the next socket.
            let _ = connection.send(message);
        }
    }

    /// Bytes queued and not sent.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        match &self.phase {
            Phase::Shaking(_) => self.request.len(),
            Phase::Open(connection) => connection.unsent_bytes(),
        }
    }

    /// Begins to close in order.
    pub fn close(&mut self, code: CloseCode, reason: &str, now: Instant) {
        if let Phase::Open(connection) = &mut self.phase {
            // Closing already is as well.
            let _ = connection.close(code, reason, now);
        }
    }

    /// Makes the end of this socket a reset: what is on its way is destroyed.
    pub fn reset_on_drop(&self) {
        // Where that is impossible, it ends with a FIN.
        let _ = SockRef::from(&self.stream.socket).set_linger(Some(Duration::ZERO));
    }

    /// Makes the kernel take no more than a few kilobytes that were not read.
    pub fn shrink_receive_buffer(&self) {
        // Where that is impossible, it is only less of a slow reader.
        let _ = SockRef::from(&self.stream.socket).set_recv_buffer_size(4096);
    }

    /// When [`pump`](Self::pump) is to be called even if nothing is ready.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Shaking(_) => Some(self.deadline),
            Phase::Open(connection) => connection.poll_timeout(),
        }
    }

    // ---- inside ----

    fn handle_input(
        &mut self,
        buffer: &mut [u8],
        read: Range<usize>,
        now: Instant,
        on_event: &mut impl FnMut(&Event<'_>),
    ) -> Result<(), End> {
        let is_eof = read.is_empty();
        let mut input = &mut buffer[read];
        if let Phase::Shaking(handshake) = &mut self.phase {
            if is_eof {
                return Err(End::new(1006, "the server left during the handshake"));
            }
            match handshake.handle_input(&mut input) {
                Ok(None) => return Ok(()),
                Ok(Some(response)) => {
                    let mut connection = Connection::client(Arc::clone(&self.config), now);
                    let offered = self.deflate.take();
                    if let (Some(offered), Some(agreed)) = (offered, response.deflate) {
                        connection.enable_deflate(&offered, agreed);
                    }
                    self.request = Vec::new();
                    self.phase = Phase::Open(Box::new(connection));
                }
                Err(error) => return Err(End::refused(error)),
            }
        }
        let Phase::Open(connection) = &mut self.phase else {
            return Ok(());
        };
        if is_eof {
            connection.handle_eof(now);
            self.readable = false;
        }
        while let Some(event) = connection.handle_input(&mut input, now) {
            match event {
                Event::Message(_) | Event::Piece(_) | Event::Ping(_) | Event::Pong(_) => {
                    on_event(&event);
                }
                Event::Closed(closed) => {
                    let reason = match (&closed.received, &closed.error) {
                        (Some(frame), _) => frame.reason.clone(),
                        (None, Some(error)) => error.to_string(),
                        (None, None) => "the connection ended without a Close frame".to_owned(),
                    };
                    let code = closed.code();
                    // Our half of the closing handshake; nobody waits for what does not fit.
                    let _ = self.flush();
                    return Err(End { code, reason });
                }
            }
        }
        Ok(())
    }

    fn expire(&mut self, now: Instant) -> Result<(), End> {
        match &mut self.phase {
            Phase::Shaking(_) if now >= self.deadline => {
                Err(End::new(1006, "the server did not answer in time"))
            }
            Phase::Shaking(_) => Ok(()),
            Phase::Open(connection) => {
                connection.handle_timeout(now);
                match connection.poll_event() {
                    Some(Event::Closed(closed)) => Err(End::new(
                        closed.code(),
                        "the server was silent for too long",
                    )),
                    Some(_) | None => Ok(()),
                }
            }
        }
    }

    /// Writes what it can.
    ///
    /// # Errors
    /// How the socket ended.
    pub(super) fn flush(&mut self) -> Result<(), End> {
        while self.writable && (self.unsent_bytes() > 0 || self.stream.wants_write()) {
            let has_only_tls = self.unsent_bytes() == 0;
            let written = match &mut self.phase {
                _ if has_only_tls => self.stream.flush().map(|()| 0),
                Phase::Shaking(_) => self.stream.write(&self.request),
                Phase::Open(connection) => {
                    let mut slices = [IoSlice::new(&[]); 16];
                    let filled = connection.poll_transmit(&mut slices);
                    self.stream.write_vectored(&slices[..filled])
                }
            };
            match (written, &mut self.phase) {
                (Ok(written), Phase::Shaking(_)) => drop(self.request.drain(..written)),
                (Ok(written), Phase::Open(connection)) => connection.transmitted(written),
                (Err(error), _) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                (Err(error), _) if error.kind() == ErrorKind::Interrupted => {}
                // A connection that is not there yet says so too, on some systems.
                (Err(error), _) if error.kind() == ErrorKind::NotConnected => self.writable = false,
                (Err(error), _) => return Err(End::transport(&error)),
            }
        }
        match &self.phase {
            Phase::Open(connection) if connection.transport() == Transport::Drop => {
                Err(End::new(1006, "the connection ended"))
            }
            Phase::Shaking(_) | Phase::Open(_) => Ok(()),
        }
    }
}

/// What the reason of an end begins with where a handshake was answered by something else.
const REFUSED: &str = "the server refused the WebSocket";

impl End {
    fn new(code: u16, reason: &str) -> Self {
        let reason = reason.to_owned();
        Self { code, reason }
    }

    pub(super) fn transport(error: &io::Error) -> Self {
        Self::new(1006, &error.to_string())
    }

    fn refused(error: HandshakeError) -> Self {
        let why = match error {
            HandshakeError::Status(401) => {
                "status 401: it wants a token (--token or TIDEWIRE_TOKEN), and not just any"
                    .to_owned()
            }
            HandshakeError::Status(403) => {
                "status 403: the token has no right to be here".to_owned()
            }
            HandshakeError::Status(404) => {
                "status 404: there is no chat at this address".to_owned()
            }
            HandshakeError::Status(status @ (429 | 503)) => {
                format!("status {status}: it has no room just now")
            }
            HandshakeError::Head(_)
            | HandshakeError::Malformed
            | HandshakeError::Status(_)
            | HandshakeError::Upgrade
            | HandshakeError::Connection
            | HandshakeError::Accept
            | HandshakeError::UnaskedExtension
            | HandshakeError::Extensions
            | HandshakeError::UnaskedProtocol => error.to_string(),
        };
        Self::new(1006, &format!("{REFUSED}: {why}"))
    }

    /// Whether somebody was there and said no.
    pub(crate) fn is_refusal(reason: &str) -> bool {
        reason.starts_with(REFUSED)
    }
}

//! The TLS of one connection, over rustls' API without buffers: what it costs while nothing happens is what rustls must know, and no
//! buffer. It reads from and writes to what it is given, and knows no socket.
//!
//! A read takes from the socket no more than its plaintext has room for, so that none is ever left behind inside: a connection that
//! is not read for a while needs no care but the one that its socket needs. A write encrypts no more than [`SEALED_BYTES_MAX`] ahead
//! of what the socket takes: of who does not read, no more is kept here.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, ServerConfig};

/// What a record can have on the wire: "The length MUST NOT exceed 2^14 + 256 bytes" (RFC 8446 §5.2), 2,048 in TLS 1.2 (RFC 5246
/// §6.2.3), and its header. No message of a client's handshake is as long; one that claims to be is not waited for.
const RECORD_BYTES_MAX: usize = 5 + (16 << 10) + 2048;

/// What is encrypted at once: a record as long as they get.
const SEALED_BYTES_MAX: usize = 16 << 10;

/// What a record has beside its content: header, kind, nonce and tag.
const RECORD_OVERHEAD: usize = 5 + 1 + 8 + 16;

/// What somebody hears who speaks HTTP to a port of TLS, in words that it understands.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 56\r\nConnection: close\r\n\r\n\
    This port speaks TLS: write https:// or wss:// instead.\n";

/// What became of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Received {
    /// So many bytes of plaintext. It may be none: not all that comes is for the application.
    Bytes {
        /// How many.
        count: usize,
        /// There was less to read than there was room for, so that an event will tell of more.
        is_drained: bool,
    },
    /// The peer ends its half, or TLS has failed: nothing more will come.
    End,
    /// Nothing has come.
    Nothing,
}

/// What is to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum News {
    /// The handshake is done.
    Shaken,
    /// It failed, or what came after it.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come.
    New,
    /// In the middle of the handshake.
    Shaking,
    /// The handshake is done.
    Open,
    /// We have said that nothing more will come of us.
    Closed,
    /// TLS has failed; why is in `failure`.
    Failed,
}

/// A server's end of a session.
pub(in crate::net) struct Session {
    rustls: UnbufferedServerConnection,
    phase: Phase,
    /// The peer has said that nothing more will come.
    peer_closed: bool,
    news: Option<News>,
    failure: Option<Box<str>>,
    /// The beginning of a record or of a message of the handshake whose rest is to come.
    partial: Vec<u8>,
    /// Records that the socket has not taken, and how much of them it has.
    sealed: Vec<u8>,
    sent: usize,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Waits for a client's first message.
    ///
    /// # Errors
    /// The settings contradict each other.
    pub(in crate::net) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self {
            rustls: UnbufferedServerConnection::new(config)?,
            phase: Phase::New,
            peer_closed: false,
            news: None,
            failure: None,
            partial: Vec::new(),
            sealed: Vec::new(),
            sent: 0,
        })
    }

    /// What there is to be counted since the last call.
    pub(in crate::net) const fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// Why TLS failed, in a few words; what the peer's alert says if it sent one.
    pub(in crate::net) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Bytes that the socket has not taken.
    pub(in crate::net) const fn unsent_bytes(&self) -> usize {
        self.sealed.len() - self.sent
    }

    /// Bytes of memory that it has for what came in part, and for what the socket has not taken.
    pub(in crate::net) const fn held_bytes(&self) -> usize {
        self.partial.capacity() + self.sealed.capacity()
    }

    // ---- in ----

    /// Reads once, about `size` bytes, and decrypts what is whole to the beginning of `buffer`, whose rest it works in: it has
    /// room for twice the larger of `size` and a record.
    ///
    /// # Errors
    /// Those of `socket`.
    pub(in crate::net) fn read(
        &mut self,
        socket: &mut impl Read,
        buffer: &mut [u8],
        size: usize,
    ) -> io::Result<Received> {
        if self.peer_closed || self.phase == Phase::Failed {
            return Ok(Received::End);
        }
        let (plain, wire) = buffer.split_at_mut(buffer.len() / 2);
        let size = size.max(RECORD_BYTES_MAX).min(wire.len());
        let (wire, _) = wire.split_at_mut(size);
        let (before, free) = wire.split_at_mut(self.partial.len());
        let read = match socket.read(free) {
            Ok(0) => {
                // Without close_notify it may have been cut off, which whoever reads messages of a known length finds out.
                if self.phase == Phase::Shaking {
                    self.fail("the peer left during the handshake");
                }
                return Ok(Received::End);
            }
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Nothing),
            Err(error) => return Err(error),
        };
        before.copy_from_slice(&self.partial);
        let is_drained = read < free.len();
        let (wire, _) = wire.split_at_mut(self.partial.len() + read);
        let count = self.receive(wire, plain);
        let has_ended = self.peer_closed || self.phase == Phase::Failed;
        Ok(Received::Bytes {
            count,
            // The end that came with these bytes is told by the next read.
            is_drained: is_drained && !has_ended,
        })
    }

    /// Takes what came, decrypts it, and keeps what is not whole; returns how long the plaintext is.
    fn receive(&mut self, wire: &mut [u8], plain: &mut [u8]) -> usize {
        if self.phase == Phase::New {
            self.phase = Phase::Shaking;
            // No record begins with a letter, and every request does.
            if wire.first().is_some_and(u8::is_ascii_uppercase) {
                self.sealed.extend_from_slice(NOT_TLS);
                self.fail("the peer does not speak TLS, but HTTP");
                return 0;
            }
        }
        let (mut used, mut count) = (0, 0);
        let refused = loop {
            let (_, rest) = wire.split_at_mut(used);
            let UnbufferedStatus { discard, state, .. } = self.rustls.process_tls_records(rest);
            let goes_on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        let (_, free) = plain.split_at_mut(count);
                        let (place, _) = free.split_at_mut(record.payload.len());
                        place.copy_from_slice(record.payload);
                        count += record.payload.len();
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.sealed, |room| data.encode(room));
                    true
                }
                // Whoever flushes the connection transmits it.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_closed = true;
                    true
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    if self.phase == Phase::Shaking {
                        self.phase = Phase::Open;
                        self.news = Some(News::Shaken);
                    }
                    false
                }
                // All that is whole has been dealt with.
                Ok(_) => false,
                Err(error) => break Some(error),
            };
            used += discard;
            if !goes_on {
                break None;
            }
        };
        let (_, rest) = wire.split_at_mut(used);
        match refused {
            None => self.keep(rest),
            Some(error) => self.refuse(rest, &error),
        }
        count
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.len() >= RECORD_BYTES_MAX {
            return self.fail("a message of the handshake is too long");
        }
        self.partial.clear();
        if rest.is_empty() {
            // Nearly always: it has no memory then.
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(rest);
        }
    }

    /// Rustls refuses what came: its alert is all that still leaves.
    fn refuse(&mut self, input: &mut [u8], error: &Error) {
        // What is called for here is what it has to say, and not the input again, which it would refuse once more.
        while self.rustls.wants_write() {
            let UnbufferedStatus { state, .. } = self.rustls.process_tls_records(input);
            match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.sealed, |room| data.encode(room));
                }
                // What came before it, and was not asked for.
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while traffic.next_record().is_some() {}
                }
                Ok(_) | Err(_) => break,
            }
        }
        self.fail(&error.to_string());
    }

    fn fail(&mut self, why: &str) {
        self.phase = Phase::Failed;
        self.failure = Some(why.into());
        self.news = Some(News::Failed);
        self.partial = Vec::new();
    }

    // ---- out ----

    /// Encrypts and writes what it can; returns how many bytes of plaintext it took, of which the last are perhaps still
    /// [unsent](Self::unsent_bytes).
    ///
    /// # Errors
    /// `WouldBlock` if it took none, and those of `socket`.
    pub(in crate::net) fn write(
        &mut self,
        socket: &mut impl Write,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        if !self.flush(socket)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut taken = 0;
        let mut pieces = Pieces::new(slices);
        while let Some(piece) = pieces.next(SEALED_BYTES_MAX) {
            match self.seal(&piece) {
                Ok(()) => {}
                Err(error) if taken == 0 => return Err(error),
                Err(_) => break,
            }
            taken += piece.len();
            // A socket that is broken is found out by the next write: these bytes are gone.
            if !self.flush(socket).unwrap_or(false) {
                break;
            }
        }
        Ok(taken)
    }

    /// Encrypts a piece that makes a record.
    fn seal(&mut self, piece: &[u8]) -> io::Result<()> {
        match self.phase {
            Phase::Open => {}
            // Nobody has asked anything yet.
            Phase::New | Phase::Shaking => return Err(ErrorKind::WouldBlock.into()),
            Phase::Closed | Phase::Failed => return Err(ErrorKind::BrokenPipe.into()),
        }
        let sealed = &mut self.sealed;
        sealed.resize(piece.len() + RECORD_OVERHEAD, 0);
        let mut done = Err(EncryptError::EncryptExhausted);
        // Alerts and the like, which are to leave first.
        let mut before = Vec::new();
        loop {
            let UnbufferedStatus { state, .. } = self.rustls.process_tls_records(&mut self.partial);
            match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut before, |room| data.encode(room));
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    done = traffic.encrypt(piece, sealed);
                    if let Err(EncryptError::InsufficientSize(size)) = &done {
                        // It has new keys to tell of, too.
                        sealed.resize(size.required_size, 0);
                        done = traffic.encrypt(piece, sealed);
                    }
                    break;
                }
                Ok(_) | Err(_) => break,
            }
        }
        let Ok(len) = done else {
            sealed.clear();
            return Err(ErrorKind::BrokenPipe.into());
        };
        sealed.truncate(len);
        if !before.is_empty() {
            sealed.splice(..0, before);
        }
        Ok(())
    }

    /// Writes what was encrypted; returns whether all of it has left.
    ///
    /// # Errors
    /// Those of `socket`.
    pub(in crate::net) fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while let Some(unsent) = self
            .sealed
            .get(self.sent..)
            .filter(|unsent| !unsent.is_empty())
        {
            match socket.write(unsent) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Most have nothing to send for most of the time: they have no memory for it.
        (self.sealed, self.sent) = (Vec::new(), 0);
        Ok(true)
    }

    /// Tells the peer that nothing more will come, as far as the socket takes it at once.
    pub(in crate::net) fn close(&mut self, socket: &mut impl Write) {
        if self.phase != Phase::Open || self.unsent_bytes() > 0 {
            return;
        }
        self.phase = Phase::Closed;
        let UnbufferedStatus { state, .. } = self.rustls.process_tls_records(&mut self.partial);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            self.sealed.resize(2 * RECORD_OVERHEAD, 0);
            let len = traffic.queue_close_notify(&mut self.sealed).unwrap_or(0);
            self.sealed.truncate(len);
            // Who is gone, or full, has no use for it.
            let _ = self.flush(socket);
            (self.sealed, self.sent) = (Vec::new(), 0);
        }
    }
}

/// Appends what `encode` writes once it has the room that it asks for.
fn append(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let before = out.len();
    if let Err(EncodeError::InsufficientSize(size)) = encode(&mut []) {
        out.resize(before + size.required_size, 0);
        let (_, room) = out.split_at_mut(before);
        let written = encode(room).unwrap_or(0);
        out.truncate(before + written);
    }
}

/// What is to be sent, in pieces of a record each.
struct Pieces<'a, 'b> {
    slices: &'a [IoSlice<'b>],
    /// How much of the first slice is gone.
    gone: usize,
}

impl<'a, 'b> Pieces<'a, 'b> {
    const fn new(slices: &'a [IoSlice<'b>]) -> Self {
        Self { slices, gone: 0 }
    }

    /// The next piece, where it lies if it lies in one slice; `None` if there are no more bytes.
    fn next(&mut self, bytes_max: usize) -> Option<Cow<'a, [u8]>> {
        let first = self.take(bytes_max)?;
        if first.len() == bytes_max || self.slices.is_empty() {
            return Some(Cow::Borrowed(first));
        }
        let mut piece = first.to_vec();
        while piece.len() < bytes_max
            && let Some(more) = self.take(bytes_max - piece.len())
        {
            piece.extend_from_slice(more);
        }
        Some(Cow::Owned(piece))
    }

    /// The next bytes that lie together.
    fn take(&mut self, bytes_max: usize) -> Option<&'a [u8]> {
        let slices = self.slices;
        let (first, others) = slices.split_first()?;
        let (_, rest) = first.split_at(self.gone);
        if rest.len() > bytes_max {
            self.gone += bytes_max;
            return rest.get(..bytes_max);
        }
        (self.slices, self.gone) = (others, 0);
        if rest.is_empty() {
            return self.take(bytes_max);
        }
        Some(rest)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

//! The socket of a link: a name is looked up, its addresses are tried one after the other, TLS is agreed on, and then bytes go both
//! ways. All of that before the bytes has one deadline; whether a link that is open is alive is the engine's to find out.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

use super::names::Found;
use crate::client::{Endpoint, Stream, Tls};
use crate::log::remote::Target;

/// From the look-up to the end of TLS' handshake. One that takes longer is no link for messages that wait for two seconds.
pub(super) const OPEN_MAX: Duration = Duration::from_secs(3);

/// What is read of a link in a turn, so that the others have theirs.
pub(super) const READ_MAX: usize = 64 << 10;

/// What is written to a link in a turn.
const WRITE_MAX: usize = 1 << 20;

/// A link that says nothing is asked by the kernel whether it is there: behind a firewall that forgets it, too.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(10))
    .with_interval(Duration::from_secs(5))
    .with_retries(3);

/// A link and its socket.
#[derive(Debug)]
pub(super) struct Connection {
    target: Target,
    tls: Option<Tls>,
    /// When it is given up if it is not open.
    deadline: Instant,
    phase: Phase,
    /// mio tells once: it is readable until a read would block.
    readable: bool,
    /// The peer says nothing more behind what can be read.
    ends: bool,
    writable: bool,
}

#[derive(Debug)]
enum Phase {
    /// Its name is looked up.
    Named,
    /// An address does not answer yet; others are left.
    Connecting {
        stream: Stream,
        left: VecDeque<SocketAddr>,
        /// When the next is tried.
        until: Instant,
    },
    /// TLS is agreed on.
    Shaking(Stream),
    Open(Stream),
}

impl Connection {
    /// Waits for its addresses.
    pub(super) fn new(target: Target, tls: Option<Tls>, now: Instant) -> Self {
        Self {
            target,
            tls,
            deadline: now + OPEN_MAX,
            phase: Phase::Named,
            readable: false,
            ends: false,
            writable: false,
        }
    }

    /// Whether bytes may go both ways.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether there may be more to read.
    pub(super) const fn is_readable(&self) -> bool {
        self.readable && self.is_open()
    }

    /// When it is to be looked at, whatever happens.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Named | Phase::Shaking(_) => Some(self.deadline),
            Phase::Connecting { until, .. } => Some(self.deadline.min(*until)),
            Phase::Open(_) => None,
        }
    }

    /// Notes what the poll said.
    pub(super) const fn note_ready(&mut self, readable: bool, ends: bool, writable: bool) {
        self.readable |= readable || ends;
        self.ends |= ends;
        self.writable |= writable;
    }

    /// Its addresses are there.
    ///
    /// # Errors
    /// There is none, or none can be connected to: a sentence.
    pub(super) fn found(
        &mut self,
        found: Found,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> Result<(), String> {
        match found {
            Ok(addresses) => self.try_next(addresses.into(), None, registry, token, now),
            Err(error) => Err(format!("{} cannot be looked up: {error}", self.target.host)),
        }
    }

    /// Begins to connect to the next address that the system has a way to.
    fn try_next(
        &mut self,
        mut left: VecDeque<SocketAddr>,
        mut failed: Option<io::Error>,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> Result<(), String> {
        while let Some(to) = left.pop_front() {
            // Each of those left gets its share of the time.
            let time = self.deadline.saturating_duration_since(now);
            let until = now + time / (left.len() as u32 + 1);
            (self.readable, self.ends, self.writable) = (false, false, false);
            match self.connect(to, registry, token) {
                Ok(stream) => {
                    self.phase = Phase::Connecting {
                        stream,
                        left,
                        until,
                    };
                    return Ok(());
                }
                Err(error) => failed = Some(error),
            }
        }
        let why = failed.map_or_else(|| "it has no address".to_owned(), |why| why.to_string());
        Err(format!("cannot connect to {}: {why}", self.target))
    }

    fn connect(&self, to: SocketAddr, registry: &Registry, token: Token) -> io::Result<Stream> {
        let tls = self.tls.as_ref();
        let mut stream = Stream::connect(Endpoint { to, tls })?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream.socket, token, interest)?;
        Ok(stream)
    }

    /// Goes on with what came, up to being open; returns whether it has become that.
    ///
    /// # Errors
    /// It has ended: a sentence.
    pub(super) fn open(
        &mut self,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> Result<bool, String> {
        loop {
            if !self.is_open() && now >= self.deadline {
                return Err(self.too_late());
            }
            match std::mem::replace(&mut self.phase, Phase::Named) {
                Phase::Connecting {
                    stream,
                    left,
                    until,
                } => {
                    let failed = match connected(&stream, self.writable) {
                        Ok(true) => {
                            self.phase = Phase::Shaking(stream);
                            continue;
                        }
                        Ok(false) if now < until => {
                            self.phase = Phase::Connecting {
                                stream,
                                left,
                                until,
                            };
                            return Ok(false);
                        }
                        Ok(false) => ErrorKind::TimedOut.into(),
                        Err(error) => error,
                    };
                    self.try_next(left, Some(failed), registry, token, now)?;
                }
                Phase::Shaking(stream) => return self.shake(stream),
                phase @ (Phase::Named | Phase::Open(_)) => {
                    self.phase = phase;
                    return Ok(false);
                }
            }
        }
    }

    fn too_late(&self) -> String {
        let (target, seconds) = (&self.target, OPEN_MAX.as_secs());
        match self.phase {
            Phase::Named => format!("{} was not found for {seconds} s", target.host),
            Phase::Connecting { .. } | Phase::Shaking(_) | Phase::Open(_) => {
                format!("{target} did not answer for {seconds} s")
            }
        }
    }

    /// Agrees on TLS, where it is spoken; returns whether that is done.
    fn shake(&mut self, mut stream: Stream) -> Result<bool, String> {
        let target = &self.target;
        let is_open = match stream.shake() {
            Ok(is_done) => is_done,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(format!("{target} left while TLS was agreed on"));
            }
            Err(error) => return Err(format!("cannot speak TLS with {target}: {error}")),
        };
        self.phase = if is_open {
            Phase::Open(stream)
        } else {
            Phase::Shaking(stream)
        };
        Ok(is_open)
    }

    /// Reads some bytes; 0 if there are none for now.
    ///
    /// # Errors
    /// It has ended: a sentence.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let Phase::Open(stream) = &mut self.phase else {
            return Ok(0);
        };
        while self.readable {
            match stream.read(buffer) {
                Ok(0) => return Err(format!("{} ended the connection", self.target)),
                Ok(count) => {
                    // A short read has emptied the socket: readiness tells when there is more.
                    let is_drained = !stream.is_tls() && !self.ends && count < buffer.len();
                    self.readable = !is_drained;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broke(&error)),
            }
        }
        Ok(0)
    }

    /// Writes what the socket takes of `output`, and removes it there; returns whether there is room for more of it.
    ///
    /// # Errors
    /// It has ended: a sentence.
    pub(super) fn write(&mut self, output: &mut BytesMut) -> Result<bool, String> {
        let Phase::Open(stream) = &mut self.phase else {
            return Ok(false);
        };
        let mut room = WRITE_MAX;
        while self.writable && room > 0 && (!output.is_empty() || stream.wants_write()) {
            let written = if output.is_empty() {
                stream.flush().map(|()| 0)
            } else {
                stream.write(&output[..output.len().min(room)])
            };
            match written {
                Ok(written) => {
                    output.advance(written);
                    room -= written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broke(&error)),
            }
        }
        Ok(self.writable && !output.is_empty())
    }

    /// Whether TLS has something that the socket did not take.
    pub(super) fn has_sealed(&self) -> bool {
        matches!(&self.phase, Phase::Open(stream) if stream.wants_write())
    }

    fn broke(&self, error: &io::Error) -> String {
        format!("the connection to {} broke: {error}", self.target)
    }
}

/// Whether an address has answered.
fn connected(stream: &Stream, writable: bool) -> io::Result<bool> {
    if !writable {
        return Ok(false);
    }
    if let Some(error) = stream.socket.take_error()? {
        return Err(error);
    }
    match stream.socket.peer_addr() {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
        Err(error) => return Err(error),
    }
    let socket = SockRef::from(&stream.socket);
    // Commands are short, and none waits for the answer to another (RFC 896).
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    Ok(true)
}

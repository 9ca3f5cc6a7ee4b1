//! A connection's socket, with TLS or without: what is read and written here is what the peer means. A session that is polled has a
//! connection's place and no socket: nothing comes there, and what is written goes nowhere.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::tls::{Credentials, News, Received, Session};
use super::traffic;

/// What is read at once of a connection with TLS has room for this, at the least, in each half of a read buffer.
const TLS_READ_BYTES_MAX: usize = 128 << 10;

/// A socket, and perhaps TLS on it.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Option<TcpStream>,
    tls: Option<Box<Session>>,
}

impl Stream {
    /// A socket on which TLS is to be spoken if there are credentials.
    ///
    /// # Errors
    /// They cannot be used, which [`load`](super::tls::load) finds out.
    pub(super) fn new(socket: TcpStream, credentials: Option<&Credentials>) -> io::Result<Self> {
        let session = |credentials: &Credentials| {
            Session::new(credentials.0.clone())
                .map(Box::new)
                .map_err(io::Error::other)
        };
        Ok(Self {
            socket: Some(socket),
            tls: credentials.map(session).transpose()?,
        })
    }

    /// The place of one, without a socket.
    pub(super) const fn nowhere() -> Self {
        Self {
            socket: None,
            tls: None,
        }
    }

    /// Whether there is no socket.
    #[inline]
    pub(super) const fn is_nowhere(&self) -> bool {
        self.socket.is_none()
    }

    /// What is below TLS.
    pub(super) const fn socket(&self) -> Option<&TcpStream> {
        self.socket.as_ref()
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Some(socket) => registry.register(socket, token, Interest::READABLE),
            None => Ok(()),
        }
    }

    /// No events come for it any more: another poll is to have it.
    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.socket {
            Some(socket) => registry.deregister(socket),
            None => Ok(()),
        }
    }

    pub(super) fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match &mut self.socket {
            Some(socket) => registry.reregister(socket, token, interest),
            None => Ok(()),
        }
    }

    /// Lets the kernel give the peer up when it has not acknowledged bytes for this long: an event stream has no pong, and a
    /// host that is gone says nothing.
    pub(super) fn give_up_unacknowledged(&self, after: Duration) {
        if let Some(socket) = &self.socket {
            // Refused by a socket that has failed, which is known soon anyway.
            let _ = SockRef::from(socket).set_tcp_user_timeout(Some(after));
        }
    }

    /// What comes next on the socket, below TLS, and stays there; `WouldBlock` is `None`.
    pub(super) fn peek(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(socket) = &self.socket else {
            return Ok(None);
        };
        match socket.peek(buffer) {
            Ok(there) => Ok(Some(there)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes what was peeked at; returns whether all of it was still there.
    pub(super) fn skip(&mut self, peeked: &mut [u8]) -> bool {
        let read = self.socket.as_mut().map(|socket| socket.read(peeked));
        matches!(read, Some(Ok(read)) if read == peeked.len())
    }

    /// Reads once, about `size` bytes at most, to the beginning of `buffer`, whose rest TLS works in.
    pub(super) fn read(&mut self, buffer: &mut [u8], size: usize) -> io::Result<Received> {
        let Some(socket) = &mut self.socket else {
            return Ok(Received::Nothing);
        };
        loop {
            let received = match &mut self.tls {
                None => read_plain(socket, buffer, size),
                Some(tls) => tls.read(socket, buffer, size.min(TLS_READ_BYTES_MAX)),
            };
            match received {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Received::Bytes { count, is_drained }) => {
                    traffic::count_read(count);
                    return Ok(Received::Bytes { count, is_drained });
                }
                received => return received,
            }
        }
    }

    /// Writes once.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(socket) = &mut self.socket else {
            return Ok(bytes.len());
        };
        let written = match &mut self.tls {
            None => socket.write(bytes),
            Some(tls) => tls.write(socket, &[IoSlice::new(bytes)]),
        };
        written.map(traffic::count_written)
    }

    /// Writes once, from several slices.
    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(socket) = &mut self.socket else {
            return Ok(slices.iter().map(|slice| slice.len()).sum());
        };
        let written = match &mut self.tls {
            None => socket.write_vectored(slices),
            Some(tls) => tls.write(socket, slices),
        };
        written.map(traffic::count_written)
    }

    /// Bytes that TLS took and the socket did not.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.unsent_bytes())
    }

    /// Bytes of memory that TLS has for what waits in it, in either direction.
    pub(super) fn held_bytes(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.held_bytes())
    }

    /// Writes those; returns whether all have left.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        match (&mut self.tls, &mut self.socket) {
            (Some(tls), Some(socket)) => tls.flush(socket),
            (None, _) | (_, None) => Ok(true),
        }
    }

    /// Tells the peer that nothing more will come: TLS does it for itself, so that nobody else can.
    pub(super) fn close(&mut self) {
        if let (Some(tls), Some(socket)) = (&mut self.tls, &mut self.socket) {
            tls.close(socket);
        }
    }

    /// The same, and ends our half of the socket.
    pub(super) fn half_close(&mut self) {
        self.close();
        // If the peer is gone already, so be it.
        let _ = self
            .socket
            .as_ref()
            .map(|socket| socket.shutdown(Shutdown::Write));
    }

    /// What TLS has that is to be counted.
    pub(super) fn take_news(&mut self) -> Option<News> {
        self.tls.as_mut()?.take_news()
    }

    /// Why TLS failed, if it did.
    pub(super) fn tls_failure(&self) -> Option<&str> {
        self.tls.as_ref()?.failure()
    }
}

fn read_plain(socket: &mut TcpStream, buffer: &mut [u8], size: usize) -> io::Result<Received> {
    let (buffer, _) = buffer.split_at_mut(size);
    match socket.read(buffer) {
        Ok(0) => Ok(Received::End),
        Ok(count) => Ok(Received::Bytes {
            count,
            // A short read has emptied the socket: edge-triggered readiness tells when there is more.
            is_drained: count < size,
        }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
        Err(error) => Err(error),
    }
}

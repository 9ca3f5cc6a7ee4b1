//! A client's socket, with TLS or without.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::TcpStream;

use super::tls::{Session, Tls};

/// Where a connection is made to, and with what TLS.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// The address.
    pub to: SocketAddr,
    /// What is spoken there, if that is TLS.
    pub tls: Option<&'a Tls>,
}

/// A socket that never blocks.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    tls: Option<Session>,
}

impl Stream {
    /// Begins to connect.
    pub(crate) fn connect(endpoint: Endpoint<'_>) -> io::Result<Self> {
        let socket = TcpStream::connect(endpoint.to)?;
        let tls = endpoint.tls.map(Tls::session).transpose()?;
        Ok(Self { socket, tls })
    }

    /// Whether bytes may wait although the socket is empty.
    pub(crate) const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Agrees on TLS, where it is spoken; returns whether that is done.
    pub(crate) fn shake(&mut self) -> io::Result<bool> {
        match &mut self.tls {
            None => Ok(true),
            Some(tls) => tls.shake(&mut self.socket),
        }
    }

    /// Reads once; 0 is the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(tls) => tls.read(&mut self.socket, buffer),
        }
    }

    /// Writes once.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => tls.write(&mut self.socket, bytes),
        }
    }

    /// Writes once, from several slices; TLS from the first of them.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.write_vectored(slices),
            Some(tls) => match slices.iter().find(|slice| !slice.is_empty()) {
                Some(slice) => tls.write(&mut self.socket, slice),
                None => Ok(0),
            },
        }
    }

    /// Whether TLS has something to be written.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(Session::wants_write)
    }

    /// Writes that.
    ///
    /// # Errors
    /// `WouldBlock` if something is left.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => tls.flush(&mut self.socket),
        }
    }
}

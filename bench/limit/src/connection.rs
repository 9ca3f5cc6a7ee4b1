//! A socket and what is needed to know whose turn it is.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// The answer to the one key that the load uses.
const ACCEPT: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// One client.
pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    pub(crate) is_open: bool,
    /// The socket takes no more: an event will tell when it does.
    pub(crate) is_full: bool,
    /// A part of a head or of a frame.
    pub(crate) part: Vec<u8>,
    /// Echo: the length of a request; 0 until the first one came.
    pub(crate) request: usize,
    /// Echo: which reply it gets.
    pub(crate) reply: usize,
    /// Echo: bytes of a request that is not complete.
    pub(crate) counted: usize,
    /// Echo: bytes of replies that are owed.
    pub(crate) owed: usize,
    /// Relay: bytes that the socket did not take.
    pub(crate) unsent: Vec<u8>,
}

impl Connection {
    pub(crate) const fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            is_open: false,
            is_full: false,
            part: Vec::new(),
            request: 0,
            reply: 0,
            counted: 0,
            owed: 0,
            unsent: Vec::new(),
        }
    }

    /// How many bytes the socket took; none when it is full, or broken, which the next read tells.
    pub(crate) fn send(&self, bytes: &[u8]) -> usize {
        send(&self.socket, bytes, SendFlags::NOSIGNAL).unwrap_or(0)
    }

    /// Answers the request head when it is complete.
    pub(crate) fn shake_hands(&mut self, bytes: &[u8]) {
        self.part.extend_from_slice(bytes);
        if self.part.ends_with(b"\r\n\r\n") {
            self.part = Vec::new();
            self.is_open = true;
            self.send(ACCEPT);
        }
    }

    /// The end of the load's part in closing is the end.
    pub(crate) fn say_goodbye(&self) {
        self.send(&[crate::frame::CLOSE, 2, 0x03, 0xe8]);
    }

    /// Bytes from the socket; `Ok(0)` is its end.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        rustix::net::recv(&self.socket, buffer, rustix::net::RecvFlags::empty())
            .map(|(received, _)| received)
    }
}

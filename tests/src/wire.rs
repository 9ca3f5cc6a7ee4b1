//! A TCP connection, with TLS if the server speaks it, and a buffer of what has arrived: the common ground of the HTTP and the
//! WebSocket client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::tls::{self, Session};
use crate::wait::{PATIENCE, uninterrupted};

/// After how many looks in vain, each ten milliseconds after the other, a server is taken to read no more.
const STALL_LOOKS: usize = 150;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed in order (FIN).
    Closed,
    /// The peer reset the connection (RST).
    Reset,
    /// The peer's TCP ended in order, but its TLS had not (no close_notify): somebody else may have cut it.
    Cut,
}

/// A blocking connection whose waits all end after [`PATIENCE`].
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    tls: Option<Session>,
    /// What has arrived and was not taken yet.
    pub inbox: Vec<u8>,
}

impl Wire {
    /// Connects to the server.
    #[must_use]
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::adopt(
            TcpStream::connect(address).expect("the server accepts a TCP connection"),
            address,
        )
    }

    /// Connects from a loopback address of our choice, so that thousands of connections do not run out of
    /// source ports.
    ///
    /// # Errors
    ///
    /// Whatever the kernel says to `bind` or `connect`.
    pub fn open_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect(&address.into())?;
        Ok(Self::adopt(socket.into(), address))
    }

    /// Connects with a receive buffer of 4 KiB, so that a reader that stops reading is felt at once.
    #[must_use]
    #[track_caller]
    pub fn open_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket
            .set_recv_buffer_size(4096)
            .expect("a small receive buffer");
        socket
            .connect(&address.into())
            .expect("the server accepts a TCP connection");
        Self::adopt(socket.into(), address)
    }

    fn adopt(stream: TcpStream, address: SocketAddr) -> Self {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a read timeout");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a write timeout");
        // One write is one segment: tests decide what arrives together.
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            stream,
            tls: tls::session_for(address),
            inbox: Vec::new(),
        }
    }

    /// The socket, for what only one test needs.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Writes all of `bytes`.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes)
            .expect("the server takes what we write");
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// When the server has closed, or takes nothing for [`PATIENCE`].
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(tls) => tls.on(&mut self.stream).write_all(bytes),
        }
    }

    /// Writes as much of `bytes` as the server takes from who does not read, without TLS, and returns how much that was. A
    /// connection that the server has closed takes nothing more.
    #[must_use]
    pub fn send_until_it_stalls(&self, bytes: &[u8]) -> usize {
        let mut stream = &self.stream;
        stream.set_nonblocking(true).expect("a mode of our socket");
        let (mut written, mut in_vain) = (0, 0);
        while written < bytes.len() && in_vain < STALL_LOOKS {
            match stream.write(&bytes[written..]) {
                Ok(count) => (written, in_vain) = (written + count, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    in_vain += 1;
                    sleep(Duration::from_millis(10));
                }
                Err(_) => break,
            }
        }
        stream.set_nonblocking(false).expect("a mode of our socket");
        written
    }

    /// Says that we send nothing more (FIN).
    pub fn finish_sending(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close(&mut self.stream);
        }
        // The server may have closed already, which is what the callers then look at.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads once into the inbox.
    ///
    /// # Errors
    ///
    /// The way the connection ended, if it did.
    ///
    /// # Panics
    ///
    /// When nothing arrives within [`PATIENCE`].
    #[track_caller]
    pub fn receive(&mut self) -> Result<usize, End> {
        let mut chunk = [0; 64 * 1024];
        let read = match &mut self.tls {
            None => uninterrupted(|| self.stream.read(&mut chunk)),
            Some(tls) => uninterrupted(|| tls.on(&mut self.stream).read(&mut chunk)),
        };
        match read {
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                self.inbox.extend_from_slice(&chunk[..count]);
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(End::Cut),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!(
                    "the server sent nothing and closed nothing for {PATIENCE:?}; unread so far: {:?}",
                    self.unread()
                )
            }
            Err(error) => panic!("reading from the server failed: {error}"),
        }
    }

    /// Reads until the server ends the connection, and says how it did.
    #[track_caller]
    pub fn receive_to_end(&mut self) -> End {
        loop {
            if let Err(end) = self.receive() {
                return end;
            }
        }
    }

    /// Takes the first `count` bytes out of the inbox.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.inbox.split_off(count);
        std::mem::replace(&mut self.inbox, rest)
    }

    /// The start of the inbox, readable, for failure messages.
    #[must_use]
    pub fn unread(&self) -> String {
        let shown = &self.inbox[..self.inbox.len().min(200)];
        String::from_utf8_lossy(shown).into_owned()
    }
}

//! Many WebSockets on one `Poll`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use tidewire::client::{Address, End, Endpoint, Socket};
use tidewire_protocol::Config;
use tidewire_protocol::handshake::client::Target;

/// Bytes that are read of one connection before the next one has its turn.
const TURN_BYTES: usize = 256 << 10;

/// Connections by number; one that has ended leaves its place empty.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    address: Address,
    to: SocketAddr,
    config: Arc<Config>,
    sockets: Vec<Option<Socket>>,
    /// Those that have something to do, each once.
    ready: Vec<usize>,
    is_ready: Vec<bool>,
    buffer: Vec<u8>,
}

impl Fleet {
    pub(crate) fn new(address: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let address = Address::parse(address)?;
        // The server's timers are what is measured, not ours.
        let config = Config {
            ping_interval: None,
            ..Config::default()
        };
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            to: address.resolve()?,
            address,
            config: Arc::new(config),
            sockets: Vec::new(),
            ready: Vec::new(),
            is_ready: Vec::new(),
            buffer: vec![0; TURN_BYTES],
        })
    }

    /// A further connection; returns its number.
    pub(crate) fn connect(&mut self, query: &str) -> io::Result<usize> {
        let number = self.sockets.len();
        self.sockets.push(None);
        self.is_ready.push(false);
        self.reconnect(number, query)?;
        Ok(number)
    }

    /// Another connection in the place of one that has ended.
    pub(crate) fn reconnect(&mut self, number: usize, query: &str) -> io::Result<()> {
        let to = Endpoint {
            to: self.to,
            tls: None,
        };
        let path = format!("{}?{query}", self.address.path);
        let target = Target {
            host: &self.address.host,
            path: &path,
            ..Target::default()
        };
        let socket = Socket::open(
            to,
            &target,
            self.poll.registry(),
            Token(number),
            Arc::clone(&self.config),
            Instant::now(),
        )?;
        self.sockets[number] = Some(socket);
        Ok(())
    }

    pub(crate) fn socket(&mut self, number: usize) -> Option<&mut Socket> {
        self.sockets.get_mut(number)?.as_mut()
    }

    pub(crate) fn is_open(&mut self, number: usize) -> bool {
        self.socket(number).is_some_and(|socket| socket.is_open())
    }

    /// Drops a connection without a farewell.
    pub(crate) fn forget(&mut self, number: usize) {
        self.sockets[number] = None;
    }

    /// Waits for something to do, at most so long; returns the connections that have something.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<Vec<usize>> {
        let timeout = match self.ready.is_empty() {
            true => timeout,
            false => Duration::ZERO,
        };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        for event in &self.events {
            let number = event.token().0;
            if let Some(socket) = &mut self.sockets[number] {
                let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                socket.note_ready(readable, event.is_writable());
                if !std::mem::replace(&mut self.is_ready[number], true) {
                    self.ready.push(number);
                }
            }
        }
        for &number in &self.ready {
            self.is_ready[number] = false;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// Reads what a connection has, in its turn, and writes what it can.
    ///
    /// # Errors
    /// How the connection ended; its place is empty then.
    pub(crate) fn pump(&mut self, number: usize, on_text: impl FnMut(&str)) -> Result<(), End> {
        self.pump_some(number, TURN_BYTES, on_text)?;
        let is_readable = self
            .socket(number)
            .is_some_and(|socket| socket.is_readable());
        if is_readable && !std::mem::replace(&mut self.is_ready[number], true) {
            self.ready.push(number);
        }
        Ok(())
    }

    /// Reads at most so many bytes, none with 0, and writes what it can.
    ///
    /// # Errors
    /// As for [`pump`](Self::pump).
    pub(crate) fn pump_some(
        &mut self,
        number: usize,
        bytes_max: usize,
        on_text: impl FnMut(&str),
    ) -> Result<(), End> {
        let Some(socket) = &mut self.sockets[number] else {
            return Ok(());
        };
        socket
            .pump(&mut self.buffer, bytes_max, Instant::now(), on_text)
            .inspect_err(|_| self.sockets[number] = None)
    }
}

/// What went wrong with a connection that should have stayed.
pub(crate) fn lost(number: usize, end: &End) -> String {
    format!("connection {number} ended: {} {}", end.code, end.reason)
}

/// The text behind `mark`, if there is any.
pub(crate) fn behind<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, behind)| behind)
}

/// The number that a text begins with.
pub(crate) fn number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

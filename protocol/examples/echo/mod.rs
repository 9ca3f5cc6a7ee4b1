//! An echo server without its transport: what `blocking_echo`, `mio_echo` and `tokio_echo` have in common. Each of them is
//! a shell around this, which owns the socket and the clock, and moves bytes.

#![allow(
    dead_code,
    reason = "a thread that blocks in reads and writes needs less of it"
)]

use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use tidewire_protocol::handshake::head::HeadReader;
use tidewire_protocol::handshake::server::{HeaderStorage, Request, Upgrade};
use tidewire_protocol::{Config, Connection, DeflateConfig, Event, Transport};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The limits of all connections: the Autobahn testsuite sends 16 MiB, and compressed that may be more.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    Arc::new(Config {
        frame_bytes_max: 32 << 20,
        message_bytes_max: 32 << 20,
        ..Config::default()
    })
});

/// The server's end of one connection, from its first byte.
pub(crate) struct Echo {
    pub(crate) connection: Connection,
    /// Until the request is whole.
    request: Option<HeadReader>,
}

impl Echo {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            connection: Connection::server(Arc::clone(&CONFIG), now),
            request: Some(HeadReader::default()),
        }
    }

    /// Takes what was read, and queues the answers to it.
    pub(crate) fn handle_input(&mut self, mut input: &mut [u8], now: Instant) -> Result<()> {
        if let Some(reader) = &mut self.request {
            let Some(head) = reader.handle_input(&mut input)? else {
                return Ok(());
            };
            self.open(&head)?;
        }
        while let Some(event) = self.connection.handle_input(&mut input, now) {
            if let Event::Message(message) = event {
                // Refused once the closing handshake has begun: then there is nobody to echo to.
                let _ = self.connection.send(&message);
            }
        }
        Ok(())
    }

    fn open(&mut self, head: &[u8]) -> Result<()> {
        let (mut storage, mut response) = (HeaderStorage::default(), Vec::new());
        let upgrade = Upgrade::from_request(&Request::parse(head, &mut storage)?)?;
        let config = DeflateConfig::default();
        let (deflate, extensions) = config.accept(upgrade.extensions()).unzip();
        upgrade.accept(None, extensions.as_deref(), &mut response);
        self.connection.queue_handshake(&response);
        if let Some(agreement) = deflate {
            self.connection.enable_deflate(&config, agreement);
        }
        self.request = None;
        Ok(())
    }

    /// Does what is due. A request has as long to come as an open connection may be silent.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        let due = self.connection.poll_timeout();
        if self.request.is_some() && due.is_some_and(|due| due <= now) {
            return Err("the request did not come in time".into());
        }
        self.connection.handle_timeout(now);
        Ok(())
    }

    /// Hands `write` what is unsent, until that is all or `write` would block.
    pub(crate) fn flush(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> Result<()> {
        while self.connection.unsent_bytes() > 0 {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = self.connection.poll_transmit(&mut slices);
            match write(&slices[..filled]) {
                Ok(written) => self.connection.transmitted(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.connection.transmitted(0);
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What to do with the socket: keep it while something is unsent.
    pub(crate) fn transport(&self) -> Transport {
        match self.connection.unsent_bytes() {
            0 => self.connection.transport(),
            _ => Transport::Keep,
        }
    }

    /// Whether to read: not behind the peer's end, and not while it leaves a megabyte of echoes lying.
    pub(crate) fn wants_input(&self) -> bool {
        let ended = self.connection.transport() == Transport::Drop;
        !ended && self.connection.unsent_bytes() < 1 << 20
    }
}

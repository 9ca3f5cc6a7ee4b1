//! The loop of a command that is one client: waits for its socket, for other threads that wake it, and for the reader of
//! standard output to leave. It knows nothing of what the client says.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use tidewire_protocol::Config;

use super::chat::{Chat, Identity};
use crate::clock::Now;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);
const STDOUT: Token = Token(2);

/// Bytes that are read in a turn.
const BUDGET: usize = 256 << 10;

/// The longest wait between two tries to connect: somebody waits for this client.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// A server that is silent is pinged after this, and given up after twice this.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A client and what it waits for.
#[derive(Debug)]
pub struct Driver {
    poll: Poll,
    events: Events,
    wake: Wake,
    chat: Chat,
    buffer: Vec<u8>,
    now: Now,
    is_stdout_closed: bool,
}

/// Wakes a [`Driver`] from another thread.
#[derive(Debug, Clone)]
pub struct Wake(Arc<Waker>);

impl Wake {
    /// Ends the wait of this turn, or of the next one.
    pub fn wake(&self) {
        // It fails where the driver is gone, and there is nobody to wake.
        let _ = self.0.wake();
    }
}

impl Driver {
    /// A client that connects in the first [`turn`](Self::turn).
    ///
    /// # Errors
    /// The system has no poll left.
    pub fn new(identity: Identity) -> io::Result<Self> {
        let poll = Poll::new()?;
        let wake = Wake(Arc::new(Waker::new(poll.registry(), WAKER)?));
        let config = Arc::new(Config {
            ping_interval: Some(PING_INTERVAL),
            pong_wait: PING_INTERVAL,
            ..Config::default()
        });
        let chat = Chat::new(identity, SOCKET, config, RETRY_MAX, rand::random());
        Ok(Self {
            poll,
            events: Events::with_capacity(16),
            wake,
            chat,
            buffer: vec![0; 64 << 10],
            now: Now::read(),
            is_stdout_closed: false,
        })
    }

    /// The client.
    pub const fn chat(&mut self) -> &mut Chat {
        &mut self.chat
    }

    /// What wakes this driver.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// The time at which this turn began.
    #[must_use]
    pub const fn now(&self) -> Now {
        self.now
    }

    /// Notices when the reader of standard output leaves, also while there is nothing to write.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn watch_stdout(&mut self) -> io::Result<()> {
        let fd = io::stdout().as_raw_fd();
        // On the writing end of a pipe nothing can be read: what comes is only its end.
        let registered =
            self.poll
                .registry()
                .register(&mut SourceFd(&fd), STDOUT, Interest::READABLE);
        match registered {
            // A file has no reader that could leave.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            registered => registered,
        }
    }

    /// Whether the reader of standard output has left.
    #[must_use]
    pub const fn is_stdout_closed(&self) -> bool {
        self.is_stdout_closed
    }

    /// One turn: sends what was said, waits until something happens, but not beyond `until`, and reads. Then ask the client
    /// for its news.
    ///
    /// # Errors
    /// The system cannot wait.
    pub fn turn(&mut self, until: Option<Instant>) -> io::Result<()> {
        let registry = self.poll.registry();
        self.chat
            .pump(registry, &mut self.buffer, 0, self.now.instant);
        let due = if self.chat.is_readable() || self.chat.has_news() {
            Some(self.now.instant)
        } else {
            [self.chat.poll_timeout(), until]
                .into_iter()
                .flatten()
                .min()
        };
        let timeout = due.map(|at| at.saturating_duration_since(self.now.instant));
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.now = Now::read();
        for event in &self.events {
            match event.token() {
                SOCKET => self
                    .chat
                    .note_ready(event.is_readable(), event.is_writable()),
                STDOUT => self.is_stdout_closed |= event.is_error() || event.is_write_closed(),
                _ => {}
            }
        }
        let registry = self.poll.registry();
        self.chat
            .pump(registry, &mut self.buffer, BUDGET, self.now.instant);
        Ok(())
    }
}

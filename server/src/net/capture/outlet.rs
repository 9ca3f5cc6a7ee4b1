//! Where a capture goes: a file, or the connection that asked for it, which its worker has.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ids::ConnId;
use crate::net::inbox::Sender;
use crate::net::worker::Mail;

/// Bytes on their way to the client; what it does not take then is lost, not kept.
const ON_THE_WAY_MAX: usize = 1 << 20;

/// How long a client may take nothing before the capture ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes the file.
#[derive(Debug)]
pub(in crate::net) enum Sink {
    File(File),
    Connection(Outlet),
}

/// The way to a connection.
#[derive(Debug)]
pub(in crate::net) struct Outlet {
    conn: ConnId,
    worker: Sender<Mail>,
    flow: Arc<Flow>,
}

/// How much is on the way.
#[derive(Debug, Default)]
pub(in crate::net) struct Flow {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    on_the_way: usize,
    is_gone: bool,
}

impl Sink {
    /// The way to a connection of the worker behind `worker`.
    pub(in crate::net) fn connection(conn: ConnId, worker: Sender<Mail>, flow: Arc<Flow>) -> Self {
        Self::Connection(Outlet { conn, worker, flow })
    }

    /// Hands on whole blocks; waits while the client has enough.
    pub(super) fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            _ if bytes.is_empty() => Ok(()),
            Self::File(file) => file.write_all(&bytes).inspect_err(|error| {
                tracing::error!(event = "capture_failed", %error, "The capture cannot be written.");
            }),
            Self::Connection(outlet) => {
                outlet.flow.wait_for_room(bytes.len())?;
                let mail = Mail::Captured(outlet.conn, Some(bytes));
                outlet.worker.send([mail]);
                Ok(())
            }
        }
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        if let Self::Connection(outlet) = self {
            outlet.worker.send([Mail::Captured(outlet.conn, None)]);
        }
    }
}

impl Flow {
    fn wait_for_room(&self, bytes: usize) -> io::Result<()> {
        let is_full = |state: &mut State| state.on_the_way > ON_THE_WAY_MAX && !state.is_gone;
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, is_full);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_gone || timeout.timed_out() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        state.on_the_way += bytes;
        Ok(())
    }

    /// So many bytes were taken by the socket.
    pub(in crate::net) fn taken(&self, bytes: usize) {
        let mut state = self.lock();
        state.on_the_way = state.on_the_way.saturating_sub(bytes);
        self.changed.notify_all();
    }

    /// The connection has ended.
    pub(in crate::net) fn gone(&self) {
        self.lock().is_gone = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

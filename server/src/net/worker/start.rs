//! How a worker begins: the address, the descriptors, and why it may not start.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mio::Poll;

use super::io::OVERLOADED_MAX;
use super::{INBOX, LISTENER, Mail, SIGNALS, Worker};
use crate::chat::{Hub, Relay};
use crate::clock::Now;
use crate::config::Config;
use crate::files::FileStore;
use crate::log::disk::{DiskStore, OpenError, Options, Recovery};
use crate::log::{Broker, Epoch, MemoryStore, RoutedStore, Store};
use crate::metrics::Status;
use crate::net::files::Files;
use crate::net::inbox::Inbox;
use crate::net::listener::Listener;
use crate::net::shutdown::Shutdown;
use crate::net::table::Table;
use crate::net::worklist::Worklist;
use crate::timer::Wheel;
use crate::transport::Date;
use crate::transport::feeds::Feeds;

/// The buffer that all connections are read into: several large messages should lie in it whole. Only what was read into has
/// memory behind it.
const READ_BUFFER_BYTES: usize = 512 << 10;

/// Descriptors that are not for connections: standard streams, poll, listener, reserve, signals, files, and those of
/// connections that are only told that all are taken.
const RESERVED_DESCRIPTORS: u64 = 32 + OVERLOADED_MAX as u64;

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The logs cannot be opened.
    Log(OpenError),
    /// The directory of files cannot be used.
    Files(PathBuf, io::Error),
    /// Too few files may be open to hold a connection.
    TooFewDescriptors(u64),
    /// The kernel refused something that a loop needs.
    Loop(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) if error.kind() == ErrorKind::AddrInUse => {
                write!(
                    f,
                    "{address} is in use: stop what listens there, or choose another with --listen"
                )
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Log(error) => error.fmt(f),
            Self::Files(directory, error) => {
                write!(f, "cannot keep files in {}: {error}", directory.display())
            }
            Self::TooFewDescriptors(limit) => write!(
                f,
                "only {limit} files may be open, and {RESERVED_DESCRIPTORS} are needed beside the connections: \
                 raise it with ulimit -n"
            ),
            Self::Loop(error) => write!(f, "cannot set up the event loop: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl Worker {
    /// Listens, and is ready to [`run`](Self::run).
    ///
    /// # Errors
    /// The address is taken, or the system has too little of something.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let connections_max = connections_max(config.connections_max)?;
        let listen = |error| StartError::Listen(config.listen, error);
        let poll = Poll::new().map_err(StartError::Loop)?;
        let mut listener = Listener::bind(config.listen).map_err(listen)?;
        listener
            .register(poll.registry(), LISTENER)
            .map_err(listen)?;
        let shutdown = Shutdown::register(poll.registry(), SIGNALS).map_err(StartError::Loop)?;
        let inbox = Inbox::new(poll.registry(), INBOX).map_err(StartError::Loop)?;
        let sender = inbox.sender();
        let answer = move |conn, done| sender.send([Mail::Files(conn, done)]);
        let files = Files::start(file_store(config)?, answer).map_err(StartError::Loop)?;
        let (store, recovery) = log_store(config)?;
        let sender = inbox.sender();
        let answer = move |replies: Vec<_>| sender.send(replies.into_iter().map(Mail::Log));
        let clock = || Now::read().unix_ms;
        let broker = Broker::start(store, answer, clock).map_err(StartError::Loop)?;
        let now = Now::read();
        Ok(Self {
            poll,
            listener: Some(listener),
            shutdown,
            signalled: false,
            stopping: None,
            table: Table::default(),
            wheel: Wheel::new(now.instant),
            ready: Worklist::default(),
            dirty: Worklist::default(),
            laggards: VecDeque::new(),
            dead: Worklist::default(),
            due: Vec::new(),
            read_buffer: vec![0; READ_BUFFER_BYTES].into(),
            hub: Hub::new(config.hub(), rand::random()),
            effects: Vec::new(),
            feeds: Feeds::new(Arc::clone(&config.rules)),
            broker,
            recovery,
            asked: 0,
            answered: 0,
            lag_max: config.lag_max,
            stop_after: None,
            told_bytes: 0,
            relay: Relay::default(),
            inbox,
            mail_came: false,
            files,
            transfers: HashMap::default(),
            readers: HashMap::default(),
            web_sockets: config.web_sockets(),
            http: config.http(),
            status: status_up(connections_max),
            date: Date::new(now.unix_ms),
            now,
            worked: false,
        })
    }
}

/// What a server that has just begun says of itself.
fn status_up(connections_max: usize) -> Status {
    Status {
        status: "up",
        version: env!("CARGO_PKG_VERSION"),
        connections_max,
        ..Status::default()
    }
}

/// Where logs are kept, and what was found there.
fn log_store(config: &Config) -> Result<(Box<dyn Store>, Option<Recovery>), StartError> {
    let memory = MemoryStore::new(Epoch::new(rand::random()), Arc::clone(&config.rules));
    let Some(data) = &config.data else {
        return Ok((Box::new(memory), None));
    };
    let options = Options {
        rules: Arc::clone(&config.rules),
        ..Options::default()
    };
    let (disk, recovery) = DiskStore::open(data, &options).map_err(StartError::Log)?;
    let store = RoutedStore::new(Arc::clone(&config.rules), Box::new(disk), memory);
    Ok((Box::new(store), Some(recovery)))
}

/// Where files are kept: with the logs, or as long as the process runs.
fn file_store(config: &Config) -> Result<FileStore, StartError> {
    let Some(data) = &config.data else {
        return Ok(FileStore::temporary(config.files_bytes_max));
    };
    let directory = data.join("files");
    FileStore::open(&directory, config.files_bytes_max)
        .map_err(|error| StartError::Files(directory, error))
}

/// How many connections fit, after raising the limit on open files as far as it goes.
fn connections_max(wanted: Option<usize>) -> Result<usize, StartError> {
    let limit = rlimit::increase_nofile_limit(u64::MAX).map_err(StartError::Loop)?;
    match limit.checked_sub(RESERVED_DESCRIPTORS) {
        None | Some(0) => Err(StartError::TooFewDescriptors(limit)),
        Some(fit) => {
            let fit = usize::try_from(fit).unwrap_or(usize::MAX);
            Ok(wanted.map_or(fit, |wanted| wanted.min(fit)))
        }
    }
}

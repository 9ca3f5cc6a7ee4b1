//! The server: its workers, the threads that they share, and why it may not start.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Builder;

use mio::Poll;

use super::capture::{Bounds, Capture, Captures, Sink, StartError as CaptureError};
use super::files::Files;
use super::inbox::{Inbox, Sender};
use super::listener::Listener;
use super::logs::{Logs, Remote};
use super::memory::Memory;
use super::notify;
use super::reload::{Read, Reloader};
use super::tls::{self, TlsError};
use super::worker::{
    Farewell, HOME, INBOX, Mail, OVERLOADED_MAX, Parts, Peers, Recipient, Worker, hand_out,
};
use crate::auth::{self, AuthError};
use crate::capture::Filter;
use crate::client::{Authorities, TrustError};
use crate::clock::Now;
use crate::config::{CaptureOptions, Config, Settings};
use crate::files::FileStore;
use crate::ids::Lane;
use crate::limit::Addresses;
use crate::log::disk::{DiskStore, OpenError, Options, Recovery};
use crate::log::nats::NatsEngine;
use crate::log::redis::RedisEngine;
use crate::log::{Broker, Epoch, MemoryStore, RoutedStore, Store};
use crate::metrics::{Board, Readiness, Status};
use crate::recorder::EndCounts;
use crate::transport::mqtt::{Kept, Sessions};

/// Descriptors that are not for connections: standard streams, signals, files, and those of connections that are only told
/// that all are taken.
const RESERVED_DESCRIPTORS: u64 = 26 + OVERLOADED_MAX as u64;

/// Those that each worker needs: poll, inbox, listener, its reserve, and two to spare.
const DESCRIPTORS_PER_WORKER: u64 = 6;

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// The address cannot be listened on.
    Listen(SocketAddr, Error),
    /// The logs cannot be opened.
    Log(OpenError),
    /// The URL of the logs makes no sense.
    LogUrl(String),
    /// TLS cannot be spoken with where the logs are.
    LogTls(TrustError),
    /// The directory of files cannot be used.
    Files(PathBuf, Error),
    /// The file of a capture cannot be written.
    Capture(PathBuf, Error),
    /// Too few files may be open to hold a connection.
    TooFewDescriptors {
        /// How many may be open.
        limit: u64,
        /// How many are not for connections.
        reserved: u64,
    },
    /// TLS cannot be spoken as the settings say.
    Tls(TlsError),
    /// The keys for tokens cannot be used.
    Auth(AuthError),
    /// The kernel refused something that a loop needs.
    Loop(Error),
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
            Self::LogUrl(why) => f.write_str(why),
            Self::LogTls(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Auth(error) => error.fmt(f),
            Self::Files(directory, error) => {
                write!(f, "cannot keep files in {}: {error}", directory.display())
            }
            Self::Capture(file, error) => {
                write!(f, "cannot capture to {}: {error}", file.display())
            }
            Self::TooFewDescriptors { limit, reserved } => write!(
                f,
                "only {limit} files may be open, and {reserved} are needed beside the connections: \
                 raise it with ulimit -n"
            ),
            Self::Loop(error) => write!(f, "cannot set up the event loop: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A server that listens.
pub struct Server {
    /// The first is home.
    workers: Vec<Worker>,
    senders: Vec<Sender<Mail>>,
    scheme: &'static str,
    recovery: Option<Recovery>,
    reloader: Option<Reloader>,
    captures: Captures,
}

impl Server {
    /// Listens, and is ready to [`run`](Self::run).
    ///
    /// # Errors
    /// The address is taken, or the system has too little of something.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let keys = auth::load(&config.auth).map_err(StartError::Auth)?;
        let connections_max = connections_max(config.connections_max, config.workers)?;
        let credentials = tls::load(&config.tls).map_err(StartError::Tls)?;
        let listen = |error| StartError::Listen(config.listen, error);
        let listeners = Listener::bind_all(config.listen, config.workers).map_err(listen)?;
        let polls = polls(config.workers).map_err(StartError::Loop)?;
        let senders: Vec<_> = polls.iter().map(|(_, inbox)| inbox.sender()).collect();
        let files = start_files(config, senders.clone())?;
        let recipients: Vec<Recipient> = senders.iter().map(Recipient::new).collect();
        let interests = recipients.iter().map(|to| Arc::clone(&to.interest));
        let interests: Vec<_> = interests.collect();
        let (logs, recovery) = start_logs(config, recipients)?;
        let limits = config.limits.address(config.messages_per_second);
        let addresses = Addresses::new(limits, Now::read().instant);
        let memory =
            Memory::watch(config.limits.memory_max, senders.clone()).map_err(StartError::Loop)?;
        let readiness = Readiness::new(config.workers, config.observe.canary);
        let board = Board::new(config.workers, readiness, logs.activity(), Now::read());
        let ends = EndCounts::default();
        let captures = Captures::default();
        let capture = start_capture(&config.capture, &captures, senders.clone())?;
        let arrivals = Arc::default();
        let mqtt = Arc::new(Sessions::new(rand::random(), kept(config, &logs)));
        let scheme = if credentials.is_some() {
            "https"
        } else {
            "http"
        };
        let mut workers = Vec::new();
        for (number, ((poll, inbox), listener)) in polls.into_iter().zip(listeners).enumerate() {
            let interest = interests.get(number).filter(|_| config.workers > 1);
            let parts = Parts {
                addresses: addresses.clone(),
                memory: Arc::clone(&memory),
                poll,
                listener,
                credentials: credentials.clone(),
                inbox,
                peers: Peers::new(number, senders.clone(), Arc::clone(&arrivals)),
                logs: Arc::clone(&logs),
                files: Arc::clone(&files),
                status: Status::up(connections_max, number, Arc::clone(&board))
                    .with_ends(ends.clone()),
                captures: (captures.clone(), capture.clone()),
                interest: interest.map(Arc::clone),
                mqtt: Arc::clone(&mqtt),
                keys: keys.clone(),
            };
            workers.push(Worker::new(parts, config).map_err(StartError::Loop)?);
        }
        Ok(Self {
            workers,
            senders,
            scheme,
            recovery,
            reloader: None,
            captures,
        })
    }

    /// On SIGHUP it takes over from now on what `read` gives and can change while it runs; `settings` are those it has.
    ///
    /// # Errors
    /// The kernel refuses a thread, or a way to hear of signals.
    pub fn reload_by(&mut self, settings: Settings, read: Read) -> io::Result<()> {
        self.reloader = Some(Reloader::start(settings, read, self.senders.clone())?);
        Ok(())
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let first = self.workers.first();
        first
            .ok_or_else(|| Error::from(ErrorKind::NotConnected))?
            .local_address()
    }

    /// What is spoken there: `http`, or `https` and nothing else.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// What was found where the logs are kept; `None` if that is memory.
    #[must_use]
    pub const fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// Serves until told to stop by SIGTERM or SIGINT and all connections have ended, or their time is up. The first worker runs
    /// on this thread.
    ///
    /// # Errors
    /// The kernel's readiness queue fails, which it does not do while the process is in order; or a worker has panicked.
    pub fn run(self) -> io::Result<()> {
        notify::tell("READY=1");
        let home = self.senders.into_iter().nth(HOME);
        let to_home = home.ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        let mut workers = self.workers.into_iter();
        let home = workers.next();
        let mut threads = Vec::new();
        for (number, worker) in (1..).zip(workers) {
            let farewell = Farewell(to_home.clone());
            let run = move || {
                let _farewell = farewell;
                worker.run()
            };
            threads.push(Builder::new().name(format!("worker-{number}")).spawn(run)?);
        }
        if let Some(home) = home {
            home.run()?;
        }
        drop(self.reloader);
        for thread in threads {
            // A panic was told when it happened.
            thread
                .join()
                .map_err(|_| Error::other("a worker has panicked"))??;
        }
        self.captures.wait();
        Ok(())
    }
}

/// A capture to a file, if there is to be one. Others than its owner are not to read what is in it.
fn start_capture(
    options: &CaptureOptions,
    captures: &Captures,
    workers: Vec<Sender<Mail>>,
) -> Result<Option<Arc<Capture>>, StartError> {
    let Some(path) = &options.capture else {
        return Ok(None);
    };
    let mut how = OpenOptions::new();
    how.write(true).create(true).truncate(true).mode(0o600);
    let failed = |error| StartError::Capture(path.clone(), error);
    let file = how.open(path).map_err(failed)?;
    let bounds = Bounds {
        time: None,
        bytes: options.capture_bytes,
    };
    let at_end = move |number| {
        for worker in workers {
            worker.send([Mail::CaptureEnded(number)]);
        }
    };
    let started = captures.start(Filter::default(), bounds, Sink::File(file), at_end);
    match started {
        Ok(capture) => Ok(Some(capture)),
        Err(CaptureError::Thread(error)) => Err(StartError::Loop(error)),
        Err(CaptureError::TooMany) => Err(StartError::Loop(ErrorKind::InvalidInput.into())),
    }
}

/// A loop's poll for each worker, and the inbox that wakes it.
fn polls(workers: usize) -> io::Result<Vec<(Poll, Inbox<Mail>)>> {
    let polls = (0..workers).map(|_| {
        let poll = Poll::new()?;
        let inbox = Inbox::new(poll.registry(), INBOX)?;
        Ok((poll, inbox))
    });
    polls.collect()
}

/// The thread that has the files, which answers whose connection asked.
fn start_files(config: &Config, senders: Vec<Sender<Mail>>) -> Result<Arc<Files>, StartError> {
    let lane = Lane::new(0, senders.len() as u32);
    let answer = move |conn, done| {
        if let Some(owner) = senders.get(lane.owner(conn)) {
            owner.send([Mail::Files(conn, done)]);
        }
    };
    let files = Files::start(file_store(config)?, answer).map_err(StartError::Loop)?;
    Ok(Arc::new(files))
}

/// The thread that has the logs, or links to where they are; and what was found there.
fn start_logs(
    config: &Config,
    recipients: Vec<Recipient>,
) -> Result<(Arc<Logs>, Option<Recovery>), StartError> {
    let answer = move |replies| hand_out(&recipients, replies);
    if let Some(options) = config.logs.redis().map_err(StartError::LogUrl)? {
        let ca = config.logs.log_ca.as_deref();
        let tls = options.tls.then(|| Authorities::new(ca, "--log-ca", None));
        let tls = tls.transpose().map_err(StartError::LogTls)?;
        let rules = Arc::clone(&config.rules);
        let engine = || RedisEngine::new(options, rules, rand::random(), Now::read());
        let remote = Remote::start(engine, tls, answer).map_err(StartError::Loop)?;
        return Ok((Arc::new(Logs::Elsewhere(remote)), None));
    }
    if let Some(options) = config.logs.nats().map_err(StartError::LogUrl)? {
        let rules = Arc::clone(&config.rules);
        let engine = || NatsEngine::new(options, rules, rand::random(), Now::read());
        let remote = Remote::start(engine, None, answer).map_err(StartError::Loop)?;
        return Ok((Arc::new(Logs::Elsewhere(remote)), None));
    }
    let (store, recovery) = log_store(config)?;
    let broker = Broker::start(store, answer, Now::read).map_err(StartError::Loop)?;
    Ok((Arc::new(Logs::Here(broker)), recovery))
}

/// Where sessions of MQTT are: with the logs, if those outlive the process.
fn kept(config: &Config, logs: &Logs) -> Kept {
    if logs.are_elsewhere() {
        Kept::Elsewhere
    } else if config.data.is_some() && config.rules.any_durable() {
        Kept::Here
    } else {
        Kept::InMemory
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
fn connections_max(wanted: Option<usize>, workers: usize) -> Result<usize, StartError> {
    let limit = rlimit::increase_nofile_limit(u64::MAX).map_err(StartError::Loop)?;
    let reserved = RESERVED_DESCRIPTORS + DESCRIPTORS_PER_WORKER * workers as u64;
    match limit.checked_sub(reserved) {
        None | Some(0) => Err(StartError::TooFewDescriptors { limit, reserved }),
        Some(fit) => {
            let fit = usize::try_from(fit).unwrap_or(usize::MAX);
            Ok(wanted.map_or(fit, |wanted| wanted.min(fit)))
        }
    }
}

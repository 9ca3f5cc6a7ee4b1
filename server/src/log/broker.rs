//! The broker: the one thread that has the store. It takes what all workers want appended, in order, saves everything that
//! arrived while it waited for the disk with one commit, and only then tells anybody.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::{Draft, LogsFull, Page, PageMax, Placed, Position, Since, Store, StoreError};
use crate::ids::LogName;

/// The most that one commit takes in: what waits longer than that is better told.
const GROUP_MAX: usize = 8192;

/// How often the store lets go of what is too old, and saves marks that nothing else took along.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);

/// What a worker asks for; `C` is what it needs to go on with the answer, and comes back with it.
#[derive(Debug)]
pub enum Request<C> {
    /// Give a message its place.
    Append(Draft, C),
    /// Read on.
    Read {
        /// The log.
        log: LogName,
        /// Behind which place.
        from: ReadFrom,
        /// How much.
        max: PageMax,
        /// Comes back with the page.
        context: C,
    },
    /// Read back.
    ReadBefore {
        /// The log.
        log: LogName,
        /// Before which place; the head if not said.
        before: Option<Position>,
        /// How much.
        max: PageMax,
        /// Comes back with the page.
        context: C,
    },
    /// A log's owner has seen it up to here.
    Mark(LogName, Position),
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// At a place that the reader names.
    Since(Since),
    /// Where the log's owner has seen it up to; at its oldest entry if that was never said.
    Mark,
}

/// What a worker hears, in the order in which things happened.
#[derive(Debug)]
pub enum Reply<C> {
    /// The message has its place for good, or it has none.
    Appended(Result<Placed, AppendError>, C),
    /// A page. What is appended later comes as [`Reply::Appended`] behind it.
    Page(Result<Page, StoreError>, C),
}

/// Why a message was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendError {
    /// There are too many logs.
    LogsFull,
    /// It could not be saved.
    Store(StoreError),
}

/// Where the answers go.
pub trait Outlet<C>: Send {
    /// Takes answers, in order.
    fn deliver(&self, replies: Vec<Reply<C>>);
}

/// A broker that runs; it ends when this is dropped, after saving what it was given.
#[derive(Debug)]
pub struct Broker<C> {
    requests: Option<Sender<Request<C>>>,
    thread: Option<JoinHandle<()>>,
}

impl<C: Send + 'static> Broker<C> {
    /// Starts the thread; `clock` tells the milliseconds since 1970.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(
        store: Box<dyn Store>,
        outlet: Box<dyn Outlet<C>>,
        clock: fn() -> u64,
    ) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let run = move || Run::new(store, outlet, clock).until_closed(&receiver);
        let thread = Builder::new().name("log".to_owned()).spawn(run)?;
        Ok(Self {
            requests: Some(sender),
            thread: Some(thread),
        })
    }

    /// Hands over a request. Should the thread be gone, it is never answered.
    pub fn send(&self, request: Request<C>) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(request);
        }
    }
}

impl<C> Drop for Broker<C> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, that was told when it happened.
            let _ = thread.join();
        }
    }
}

/// The thread's state.
struct Run<C> {
    store: Box<dyn Store>,
    outlet: Box<dyn Outlet<C>>,
    clock: fn() -> u64,
    /// Answers in order; those about appends are true once the commit is through.
    replies: Vec<Reply<C>>,
    /// Which of them those are.
    uncommitted: Vec<usize>,
    expired_at: u64,
}

impl<C> Run<C> {
    fn new(store: Box<dyn Store>, outlet: Box<dyn Outlet<C>>, clock: fn() -> u64) -> Self {
        Self {
            store,
            outlet,
            clock,
            replies: Vec::new(),
            uncommitted: Vec::new(),
            expired_at: clock(),
        }
    }

    fn until_closed(mut self, requests: &Receiver<Request<C>>) {
        use std::sync::mpsc::RecvTimeoutError;
        loop {
            match requests.recv_timeout(EXPIRE_EVERY) {
                Ok(request) => {
                    self.take(request);
                    // All that came while the last commit waited for the disk.
                    requests
                        .try_iter()
                        .take(GROUP_MAX)
                        .for_each(|request| self.take(request));
                    if !self.uncommitted.is_empty() {
                        self.commit();
                    }
                    self.outlet.deliver(std::mem::take(&mut self.replies));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.commit();
                    return;
                }
            }
            self.expire_if_due();
        }
    }

    fn take(&mut self, request: Request<C>) {
        match request {
            Request::Append(draft, context) => {
                let log = draft.log.clone();
                let placed = self.store.append(draft);
                if let Ok(placed) = &placed
                    && placed.position().offset > self.store.head(&log).offset
                {
                    self.uncommitted.push(self.replies.len());
                }
                let result = placed.map_err(|LogsFull| AppendError::LogsFull);
                self.replies.push(Reply::Appended(result, context));
            }
            Request::Read {
                log,
                from,
                max,
                context,
            } => {
                let page = match from {
                    ReadFrom::Since(since) => self.store.read(&log, &since, max),
                    ReadFrom::Mark => self.read_from_mark(&log, max),
                };
                self.replies.push(Reply::Page(page, context));
            }
            Request::ReadBefore {
                log,
                before,
                max,
                context,
            } => {
                let page = self.store.read_before(&log, before.as_ref(), max);
                self.replies.push(Reply::Page(page, context));
            }
            Request::Mark(log, position) => self.store.set_mark(&log, position),
        }
    }

    /// What the owner has not seen; that some of it has expired is no news to who never saw any of it.
    fn read_from_mark(&self, log: &LogName, max: PageMax) -> Result<Page, StoreError> {
        let since = self.store.mark(log).map_or(Since::Oldest, Since::After);
        self.store.read(log, &since, max)
    }

    /// Saves what was appended; if that fails, nobody's message was kept.
    fn commit(&mut self) {
        let uncommitted = std::mem::take(&mut self.uncommitted);
        if let Err(error) = self.store.commit() {
            for index in uncommitted {
                if let Some(Reply::Appended(result, _)) = self.replies.get_mut(index) {
                    *result = Err(AppendError::Store(error.clone()));
                }
            }
        }
    }

    fn expire_if_due(&mut self) {
        let now = (self.clock)();
        if now.abs_diff(self.expired_at) < EXPIRE_EVERY.as_millis() as u64 {
            return;
        }
        self.expired_at = now;
        // Both are tried again the next time.
        let _ = self.store.commit();
        let _ = self.store.expire(now);
    }
}

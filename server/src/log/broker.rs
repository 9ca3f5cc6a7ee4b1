//! The broker: the one thread that has the store. It takes what all workers want appended, in order, saves everything that
//! arrived while it waited for the disk with one commit, and only then tells anybody.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::select::select;
use super::{
    Activity, Draft, Entry, LogsFull, Page, PageMax, Placed, Position, Rules, Select, Since, Store,
    StoreError,
};
use crate::clock::Now;
use crate::ids::LogName;

/// The most that one commit takes in: what waits longer than that is better told.
const GROUP_MAX: usize = 8192;

/// How often the store lets go of what is too old, and saves marks that nothing else took along.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);

/// Between two lines of the log that say that nothing can be saved.
const TROUBLE_TOLD_EVERY: Duration = Duration::from_secs(60);

/// What a worker asks for; `C` is what it needs to go on with the answer, and comes back with it.
#[derive(Debug)]
pub enum Request<C> {
    /// Give a message its place.
    Append(Draft, C),
    /// Read on: what comes after the page is announced to who watches, and is not in it.
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
    /// Read what is there: all that was acknowledged to anybody before this was asked, at whatever node.
    History {
        /// The log.
        log: LogName,
        /// Which part of it.
        part: Part,
        /// How much.
        max: PageMax,
        /// Comes back with the page.
        context: C,
    },
    /// Find the logs that are wanted. Where [others append, too](crate::log::remote), only those that are followed here are known.
    Find(Arc<dyn Select>, C),
    /// A log's owner has seen it up to here.
    Mark(LogName, Position),
    /// Go by these rules, as [`Store::set_rules`] may.
    Rules(Arc<Rules>),
    /// A worker's clients follow this log from now on: it is to hear of what others append there. Only where
    /// [others append, too](crate::log::remote).
    Watch(LogName),
    /// They do not any more.
    Unwatch(LogName),
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// At a place that the reader names.
    Since(Since),
    /// Where the log's owner has seen it up to; at its oldest entry if that was never said.
    Mark,
}

/// Which part of a log's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What comes behind a place, the oldest of it first.
    Since(Since),
    /// What is before a place, or the head, the newest of it.
    Before(Option<Position>),
}

impl Part {
    /// Whether there is more of it behind (or before) a page.
    #[must_use]
    pub fn has_more(self, page: &Page) -> bool {
        match self {
            Self::Since(_) => page.next != page.head,
            Self::Before(_) => page
                .entries
                .first()
                .is_some_and(|entry| entry.position.offset > page.oldest),
        }
    }
}

/// What a worker hears, in the order in which things happened.
#[derive(Debug)]
pub enum Reply<C> {
    /// The message has its place for good, or it has none.
    Appended(Result<Placed, AppendError>, C),
    /// A page. What is appended later comes as [`Reply::Appended`] or [`Reply::Announced`] behind it.
    Page(Result<Page, StoreError>, C),
    /// Some logs, [`FOUND_MAX`](super::FOUND_MAX) at most.
    Found(Vec<LogName>, C),
    /// Another node's client has sent this.
    Announced(Arc<Entry>),
    /// What was announced of this log last may not be there any more, or something behind it is missing: who follows it reads
    /// on from where they are, and is told of the gap.
    Broken(LogName),
}

/// Why a message was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendError {
    /// There are too many logs.
    LogsFull,
    /// It could not be saved.
    Store(StoreError),
}

/// Where the answers go, in order.
type Outlet<C> = Box<dyn Fn(Vec<Reply<C>>) + Send>;

/// A broker that runs; it ends when this is dropped, after saving what it was given.
#[derive(Debug)]
pub struct Broker<C> {
    requests: Option<Sender<Request<C>>>,
    thread: Option<JoinHandle<()>>,
    activity: Arc<Activity>,
}

impl<C: Send + 'static> Broker<C> {
    /// Starts the thread, which hands its answers to `outlet`; `clock` tells the time, which this thread measures the disk by.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(
        store: Box<dyn Store>,
        outlet: impl Fn(Vec<Reply<C>>) + Send + 'static,
        clock: fn() -> Now,
    ) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let activity = Arc::default();
        let counted = Arc::clone(&activity);
        let run = move || Run::new(store, Box::new(outlet), clock, counted).until_closed(&receiver);
        let thread = Builder::new().name("log".to_owned()).spawn(run)?;
        Ok(Self {
            requests: Some(sender),
            thread: Some(thread),
            activity,
        })
    }

    /// What the thread counts.
    #[must_use]
    pub fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
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
    outlet: Outlet<C>,
    clock: fn() -> Now,
    activity: Arc<Activity>,
    /// When it was last said that nothing can be saved.
    trouble_told: Option<Now>,
    /// Answers in order; those about appends are true once the commit is through.
    replies: Vec<Reply<C>>,
    /// Which of them those are, and in which log.
    uncommitted: Vec<(usize, LogName)>,
    expired_at: Now,
}

impl<C> Run<C> {
    fn new(
        store: Box<dyn Store>,
        outlet: Outlet<C>,
        clock: fn() -> Now,
        activity: Arc<Activity>,
    ) -> Self {
        activity.uses(store.usage());
        Self {
            store,
            outlet,
            clock,
            activity,
            trouble_told: None,
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
                    (self.outlet)(std::mem::take(&mut self.replies));
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
                    self.uncommitted.push((self.replies.len(), log));
                }
                if let Ok(Placed::Duplicate { .. }) = &placed {
                    self.activity.duplicate();
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
                self.answer_page(page, context);
            }
            Request::History {
                log,
                part,
                max,
                context,
            } => {
                let page = match part {
                    Part::Since(since) => self.store.read(&log, &since, max),
                    Part::Before(before) => self.store.read_before(&log, before.as_ref(), max),
                };
                self.answer_page(page, context);
            }
            Request::Find(which, context) => {
                let logs = self.store.logs().into_iter().map(|(log, _)| log);
                let found = select(&*which, logs);
                self.replies.push(Reply::Found(found, context));
            }
            Request::Mark(log, position) => {
                if self.is_news(&log, position) {
                    self.store.set_mark(&log, position);
                }
            }
            Request::Rules(rules) => self.store.set_rules(rules),
            // Whatever comes passes here.
            Request::Watch(_) | Request::Unwatch(_) => {}
        }
    }

    fn answer_page(&mut self, page: Result<Page, StoreError>, context: C) {
        self.activity.read();
        self.replies.push(Reply::Page(page, context));
    }

    /// Whether an owner can have seen its log up to here, and had not before: some clients tell it themselves, and late.
    fn is_news(&self, log: &LogName, position: Position) -> bool {
        let head = self.store.head(log);
        let is_there = position.epoch == head.epoch && position.offset <= head.offset;
        let is_known = |mark: Position| mark.epoch == head.epoch && mark.offset >= position.offset;
        is_there && !self.store.mark(log).is_some_and(is_known)
    }

    /// What the owner has not seen; that some of it has expired is no news to who never saw any of it.
    fn read_from_mark(&self, log: &LogName, max: PageMax) -> Result<Page, StoreError> {
        let since = self.store.mark(log).map_or(Since::Oldest, Since::After);
        self.store.read(log, &since, max)
    }

    /// Saves what was appended; if that fails, nobody's message was kept that is not there now: what is only in memory is.
    fn commit(&mut self) {
        let uncommitted = std::mem::take(&mut self.uncommitted);
        let (begun, committed, ended) = ((self.clock)(), self.store.commit(), (self.clock)());
        let took = ended.instant.saturating_duration_since(begun.instant);
        let Err(error) = committed else {
            return self.activity.committed(uncommitted.len(), took);
        };
        self.tell_trouble(&error, ended);
        for (index, log) in uncommitted {
            if let Some(Reply::Appended(result @ Ok(_), _)) = self.replies.get_mut(index)
                && let Ok(placed) = &*result
                && placed.position().offset > self.store.head(&log).offset
            {
                *result = Err(AppendError::Store(error.clone()));
            }
        }
    }

    /// Somebody has to know, but not with each message.
    fn tell_trouble(&mut self, error: &StoreError, now: Now) {
        self.activity.not_committed(error);
        let is_told = self.trouble_told.is_some_and(|told| {
            now.instant.saturating_duration_since(told.instant) < TROUBLE_TOLD_EVERY
        });
        if !is_told {
            self.trouble_told = Some(now);
            tracing::error!(event = "storage_trouble", %error, "messages are refused, because they cannot be saved");
        }
    }

    fn expire_if_due(&mut self) {
        let now = (self.clock)();
        if now.unix_ms.abs_diff(self.expired_at.unix_ms) < EXPIRE_EVERY.as_millis() as u64 {
            return;
        }
        self.expired_at = now;
        // Both are tried again the next time.
        let _ = self.store.commit();
        let _ = self.store.expire(now.unix_ms);
        self.activity.uses(self.store.usage());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LogName;
    use crate::log::store_tests::draft;
    use crate::log::{Epoch, Keep, MemoryStore, Pattern, RoutedStore, Rule, Usage};
    use std::sync::Mutex;

    /// A store whose commits fail, and keep nothing, as long as it is told so.
    struct Failing(MemoryStore, Arc<Mutex<Option<StoreError>>>, Vec<Draft>);

    impl Store for Failing {
        fn append(&mut self, draft: Draft) -> Result<Placed, LogsFull> {
            let offset = self.0.head(&draft.log).offset + 1 + self.2.len() as u64;
            let epoch = self.0.head(&draft.log).epoch;
            self.2.push(draft.clone());
            let position = Position { epoch, offset };
            Ok(Placed::New(Arc::new(Entry { position, draft })))
        }

        fn commit(&mut self) -> Result<(), StoreError> {
            let drafts = std::mem::take(&mut self.2);
            if let Some(error) = self.1.lock().unwrap().clone() {
                return Err(error);
            }
            for draft in drafts {
                self.0.append(draft).unwrap();
            }
            self.0.commit()
        }

        fn head(&self, log: &LogName) -> Position {
            self.0.head(log)
        }

        fn read(&self, log: &LogName, since: &Since, max: PageMax) -> Result<Page, StoreError> {
            self.0.read(log, since, max)
        }

        fn read_before(
            &self,
            log: &LogName,
            before: Option<&Position>,
            max: PageMax,
        ) -> Result<Page, StoreError> {
            self.0.read_before(log, before, max)
        }

        fn mark(&self, log: &LogName) -> Option<Position> {
            self.0.mark(log)
        }

        fn set_mark(&mut self, log: &LogName, position: Position) {
            self.0.set_mark(log, position);
        }

        fn set_rules(&mut self, rules: Arc<Rules>) {
            self.0.set_rules(rules);
        }

        fn expire(&mut self, unix_ms: u64) -> Result<(), StoreError> {
            self.0.expire(unix_ms)
        }

        fn logs(&self) -> Vec<(LogName, Position)> {
            self.0.logs()
        }

        fn usage(&self) -> Usage {
            self.0.usage()
        }
    }

    fn memory() -> MemoryStore {
        MemoryStore::new(Epoch::new(7), Arc::new(Rules::default()))
    }

    const ALL: PageMax = PageMax {
        entries: 100,
        bytes: 1 << 20,
    };

    #[test]
    fn answers_come_in_the_order_of_requests_and_what_was_given_is_saved_at_the_end() {
        let (sender, receiver) = channel();
        let outlet = move |replies| drop(sender.send(replies));
        let broker = Broker::start(Box::new(memory()), outlet, Now::read).unwrap();
        for number in 0..100 {
            broker.send(Request::Append(draft("a", "1"), number));
            let read = Request::Read {
                log: LogName::new("a").unwrap(),
                from: ReadFrom::Since(Since::Oldest),
                max: ALL,
                context: number,
            };
            broker.send(read);
        }
        drop(broker);
        let replies: Vec<Reply<u32>> = receiver.into_iter().flatten().collect();
        assert_eq!(replies.len(), 200);
        let mut shown = 0;
        for (index, reply) in replies.iter().enumerate() {
            match reply {
                Reply::Appended(Ok(placed), number) => {
                    assert_eq!((index as u32 / 2, index % 2), (*number, 0));
                    assert_eq!(placed.position().offset, u64::from(*number) + 1);
                }
                // A page never shows what was not committed before it was asked for.
                Reply::Page(Ok(page), number) => {
                    assert!(page.head.offset <= u64::from(*number) + 1);
                    assert!(page.head.offset >= shown, "{index}");
                    shown = page.head.offset;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_could_not_be_saved_is_told_and_what_is_only_in_memory_was_kept() {
        let failure = Arc::new(Mutex::new(Some(StoreError::Full)));
        let durable = Failing(memory(), Arc::clone(&failure), Vec::new());
        let mut rules = Rules::default();
        let in_memory = Rule {
            keep: Keep::Memory,
            ..Rule::default()
        };
        rules.push(Pattern::new("m*".to_owned()), in_memory);
        let store = RoutedStore::new(Arc::new(rules), Box::new(durable), memory());
        let outlet = Box::new(drop::<Vec<Reply<u32>>>);
        let mut run = Run::new(Box::new(store), outlet, Now::read, Arc::default());
        let mut results = || {
            for (name, number) in [("a", 1), ("m", 2), ("a", 3)] {
                run.take(Request::Append(draft(name, "1"), number));
            }
            run.commit();
            std::mem::take(&mut run.replies)
                .into_iter()
                .map(|reply| match reply {
                    Reply::Appended(result, _) => result.map(|placed| placed.position().offset),
                    Reply::Page(..) | Reply::Found(..) | Reply::Announced(_) | Reply::Broken(_) => {
                        panic!()
                    }
                })
                .collect::<Vec<_>>()
        };
        let full = Err(AppendError::Store(StoreError::Full));
        assert_eq!(results(), [full.clone(), Ok(1), full]);
        *failure.lock().unwrap() = None;
        assert_eq!(results(), [Ok(1), Ok(2), Ok(2)]);
    }
}

//! The thread of logs elsewhere: one poll, the sockets of links, and an [`Engine`] that says what they are for. It moves bytes and
//! tells the time, and knows nothing of what is said.
//!
//! Everything is bounded: requests by the engine, which refuses what is too much, reads and writes by turn, what comes by how much
//! the engine asks for, and replies by the workers' inboxes, which this thread waits for.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::link::{Connection, READ_MAX};
use super::names::{Found, Names};
use crate::client::Authorities;
use crate::clock::{LoopClock, Now};
use crate::log::remote::{Action, Engine, Link, Target};
use crate::log::{Activity, Reply, Request};
use crate::net::inbox::{Inbox, Sender};

/// The inbox; links have their numbers.
const INBOX: Token = Token(usize::MAX - 1);

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 256;

/// What the engine wants done with links in a turn.
const ACTIONS_MAX: usize = 1024;

/// Between two lines of the log that say that links are lost.
const LOSS_TOLD_EVERY: Duration = Duration::from_secs(60);

/// How long a server that stops waits for answers.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The thread, as others see it. It ends when this is dropped, once all was answered or [`STOP_MAX`] is over.
#[derive(Debug)]
pub(in crate::net) struct Remote<C> {
    inbox: Sender<Note<C>>,
    thread: Option<JoinHandle<()>>,
    activity: Arc<Activity>,
}

/// What other threads send to it.
#[derive(Debug)]
enum Note<C> {
    /// A worker asks.
    Request(Request<C>),
    /// A name was looked up.
    Found(Link, Found),
    /// Nobody asks any more.
    Stop,
}

impl<C: Send + 'static> Remote<C> {
    /// Starts the thread, which makes its engine, and hands its answers to `outlet`. Links speak TLS if somebody is trusted.
    ///
    /// # Errors
    /// The system has no thread left, or too few files may be open.
    pub(in crate::net) fn start<E: Engine<C>>(
        engine: impl FnOnce() -> E + Send + 'static,
        tls: Option<Authorities>,
        outlet: impl Fn(Vec<Reply<C>>) + Send + 'static,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let inbox = Inbox::new(poll.registry(), INBOX)?;
        let sender = inbox.sender();
        let activity = Arc::<Activity>::default();
        let counted = Arc::clone(&activity);
        let run = move || {
            let mut run = Run::new(poll, inbox, engine(), tls, (outlet, counted));
            if let Err(error) = run.until_stopped() {
                tracing::error!(event = "logs_lost", %error, "The thread of the logs has ended.");
            }
        };
        let thread = Builder::new().name("log".to_owned()).spawn(run)?;
        Ok(Self {
            inbox: sender,
            thread: Some(thread),
            activity,
        })
    }
}

impl<C> Remote<C> {
    /// What the thread counts.
    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    /// Hands over a request. Should the thread be gone, it is never answered.
    pub(in crate::net) fn send(&self, request: Request<C>) {
        self.inbox.send([Note::Request(request)]);
    }
}

impl<C> Drop for Remote<C> {
    fn drop(&mut self) {
        self.inbox.send([Note::Stop]);
        if let Some(thread) = self.thread.take() {
            // If it panicked, that was told when it happened.
            let _ = thread.join();
        }
    }
}

/// The thread's state.
struct Run<C, E, O> {
    poll: Poll,
    inbox: Inbox<Note<C>>,
    engine: E,
    tls: Option<Authorities>,
    outlet: O,
    activity: Arc<Activity>,
    /// When it was last said that a link is lost, if none has been opened since.
    loss_told: Option<Instant>,
    clock: LoopClock,
    now: Now,
    links: BTreeMap<Link, Connection>,
    names: Names,
    buffer: Box<[u8]>,
    replies: Vec<Reply<C>>,
    /// A link has more to read or to write than a turn takes.
    has_more: bool,
    /// When it ends, whatever is unanswered.
    stops_at: Option<Instant>,
}

impl<C: Send + 'static, E: Engine<C>, O: Fn(Vec<Reply<C>>)> Run<C, E, O> {
    fn new(
        poll: Poll,
        inbox: Inbox<Note<C>>,
        engine: E,
        tls: Option<Authorities>,
        (outlet, activity): (O, Arc<Activity>),
    ) -> Self {
        let now = Now::read();
        Self {
            poll,
            inbox,
            engine,
            tls,
            outlet,
            activity,
            loss_told: None,
            clock: LoopClock::new(now),
            now,
            links: BTreeMap::new(),
            names: Names::default(),
            buffer: vec![0; READ_MAX].into(),
            replies: Vec::new(),
            has_more: true,
            stops_at: None,
        }
    }

    fn until_stopped(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.is_done() {
            self.turn(&mut events)?;
        }
        Ok(())
    }

    /// One turn: what came is read before the engine judges who was silent, and everything is written at the end, at once.
    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.time_to_wait();
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            polled => polled?,
        }
        self.now = self.clock.read(timeout);
        self.has_more = false;
        for event in events.iter().filter(|event| event.token() != INBOX) {
            let ends = event.is_read_closed() || event.is_error();
            if let Some(connection) = self.links.get_mut(&link_of(event.token())) {
                connection.note_ready(event.is_readable(), ends, event.is_writable());
            }
        }
        self.take_inbox();
        self.go_on();
        self.expire();
        self.act();
        self.write();
        self.engine.take_replies(&mut self.replies);
        if !self.replies.is_empty() {
            self.replies
                .iter()
                .for_each(|reply| self.activity.replied(reply));
            (self.outlet)(std::mem::take(&mut self.replies));
        }
        let open = self.links.values().filter(|link| link.is_open());
        self.activity.links_open(open.count());
        self.activity.passed(self.engine.traffic());
        Ok(())
    }

    /// How long nothing is due, unless something happens.
    fn time_to_wait(&self) -> Option<Duration> {
        if self.has_more {
            return Some(Duration::ZERO);
        }
        let links = self.links.values().filter_map(Connection::wake_at);
        let at = links
            .chain(self.engine.poll_timeout())
            .chain(self.stops_at)
            .min()?;
        Some(at.saturating_duration_since(self.now.instant))
    }

    fn take_inbox(&mut self) {
        let mut notes = self.inbox.take();
        for note in notes.drain(..) {
            match note {
                Note::Request(request) => self.engine.request(request, self.now),
                Note::Found(link, found) => {
                    self.names.ended();
                    self.found(link, found);
                }
                Note::Stop => {
                    self.stops_at = Some(self.now.instant + STOP_MAX);
                    self.engine.leave(self.now);
                }
            }
        }
        self.inbox.give_back(notes);
    }

    // ---- links ----

    /// Does what the engine wants.
    fn act(&mut self) {
        for _ in 0..ACTIONS_MAX {
            match self.engine.poll_action() {
                Some(Action::Open(link, target)) => self.open(link, target),
                Some(Action::Close(link)) => drop(self.links.remove(&link)),
                None => return,
            }
        }
        self.has_more = true;
    }

    fn open(&mut self, link: Link, target: Target) {
        let tls = self.tls.as_ref().map(|tls| tls.with(&target.host));
        let tls = match tls.transpose() {
            Ok(tls) => tls,
            Err(error) => return self.close(link, &error.to_string()),
        };
        let address = Names::address(&target);
        let connection = Connection::new(target.clone(), tls, self.now.instant);
        self.links.insert(link, connection);
        if let Some(address) = address {
            return self.found(link, Ok(vec![address]));
        }
        let sender = self.inbox.sender();
        let then = move |found| sender.send([Note::Found(link, found)]);
        if let Err(error) = self.names.look_up(&target, then) {
            self.found(link, Err(error));
        }
    }

    fn found(&mut self, link: Link, found: Found) {
        // The engine may have closed it since.
        let Some(connection) = self.links.get_mut(&link) else {
            return;
        };
        let (registry, now) = (self.poll.registry(), self.now.instant);
        if let Err(why) = connection.found(found, registry, token_of(link), now) {
            self.close(link, &why);
        }
    }

    /// A link has ended.
    fn close(&mut self, link: Link, why: &str) {
        self.links.remove(&link);
        if self.engine.has_logs(link) {
            self.tell_loss(why);
        }
        self.engine.closed(link, why, self.now);
    }

    fn tell_loss(&mut self, why: &str) {
        self.activity.link_lost();
        let is_told = self
            .loss_told
            .is_some_and(|told| self.now.instant.saturating_duration_since(told) < LOSS_TOLD_EVERY);
        if !is_told {
            self.loss_told = Some(self.now.instant);
            tracing::warn!(event = "link_lost", why, "a connection to the logs is lost");
        }
    }

    /// Goes on with each link: opens it, and reads what came.
    fn go_on(&mut self) {
        let links: Vec<Link> = self.links.keys().copied().collect();
        for link in links {
            if let Err(why) = self.go_on_with(link) {
                self.close(link, &why);
            }
        }
    }

    fn go_on_with(&mut self, link: Link) -> Result<(), String> {
        let Some(connection) = self.links.get_mut(&link) else {
            return Ok(());
        };
        let registry = self.poll.registry();
        if connection.open(registry, token_of(link), self.now.instant)? {
            self.engine.opened(link, self.now);
        }
        let mut room = READ_MAX;
        while room > 0 {
            let read = connection.read(&mut self.buffer[..room])?;
            if read == 0 {
                break;
            }
            self.engine.received(link, &self.buffer[..read], self.now);
            room -= read;
        }
        self.has_more |= connection.is_readable();
        if room < READ_MAX {
            self.tell_return(link);
        }
        Ok(())
    }

    /// Something came over a link: it is open where it was lost, once it is let in.
    fn tell_return(&mut self, link: Link) {
        let is_back =
            self.loss_told.is_some() && self.engine.has_logs(link) && self.engine.is_let_in(link);
        if is_back {
            self.loss_told = None;
            tracing::info!(event = "link_open", "the logs can be reached again");
        }
    }

    fn expire(&mut self) {
        let is_due = |at: Instant| at <= self.now.instant;
        if self.engine.poll_timeout().is_some_and(is_due) {
            self.engine.handle_timeout(self.now);
        }
    }

    fn write(&mut self) {
        let mut broken = Vec::new();
        for (link, connection) in self.links.iter_mut().filter(|(_, it)| it.is_open()) {
            let Some(output) = self.engine.output(*link) else {
                continue;
            };
            match connection.write(output) {
                Ok(has_more) => self.has_more |= has_more,
                Err(why) => broken.push((*link, why)),
            }
        }
        for (link, why) in broken {
            self.close(link, &why);
            // What the engine wants then is done in the next turn.
            self.has_more = true;
        }
    }

    // ---- the end ----

    fn is_done(&mut self) -> bool {
        let Some(stops_at) = self.stops_at else {
            return false;
        };
        if self.now.instant >= stops_at {
            return true;
        }
        let engine = &mut self.engine;
        engine.is_idle()
            && self.links.iter().all(|(link, connection)| {
                let output = engine.output(*link);
                !connection.has_sealed() && output.is_none_or(|output| output.is_empty())
            })
    }
}

const fn token_of(link: Link) -> Token {
    Token(link.0 as usize)
}

const fn link_of(token: Token) -> Link {
    Link(token.0 as u32)
}

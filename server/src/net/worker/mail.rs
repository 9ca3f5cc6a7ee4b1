//! What threads send to a worker, and the workers of a server as one of them sees the others.
//!
//! Workers share nothing but what they send each other: lists, one a turn and worker, and one wake for each. The worker that
//! counts as 0 has the hub; what the others' clients say of rooms goes there, and what follows from it comes back.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use tidewire_protocol::Batch;

use super::delivery::Asked;
use super::inquiries::Question;
use super::stopping::Pace;
use crate::auth::Access;
use crate::chat::{Effect, Except, Follow, Joiner};
use crate::ids::{Arrival, ConnId, Lane, LogName, RoomName, UserName};
use crate::limit::Level;
use crate::log::{Entry, Placed, Position, Reply};
use crate::net::arrivals::Arrivals;
use crate::net::capture::Capture;
use crate::net::conn::Conn;
use crate::net::drain::Drain;
use crate::net::files::Done;
use crate::net::inbox::{Delivery, Sender, send_together};
use crate::net::receipt::Progress;
use crate::net::reload::Reloaded;
use crate::recorder::Account;
use crate::transport::dialect::{Answer, Knock, Parsed, Sid, Told};
use crate::transport::feeds::Interest;
use crate::transport::{Accepted, Operation, Publish, Response};

/// The worker that has the hub, and hears the signals.
pub(in crate::net) const HOME: usize = 0;

/// What a reply weighs in an inbox beside what it holds.
const REPLY_BYTES: usize = 256;

/// What other threads send to a worker.
#[derive(Debug)]
pub(in crate::net) enum Mail {
    /// A job with files is done.
    Files(ConnId, Done),
    /// The log answers what this worker asked.
    Log(Reply<Asked>),
    /// The log has an entry that another worker's client sent, or another node's.
    Announced(Arc<Entry>),
    /// What was announced of this log may not be there any more.
    Broken(LogName),
    /// Another worker's client says something that is the hub's business.
    Said(Said),
    /// Where the process stands with its memory has changed.
    Memory(Level),
    /// It has run out: the worker closes connections that hold so many bytes together.
    Shed(u64),
    /// What the hub wants done for a connection of this worker.
    Effect(Effect),
    /// The hub tells the connections in a room what is not kept.
    Told(RoomName, Except, Arc<Told>),
    /// The hub has named the author.
    Publish(ConnId, Publish),
    /// The author has sent too much, and may again after this time.
    Refused(ConnId, Duration),
    /// The hub answers a call.
    Respond(ConnId, Response),
    /// A new connection, from a worker that has more than its share.
    Accepted(TcpStream, SocketAddr),
    /// A connection whose WebSocket is to take over a session of this worker; and what came behind its handshake.
    Moved(Box<Conn>, Box<Accepted>, Vec<u8>),
    /// A connection of another worker wants something of a session of this one.
    Knock(ConnId, Sid, Knock),
    /// A session of another worker answers a request.
    Reply(ConnId, Answer),
    /// Messages for those who are in a room of the relay, from connections of another worker; each of those waits for so much.
    Relayed(Vec<(ConnId, u32)>, RoomName, Batch),
    /// A capture begins, of which this worker's connections may be a part.
    CaptureBegins(Arc<Capture>),
    /// A capture has ended.
    CaptureEnded(u64),
    /// The next bytes of the capture that a connection asked for; `None` is its end.
    Captured(ConnId, Option<Vec<u8>>),
    /// So many bytes of what a connection sent to other workers have been dealt with.
    Taken(ConnId, u32),
    /// The server is to stop: the worker lets its clients go in batches, and serves those that are there.
    Drain(Drain),
    /// The last are to go: the worker answers what came before that.
    Stop(Drain),
    /// A worker has.
    Answered,
    /// All have: the worker closes its connections.
    Close(Drain, Pace),
    /// A worker has ended.
    Ended,
    /// The settings were read again.
    Reload(Arc<Reloaded>),
    /// An operator wants this connection gone.
    Kick(ConnId),
    /// A connection is gone: its account.
    Ending(Box<Account>),
    /// An operator asks for connections.
    Ask(u32, Arc<Question>),
    /// A worker has these.
    Found(u32, Vec<Account>),
}

/// What the worker that has the hub hears from the others.
#[derive(Debug)]
pub(in crate::net) enum Said {
    /// A connection that chats has come.
    Connected(ConnId, Joiner),
    /// It says something; and when it was read, if it may be a `hello`.
    Spoken(ConnId, Box<Spoken>, Arrival),
    /// The same, which weighs so much, but its address has sent too much, and may again after this time.
    TooMuch(ConnId, Box<Parsed<'static>>, u32, Duration),
    /// It is gone.
    Gone(ConnId),
    /// It is gone, and its session comes back in a moment.
    Lingers(ConnId),
    /// Somebody who is heard over HTTP is typing.
    Typing(ConnId, RoomName, UserName),
    /// It has been shown everything up to here, and is to be told that it has joined.
    AtHead(Box<Follow>, Position, bool),
    /// What it was given up to here has arrived.
    Arrived(ConnId, Progress),
    /// Somebody publishes over HTTP and does not say who it is.
    Publish(ConnId, Publish),
    /// Somebody asks which rooms there are.
    Rooms(ConnId, Access),
    /// Somebody asks who is in a room.
    Members(ConnId, RoomName),
    /// An operator asks for something.
    Operate(ConnId, Operation),
}

/// What a connection says.
#[derive(Debug)]
pub(in crate::net) struct Spoken {
    pub(super) parsed: Parsed<'static>,
    /// How long that was.
    pub(super) bytes: usize,
    /// What it weighs until it is dealt with.
    pub(super) weight: u32,
}

/// What goes to a worker.
#[derive(Debug, Default)]
struct Outgoing {
    list: Vec<Mail>,
    /// What those weigh that are not held back otherwise.
    bytes: usize,
}

/// All workers' inboxes, and what is on its way there.
#[derive(Debug)]
pub(in crate::net) struct Peers {
    lane: Lane,
    number: usize,
    arrivals: Arc<Arrivals>,
    senders: Vec<Sender<Mail>>,
    /// To be sent at the end of the turn, by worker.
    outgoing: Vec<Outgoing>,
    /// Something was added to it.
    has_outgoing: bool,
    /// Other workers that have not ended, as far as home knows.
    running: usize,
}

impl Peers {
    pub(in crate::net) fn new(
        number: usize,
        senders: Vec<Sender<Mail>>,
        arrivals: Arc<Arrivals>,
    ) -> Self {
        let workers = senders.len();
        Self {
            // There are 64 at most.
            lane: Lane::new(number as u32, workers as u32),
            number,
            arrivals,
            has_outgoing: false,
            outgoing: senders.iter().map(|_| Outgoing::default()).collect(),
            senders,
            running: if number == HOME { workers - 1 } else { 0 },
        }
    }

    /// Which worker this is.
    pub(super) const fn number(&self) -> usize {
        self.number
    }

    /// Counts what may name a session, with all others.
    pub(super) fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// Whose places this worker deals out.
    pub(super) const fn lane(&self) -> Lane {
        self.lane
    }

    /// Whether the connection is this worker's.
    pub(super) const fn is_ours(&self, conn: ConnId) -> bool {
        self.lane.owns(conn)
    }

    /// Whether a worker has such places.
    pub(super) fn are_anybodys(&self, conn: ConnId) -> bool {
        self.lane.owner(conn) < self.senders.len()
    }

    /// The way to this worker's inbox, for a thread.
    pub(super) fn own_sender(&self) -> Sender<Mail> {
        self.senders[self.number].clone()
    }

    /// The ways to all inboxes, for a thread.
    pub(super) fn all_senders(&self) -> Vec<Sender<Mail>> {
        self.senders.clone()
    }

    /// How many others there are.
    pub(super) const fn others(&self) -> usize {
        self.senders.len() - 1
    }

    /// How many others have yet to end before home may.
    pub(super) const fn running(&self) -> usize {
        self.running
    }

    pub(super) const fn one_has_ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Adds to what goes to the worker that has the hub.
    pub(super) fn tell_home(&mut self, said: Said) {
        self.post_home(Mail::Said(said));
    }

    /// Adds to what goes home.
    pub(super) fn post_home(&mut self, mail: Mail) {
        self.post(HOME, mail);
    }

    /// Adds to what goes to the worker of a connection.
    pub(super) fn post_to_owner(&mut self, conn: ConnId, mail: Mail) {
        self.post(self.lane.owner(conn), mail);
    }

    /// Adds what is not kept to what goes to each worker whose bit is set in `workers`; one that has too much to do does not
    /// hear of it.
    pub(super) fn post_unless_full(&mut self, workers: u64, bytes: usize, mail: impl Fn() -> Mail) {
        for (worker, (sender, outgoing)) in self.senders.iter().zip(&mut self.outgoing).enumerate()
        {
            if workers & 1 << worker != 0 && !sender.is_full() {
                self.has_outgoing = true;
                outgoing.list.push(mail());
                outgoing.bytes += bytes;
            }
        }
    }

    /// Adds to what goes to all others.
    pub(super) fn post_to_others(&mut self, mail: impl Fn() -> Mail) {
        for worker in 0..self.senders.len() {
            if worker != self.number {
                self.post(worker, mail());
            }
        }
    }

    /// Tells the worker of a connection that a message of it was dealt with.
    pub(super) fn taken(&mut self, conn: ConnId, bytes: u32) {
        let owner = self.lane.owner(conn);
        let outgoing = self.outgoing.get_mut(owner);
        match outgoing.and_then(|outgoing| outgoing.list.last_mut()) {
            Some(Mail::Taken(before, taken)) if *before == conn => *taken += bytes,
            _ => self.post(owner, Mail::Taken(conn, bytes)),
        }
    }

    /// Adds to what goes to a worker.
    pub(super) fn post(&mut self, worker: usize, mail: Mail) {
        if let Some(outgoing) = self.outgoing.get_mut(worker) {
            outgoing.list.push(mail);
            self.has_outgoing = true;
        }
    }

    /// Sends what was added since the last call: nearly always nothing.
    #[inline]
    pub(super) fn send(&mut self) {
        if mem::take(&mut self.has_outgoing) {
            self.send_outgoing();
        }
    }

    #[inline(never)]
    fn send_outgoing(&mut self) {
        for (sender, outgoing) in self.senders.iter().zip(&mut self.outgoing) {
            if !outgoing.list.is_empty() {
                let bytes = mem::take(&mut outgoing.bytes);
                sender.send_weighed(outgoing.list.drain(..), bytes);
            }
        }
    }
}

/// A worker, for the thread that has the logs.
#[derive(Debug)]
pub(in crate::net) struct Recipient {
    pub(in crate::net) inbox: Sender<Mail>,
    /// What its connections follow.
    pub(in crate::net) interest: Arc<Interest>,
}

impl Recipient {
    pub(in crate::net) fn new(inbox: &Sender<Mail>) -> Self {
        Self {
            inbox: inbox.clone(),
            interest: Arc::default(),
        }
    }
}

/// Hands what the log answers to the workers that asked, and entries to those who may have followers of them: the order in which a worker hears of pages and
/// entries is the log's. Waits while a worker has more than enough to do.
pub(in crate::net) fn hand_out(workers: &[Recipient], replies: Vec<Reply<Asked>>) {
    if let [alone] = workers {
        let bytes = replies.iter().map(bytes_of).sum();
        let messages = replies.into_iter().map(mail_of);
        return alone.inbox.send_when_there_is_room(messages, bytes);
    }
    let empty = |_| Delivery {
        messages: Vec::new(),
        bytes: 0,
    };
    let mut deliveries: Vec<Delivery<Mail>> = workers.iter().map(empty).collect();
    for reply in replies {
        let bytes = bytes_of(&reply);
        let asker = match &reply {
            Reply::Appended(_, asked) | Reply::Page(_, asked) | Reply::Found(_, asked) => {
                Some(asked.worker)
            }
            Reply::Announced(_) | Reply::Broken(_) => None,
        };
        if let Some((log, entry)) = concerns(&reply) {
            let begins = entry.is_some_and(|entry| entry.position.offset == 1);
            for (number, (worker, delivery)) in workers.iter().zip(&mut deliveries).enumerate() {
                let is_wanted =
                    worker.interest.may_be_in(log) || begins && worker.interest.is_looking();
                if Some(number) != asker && is_wanted {
                    delivery.messages.push(match entry {
                        Some(entry) => Mail::Announced(Arc::clone(entry)),
                        None => Mail::Broken(log.clone()),
                    });
                    delivery.bytes += bytes;
                }
            }
        }
        if let Some(delivery) = asker.and_then(|asker| deliveries.get_mut(asker)) {
            delivery.messages.push(mail_of(reply));
            delivery.bytes += bytes;
        }
    }
    let senders: Vec<_> = workers.iter().map(|worker| &worker.inbox).collect();
    send_together(&senders, deliveries);
}

/// Which log's followers are to hear of an answer, whoever asked, and the entry that they get; none where it is broken.
fn concerns(reply: &Reply<Asked>) -> Option<(&LogName, Option<&Arc<Entry>>)> {
    match reply {
        Reply::Appended(Ok(Placed::New(entry)), _) | Reply::Announced(entry) => {
            Some((&entry.draft.log, Some(entry)))
        }
        Reply::Broken(log) => Some((log, None)),
        Reply::Appended(..) | Reply::Page(..) | Reply::Found(..) => None,
    }
}

fn mail_of(reply: Reply<Asked>) -> Mail {
    match reply {
        Reply::Announced(entry) => Mail::Announced(entry),
        Reply::Broken(log) => Mail::Broken(log),
        reply @ (Reply::Appended(..) | Reply::Page(..) | Reply::Found(..)) => Mail::Log(reply),
    }
}

fn bytes_of(reply: &Reply<Asked>) -> usize {
    let content = |entry: &Arc<Entry>| entry.draft.content.get().len();
    REPLY_BYTES
        + match reply {
            Reply::Appended(Ok(Placed::New(entry)), _) | Reply::Announced(entry) => content(entry),
            Reply::Page(Ok(page), _) => page.entries.iter().map(content).sum(),
            Reply::Found(logs, _) => logs.len() * size_of::<LogName>(),
            Reply::Appended(..) | Reply::Page(..) | Reply::Broken(_) => 0,
        }
}

/// Tells home when it is dropped that a worker has ended, however it did.
#[derive(Debug)]
pub(in crate::net) struct Farewell(pub(in crate::net) Sender<Mail>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.send([Mail::Ended]);
    }
}

//! The engine without bytes: what workers ask and what links bring, as values, becomes what links are to ask Redis, and what
//! workers hear. It is a state machine that the simulation drives as the real links do.
//!
//! All that is about one log goes over one link, in order, and comes back in order: so an answer tells of everything that an
//! earlier one told of. What is announced comes over a link of its own, and only says that there is more: what there is, and
//! whether something is lost, only answers say.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::appends::{Queued, Returned, Waiting};
use super::guide::Guide;
use super::masters::Master;
use super::pages::Wanted;
use super::reads::Reading;
use super::runs::{Greeting, Peers, Run};
use super::seen::Seen;
use super::watched::Log;
use crate::clock::Now;
use crate::ids::LogName;
use crate::log::remote::{Action, Link, Target};
use crate::log::select::select;
use crate::log::shared::{Ack, Answer, Bucket, Command, Settings};
use crate::log::{Epoch, Position, Reply, Request, Rules, Select, Traffic};

/// What a link of commands is to ask.
#[derive(Debug, Clone)]
pub(in crate::log) enum Ask {
    /// A command.
    Command(Command),
    /// The next command is about a bucket that this master is about to get: it is to be done all the same.
    Asking,
    /// How many others have what was appended before this; to be answered by then.
    Wait(Ack, Duration),
}

/// What a link of announcements is to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) enum Hear {
    /// Announcements of these, from now on.
    Subscribe(Vec<LogName>),
    /// None of these any more.
    Unsubscribe(Vec<LogName>),
    /// Whether anybody is there.
    Ping,
}

/// What a link of commands brings.
#[derive(Debug)]
pub(in crate::log) enum Said {
    /// The answer to a command.
    Answer(Answer),
    /// Whether enough others have what was appended.
    Waited(bool),
}

/// What a link of announcements brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) enum Heard {
    /// Announcements of this log come from now on.
    Subscribed(LogName),
    /// This log ends here, or did.
    Announced(LogName, Position),
    /// This log has lost something.
    Broken(LogName),
    /// Announcements of this log do not come any more: as was wanted, or since it is elsewhere.
    Unsubscribed(LogName),
    /// Somebody is there.
    Pong,
}

/// What a process of Redis says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) struct Hello {
    /// Its name for itself.
    pub(in crate::log) run_id: String,
    /// It saves each message before it answers.
    pub(in crate::log) saves_always: bool,
    /// What time it is there, in milliseconds since 1970, if it says so.
    pub(in crate::log) unix_ms: Option<u64>,
}

/// A bucket's part of everything.
#[derive(Debug)]
pub(super) struct Shelf<C> {
    /// Which master has it.
    pub(super) master: Option<usize>,
    /// Which one has it now, while the other has not answered all that it was asked of it.
    pub(super) moves_to: Option<usize>,
    /// What its master was asked of it and has not answered.
    pub(super) asked: usize,
    /// It is asked nothing for a moment.
    pub(super) is_paused: bool,
    /// Some of its logs are not heard of any more.
    pub(super) is_deaf: bool,
    pub(super) run: Run,
    pub(super) greeting: Greeting,
    /// Messages that are not on their way yet, in the order in which they came.
    pub(super) queue: VecDeque<Queued>,
    /// Batches that are.
    pub(super) batches: u8,
    /// Messages of batches that were not taken, or perhaps not, while others are on their way that may be.
    pub(super) returned: Vec<Returned>,
    /// Pages that are on their way.
    pub(super) pages: u8,
    /// Pages that are not asked for yet.
    pub(super) reads: VecDeque<Reading<C>>,
    /// Logs that are watched, or whose messages wait for something.
    pub(super) logs: HashMap<LogName, Log, foldhash::fast::RandomState>,
    /// Pages whose readers are ahead of what was announced here: up to which offset.
    pub(super) ahead: Vec<(u64, Reading<C>)>,
    /// How far owners have seen their logs, not told yet.
    pub(super) marks: HashMap<LogName, Position, foldhash::fast::RandomState>,
    pub(super) seen: Seen,
    /// It is in the list of those with something to send.
    pub(super) is_listed: bool,
}

/// The state of all.
#[derive(Debug)]
pub(in crate::log) struct Core<C> {
    pub(super) node: String,
    pub(super) ack: Ack,
    pub(super) timeout: Duration,
    pub(super) command_timeout: Duration,
    pub(super) rules: Arc<Rules>,
    /// What time it was in Redis, and when that was.
    pub(super) clock: Option<Now>,
    pub(super) random: StdRng,
    pub(in crate::log) now: Now,
    pub(super) masters: Vec<Master<C>>,
    /// Who says where they are; `None` where that is known.
    pub(super) guide: Option<Guide>,
    /// Buckets are at several masters, and one of them may go to another.
    pub(super) is_split: bool,
    /// When those buckets are asked again that are asked nothing for a moment.
    pub(super) resume_at: Option<Instant>,
    pub(super) shelves: Vec<Shelf<C>>,
    /// Buckets with something to send.
    pub(super) listed: Vec<Bucket>,
    /// Messages whose senders wait, by the number of the message.
    pub(super) waiting: HashMap<u64, Waiting<C>, foldhash::fast::RandomState>,
    /// When their senders are told that there is no answer, in order.
    pub(super) deadlines: VecDeque<(Instant, u64)>,
    pub(super) waiting_bytes: usize,
    pub(super) reading: usize,
    /// The number of the last message, or of the last time that something was known of a log.
    pub(super) number: u64,
    pub(super) peers: Peers,
    pub(super) next_check: Instant,
    pub(super) next_checked: u8,
    pub(super) watched: usize,
    pub(super) replies: Vec<Reply<C>>,
    pub(in crate::log) actions: VecDeque<Action>,
    pub(super) links: u32,
    pub(super) leaves: bool,
    pub(in crate::log) traffic: Traffic,
}

impl<C> Core<C> {
    /// One that has no master yet.
    pub(in crate::log) fn new(settings: Settings, rules: Arc<Rules>, seed: u64, now: Now) -> Self {
        Self {
            node: settings.node,
            ack: settings.ack,
            timeout: settings.timeout,
            command_timeout: settings.command_timeout,
            rules,
            clock: None,
            random: StdRng::seed_from_u64(seed),
            now,
            masters: Vec::new(),
            guide: None,
            is_split: false,
            resume_at: None,
            shelves: Bucket::all().map(|_| Shelf::default()).collect(),
            listed: Vec::new(),
            waiting: HashMap::default(),
            deadlines: VecDeque::new(),
            waiting_bytes: 0,
            reading: 0,
            number: 0,
            peers: Peers::default(),
            next_check: now.instant,
            next_checked: 0,
            watched: 0,
            replies: Vec::new(),
            actions: VecDeque::new(),
            links: 0,
            leaves: false,
            traffic: Traffic::default(),
        }
    }

    /// All buckets are there.
    pub(in crate::log) fn use_single(&mut self, target: Target) {
        self.use_one(Some(target));
    }

    /// All buckets are where one of these says.
    pub(in crate::log) fn use_guides(&mut self, guides: Vec<Target>) {
        self.guide = Some(Guide::new(guides, self.now.instant));
        self.use_one(None);
    }

    /// Each bucket is where one of these says.
    pub(in crate::log) fn use_parts(&mut self, guides: Vec<Target>) {
        self.guide = Some(Guide::new(guides, self.now.instant));
        self.is_split = true;
        self.keep_links_up();
    }

    fn use_one(&mut self, target: Option<Target>) {
        self.masters.push(Master::new(target, self.now.instant));
        for shelf in &mut self.shelves {
            shelf.master = Some(0);
        }
        self.keep_links_up();
    }

    /// A worker asks.
    pub(in crate::log) fn request(&mut self, request: Request<C>, now: Now) {
        self.now = now;
        match request {
            Request::Append(draft, context) => self.append(draft, context),
            Request::Read {
                log,
                from,
                max,
                context,
            } => self.read(log, Wanted::On(from), max, context),
            Request::History {
                log,
                part,
                max,
                context,
            } => self.read(log, Wanted::Part(part), max, context),
            Request::Find(which, context) => self.find(&*which, context),
            Request::Mark(log, position) => self.mark(log, position),
            Request::Rules(rules) => self.rules = rules,
            Request::Watch(log) => self.watch(log),
            Request::Unwatch(log) => self.unwatch(&log),
        }
    }

    /// Where the logs are nobody says which there are; those that are followed here are known.
    fn find(&mut self, which: &dyn Select, context: C) {
        let shelves = self.shelves.iter();
        let logs = shelves.flat_map(|shelf| shelf.logs.keys().cloned());
        let found = select(which, logs);
        self.replies.push(Reply::Found(found, context));
    }

    /// When there is something to do.
    pub(in crate::log) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.front().map(|&(at, _)| at);
        let checks = (self.watched > 0).then_some(self.next_check);
        let masters = self
            .masters
            .iter()
            .filter_map(|master| master.poll_timeout(self.command_timeout));
        let beat = self.next_beat();
        let guide = self.guide.as_ref().and_then(Guide::poll_timeout);
        let times = [deadline, checks, beat, guide, self.next_resume()];
        masters.chain(times.into_iter().flatten()).min()
    }

    /// It is as late as that.
    pub(in crate::log) fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        self.give_up_late_ones();
        self.drop_dead_links();
        self.keep_links_up();
        self.resume_if_due();
        self.beat_if_due();
        self.check_heads_if_due();
    }

    /// Puts what came since the last call on its way; what appends one behind the other, so that it can be one call.
    pub(in crate::log) fn send_all(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        for &bucket in &listed {
            self.shelf(bucket).is_listed = false;
            self.send_reads(bucket);
        }
        for &bucket in &listed {
            self.send_appends(bucket);
        }
        for &bucket in &listed {
            self.send_marks(bucket);
        }
        self.ask_for_copies();
    }

    /// Moves the replies since the last call.
    pub(in crate::log) fn take_replies(&mut self, replies: &mut Vec<Reply<C>>) {
        replies.append(&mut self.replies);
    }

    /// Whether nobody waits for anything.
    pub(in crate::log) fn is_idle(&self) -> bool {
        let is_left = !self.leaves || self.masters.iter().all(Master::is_silent);
        self.waiting.is_empty() && self.reading == 0 && is_left
    }

    pub(super) fn shelf(&mut self, bucket: Bucket) -> &mut Shelf<C> {
        &mut self.shelves[usize::from(bucket.number())]
    }

    /// There is something to send of a bucket.
    pub(super) fn list(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        if !std::mem::replace(&mut shelf.is_listed, true) {
            self.listed.push(bucket);
        }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(super) fn new_epoch(&mut self) -> Epoch {
        Epoch::new(self.random.random())
    }

    pub(super) fn next_link(&mut self) -> Link {
        self.links += 1;
        Link(self.links)
    }
}

impl<C> Default for Shelf<C> {
    fn default() -> Self {
        Self {
            master: None,
            moves_to: None,
            asked: 0,
            is_paused: false,
            is_deaf: false,
            run: Run::Unknown,
            greeting: Greeting::default(),
            queue: VecDeque::new(),
            batches: 0,
            returned: Vec::new(),
            pages: 0,
            reads: VecDeque::new(),
            logs: HashMap::default(),
            ahead: Vec::new(),
            marks: HashMap::default(),
            seen: Seen::default(),
            is_listed: false,
        }
    }
}

//! The links to each master: one for commands, one for announcements. Each comes back by itself, and one whose answers are overdue is
//! dropped, so that an answer never belongs to another command.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::copies::Copies;
use super::core::{Ask, Core, Hear, Heard, Hello, Said};
use super::reads::Reading;
use super::runs::{Greeting, Run};
use crate::clock::Now;
use crate::ids::LogName;
use crate::log::remote::{Action, Link, Target};
use crate::log::shared::{Answer, Bucket, Failure};

/// How long to wait at most before the first time that a link is opened again; twice as long each time.
const RETRY_FIRST: Duration = Duration::from_millis(100);

/// How long at most. Nodes wait for each other for 3 s before they take a Redis that was restarted for one that has lost something: by
/// then each must have come back, also if its first try met one that was still loading, or stood still.
const RETRY_MAX: Duration = Duration::from_millis(500);

/// A link of announcements that was silent for so long is asked whether anybody is there.
const SILENT_MAX: Duration = Duration::from_secs(3);

/// It must say so in this time.
const PONG_MAX: Duration = Duration::from_secs(2);

/// A process of Redis that takes what is appended, and its links.
#[derive(Debug)]
pub(super) struct Master<C> {
    pub(super) target: Target,
    pub(super) commands: Way,
    /// What was asked and is not answered, in order.
    pub(super) sent: VecDeque<Sent<C>>,
    /// How many of those the link has taken.
    pub(super) taken: usize,
    pub(super) hello: Option<Hello>,
    pub(super) greeting: Greeting,
    pub(super) copies: Copies,
    pub(super) announcements: Way,
    pub(super) hears: VecDeque<Hear>,
    /// Since when it has been silent, and whether it was asked.
    pub(super) heard_at: Instant,
    pub(super) pinged: bool,
}

/// A link that is wanted.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) link: Option<Link>,
    pub(super) is_open: bool,
    retry_at: Instant,
    /// How often it was tried in vain.
    attempts: u32,
}

/// What was asked, and what for.
#[derive(Debug)]
pub(super) struct Sent<C> {
    pub(super) ask: Ask,
    pub(super) purpose: Purpose<C>,
    pub(super) at: Instant,
}

/// What an answer is for.
#[derive(Debug)]
pub(super) enum Purpose<C> {
    Greet(Bucket),
    Vouch(Bucket),
    Open(Bucket),
    /// The numbers of the messages.
    Append(Bucket, Vec<u64>),
    Copies,
    Page(Box<Reading<C>>),
    /// To go on with what is announced of a log, as long as its number is this.
    Fill(LogName, u64),
    Heads(Bucket),
    Mark,
    Beat,
}

impl Way {
    const fn new(now: Instant) -> Self {
        Self {
            link: None,
            is_open: false,
            retry_at: now,
            attempts: 0,
        }
    }

    /// It works.
    pub(super) const fn works(&mut self) {
        self.attempts = 0;
    }
}

impl<C> Master<C> {
    pub(super) fn new(target: Target, now: Instant) -> Self {
        Self {
            target,
            commands: Way::new(now),
            sent: VecDeque::new(),
            taken: 0,
            hello: None,
            greeting: Greeting::default(),
            copies: Copies::default(),
            announcements: Way::new(now),
            hears: VecDeque::new(),
            heard_at: now,
            pinged: false,
        }
    }

    pub(super) fn poll_timeout(&self, command_timeout: Duration) -> Option<Instant> {
        let retry = |way: &Way| way.link.is_none().then_some(way.retry_at);
        let overdue = self.sent.front().map(|sent| sent.at + command_timeout);
        let limit = if self.pinged { PONG_MAX } else { SILENT_MAX };
        let silent = self.announcements.is_open.then(|| self.heard_at + limit);
        let retries = [retry(&self.commands), retry(&self.announcements)];
        let times = retries.into_iter().chain([overdue, silent]);
        times.flatten().min()
    }

    /// Whether nothing is asked that is not answered.
    pub(super) fn is_silent(&self) -> bool {
        self.sent.is_empty()
    }
}

impl<C> Core<C> {
    /// Opens the links that there are not, when it is time to.
    pub(super) fn keep_links_up(&mut self) {
        for index in 0..self.masters.len() {
            for is_commands in [true, false] {
                let link = Link(self.links + 1);
                let now = self.now.instant;
                let master = &mut self.masters[index];
                let target = master.target.clone();
                let way = master.way(is_commands);
                if way.link.is_none() && way.retry_at <= now {
                    way.link = Some(link);
                    self.actions.push_back(Action::Open(link, target));
                    self.next_link();
                }
            }
        }
    }

    /// Which master a link goes to, and whether it is the one for commands.
    pub(in crate::log) fn way_of(&self, link: Link) -> Option<(usize, bool)> {
        self.masters.iter().enumerate().find_map(|(index, master)| {
            if master.commands.link == Some(link) {
                return Some((index, true));
            }
            (master.announcements.link == Some(link)).then_some((index, false))
        })
    }

    /// A link of commands is ready for them.
    pub(in crate::log) fn commands_ready(&mut self, link: Link, hello: Hello, now: Now) {
        self.now = now;
        if let Some((index, true)) = self.way_of(link) {
            self.note_clock(hello.unix_ms);
            self.masters[index].commands.is_open = true;
            self.masters[index].hello = Some(hello);
            self.greet_all(index);
        }
    }

    /// A link of announcements is ready for what it is to hear.
    pub(in crate::log) fn announcements_ready(&mut self, link: Link, now: Now) {
        self.now = now;
        let Some((index, false)) = self.way_of(link) else {
            return;
        };
        let shelves = self.shelves.iter();
        let shelves = shelves.filter(|shelf| shelf.master == Some(index));
        let logs = shelves.flat_map(|shelf| &shelf.logs);
        let watched = logs.filter(|(_, log)| log.is_watched());
        let names: Vec<LogName> = watched.map(|(name, _)| name.clone()).collect();
        let master = &mut self.masters[index];
        master.announcements.is_open = true;
        master.announcements.works();
        (master.heard_at, master.pinged) = (now.instant, false);
        let parts = names.chunks(256).map(|part| Hear::Subscribe(part.to_vec()));
        master.hears = parts.collect();
    }

    /// A link ended, or could not be opened.
    pub(in crate::log) fn closed(&mut self, link: Link, now: Now) {
        self.now = now;
        if let Some((index, is_commands)) = self.way_of(link) {
            self.down(index, is_commands);
        }
    }

    /// Ends a link that is of no use; it is opened again later.
    pub(in crate::log) fn drop_link(&mut self, index: usize, is_commands: bool) {
        let way = self.masters[index].way(is_commands);
        if let Some(link) = way.link {
            self.actions.push_back(Action::Close(link));
            self.down(index, is_commands);
        }
    }

    fn down(&mut self, index: usize, is_commands: bool) {
        let now = self.now.instant;
        let way = self.masters[index].way(is_commands);
        (way.link, way.is_open) = (None, false);
        let limit = RETRY_MAX.min(RETRY_FIRST * (1 << way.attempts.min(8)));
        way.attempts += 1;
        // The first time at once, nearly: most links end because somebody wanted that. Nodes do not come all together.
        let wait = limit.mul_f64(self.random.random::<f64>());
        self.masters[index].way(is_commands).retry_at = now + wait;
        if is_commands {
            self.commands_lost(index);
        } else {
            self.masters[index].hears.clear();
        }
    }

    /// What was asked is not answered any more. What Redis does with it is not known, if it was sent.
    fn commands_lost(&mut self, index: usize) {
        let master = &mut self.masters[index];
        let taken = std::mem::take(&mut master.taken);
        master.hello = None;
        let sent = std::mem::take(&mut master.sent);
        self.no_greeting(index);
        for (_, shelf) in self.shelves_of(index) {
            shelf.run = Run::Unknown;
            (shelf.batches, shelf.pages) = (0, 0);
        }
        self.copies_lost(index);
        for (place, sent) in sent.into_iter().enumerate() {
            match (sent.purpose, sent.ask) {
                (Purpose::Append(bucket, numbers), Ask::Command(command)) => {
                    self.batch_lost(bucket, numbers, command, place < taken);
                }
                (Purpose::Page(reading), _) => self.read_again(*reading),
                (Purpose::Fill(log, number), _) => self.fill_lost(&log, number),
                (Purpose::Mark, Ask::Command(command)) => self.marks_lost(command),
                _ => {}
            }
        }
    }

    /// The buckets that a master has.
    pub(super) fn shelves_of(
        &mut self,
        index: usize,
    ) -> impl Iterator<Item = (Bucket, &mut super::core::Shelf<C>)> {
        Bucket::all()
            .zip(&mut self.shelves)
            .filter(move |(_, shelf)| shelf.master == Some(index))
    }

    /// Asks a bucket's master, if it is there.
    pub(super) fn ask(&mut self, bucket: Bucket, ask: Ask, purpose: Purpose<C>) {
        if let Some(index) = self.shelf(bucket).master {
            self.ask_master(index, ask, purpose);
        }
    }

    pub(super) fn ask_master(&mut self, index: usize, ask: Ask, purpose: Purpose<C>) {
        let at = self.now.instant;
        let sent = Sent { ask, purpose, at };
        self.traffic.commands += 1;
        self.masters[index].sent.push_back(sent);
    }

    /// The next thing that a link of commands is to send.
    pub(in crate::log) fn take_ask(&mut self, link: Link) -> Option<&Ask> {
        let (index, true) = self.way_of(link)? else {
            return None;
        };
        let master = &mut self.masters[index];
        let sent = master.sent.get(master.taken)?;
        master.taken += 1;
        Some(&sent.ask)
    }

    /// What a link of announcements is to send.
    pub(in crate::log) fn take_hear(&mut self, link: Link) -> Option<Hear> {
        let (index, false) = self.way_of(link)? else {
            return None;
        };
        self.masters[index].hears.pop_front()
    }

    /// What the next thing that a link of commands brings is the answer to.
    pub(in crate::log) fn asked(&self, link: Link) -> Option<&Ask> {
        let (index, true) = self.way_of(link)? else {
            return None;
        };
        let master = &self.masters[index];
        let sent = master.sent.front().filter(|_| master.taken > 0);
        sent.map(|sent| &sent.ask)
    }

    /// A link of commands brings the answer to the oldest that was asked.
    pub(in crate::log) fn said(&mut self, link: Link, said: Said, now: Now) {
        self.now = now;
        let Some((index, true)) = self.way_of(link) else {
            return;
        };
        let master = &mut self.masters[index];
        let Some(sent) = master.sent.pop_front().filter(|_| master.taken > 0) else {
            return self.drop_link(index, true);
        };
        master.taken -= 1;
        let took = now.instant.saturating_duration_since(sent.at);
        self.traffic.round_trips.add(took);
        match said {
            Said::Waited(is_enough) => self.copies_counted(index, is_enough),
            Said::Answer(Answer::Failed(failure)) => self.failed(index, sent, &failure),
            Said::Answer(answer) => self.answered(index, sent, answer),
        }
    }

    fn answered(&mut self, index: usize, sent: Sent<C>, answer: Answer) {
        match (sent.purpose, answer) {
            (Purpose::Greet(bucket), Answer::Run(run)) => self.greeted(index, bucket, run),
            (Purpose::Open(bucket), Answer::Run(run)) => self.run_told(bucket, run),
            (Purpose::Vouch(_), Answer::Broken(_)) => self.vouched(index),
            (Purpose::Append(bucket, numbers), Answer::Appended(appended)) => {
                let Ask::Command(command) = sent.ask else {
                    return;
                };
                self.batch_placed(bucket, numbers, command, &appended);
            }
            (Purpose::Page(reading), Answer::Page(page)) => self.page_read(*reading, page),
            (Purpose::Fill(log, number), Answer::Page(page)) => self.filled(&log, number, page),
            (Purpose::Heads(bucket), Answer::Heads(heads)) => {
                let Ask::Command(command) = sent.ask else {
                    return;
                };
                self.heads_checked(bucket, command, &heads);
            }
            (Purpose::Mark, Answer::Done) => {}
            (Purpose::Beat, Answer::Nodes(nodes)) => self.nodes_told(&nodes),
            (purpose, _) => {
                // What answers another question is out of step.
                let at = self.now.instant;
                let ask = sent.ask;
                let master = &mut self.masters[index];
                master.sent.push_front(Sent { ask, purpose, at });
                master.taken += 1;
                self.drop_link(index, true);
            }
        }
    }

    /// Redis did not do it.
    fn failed(&mut self, index: usize, sent: Sent<C>, failure: &Failure) {
        let ends_link = match failure {
            Failure::Moved(_) | Failure::NoScript => true,
            Failure::Stale => false,
            Failure::Refused(_) => is_about_runs(&sent.purpose),
            Failure::Unable(what) => is_about_runs(&sent.purpose) || is_elsewhere(what),
        };
        match (sent.purpose, sent.ask) {
            (Purpose::Append(bucket, numbers), Ask::Command(command)) => {
                let is_again = ends_link || *failure == Failure::Stale;
                self.batch_refused(bucket, numbers, command, is_again);
                if *failure == Failure::Stale {
                    self.run_changed(index, bucket);
                }
            }
            (Purpose::Page(reading), _) if ends_link => self.read_again(*reading),
            (Purpose::Page(reading), _) => self.page_refused(*reading),
            (Purpose::Fill(log, number), _) => self.fill_lost(&log, number),
            (Purpose::Vouch(bucket), _) if *failure == Failure::Stale => {
                self.vouched_in_vain(index, bucket);
            }
            (Purpose::Open(bucket), _) if *failure == Failure::Stale => {
                self.run_changed(index, bucket);
            }
            (Purpose::Beat, _) => self.nodes_not_told(),
            (Purpose::Copies, _) => self.copies_refused(index, failure),
            (_, _) => {}
        }
        if ends_link {
            self.drop_link(index, true);
        }
    }

    /// A link of announcements brings something.
    pub(in crate::log) fn heard(&mut self, link: Link, heard: Heard, now: Now) {
        self.now = now;
        let Some((index, false)) = self.way_of(link) else {
            return;
        };
        let master = &mut self.masters[index];
        (master.heard_at, master.pinged) = (now.instant, false);
        match heard {
            Heard::Subscribed(log) => self.check_head(&log),
            Heard::Announced(log, head) => self.announced(&log, Some(head)),
            Heard::Broken(log) => self.announced(&log, None),
            Heard::Pong => {}
        }
    }

    /// Tells the link of announcements what to hear.
    pub(super) fn hear(&mut self, bucket: Bucket, log: &LogName, is_wanted: bool) {
        let Some(index) = self.shelf(bucket).master else {
            return;
        };
        let master = &mut self.masters[index];
        if !master.announcements.is_open {
            return;
        }
        match (master.hears.back_mut(), is_wanted) {
            (Some(Hear::Subscribe(logs)), true) | (Some(Hear::Unsubscribe(logs)), false) => {
                logs.push(log.clone());
            }
            (_, true) => master.hears.push_back(Hear::Subscribe(vec![log.clone()])),
            (_, false) => master.hears.push_back(Hear::Unsubscribe(vec![log.clone()])),
        }
    }

    /// Ends links whose answers are overdue, and asks those that are silent.
    pub(super) fn drop_dead_links(&mut self) {
        let now = self.now.instant;
        for index in 0..self.masters.len() {
            let master = &mut self.masters[index];
            let overdue = master
                .sent
                .front()
                .map(|sent| sent.at + self.command_timeout);
            let is_silent = |limit| master.announcements.is_open && master.heard_at + limit <= now;
            if master.pinged && is_silent(PONG_MAX) {
                self.drop_link(index, false);
            } else if !master.pinged && is_silent(SILENT_MAX) {
                (master.heard_at, master.pinged) = (now, true);
                master.hears.push_back(Hear::Ping);
            }
            if overdue.is_some_and(|overdue| overdue <= now) {
                self.drop_link(index, true);
            }
        }
    }

    /// Processes of Redis that were told what this node has seen.
    pub(super) fn vouched_runs(&self) -> Vec<String> {
        let tokens = self.masters.iter();
        let tokens: HashSet<&String> = tokens
            .filter_map(|master| master.greeting.vouched.as_ref())
            .collect();
        tokens.into_iter().cloned().collect()
    }
}

impl<C> Master<C> {
    const fn way(&mut self, is_commands: bool) -> &mut Way {
        if is_commands {
            &mut self.commands
        } else {
            &mut self.announcements
        }
    }
}

/// Without its answer a link is of no use.
const fn is_about_runs<C>(purpose: &Purpose<C>) -> bool {
    matches!(
        purpose,
        Purpose::Greet(_) | Purpose::Vouch(_) | Purpose::Open(_)
    )
}

/// Whether what Redis said means that it is not there yet, or not the one any more that takes messages.
fn is_elsewhere(what: &str) -> bool {
    ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN"]
        .iter()
        .any(|code| what.starts_with(code))
}

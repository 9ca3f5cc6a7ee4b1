//! The links to each master: one for commands, one for announcements. Each comes back by itself, and one whose answers are overdue is
//! dropped, so that an answer never belongs to another command.

use std::time::Duration;

use rand::RngExt as _;

use super::core::{Ask, Core, Hear, Heard, Hello, Said};
use super::masters::{PONG_MAX, Purpose, SILENT_MAX, Sent};
use crate::clock::Now;
use crate::ids::LogName;
use crate::log::remote::{Action, Link};
use crate::log::shared::{Answer, Bucket, Failure};

/// How long to wait at most before the first time that a link is opened again; twice as long each time.
const RETRY_FIRST: Duration = Duration::from_millis(100);

/// How long at most. Nodes wait for each other for 3 s before they take a Redis that was restarted for one that has lost something: by
/// then each must have come back, also if its first try met one that was still loading, or stood still.
const RETRY_MAX: Duration = Duration::from_millis(500);

impl<C> Core<C> {
    /// Opens the links that there are not, when it is time to.
    pub(super) fn keep_links_up(&mut self) {
        self.keep_guide();
        for index in 0..self.masters.len() {
            for is_commands in [true, false] {
                let link = Link(self.links + 1);
                let now = self.now.instant;
                let master = &mut self.masters[index];
                let Some(target) = master.target.clone().filter(|_| master.is_known()) else {
                    continue;
                };
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
        for (_, shelf) in self.shelves_of(index) {
            shelf.is_deaf = false;
        }
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
        let attempts = way.attempts;
        way.attempts += 1;
        // The first time at once, nearly: most links end because somebody wanted that. Nodes do not come all together.
        let wait = limit.mul_f64(self.random.random::<f64>());
        self.masters[index].way(is_commands).retry_at = now + wait;
        if is_commands {
            self.commands_lost(index);
            self.doubt_master(index, attempts);
        } else {
            self.masters[index].hears.clear();
            if self.is_split {
                // Perhaps it refused since it has not what it was to tell of.
                self.ask_guide();
            }
        }
    }

    /// What was asked is not answered any more. What Redis does with it is not known, if it was sent.
    pub(super) fn commands_lost(&mut self, index: usize) {
        let master = &mut self.masters[index];
        let taken = std::mem::take(&mut master.taken);
        master.hello = None;
        let sent = std::mem::take(&mut master.sent);
        self.no_greeting(index);
        self.copies_lost(index);
        for sent in &sent {
            self.is_answered(&sent.purpose);
        }
        for (place, sent) in sent.into_iter().enumerate() {
            match (sent.purpose, sent.ask) {
                (Purpose::Append(bucket, numbers), Ask::Command(command)) => {
                    self.batch_lost(bucket, numbers, command, place < taken);
                }
                (Purpose::Page(reading), _) => self.page_lost(*reading),
                (Purpose::Fill(log, number), _) => self.fill_lost(&log, number),
                (Purpose::Mark(_), Ask::Command(command)) => self.marks_lost(command),
                (Purpose::Greet(bucket) | Purpose::Vouch(bucket), _) => {
                    self.greeting_lost(index, bucket);
                }
                (Purpose::Beat, _) => self.nodes_not_told(),
                _ => {}
            }
        }
        for bucket in Bucket::all() {
            self.end_move(bucket);
        }
    }

    /// What is known of a bucket's asks: one less is open.
    fn is_answered(&mut self, purpose: &Purpose<C>) {
        if let Some(bucket) = purpose.bucket() {
            let shelf = self.shelf(bucket);
            shelf.asked = shelf.asked.saturating_sub(1);
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
        if let Some(bucket) = purpose.bucket() {
            self.shelf(bucket).asked += 1;
        }
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
        self.is_answered(&sent.purpose);
        let bucket = sent.purpose.bucket();
        match said {
            Said::Waited(is_enough) => self.copies_counted(index, is_enough),
            Said::Answer(Answer::Failed(failure)) => self.failed(index, sent, &failure),
            Said::Answer(answer) => self.answered(index, sent, answer),
        }
        if let Some(bucket) = bucket {
            self.end_move(bucket);
        }
    }

    fn answered(&mut self, index: usize, sent: Sent<C>, answer: Answer) {
        match (sent.purpose, answer) {
            (Purpose::Greet(bucket), Answer::Run(run)) => self.greeted(index, bucket, run),
            (Purpose::Open(bucket), Answer::Run(run)) => self.run_told(bucket, run),
            (Purpose::Vouch(bucket), Answer::Broken(_)) => self.vouched(bucket),
            (Purpose::Append(bucket, numbers), Answer::Appended(appended)) => {
                let Ask::Command(command) = sent.ask else {
                    return;
                };
                self.batch_placed(index, (bucket, numbers), command, &appended);
            }
            (Purpose::Page(reading), Answer::Page(page)) => self.page_read(*reading, page),
            (Purpose::Fill(log, number), Answer::Page(page)) => self.filled(&log, number, page),
            (Purpose::Heads(bucket), Answer::Heads(heads)) => {
                let Ask::Command(command) = sent.ask else {
                    return;
                };
                self.heads_checked(bucket, command, &heads);
            }
            (Purpose::Mark(_) | Purpose::Asking, Answer::Done) => {}
            (Purpose::Beat, Answer::Nodes(nodes)) => self.nodes_told(&nodes),
            (purpose, _) => {
                // What answers another question is out of step.
                let at = self.now.instant;
                let ask = sent.ask;
                if let Some(bucket) = purpose.bucket() {
                    self.shelf(bucket).asked += 1;
                }
                let master = &mut self.masters[index];
                master.sent.push_front(Sent { ask, purpose, at });
                master.taken += 1;
                self.drop_link(index, true);
            }
        }
    }

    /// Redis did not do it.
    fn failed(&mut self, index: usize, sent: Sent<C>, failure: &Failure) {
        if self.is_about_places(failure) {
            return self.is_elsewhere(index, sent, failure);
        }
        let ends_link = match failure {
            Failure::Moved(_) | Failure::Asked(_) | Failure::NoScript => true,
            Failure::Stale => false,
            Failure::Refused(_) => is_about_runs(&sent.purpose),
            Failure::Unable(what) => is_about_runs(&sent.purpose) || is_of_no_use(what),
        };
        let is_stale = *failure == Failure::Stale;
        match sent.purpose {
            Purpose::Append(bucket, _) if is_stale => {
                self.take_back(sent, true);
                self.run_changed(bucket);
            }
            Purpose::Vouch(bucket) if is_stale => self.vouched_in_vain(bucket),
            Purpose::Open(bucket) if is_stale => self.run_changed(bucket),
            Purpose::Copies => self.copies_refused(index, failure),
            Purpose::Mark(_) => {}
            Purpose::Greet(_)
            | Purpose::Vouch(_)
            | Purpose::Open(_)
            | Purpose::Append(..)
            | Purpose::Page(_)
            | Purpose::Fill(..)
            | Purpose::Heads(_)
            | Purpose::Beat
            | Purpose::Asking => self.take_back(sent, ends_link),
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
            Heard::Unsubscribed(log) => self.is_heard_no_more(index, &log),
            Heard::Pong => {}
        }
    }

    /// Tells the link of announcements what to hear.
    pub(super) fn hear(&mut self, bucket: Bucket, log: &LogName, is_wanted: bool) {
        if let Some(index) = self.shelf(bucket).master {
            self.masters[index].hear(log, is_wanted);
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
}

/// Without its answer a link is of no use.
const fn is_about_runs<C>(purpose: &Purpose<C>) -> bool {
    matches!(
        purpose,
        Purpose::Greet(_) | Purpose::Vouch(_) | Purpose::Open(_)
    )
}

/// Whether what Redis said means that it is not there yet, or not the one any more that takes messages.
fn is_of_no_use(what: &str) -> bool {
    ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN"]
        .iter()
        .any(|code| what.starts_with(code))
}

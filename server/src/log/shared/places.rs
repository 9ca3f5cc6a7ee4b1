//! Which master has a bucket, and how it comes to another one: in a cluster, where buckets move and masters fail alone. A bucket that
//! moves is asked nothing until all that its last master was asked of it is answered, or cannot be any more: so what is said of a log
//! is true in the order in which it comes, and no message overtakes another.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::core::{Ask, Core, Shelf};
use super::guide::Guide;
use super::masters::{Master, Purpose, Sent};
use super::runs::Run;
use super::watched::Log;
use crate::ids::LogName;
use crate::log::remote::{Action, Target};
use crate::log::shared::{Bucket, Failure};

/// Masters at once: no more can have a bucket.
const MASTERS_MAX: usize = Bucket::COUNT;

/// A master that has no bucket keeps its links for so long: one that is to get a bucket is asked about it first.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// How long to wait at most before a bucket is asked again that is neither here nor there.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// And at least.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// What a node of a cluster says that serves nothing.
const DOWN: &str = "CLUSTERDOWN";

impl<C> Shelf<C> {
    /// Whether its bucket may be asked for what is in it.
    pub(super) const fn is_open(&self) -> bool {
        let is_here = !self.is_paused && self.moves_to.is_none();
        // What was seen is told before anything is appended.
        matches!(self.run, Run::Open(_)) && is_here && self.greeting.is_over()
    }
}

impl<C> Core<C> {
    /// Says of each bucket where it is.
    pub(super) fn parts_are_at(&mut self, parts: Vec<(Bucket, Target)>) {
        if !self.is_split {
            return;
        }
        let host = self.guide.as_ref().and_then(Guide::host).map(str::to_owned);
        for (bucket, mut target) in parts {
            if target.host.is_empty() {
                // As it says of itself that does not know its name.
                target.host = host.clone().unwrap_or_default();
            }
            if let Some(index) = self.master_at(&target) {
                self.move_bucket(bucket, index);
                self.hear_again(bucket, index);
                self.greet_again(bucket, index);
            }
        }
        self.leave_idle_masters();
        let targets = self.masters.iter();
        let targets = targets.filter_map(|master| master.target.clone());
        let targets: Vec<Target> = targets.collect();
        if let Some(guide) = &mut self.guide {
            guide.learn(targets);
        }
    }

    /// The master at a place, a new one if there is none yet; `None`: there are too many.
    fn master_at(&mut self, target: &Target) -> Option<usize> {
        let mut masters = self.masters.iter();
        if let Some(index) = masters.position(|master| master.target.as_ref() == Some(target)) {
            return Some(index);
        }
        let now = self.now.instant;
        let master = Master::new(Some(target.clone()), now);
        let mut masters = self.masters.iter();
        if let Some(index) = masters.position(|master| master.target.is_none()) {
            self.masters[index] = master;
            return Some(index);
        }
        if self.masters.len() >= MASTERS_MAX {
            return None;
        }
        self.masters.push(master);
        Some(self.masters.len() - 1)
    }

    /// Lets go of masters that have had no bucket for a while.
    fn leave_idle_masters(&mut self) {
        let now = self.now.instant;
        for index in 0..self.masters.len() {
            let mut shelves = self.shelves.iter();
            if shelves.any(|shelf| shelf.master == Some(index) || shelf.moves_to == Some(index)) {
                self.masters[index].used_at = now;
            } else if self.masters[index].used_at + IDLE_MAX <= now {
                self.leave_master(index);
                self.masters[index].target = None;
            }
        }
    }

    /// Ends a master's links, without any doubt that it is one.
    pub(super) fn leave_master(&mut self, index: usize) {
        for is_commands in [true, false] {
            let way = self.masters[index].way(is_commands);
            if let Some(link) = way.leave() {
                self.actions.push_back(Action::Close(link));
            }
        }
        self.masters[index].hears.clear();
        self.commands_lost(index);
    }

    // ---- buckets that move ----

    /// A bucket is with another master, as somebody says.
    pub(super) fn move_bucket(&mut self, bucket: Bucket, to: usize) {
        let shelf = self.shelf(bucket);
        if shelf.moves_to.unwrap_or(to) == to && shelf.master == Some(to) {
            return;
        }
        if shelf.master == Some(to) {
            // It has come back before it was gone.
            shelf.moves_to = None;
            return self.pause(bucket);
        }
        shelf.run = Run::Unknown;
        shelf.moves_to = Some(to);
        self.end_move(bucket);
    }

    /// Goes on with a bucket at its new master, if nothing is open at the last one.
    pub(super) fn end_move(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        let Some(to) = shelf.moves_to.filter(|_| shelf.asked == 0) else {
            return;
        };
        let from = shelf.master.replace(to);
        shelf.moves_to = None;
        (shelf.is_paused, shelf.is_deaf) = (false, false);
        shelf.run = Run::Unknown;
        shelf.greeting.forget();
        if bucket.number() == 0 {
            self.peers_move();
        }
        for log in &self.watched_in(bucket) {
            if let Some(from) = from {
                self.masters[from].hear(log, false);
            }
            self.masters[to].hear(log, true);
        }
        self.greet(to, bucket);
    }

    fn watched_in(&mut self, bucket: Bucket) -> Vec<LogName> {
        let logs = self.shelf(bucket).logs.iter();
        let watched = logs.filter(|(_, log)| log.is_watched());
        watched.map(|(name, _)| name.clone()).collect()
    }

    /// A master tells no more of a log: as it was asked, or since the log's bucket is not there any more.
    pub(super) fn is_heard_no_more(&mut self, index: usize, log: &LogName) {
        let shelf = self.shelf(Bucket::of(log));
        let is_watched = |log: &LogName| {
            let log = shelf.logs.get(log.as_str());
            log.is_some_and(Log::is_watched)
        };
        if shelf.master == Some(index) && is_watched(log) {
            shelf.is_deaf = true;
            self.ask_guide();
        }
    }

    /// A bucket is where it was, though its logs were not told of any more meanwhile.
    fn hear_again(&mut self, bucket: Bucket, index: usize) {
        let shelf = self.shelf(bucket);
        if shelf.master == Some(index) && std::mem::take(&mut shelf.is_deaf) {
            for log in &self.watched_in(bucket) {
                self.masters[index].hear(log, true);
            }
        }
    }

    /// A bucket is where it was, and was left without a greeting by whatever was asked elsewhere for it.
    fn greet_again(&mut self, bucket: Bucket, index: usize) {
        let shelf = self.shelf(bucket);
        let is_idle = !shelf.is_paused && shelf.moves_to.is_none() && shelf.greeting.is_over();
        if is_idle && shelf.master == Some(index) && shelf.run == Run::Unknown {
            self.greet(index, bucket);
        }
    }

    // ---- buckets that wait ----

    /// Asks a bucket's master nothing of it for a moment.
    pub(super) fn pause(&mut self, bucket: Bucket) {
        let wait = PAUSE_MIN + (PAUSE_MAX - PAUSE_MIN).mul_f64(self.random.random::<f64>());
        let at = self.now.instant + wait;
        self.shelf(bucket).is_paused = true;
        self.resume_at = Some(self.resume_at.map_or(at, |known| known.min(at)));
    }

    /// Asks those again that were asked nothing for a moment.
    pub(super) fn resume_if_due(&mut self) {
        if self.resume_at.is_none_or(|at| at > self.now.instant) {
            return;
        }
        self.resume_at = None;
        for bucket in Bucket::all() {
            let shelf = self.shelf(bucket);
            if !std::mem::take(&mut shelf.is_paused) {
                continue;
            }
            if shelf.moves_to.is_some() {
                continue;
            }
            match (shelf.run, shelf.master) {
                // Something that was asked before is not answered yet.
                _ if !shelf.greeting.is_over() => self.pause(bucket),
                (Run::Unknown, Some(index)) => self.greet(index, bucket),
                (Run::Open(_), _) => self.is_open_now(bucket),
                (Run::Unknown | Run::Pending(_), _) => {}
            }
        }
    }

    // ---- what a cluster says instead of an answer ----

    /// Whether a failure is about where a bucket is, or that it is nowhere; then what was asked is asked there, or later.
    pub(super) fn is_about_places(&self, failure: &Failure) -> bool {
        let is_passing = |what: &str| {
            let mut codes = ["TRYAGAIN", DOWN].iter();
            codes.any(|code| what.starts_with(code))
        };
        self.is_split
            && match failure {
                Failure::Moved(_) | Failure::Asked(_) => true,
                Failure::Unable(what) => is_passing(what),
                Failure::Stale | Failure::NoScript | Failure::Refused(_) => false,
            }
    }

    /// A bucket is elsewhere, or nowhere for now.
    pub(super) fn is_elsewhere(&mut self, index: usize, sent: Sent<C>, failure: &Failure) {
        let Some(bucket) = sent.purpose.bucket() else {
            if matches!(sent.purpose, Purpose::Copies) {
                self.copies_refused(index, failure);
            }
            return;
        };
        match failure {
            Failure::Moved(to) => {
                let to = self.named(index, to);
                self.take_back(sent, true);
                self.ask_guide();
                let shelf = self.shelf(bucket);
                let is_there = shelf.master == to && shelf.moves_to.is_none();
                match to.filter(|_| !is_there) {
                    Some(to) => self.move_bucket(bucket, to),
                    // Who named another, or itself, is not believed at once.
                    None => self.pause(bucket),
                }
            }
            Failure::Asked(to) => match self.named(index, to) {
                Some(to) if self.masters[to].hello.is_some() && to != index => {
                    self.ask_once(to, sent);
                }
                Some(_) | None => self.wait_with(bucket, sent),
            },
            Failure::Unable(what) => {
                if what.starts_with(DOWN) {
                    // Perhaps only this part of the cluster is, with whom we ask.
                    self.doubt_guide("the cluster is down where it says that something is");
                }
                self.ask_guide();
                self.wait_with(bucket, sent);
            }
            Failure::Stale | Failure::NoScript | Failure::Refused(_) => {
                self.wait_with(bucket, sent);
            }
        }
    }

    fn wait_with(&mut self, bucket: Bucket, sent: Sent<C>) {
        self.take_back(sent, true);
        self.pause(bucket);
    }

    /// The master that another one names; without a host it is at the same.
    fn named(&mut self, index: usize, to: &Target) -> Option<usize> {
        let mut to = to.clone();
        if to.host.is_empty() {
            to.host = self.masters[index].target.as_ref()?.host.clone();
        }
        self.master_at(&to)
    }

    /// Asks a master for a bucket that it is about to get, this once.
    fn ask_once(&mut self, to: usize, sent: Sent<C>) {
        self.masters[to].used_at = self.now.instant;
        if matches!(sent.purpose, Purpose::Append(..)) {
            self.masters[to].copies.asks = true;
        }
        let at = self.now.instant;
        for (ask, purpose) in [(Ask::Asking, Purpose::Asking), (sent.ask, sent.purpose)] {
            if let Some(bucket) = purpose.bucket() {
                self.shelf(bucket).asked += 1;
            }
            self.traffic.commands += 1;
            self.masters[to].sent.push_back(Sent { ask, purpose, at });
        }
    }

    /// What was asked is not done: whoever wants it is told, or it is asked again. `is_again`: it was not done for certain.
    pub(super) fn take_back(&mut self, sent: Sent<C>, is_again: bool) {
        match (sent.purpose, sent.ask) {
            (Purpose::Append(bucket, numbers), Ask::Command(command)) => {
                self.batch_refused(bucket, numbers, command, is_again);
            }
            (Purpose::Page(reading), _) if is_again => self.page_lost(*reading),
            (Purpose::Page(reading), _) => self.page_refused(*reading),
            (Purpose::Fill(log, number), _) => self.fill_lost(&log, number),
            (Purpose::Mark(_), Ask::Command(command)) if is_again => self.marks_lost(command),
            (Purpose::Greet(bucket) | Purpose::Vouch(bucket), _) => {
                self.not_greeted(bucket);
            }
            (Purpose::Beat, _) => self.nodes_not_told(),
            (_, _) => {}
        }
    }

    /// When a bucket is asked again.
    pub(super) const fn next_resume(&self) -> Option<Instant> {
        self.resume_at
    }
}

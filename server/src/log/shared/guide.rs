//! Who says where the masters are: Sentinels, or nodes of a cluster. One of them at a time has a link, and is asked over and over, at
//! once where a master's link has ended. One that does not answer in time, or does not know, is left for the next. Links to masters
//! that are there stay, whatever becomes of this one.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::core::Core;
use crate::clock::Now;
use crate::log::remote::{Action, Link, Target};
use crate::log::shared::Bucket;

/// How often it is asked where all is well. What it tells by itself comes sooner.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How often while a master is not there.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// In this time it answers, or it is left for the next.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How long to wait at most, once all were tried in vain, before they are tried again.
const ROUND_MAX: Duration = Duration::from_millis(500);

/// A master's link that was tried so often in vain is perhaps not to the master: another is asked.
const TRIES_MAX: u32 = 4;

/// One whose answers do not help is heard for so long at least.
const HEARD_MIN: Duration = Duration::from_secs(1);

/// Between two times that it is told that nobody says where the masters are.
const SILENCE_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Those who may be asked, and the one that is.
#[derive(Debug)]
pub(super) struct Guide {
    /// All of them.
    places: Vec<Target>,
    /// How many of them the operator has named; the others were learned of.
    named: usize,
    /// Which one is asked.
    at: usize,
    link: Option<Link>,
    is_ready: bool,
    /// Since when it may be asked.
    since: Instant,
    /// When the next one is tried.
    retry_at: Instant,
    /// How many were tried in vain, one after the other.
    attempts: u32,
    /// When it is asked again.
    ask_at: Instant,
    /// It is to be asked as soon as its link takes it.
    asks: bool,
    /// When it was asked what it has not answered yet.
    asked_at: Option<Instant>,
    /// What it answers was true before a link ended: it is asked once more.
    is_stale: bool,
    /// When it was last said that nobody answers.
    told_at: Option<Instant>,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) enum Told {
    /// Where the one master is that has everything.
    Primary(Target),
    /// The same, unasked: it has just taken another's place.
    Switched(Target),
    /// Where each bucket is, as far as it is anywhere.
    Parts(Vec<(Bucket, Target)>),
}

impl Guide {
    pub(super) fn new(places: Vec<Target>, now: Instant) -> Self {
        Self {
            named: places.len(),
            places,
            at: 0,
            link: None,
            is_ready: false,
            since: now,
            retry_at: now,
            attempts: 0,
            ask_at: now,
            asks: false,
            asked_at: None,
            is_stale: false,
            told_at: None,
        }
    }

    /// The host of the one that is asked.
    pub(super) fn host(&self) -> Option<&str> {
        let place = self.places.get(self.at % self.places.len().max(1));
        place.map(|place| place.host.as_str())
    }

    /// These may be asked, too.
    pub(super) fn learn(&mut self, targets: Vec<Target>) {
        self.places.truncate(self.named);
        for target in targets {
            if !self.places.contains(&target) {
                self.places.push(target);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.link.is_none() {
            return Some(self.retry_at);
        }
        let overdue = self.asked_at.map(|at| at + ANSWER_MAX);
        // While it is opened its driver says how long.
        overdue.or_else(|| (self.is_ready && !self.asks).then_some(self.ask_at))
    }
}

impl<C> Core<C> {
    /// Whether this is the link of who says where the masters are.
    pub(in crate::log) fn is_guide(&self, link: Link) -> bool {
        let guide = self.guide.as_ref();
        guide.is_some_and(|guide| guide.link == Some(link))
    }

    /// Opens its link, asks it, or leaves it for the next, when it is time to.
    pub(super) fn keep_guide(&mut self) {
        let now = self.now.instant;
        let link = Link(self.links + 1);
        let Some(guide) = &mut self.guide else {
            return;
        };
        if guide.link.is_none() {
            if guide.retry_at <= now
                && let Some(place) = guide.places.get(guide.at % guide.places.len().max(1))
            {
                guide.link = Some(link);
                let open = Action::Open(link, place.clone());
                self.actions.push_back(open);
                self.next_link();
            }
            return;
        }
        if guide.asked_at.is_some_and(|at| at + ANSWER_MAX <= now) {
            self.guide_fails("it does not answer in time");
        } else if guide.is_ready && guide.asked_at.is_none() && guide.ask_at <= now {
            guide.asks = true;
        }
    }

    /// Its link is ready for questions.
    pub(in crate::log) fn guide_ready(&mut self, link: Link, now: Now) {
        self.now = now;
        if let Some(guide) = self.guide.as_mut().filter(|it| it.link == Some(link)) {
            guide.is_ready = true;
            guide.since = now.instant;
            guide.asks = true;
        }
    }

    /// Whether its link is to ask now.
    pub(in crate::log) fn take_question(&mut self, link: Link) -> bool {
        let now = self.now.instant;
        let guide = self.guide.as_mut();
        let Some(guide) = guide.filter(|it| it.link == Some(link) && it.is_ready) else {
            return false;
        };
        let asks = std::mem::take(&mut guide.asks) && guide.asked_at.is_none();
        if asks {
            guide.asked_at = Some(now);
        }
        asks
    }

    /// Asks as soon as that can be: what it said before is perhaps not true any more.
    pub(super) fn ask_guide(&mut self) {
        if let Some(guide) = &mut self.guide {
            guide.is_stale |= guide.asked_at.is_some();
            guide.asks |= guide.is_ready && guide.asked_at.is_none();
        }
    }

    /// Its link has ended, or it is of no use: the next one is tried, after a while if all were.
    pub(in crate::log) fn guide_closed(&mut self, why: &str, now: Now) {
        self.now = now;
        let wait = ROUND_MAX.mul_f64(self.random.random::<f64>());
        let Some(guide) = &mut self.guide else {
            return;
        };
        (guide.link, guide.is_ready, guide.asks) = (None, false, false);
        (guide.asked_at, guide.is_stale) = (None, false);
        guide.at = (guide.at + 1) % guide.places.len().max(1);
        guide.attempts += 1;
        let is_round = (guide.attempts as usize).is_multiple_of(guide.places.len().max(1));
        guide.retry_at = now.instant + if is_round { wait } else { Duration::ZERO };
        let is_told = guide
            .told_at
            .is_some_and(|at| now.instant < at + SILENCE_TOLD_EVERY);
        if is_round && !is_told {
            guide.told_at = Some(now.instant);
            tracing::warn!(
                event = "primary_unknown",
                why,
                "nobody says where the primary of the logs is: links that are there stay, and new ones wait"
            );
        }
    }

    /// Ends its link.
    pub(in crate::log) fn guide_fails(&mut self, why: &str) {
        if let Some(link) = self.guide.as_ref().and_then(|guide| guide.link) {
            self.actions.push_back(Action::Close(link));
            self.guide_closed(why, self.now);
        }
    }

    /// It has answered, or says something by itself.
    pub(in crate::log) fn told(&mut self, link: Link, told: Told, now: Now) {
        self.now = now;
        if !self.is_guide(link) {
            return;
        }
        let is_sure = match &told {
            Told::Switched(_) => true,
            Told::Primary(_) | Told::Parts(_) => self.guide_answered(),
        };
        match told {
            Told::Primary(target) | Told::Switched(target) => self.primary_is_at(target, is_sure),
            Told::Parts(parts) => self.parts_are_at(parts),
        }
        self.keep_links_up();
    }

    /// Whether what it answers is true since the last link ended.
    fn guide_answered(&mut self) -> bool {
        let now = self.now.instant;
        let all_there = self.masters.iter().all(super::masters::Master::is_there);
        let Some(guide) = &mut self.guide else {
            return false;
        };
        guide.asked_at = None;
        if guide.told_at.take().is_some() {
            tracing::info!(
                event = "primary_known",
                "somebody says again where the primary of the logs is"
            );
        }
        guide.attempts = 0;
        let every = if all_there { ASK_EVERY } else { ASK_AGAIN };
        guide.ask_at = now + every;
        let is_stale = std::mem::take(&mut guide.is_stale);
        guide.asks = is_stale;
        !is_stale
    }

    /// A master's link has ended: whether it is still the master is asked, of another where this one says so in vain.
    pub(super) fn doubt_master(&mut self, index: usize, attempts: u32) {
        if self.guide.is_none() {
            return;
        }
        self.masters[index].is_certain = self.is_split;
        if attempts > 0 && attempts.is_multiple_of(TRIES_MAX) {
            self.doubt_guide("what it says is the primary is none, or cannot be reached");
        }
        self.ask_guide();
    }

    /// What it says does not help: another is asked, if there is one, and this one was heard for a while.
    pub(super) fn doubt_guide(&mut self, why: &str) {
        let is_old = self.guide.as_ref().is_some_and(|guide| {
            let is_heard = guide.is_ready && guide.since + HEARD_MIN <= self.now.instant;
            is_heard && guide.places.len() > 1
        });
        if is_old {
            self.guide_fails(why);
        }
    }

    /// The one master is there.
    fn primary_is_at(&mut self, target: Target, is_sure: bool) {
        if self.is_split || self.masters.is_empty() {
            return;
        }
        if self.masters[0].target.as_ref() != Some(&target) {
            tracing::info!(event = "primary_found", at = %target, "the logs have this primary");
            self.leave_master(0);
            self.masters[0].go_to(target, self.now.instant);
        }
        self.masters[0].is_certain = is_sure;
    }
}

//! A master: where it is, its two links, and what was asked over them and is not answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::copies::Copies;
use super::core::{Ask, Hear, Hello};
use super::reads::Reading;
use crate::ids::LogName;
use crate::log::remote::{Link, Target};
use crate::log::shared::Bucket;

/// A link of announcements that was silent for so long is asked whether anybody is there.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(3);

/// It must say so in this time.
pub(super) const PONG_MAX: Duration = Duration::from_secs(2);

/// A process of Redis that takes what is appended, and its links.
#[derive(Debug)]
pub(super) struct Master<C> {
    /// Where it is; `None` while nobody knows.
    pub(super) target: Option<Target>,
    /// It is there as far as anybody knows since its last link ended.
    pub(super) is_certain: bool,
    /// When it had a bucket, or was asked for one that it is to get.
    pub(super) used_at: Instant,
    pub(super) commands: Way,
    /// What was asked and is not answered, in order.
    pub(super) sent: VecDeque<Sent<C>>,
    /// How many of those the link has taken.
    pub(super) taken: usize,
    pub(super) hello: Option<Hello>,
    /// The process of which it was said why its logs are doubted.
    pub(super) doubted: Option<String>,
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
    pub(super) retry_at: Instant,
    /// How often it was tried in vain.
    pub(super) attempts: u32,
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
    Mark(Bucket),
    Beat,
    /// To nothing: the command behind it has its own.
    Asking,
}

impl<C> Purpose<C> {
    /// The bucket that it is about; who is there is kept with the first.
    pub(super) fn bucket(&self) -> Option<Bucket> {
        match self {
            Self::Greet(bucket)
            | Self::Vouch(bucket)
            | Self::Open(bucket)
            | Self::Append(bucket, _)
            | Self::Heads(bucket)
            | Self::Mark(bucket) => Some(*bucket),
            Self::Page(reading) => Some(Bucket::of(&reading.log)),
            Self::Fill(log, _) => Some(Bucket::of(log)),
            Self::Beat => Bucket::all().next(),
            Self::Copies | Self::Asking => None,
        }
    }
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

    /// Has no link any more: the one that it had.
    pub(super) const fn leave(&mut self) -> Option<Link> {
        self.is_open = false;
        self.link.take()
    }
}

impl<C> Master<C> {
    pub(super) fn new(target: Option<Target>, now: Instant) -> Self {
        Self {
            is_certain: target.is_some(),
            target,
            used_at: now,
            commands: Way::new(now),
            sent: VecDeque::new(),
            taken: 0,
            hello: None,
            doubted: None,
            copies: Copies::default(),
            announcements: Way::new(now),
            hears: VecDeque::new(),
            heard_at: now,
            pinged: false,
        }
    }

    pub(super) fn poll_timeout(&self, command_timeout: Duration) -> Option<Instant> {
        let is_known = self.is_known();
        let retry = |way: &Way| (is_known && way.link.is_none()).then_some(way.retry_at);
        let overdue = self.sent.front().map(|sent| sent.at + command_timeout);
        let limit = if self.pinged { PONG_MAX } else { SILENT_MAX };
        let silent = self.announcements.is_open.then(|| self.heard_at + limit);
        let retries = [retry(&self.commands), retry(&self.announcements)];
        let times = retries.into_iter().chain([overdue, silent]);
        times.flatten().min()
    }

    /// Whether links may be opened to where it is: it was said to be there, or a link is that is to it.
    pub(super) const fn is_known(&self) -> bool {
        self.target.is_some() && (self.is_certain || self.commands.is_open)
    }

    /// Whether it can be asked, or nobody wants that.
    pub(super) const fn is_there(&self) -> bool {
        self.hello.is_some() || (self.target.is_none() && !self.is_certain)
    }

    /// It is there from now on, with links yet to be opened.
    pub(super) fn go_to(&mut self, target: Target, now: Instant) {
        self.target = Some(target);
        self.is_certain = true;
        (self.commands, self.announcements) = (Way::new(now), Way::new(now));
    }

    /// Tells its link of announcements what to hear.
    pub(super) fn hear(&mut self, log: &LogName, is_wanted: bool) {
        if !self.announcements.is_open {
            return;
        }
        match (self.hears.back_mut(), is_wanted) {
            (Some(Hear::Subscribe(logs)), true) | (Some(Hear::Unsubscribe(logs)), false) => {
                logs.push(log.clone());
            }
            (_, true) => self.hears.push_back(Hear::Subscribe(vec![log.clone()])),
            (_, false) => self.hears.push_back(Hear::Unsubscribe(vec![log.clone()])),
        }
    }

    /// One of its two links.
    pub(super) const fn way(&mut self, is_commands: bool) -> &mut Way {
        if is_commands {
            &mut self.commands
        } else {
            &mut self.announcements
        }
    }

    /// Whether nothing is asked that is not answered.
    pub(super) fn is_silent(&self) -> bool {
        self.sent.is_empty()
    }
}

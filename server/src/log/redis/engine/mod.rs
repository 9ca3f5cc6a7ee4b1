//! The engine of logs in Redis: behind the workers' requests, before the links. What engines [share](crate::log::shared) decides, on values; here its links' bytes
//! are made and read.

mod guide;
mod line;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use self::line::{Line, Work};
use super::wire::{self, Naming};
use super::{RedisOptions, Topology};
use crate::clock::Now;
use crate::log::remote::{Action, Engine, Link};
use crate::log::shared::core::{Core, Heard};
use crate::log::shared::lines::Lines;
use crate::log::{Reply, Request, Rules, Traffic};

/// Between two times that a refusal is told: links come back several times a second for as long as a password is wrong.
const REFUSAL_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Who says where Redis is has so long to begin: another may be quicker.
const GUIDE_READY_MAX: Duration = Duration::from_secs(2);

/// Keeps logs in Redis.
#[derive(Debug)]
pub struct RedisEngine<C> {
    core: Core<C>,
    options: RedisOptions,
    naming: Naming,
    lines: Lines<Line>,
    /// When it was last said that a link was refused.
    refusal_told: Option<Instant>,
}

impl<C> RedisEngine<C> {
    /// One that begins to open its links. `seed` is a random number: epochs follow from it.
    #[must_use]
    pub fn new(options: RedisOptions, rules: Arc<Rules>, seed: u64, now: Now) -> Self {
        let mut core = Core::new(options.settings(), rules, seed, now);
        let naming = Naming {
            prefix: options.prefix.clone(),
            node: options.node.clone(),
            sharded: matches!(options.topology, Topology::Cluster { .. }),
        };
        match &options.topology {
            Topology::Single { target, .. } => core.use_single(target.clone()),
            Topology::Sentinel { sentinels, .. } => core.use_guides(sentinels.clone()),
            Topology::Cluster { seeds } => core.use_parts(seeds.clone()),
        }
        Self {
            core,
            options,
            naming,
            lines: Lines::default(),
            refusal_told: None,
        }
    }

    /// What a link is for; `None`: nobody wants it any more.
    fn work_of(&self, link: Link) -> Option<Work> {
        match self.core.way_of(link) {
            Some((_, true)) => Some(Work::Commands),
            Some((_, false)) => Some(Work::Announcements),
            None => self.core.is_guide(link).then_some(Work::Guide),
        }
    }

    /// A link is of no use.
    fn fail(&mut self, link: Link, why: &str, now: Now) {
        if self.core.is_guide(link) {
            tracing::debug!(
                event = "redis_link_ended",
                why,
                "who says where Redis is does not"
            );
            self.core.now = now;
            self.core.guide_fails(why);
        } else if let Some((index, is_commands)) = self.core.way_of(link) {
            let is_told = self
                .refusal_told
                .is_some_and(|at| now.instant < at + REFUSAL_TOLD_EVERY);
            if !is_told {
                self.refusal_told = Some(now.instant);
                tracing::warn!(event = "redis_refused", why, "a link to Redis is of no use");
            }
            self.core.drop_link(index, is_commands);
        }
        self.lines.remove(link);
    }

    /// What a link of commands brought: the answer to one thing that it was asked, or to several that append.
    fn answer(&mut self, link: Link, reply: ::redis::Value, now: Now) -> Result<(), String> {
        let Some(line) = self.lines.get_mut(link) else {
            return Ok(());
        };
        for reply in line.answers(reply)? {
            let Some(ask) = self.core.asked(link) else {
                // It may have been dropped by what was answered before.
                if self.core.way_of(link).is_none() {
                    return Ok(());
                }
                return Err("it answered what nobody asked".to_owned());
            };
            let said = line::read(ask, reply);
            self.core.said(link, said, now);
        }
        Ok(())
    }

    /// A reply that came over a link; `Err`: the link is of no use.
    fn reply(&mut self, link: Link, reply: ::redis::Value, now: Now) -> Result<(), String> {
        let Some(work) = self.work_of(link) else {
            return Ok(());
        };
        let Some(line) = self.lines.get_mut(link) else {
            return Ok(());
        };
        if line.is_beginning() {
            if let Some(hello) = line.stepped(&reply)? {
                self.lines.link_ready(link);
                match work {
                    Work::Commands => self.core.commands_ready(link, hello, now),
                    Work::Announcements => self.core.announcements_ready(link, now),
                    Work::Guide => self.core.guide_ready(link, now),
                }
            }
            return Ok(());
        }
        match work {
            Work::Commands => self.answer(link, reply, now),
            Work::Announcements => self.heard(link, &reply, now),
            Work::Guide => self.guided(link, &reply, now),
        }
    }

    /// What a link of announcements brings.
    fn heard(&mut self, link: Link, reply: &::redis::Value, now: Now) -> Result<(), String> {
        match wire::heard(reply, &self.naming) {
            wire::Heard::Subscribed(log) => self.core.heard(link, Heard::Subscribed(log), now),
            wire::Heard::Announced { log, head } => {
                self.core.heard(link, Heard::Announced(log, head), now);
            }
            wire::Heard::Broken(log) => self.core.heard(link, Heard::Broken(log), now),
            wire::Heard::Unsubscribed(log) => {
                self.core.heard(link, Heard::Unsubscribed(log), now);
            }
            wire::Heard::Pong | wire::Heard::Switched { .. } | wire::Heard::Other => {
                self.core.heard(link, Heard::Pong, now)
            }
            wire::Heard::Failed(failure) => return Err(failure.to_string()),
        }
        Ok(())
    }

    /// What is said of where Redis is.
    fn guided(&mut self, link: Link, reply: &::redis::Value, now: Now) -> Result<(), String> {
        if let Some(told) = guide::told(&self.options.topology, &self.naming, reply)? {
            self.core.told(link, told, now);
        }
        Ok(())
    }
}

impl<C: Send> Engine<C> for RedisEngine<C> {
    fn request(&mut self, request: Request<C>, now: Now) {
        self.core.request(request, now);
    }

    fn opened(&mut self, link: Link, now: Now) {
        let work = self.work_of(link);
        if let (Some(work), Some(line)) = (work, self.lines.get_mut(link)) {
            let most = match work {
                Work::Commands | Work::Announcements => self.options.command_timeout,
                Work::Guide => self.options.command_timeout.min(GUIDE_READY_MAX),
            };
            line.begin(&self.options, &self.naming, work);
            self.lines.await_ready(link, now.instant + most);
        }
    }

    fn received(&mut self, link: Link, bytes: &[u8], now: Now) {
        if let Some(line) = self.lines.get_mut(link) {
            line.push(bytes);
        }
        while let Some(line) = self.lines.get_mut(link) {
            let result = match line.next() {
                Ok(Some(reply)) => self.reply(link, reply, now),
                Ok(None) => return,
                Err(bad) => Err(bad.to_string()),
            };
            if let Err(why) = result {
                self.fail(link, &why, now);
            }
            // It may have been closed by what it brought.
            if self.work_of(link).is_none() {
                self.lines.remove(link);
            }
        }
    }

    fn closed(&mut self, link: Link, why: &str, now: Now) {
        tracing::debug!(event = "redis_link_ended", why, "a link to Redis has ended");
        self.lines.remove(link);
        if self.core.is_guide(link) {
            self.core.guide_closed(why, now);
        } else {
            self.core.closed(link, now);
        }
    }

    fn output(&mut self, link: Link) -> Option<&mut BytesMut> {
        self.core.send_all();
        let line = self.lines.get_mut(link)?;
        if !line.is_beginning() {
            let mut packing = line::Packing::default();
            while let Some(ask) = self.core.take_ask(link) {
                packing.pack(ask, line, &self.naming);
            }
            packing.finish(line, &self.naming);
            while let Some(hear) = self.core.take_hear(link) {
                line::pack_hear(&hear, &self.naming, &mut line.out);
            }
            if self.core.take_question(link) {
                guide::ask(&self.options.topology, &self.naming, &mut line.out);
            }
        }
        Some(&mut line.out)
    }

    fn poll_action(&mut self) -> Option<Action> {
        let action = self.core.actions.pop_front()?;
        match &action {
            Action::Open(link, _) => self.lines.add(*link, Line::new()),
            Action::Close(link) => self.lines.remove(*link),
        }
        Some(action)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let lines = self.lines.poll_timeout().into_iter();
        lines.chain(self.core.poll_timeout()).min()
    }

    fn handle_timeout(&mut self, now: Now) {
        for link in self.lines.late(now.instant) {
            self.fail(link, "it does not answer in time", now);
        }
        self.core.handle_timeout(now);
    }

    fn take_replies(&mut self, replies: &mut Vec<Reply<C>>) {
        self.core.take_replies(replies);
    }

    fn traffic(&self) -> &Traffic {
        &self.core.traffic
    }

    fn leave(&mut self, now: Now) {
        self.core.leave(now);
    }

    fn has_logs(&self, link: Link) -> bool {
        !self.core.is_guide(link)
    }

    fn is_let_in(&self, link: Link) -> bool {
        let line = self.lines.get(link);
        line.is_some_and(|line| !line.is_beginning())
    }

    fn is_idle(&self) -> bool {
        self.core.is_idle()
    }
}

//! The engine of logs in NATS: between what engines [share](crate::log::shared) and the bytes of its links.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use super::line::{Event, Line};
use super::naming::Naming;
use super::options::NatsOptions;
use crate::clock::Now;
use crate::log::remote::{Action, Engine, Link};
use crate::log::shared::core::{Core, Heard};
use crate::log::shared::lines::Lines;
use crate::log::{Reply, Request, Rules, Traffic};

/// Keeps logs in NATS JetStream.
#[derive(Debug)]
pub struct NatsEngine<C> {
    pub(in crate::log) core: Core<C>,
    options: NatsOptions,
    naming: Rc<Naming>,
    lines: Lines<Line>,
    /// Which server is tried next.
    next: usize,
}

impl<C> NatsEngine<C> {
    /// One that begins to open its links. `seed` is a random number: epochs follow from it.
    #[must_use]
    pub fn new(options: NatsOptions, rules: Arc<Rules>, seed: u64, now: Now) -> Self {
        let mut core = Core::new(options.settings(), rules, seed, now);
        if let Some(target) = options.servers.first() {
            core.use_single(target.clone());
        }
        Self {
            core,
            naming: Rc::new(Naming::new(&options.prefix, &options.node)),
            options,
            lines: Lines::default(),
            next: 0,
        }
    }

    /// A link is of no use.
    fn fail(&mut self, link: Link, why: &str) {
        if let Some((index, is_commands)) = self.core.way_of(link) {
            tracing::warn!(event = "nats_refused", why, "a link to NATS is of no use");
            self.core.drop_link(index, is_commands);
        }
        self.lines.remove(link);
        self.next += 1;
    }

    fn event(&mut self, link: Link, event: Event, now: Now) {
        let Some((_, is_commands)) = self.core.way_of(link) else {
            return;
        };
        match event {
            Event::Ready(hello) => {
                self.lines.link_ready(link);
                if is_commands {
                    self.core.commands_ready(link, hello, now);
                } else {
                    self.core.announcements_ready(link, now);
                }
            }
            Event::Said(said) => self.core.said(link, said, now),
            Event::Confirmed(logs) => {
                self.core.heard(link, Heard::Pong, now);
                for log in logs {
                    self.core.heard(link, Heard::Subscribed(log), now);
                }
            }
            Event::Heard(heard) => {
                if let Heard::Broken(log) = &heard {
                    self.lines.all().for_each(|line| line.forget(log));
                }
                self.core.heard(link, heard, now);
            }
        }
    }
}

impl<C: Send> Engine<C> for NatsEngine<C> {
    fn request(&mut self, request: Request<C>, now: Now) {
        self.core.request(request, now);
    }

    fn opened(&mut self, link: Link, now: Now) {
        let by = now.instant + self.options.command_timeout;
        self.lines.await_ready(link, by);
    }

    fn received(&mut self, link: Link, bytes: &[u8], now: Now) {
        if let Some(line) = self.lines.get_mut(link) {
            line.push(bytes);
        }
        while let Some(line) = self.lines.get_mut(link) {
            match line.next(&self.options) {
                Ok(Some(event)) => self.event(link, event, now),
                Ok(None) => return,
                Err(why) => self.fail(link, &why),
            }
            // It may have been closed by what it brought.
            if self.core.way_of(link).is_none() {
                self.lines.remove(link);
            }
        }
    }

    fn closed(&mut self, link: Link, why: &str, now: Now) {
        tracing::debug!(event = "nats_link_ended", why, "a link to NATS has ended");
        self.lines.remove(link);
        self.next += 1;
        self.core.closed(link, now);
    }

    fn output(&mut self, link: Link) -> Option<&mut BytesMut> {
        loop {
            self.core.send_all();
            let line = self.lines.get_mut(link)?;
            if !line.is_ready() {
                break;
            }
            while let Some(ask) = self.core.take_ask(link) {
                line.ask(ask);
            }
            while let Some(hear) = self.core.take_hear(link) {
                line.hear(hear);
            }
            // Some is known without a question to the server.
            let now = self.core.now;
            match line.next(&self.options) {
                Ok(Some(event)) => self.event(link, event, now),
                Ok(None) => break,
                Err(why) => {
                    self.fail(link, &why);
                    return None;
                }
            }
        }
        Some(&mut self.lines.get_mut(link)?.out)
    }

    fn poll_action(&mut self) -> Option<Action> {
        let action = self.core.actions.pop_front()?;
        Some(match action {
            Action::Open(link, target) => {
                let is_commands = self.core.way_of(link).is_some_and(|(_, is)| is);
                let line = Line::new(&self.options, &self.naming, is_commands);
                self.lines.add(link, line);
                let servers = &self.options.servers;
                let server = servers.get(self.next % servers.len().max(1)).cloned();
                Action::Open(link, server.unwrap_or(target))
            }
            Action::Close(link) => {
                self.lines.remove(link);
                Action::Close(link)
            }
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let lines = self.lines.poll_timeout().into_iter();
        lines.chain(self.core.poll_timeout()).min()
    }

    fn handle_timeout(&mut self, now: Now) {
        for link in self.lines.late(now.instant) {
            self.fail(link, "it does not answer in time");
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

    fn is_let_in(&self, link: Link) -> bool {
        self.lines.get(link).is_some_and(Line::is_ready)
    }

    fn is_idle(&self) -> bool {
        self.core.is_idle()
    }
}

//! The server's end of all links: what arrives there, when it is looked at, and what goes back.

use super::{Event, World};
use crate::log::remote::Link;
use crate::log::shared::core::{Ask, Hear, Heard, Said};
use crate::log::shared::{Answer, Command, Failure};

impl World {
    pub(super) fn redis_takes(&mut self, node: usize, link: Link, ask: Ask) {
        if self.weather.is_down {
            return;
        }
        if self.is_frozen() {
            // It is in the socket, and will be read, even if nobody waits any more.
            return self.backlog.push(Event::ToRedis(node, link, ask));
        }
        let mut wire = self.nodes[node].wires.get_mut(&link);
        if let Some(wire) = wire.as_mut().filter(|wire| wire.counts) {
            return wire.behind.push_back(ask);
        }
        let said = match ask {
            Ask::Wait(_, timeout) if self.weather.alone_until > self.time => {
                if let Some(wire) = wire {
                    wire.counts = true;
                }
                let timeout = self.time + timeout.as_micros() as u64;
                let until = timeout.min(self.weather.alone_until);
                return self.at(until, Event::Counted(node, link));
            }
            Ask::Wait(..) => Said::Waited(true),
            Ask::Command(command) => Said::Answer(self.answer(&command)),
        };
        self.announce();
        self.say(node, link, said);
    }

    /// It stops waiting for its replica, and looks at what came meanwhile.
    pub(super) fn counted(&mut self, node: usize, link: Link) {
        if self.is_frozen() {
            return self.backlog.push(Event::Counted(node, link));
        }
        let time = self.time;
        let Some(wire) = self.nodes[node].wires.get_mut(&link) else {
            return;
        };
        wire.counts = false;
        let behind = std::mem::take(&mut wire.behind);
        if self.weather.is_down || wire.ends_at.is_some_and(|end| end <= time) {
            return;
        }
        let is_there = self.weather.alone_until <= time;
        self.say(node, link, Said::Waited(is_there));
        for ask in behind {
            self.redis_takes(node, link, ask);
        }
    }

    fn say(&mut self, node: usize, link: Link, said: Said) {
        let delay = self.delay();
        let time = self.time;
        if let Some(wire) = self.nodes[node].wires.get_mut(&link) {
            wire.back = wire.back.max(time + delay);
            let at = wire.back;
            self.at(at, Event::FromRedis(node, link, said));
        }
    }

    /// Redis stands still, or did when something came that it has not read yet.
    pub(super) fn is_frozen(&mut self) -> bool {
        if self.weather.frozen_until > self.time && self.backlog.is_empty() {
            self.at(self.weather.frozen_until, Event::Thaw);
        }
        self.weather.frozen_until > self.time || !self.backlog.is_empty()
    }

    pub(super) fn thaw(&mut self) {
        if self.weather.frozen_until > self.time {
            return self.at(self.weather.frozen_until, Event::Thaw);
        }
        for event in std::mem::take(&mut self.backlog) {
            self.happen(event);
        }
    }

    fn answer(&mut self, command: &Command) -> Answer {
        let unable = |what: &str| Answer::Failed(Failure::Unable(what.to_owned()));
        if self.weather.loading_until > self.time {
            return unable("LOADING Redis is loading the dataset in memory");
        }
        if self.weather.full_until > self.time && matches!(command, Command::Append { .. }) {
            return unable("OOM command not allowed when used memory > 'maxmemory'.");
        }
        let unix_ms = self.now().unix_ms;
        self.redis.run(command, unix_ms)
    }

    /// What was announced is on its way to those who hear it, unless it is lost.
    fn announce(&mut self) {
        for (log, head) in std::mem::take(&mut self.redis.announced) {
            for node in 0..self.nodes.len() {
                let links: Vec<Link> = self.nodes[node]
                    .wires
                    .iter()
                    .filter(|(_, wire)| wire.subscribed.contains(&log))
                    .map(|(link, _)| *link)
                    .collect();
                for link in links {
                    if self.weather.lossy_until > self.time && self.dice.percent(40) {
                        continue;
                    }
                    let heard = head.map_or_else(
                        || Heard::Broken(log.clone()),
                        |head| Heard::Announced(log.clone(), head),
                    );
                    self.tell(node, link, heard);
                }
            }
        }
    }

    fn tell(&mut self, node: usize, link: Link, heard: Heard) {
        let (time, delay) = (self.time, self.delay());
        if let Some(wire) = self.nodes[node].wires.get_mut(&link) {
            wire.back = wire.back.max(time + delay);
            let at = wire.back;
            self.at(at, Event::Heard(node, link, heard));
        }
    }

    pub(super) fn redis_hears(&mut self, node: usize, link: Link, hear: Hear) {
        if self.weather.is_down {
            return;
        }
        if self.is_frozen() {
            return self.backlog.push(Event::HearToRedis(node, link, hear));
        }
        let Some(wire) = self.nodes[node].wires.get_mut(&link) else {
            return;
        };
        match hear {
            Hear::Subscribe(logs) => {
                wire.subscribed.extend(logs.iter().cloned());
                for log in logs {
                    self.tell(node, link, Heard::Subscribed(log));
                }
            }
            Hear::Unsubscribe(logs) => logs.iter().for_each(|log| {
                wire.subscribed.remove(log);
            }),
            Hear::Ping => self.tell(node, link, Heard::Pong),
        }
    }
}

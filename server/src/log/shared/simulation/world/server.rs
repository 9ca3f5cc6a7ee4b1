//! The server's end of all links: what arrives there, when it is looked at, and what goes back.

use super::{Event, MS, Topology, Wire, World};
use crate::log::remote::Link;
use crate::log::shared::core::{Ask, Hear, Heard, Hello, Said};
use crate::log::shared::simulation::redis::run_id;
use crate::log::shared::{Answer, Command, Failure};

/// How long a node waits for a connection, as the driver of links does.
const CONNECT_MAX: u64 = 3_000 * MS;

impl World {
    /// A link has come to where it goes: whether somebody is there who takes it, and when.
    pub(super) fn arrive(&mut self, node: usize, link: Link, port: u16, run: u64) {
        let now = self.now();
        let Some((_, is_commands)) = self.nodes[node].core.way_of(link) else {
            return;
        };
        let is_lonely = node == 0 && self.weather.lonely_until > self.time;
        let is_late = self.topology == Topology::Single && run != self.runs;
        let server = self.server_at(port).filter(|_| !is_lonely && !is_late);
        let server = server.filter(|_| !self.weather.is_down);
        let Some(server) = server else {
            self.nodes[node].core.closed(link, now);
            return self.settle(node);
        };
        if is_commands && self.servers[server].is_replica {
            self.nodes[node].core.closed(link, now);
        } else if self.weather.frozen_until > self.time {
            let wait = self.weather.frozen_until - self.time;
            // The handshake takes too long.
            let event = if wait > CONNECT_MAX {
                Event::Retry(node, link)
            } else {
                Event::Reached(node, link, port, run)
            };
            self.after(wait.min(CONNECT_MAX), event);
        } else {
            let wire = Wire {
                is_commands,
                server,
                ..Wire::default()
            };
            self.nodes[node].wires.insert(link, wire);
            self.reached(node, link, server, is_commands);
        }
        self.settle(node);
    }

    fn reached(&mut self, node: usize, link: Link, server: usize, is_commands: bool) {
        if self.nats.is_some() {
            return self.nats_opened(node, link);
        }
        let now = self.now();
        let hello = Hello {
            run_id: run_id(self.servers[server].redis.run_id),
            saves_always: self.servers[server].redis.saves_always,
            unix_ms: Some(now.unix_ms),
        };
        let core = &mut self.nodes[node].core;
        if is_commands {
            core.commands_ready(link, hello, now);
        } else {
            core.announcements_ready(link, now);
        }
    }

    pub(super) fn redis_takes(&mut self, node: usize, link: Link, ask: Ask) {
        let Some(server) = self.serving(node, link) else {
            return;
        };
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
            Ask::Asking => {
                if let Some(wire) = wire {
                    wire.is_asking = true;
                }
                Said::Answer(Answer::Done)
            }
            Ask::Command(command) => {
                let is_asking = wire.is_some_and(|wire| std::mem::take(&mut wire.is_asking));
                Said::Answer(self.answer(server, &command, is_asking))
            }
        };
        self.announce(server);
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

    /// The server of a link, if it takes anything.
    fn serving(&self, node: usize, link: Link) -> Option<usize> {
        let wire = self.nodes[node].wires.get(&link);
        // What was on its way when the link ended is taken all the same.
        let server = wire.map_or(0, |wire| wire.server);
        let is_down = self.weather.is_down || self.servers[server].is_down;
        let is_gone = wire.is_none() && self.topology != Topology::Single;
        (!is_down && !is_gone).then_some(server)
    }

    fn answer(&mut self, server: usize, command: &Command, is_asking: bool) -> Answer {
        let unable = |what: &str| Answer::Failed(Failure::Unable(what.to_owned()));
        if self.weather.loading_until > self.time {
            return unable("LOADING Redis is loading the dataset in memory");
        }
        if self.weather.full_until > self.time && matches!(command, Command::Append { .. }) {
            return unable("OOM command not allowed when used memory > 'maxmemory'.");
        }
        if self.servers[server].is_replica {
            return unable("READONLY You can't write against a read only replica.");
        }
        if let Some(failure) = self.elsewhere(server, command, is_asking) {
            return Answer::Failed(failure);
        }
        let unix_ms = self.now().unix_ms;
        self.servers[server].redis.run(command, unix_ms)
    }

    /// What was announced is on its way to those who hear it, unless it is lost.
    fn announce(&mut self, server: usize) {
        let announced = &mut self.servers[server].redis.announced;
        for (log, head) in std::mem::take(announced) {
            for node in 0..self.nodes.len() {
                let links: Vec<Link> = self.nodes[node]
                    .wires
                    .iter()
                    .filter(|(_, wire)| wire.server == server && wire.subscribed.contains(&log))
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
        if self.serving(node, link).is_none() {
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

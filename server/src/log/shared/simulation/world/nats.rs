//! NATS' end of all links: what arrives there as bytes, and what goes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Event, MS, World};
use crate::log::Rules;
use crate::log::nats::{NatsEngine, NatsOptions};
use crate::log::remote::{Engine as _, Link, Target};
use crate::log::shared::simulation::jetstream::{Data, JetStream, Out, Shape};
use crate::log::shared::simulation::world::side::Side;

impl World {
    /// One with a NATS in the place of Redis; `trusts`: what that has answered it has after a restart.
    pub(in super::super) fn on_nats(seed: u64, nodes: usize, trusts: bool) -> Self {
        let mut world = Self::new(seed, nodes, true, false);
        world.nats = Some(Box::new(JetStream::new()));
        for number in 0..nodes {
            let target = Target {
                host: "nats".to_owned(),
                port: world.servers[0].port,
            };
            let options = NatsOptions {
                servers: vec![target],
                login: None,
                prefix: "t".to_owned(),
                node: format!("node-{number}"),
                replicas: 1,
                trusts_restarts: trusts,
                timeout: Duration::from_secs(2),
                command_timeout: Duration::from_secs(5),
            };
            let rules = Arc::new(Rules::default());
            let seed = world.dice.next();
            let engine = NatsEngine::new(options, rules, seed, world.start);
            world.nodes[number].core = Side::Nats(Box::new(engine));
        }
        world
    }

    pub(in super::super) fn nats(&mut self) -> &mut JetStream {
        self.nats.as_mut().expect("this world has a NATS")
    }

    /// What a node's links have to send.
    pub(super) fn take_bytes(&mut self, node: usize, link: Link) -> bool {
        let Side::Nats(engine) = &mut self.nodes[node].core else {
            return false;
        };
        let bytes = engine.output(link).map(|out| out.split().freeze());
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return false;
        };
        let cut = self.dice.below(2 * bytes.len() as u64).max(1) as usize;
        for part in [
            bytes.slice(..cut.min(bytes.len())),
            bytes.slice(cut.min(bytes.len())..),
        ] {
            if let Some(at) = self.sent_at(node, link) {
                self.at(at, Event::ToNats(node, link, part));
            }
        }
        true
    }

    /// A node's link has come.
    pub(super) fn nats_opened(&mut self, node: usize, link: Link) {
        let now = self.now();
        if let Side::Nats(engine) = &mut self.nodes[node].core {
            engine.opened(link, now);
        }
        let outs = self.nats().opened((node, link));
        self.send_outs(outs);
    }

    pub(super) fn nats_takes(&mut self, node: usize, link: Link, bytes: Bytes) {
        if self.weather.is_down {
            return;
        }
        if self.is_frozen() {
            return self.backlog.push(Event::ToNats(node, link, bytes));
        }
        let unix_ms = self.now().unix_ms;
        let shape = Shape {
            starts: self.weather.loading_until > self.time,
            is_full: self.weather.full_until > self.time,
            now: self.time,
            making: self.dice.below(4 * MS),
        };
        let nats = self.nats();
        nats.shape = shape;
        let outs = nats.take((node, link), &bytes, unix_ms);
        self.send_outs(outs);
    }

    pub(super) fn nats_says(&mut self, node: usize, link: Link, bytes: &[u8]) {
        let now = self.now();
        if !self.nodes[node].wires.contains_key(&link) {
            return;
        }
        if let Side::Nats(engine) = &mut self.nodes[node].core {
            engine.received(link, bytes, now);
            self.settle(node);
        }
    }

    fn send_outs(&mut self, outs: Vec<Out>) {
        for out in outs {
            if out.is_news && self.weather.lossy_until > self.time && self.dice.percent(40) {
                continue;
            }
            let (time, delay) = (self.time, self.delay());
            let (node, link) = out.to;
            if let Some(wire) = self.nodes[node].wires.get_mut(&link) {
                let back = wire.lanes.entry(out.lane).or_default();
                *back = (*back).max(out.after.max(time) + delay);
                let at = *back;
                self.at(at, Event::FromNats(node, link, out.bytes));
            }
        }
    }

    /// Another process has the data, and does not know all of it for a while.
    pub(in super::super) fn restart_nats(&mut self, data: Data, loading: Duration) {
        self.runs += 1;
        self.weather.is_down = false;
        self.weather.loading_until = self.time + loading.as_micros() as u64;
        let names: Vec<String> = data.streams.keys().cloned().collect();
        let hidden = names
            .into_iter()
            .filter(|_| self.dice.percent(50))
            .collect();
        let nats = self.nats();
        nats.restart(data);
        nats.hidden = hidden;
    }

    /// What was there at some time, in each stream or in all.
    pub(in super::super) fn older(&mut self, snapshot: &Data, is_torn: bool) -> Data {
        let mut data = self.nats().data.clone();
        if !is_torn {
            return snapshot.clone();
        }
        for (name, stream) in &snapshot.streams {
            if self.dice.percent(50) {
                data.streams.insert(name.clone(), stream.clone());
            }
        }
        data
    }
}

//! Who says where servers are: Sentinels, or nodes of the cluster. What they say may be old, and all may be away for a while.

use super::servers::target;
use super::{Event, Topology, Wire, World};
use crate::log::remote::Link;
use crate::log::shared::Bucket;
use crate::log::shared::guide::Told;

/// The server of a link that goes to none.
const NONE: usize = usize::MAX;

impl World {
    pub(super) fn guide_reached(&mut self, node: usize, link: Link) {
        let now = self.now();
        if self.weather.unguided_until > self.time || self.dice.percent(5) {
            return self.nodes[node].core.guide_closed("refused", now);
        }
        let wire = Wire {
            server: NONE,
            ..Wire::default()
        };
        self.nodes[node].wires.insert(link, wire);
        self.nodes[node].core.guide_ready(link, now);
    }

    pub(super) fn guide_asked(&mut self, node: usize, link: Link) {
        if self.weather.unguided_until > self.time {
            // It does not answer.
            return;
        }
        let told = match self.topology {
            Topology::Single => return,
            Topology::Sentinel => Told::Primary(target(self.servers[self.known[0]].port)),
            Topology::Cluster => {
                let part =
                    |(bucket, owner): (Bucket, &usize)| (bucket, target(self.servers[*owner].port));
                Told::Parts(Bucket::all().zip(&self.known).map(part).collect())
            }
        };
        self.tell_guided(node, link, told);
    }

    /// Sentinels tell by themselves that another is the primary; not all hear of it.
    pub(super) fn tell_switch(&mut self) {
        let told = Told::Switched(target(self.servers[self.known[0]].port));
        for node in 0..self.nodes.len() {
            let wires = self.nodes[node].wires.iter();
            let guides = wires.filter(|(_, wire)| wire.server == NONE);
            let guides: Vec<Link> = guides.map(|(link, _)| *link).collect();
            for link in guides {
                if self.dice.percent(50) {
                    self.tell_guided(node, link, told.clone());
                }
            }
        }
    }

    fn tell_guided(&mut self, node: usize, link: Link, told: Told) {
        let (time, delay) = (self.time, self.delay());
        if let Some(wire) = self.nodes[node].wires.get_mut(&link) {
            wire.back = wire.back.max(time + delay);
            let at = wire.back;
            self.at(at, Event::Told(node, link, told));
        }
    }
}

//! What goes wrong: Redis is gone, and comes back with other data; links end in the middle of what they carry.

use super::{Event, MS, Wire, World};
use crate::log::shared::simulation::redis::Redis;

/// How the world is at the moment.
#[derive(Debug, Default)]
pub(in super::super) struct Weather {
    pub(in super::super) is_down: bool,
    pub(in super::super) frozen_until: u64,
    pub(in super::super) loading_until: u64,
    pub(in super::super) full_until: u64,
    pub(in super::super) lossy_until: u64,
    pub(in super::super) slow_until: u64,
    pub(in super::super) lonely_until: u64,
    /// Nobody says where servers are.
    pub(in super::super) unguided_until: u64,
    /// The replica is cut off.
    pub(in super::super) alone_until: u64,
}

impl Event {
    /// The node that it is about.
    const fn node(&self) -> Option<usize> {
        match self {
            Self::Reached(node, ..)
            | Self::Question(node, ..)
            | Self::Told(node, ..)
            | Self::ToRedis(node, ..)
            | Self::HearToRedis(node, ..)
            | Self::FromRedis(node, ..)
            | Self::Heard(node, ..)
            | Self::Closed(node, ..)
            | Self::ReadOn(node, ..)
            | Self::Retry(node, ..)
            | Self::Counted(node, ..)
            | Self::ToNats(node, ..)
            | Self::FromNats(node, ..) => Some(*node),
            Self::SendAgain(_)
            | Self::Thaw
            | Self::Gossip
            | Self::Demoted(_)
            | Self::Promoted(_)
            | Self::Given(_)
            | Self::Moved(_) => None,
        }
    }
}

impl World {
    /// Redis is gone with its links; some of what is on its way still arrives.
    pub(in super::super) fn kill(&mut self) {
        self.weather.is_down = true;
        self.weather.frozen_until = 0;
        self.backlog.clear();
        let is_there = |event: &Event| {
            matches!(
                event,
                Event::ToRedis(..) | Event::HearToRedis(..) | Event::ToNats(..)
            )
        };
        self.events.retain(|_, event| !is_there(event));
        for node in 0..self.nodes.len() {
            self.cut(node, true);
            self.cut(node, false);
        }
        self.refuse_who_connects();
    }

    /// Those whose connections nobody has accepted hear of it at once.
    fn refuse_who_connects(&mut self) {
        let connects = |event: &Event| matches!(event, Event::Reached(..) | Event::Retry(..));
        let events = self.events.iter();
        let connecting = events.filter(|(_, event)| connects(event));
        let connecting: Vec<(u64, u64)> = connecting.map(|(key, _)| *key).collect();
        for key in connecting {
            if let Some(Event::Reached(node, link, ..) | Event::Retry(node, link)) =
                self.events.remove(&key)
            {
                let delay = self.delay();
                self.after(delay, Event::Retry(node, link));
            }
        }
    }

    /// The replica is cut off for so long: what it has is what there was.
    pub(in super::super) fn cut_off_replica(&mut self, time: u64) {
        if self.weather.alone_until <= self.time {
            self.replica = Some(self.servers[0].redis.clone());
        }
        self.weather.alone_until = self.weather.alone_until.max(self.time + time);
    }

    /// What the replica has, which takes its primary's place.
    pub(in super::super) fn promoted(&mut self) -> Redis {
        let is_alone = self.weather.alone_until > self.time;
        // Another has its place.
        self.weather.alone_until = 0;
        let replica = self.replica.take().filter(|_| is_alone);
        replica.unwrap_or_else(|| self.servers[0].redis.clone())
    }

    pub(in super::super) fn restart(&mut self, data: Redis) {
        self.runs += 1;
        let redis = &mut self.servers[0].redis;
        let saves_always = redis.saves_always;
        *redis = data;
        redis.run_id = self.runs;
        redis.saves_always = saves_always;
        redis.announced.clear();
        self.weather.is_down = false;
    }

    /// The last node is gone, without a word.
    pub(in super::super) fn end_last_node(&mut self) {
        let last = self.nodes.len() - 1;
        self.events.retain(|_, event| event.node() != Some(last));
        self.backlog.retain(|event| event.node() != Some(last));
        if let (Some(node), Some(nats)) = (self.nodes.pop(), &mut self.nats) {
            node.wires
                .into_keys()
                .for_each(|link| nats.closed((last, link)));
        }
    }

    /// A link of a node ends; what is on its way arrives up to some moment.
    pub(in super::super) fn cut(&mut self, node: usize, is_commands: bool) {
        self.cut_those(node, |wire| wire.is_commands == is_commands);
    }

    /// Links of a node end.
    pub(super) fn cut_those(&mut self, node: usize, which: impl Fn(&Wire) -> bool) {
        let delay = self.dice.below(3 * MS);
        let end = self.time + delay;
        let reaches = self.time + self.dice.below(3 * MS);
        let mut ended = Vec::new();
        for (link, wire) in &mut self.nodes[node].wires {
            if which(wire) && wire.ends_at.is_none() {
                wire.ends_at = Some(reaches);
                ended.push(*link);
            }
        }
        self.events.retain(|(time, _), event| match event {
            Event::ToRedis(of, link, _)
            | Event::HearToRedis(of, link, _)
            | Event::ToNats(of, link, _) => *of != node || !ended.contains(link) || *time < reaches,
            _ => true,
        });
        for link in ended {
            self.at(end, Event::Closed(node, link));
        }
    }
}

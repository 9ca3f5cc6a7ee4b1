//! What has to hold in the end.

use std::collections::{HashMap, HashSet};

use super::{World, number_of};
use crate::ids::LogName;
use crate::log::shared::{Answer, Bucket, Command, From};
use crate::log::{Epoch, PageMax, Position, ReadFrom, Since};

impl World {
    /// All is well, and has been for a while: everybody is where the log ends, and nobody waits.
    pub(in super::super) fn check_settled(&mut self) {
        assert_eq!((self.open, self.asked_history), (0, 0), "somebody waits");
        for index in 0..self.nodes.len() {
            assert!(self.nodes[index].core.is_idle(), "node {index} is not idle");
            let feeds = std::mem::take(&mut self.nodes[index].feeds);
            for (log, feed) in &feeds.0 {
                let head = self.head(log);
                for follower in &feed.followers {
                    assert!(
                        follower.reading.is_none(),
                        "node {index} {log}: {follower:?}"
                    );
                    let position = follower.position.expect("it is at the head");
                    let is_there = head.map_or(position.offset == 0, |head| head == position);
                    assert!(
                        is_there,
                        "node {index} {log}: {follower:?}, and it ends at {head:?}"
                    );
                }
            }
            self.nodes[index].feeds = feeds;
        }
    }

    fn head(&mut self, log: &LogName) -> Option<Position> {
        if let Some(nats) = &self.nats {
            return nats.data.head(log);
        }
        let heads = Command::Heads {
            bucket: Bucket::of(log),
            logs: vec![log.clone()],
        };
        let owner = self.owners[usize::from(Bucket::of(log).number())];
        match self.servers[owner].redis.run(&heads, 0) {
            Answer::Heads(heads) => heads[0],
            _ => None,
        }
    }

    /// Each key is there once.
    pub(in super::super) fn check_once(&self) {
        for (message, places) in &self.keyed {
            assert_eq!(places.len(), 1, "message {message} is at {places:?}");
        }
    }

    /// Nothing was lost: each message that was acked is there, and each key once, and nobody was told of a gap.
    pub(in super::super) fn check_whole(&mut self) {
        self.check_once();
        for node in &self.nodes {
            let feeds = node.feeds.0.values();
            let gaps: u32 = feeds
                .flat_map(|feed| &feed.followers)
                .map(|follower| follower.gaps)
                .sum();
            assert_eq!(gaps, 0, "somebody was told of a gap");
        }
        self.check_acked();
    }

    /// Each message that was acked is where that said, and whoever has read its log since has seen it.
    pub(in super::super) fn check_acked(&mut self) {
        assert_eq!(self.unshown, [], "acked, and not in what was read then");
        for (log, position, message) in std::mem::take(&mut self.acked) {
            if self.nats.is_some() {
                self.check_there(&log, position, message);
                continue;
            }
            let owner = self.owners[usize::from(Bucket::of(&log).number())];
            let page = Command::Page {
                log,
                from: From::Behind(position.offset - 1),
                max: PageMax {
                    entries: 1,
                    bytes: 1,
                },
                epoch: Epoch::new(0),
            };
            let Answer::Page(page) = self.servers[owner].redis.run(&page, 0) else {
                panic!()
            };
            let entry = page.entries.first().expect("it is there");
            assert_eq!((entry.position, number_of(entry)), (position, message));
        }
    }

    /// What was acked is where that said as far as its epoch goes on, no message is there twice in an epoch, and those of a sender
    /// that were never refused are in the order in which it said them.
    pub(in super::super) fn check_epochs(&mut self) {
        let mut acked = std::mem::take(&mut self.acked);
        for (log, position, message) in &acked {
            let head = self.head(log);
            if head.is_some_and(|head| head.epoch == position.epoch) {
                self.check_there(log, *position, *message);
            }
        }
        for (message, places) in &self.keyed {
            let epochs: HashSet<Epoch> = places.iter().map(|place| place.epoch).collect();
            assert_eq!(
                epochs.len(),
                places.len(),
                "message {message} is at {places:?}"
            );
        }
        acked.sort_by_key(|(.., message)| *message);
        let mut last: HashMap<(LogName, usize, Epoch), (u64, u64)> = HashMap::new();
        for (log, position, message) in acked {
            let sent = &self.messages[&message];
            if sent.was_refused {
                continue;
            }
            let key = (log, sent.node, position.epoch);
            let here = (position.offset, message);
            if let Some(before) = last.insert(key.clone(), here) {
                assert!(before < here, "{key:?}: {before:?} before {here:?}");
            }
        }
    }

    fn check_there(&self, log: &LogName, position: Position, message: u64) {
        if let Some(nats) = &self.nats {
            let there = nats.data.content(log, position);
            assert_eq!(there, Some(message.to_string()), "{log} at {position}");
        }
    }

    /// Every log that somebody follows.
    pub(in super::super) fn since(position: Option<Position>) -> ReadFrom {
        ReadFrom::Since(position.map_or(Since::Oldest, Since::After))
    }
}

//! The other nodes, as far as this one has heard: who is connected to which, and in which rooms.
//!
//! Each node numbers its notes. Who misses one does not go by what follows, and asks for everything anew; until it has that, it
//! takes what it knew for true. A process that begins has nobody, and its first note says so: what an earlier one of its name had is gone.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::delta::{Chunk, Claim, Delta, Note, Places, Tag};
use crate::ids::{NodeName, RoomName, UserName};

/// A node that was not heard for so long is gone, with all it had: four beats.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Between two questions to a node that has not answered.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Nodes that there may be; a further one is not heard.
const NODES_MAX: usize = 256;

type Names<T> = HashSet<T, foldhash::fast::RandomState>;

/// What a note changes. Who is where is said of each node for itself: a user may be on several.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::chat) enum Change {
    /// A user is in a room on one node more.
    Entered(RoomName, UserName),
    /// ... or on one less.
    Left(RoomName, UserName),
    /// A user is connected to one node more.
    Here(UserName),
    /// ... or to one less.
    Gone(UserName),
    /// A connection of another node claims a session.
    Claimed(NodeName, Claim),
    /// A session that this node has claimed was there.
    Was(Places),
    /// A session of this user that another node has claimed is in its rooms.
    Settled(Tag, UserName),
    /// A user is typing in a room.
    Typing(RoomName, UserName),
    /// An operator asks something at another node.
    Asked(NodeName, u32, Value),
    /// Another node answers, and with this `bool` it has said all.
    Found(NodeName, u32, bool, Vec<Value>),
}

/// What another node wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// To hear all that this node has.
    pub(super) state: bool,
    /// To be asked for all that it has itself, since something of it was missed.
    pub(super) hello: bool,
}

/// All others.
#[derive(Debug, Default)]
pub(super) struct Nodes(HashMap<NodeName, Node>);

#[derive(Debug)]
struct Node {
    life: u64,
    /// The number of the last note.
    seen: u64,
    /// All before it was heard.
    is_sure: bool,
    heard_at: Instant,
    asked_at: Option<Instant>,
    has: Members,
    /// What it tells anew, until it has told all.
    told: Option<Members>,
}

#[derive(Debug, Default)]
struct Members {
    here: Names<UserName>,
    places: Names<(RoomName, UserName)>,
}

impl Nodes {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What they are called.
    pub(super) fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.0.keys()
    }

    /// A note of another node has come; `own` is what this one is called.
    pub(super) fn hear(
        &mut self,
        note: Note,
        own: &NodeName,
        now: Instant,
        changes: &mut Vec<Change>,
    ) -> Wanted {
        if !self.0.contains_key(&note.node) && self.0.len() >= NODES_MAX {
            return Wanted::default();
        }
        let Note {
            node: name,
            life,
            number,
            deltas,
        } = note;
        let node = self
            .0
            .entry(name.clone())
            .or_insert_with(|| Node::new(life, now));
        if node.life != life && !node.begins_another_life(life, number, &deltas) {
            return Wanted {
                state: false,
                hello: node.is_to_be_asked(now),
            };
        }
        node.heard_at = now;
        if number <= node.seen {
            // It was sent twice.
            return Wanted::default();
        }
        node.count(number, changes);
        let mut wanted = Wanted::default();
        for delta in deltas {
            let is_farewell = matches!(delta, Delta::Bye);
            wanted.state |= self.take(&name, delta, own, changes);
            if is_farewell {
                break;
            }
        }
        let node = self.0.get_mut(&name);
        wanted.hello = node.is_some_and(|node| !node.is_sure && node.is_to_be_asked(now));
        wanted
    }

    /// A node tells this; whether it wants to hear all that this one has.
    fn take(
        &mut self,
        name: &NodeName,
        delta: Delta,
        own: &NodeName,
        changes: &mut Vec<Change>,
    ) -> bool {
        let change = match delta {
            Delta::Hello(of) => return of.is_none_or(|of| of == *own),
            Delta::Beat => return false,
            Delta::Claim(claim) => Change::Claimed(name.clone(), claim),
            Delta::Places(places) if places.to == *own => Change::Was(places),
            Delta::Places(_) => return false,
            Delta::Typing(room, user) => Change::Typing(room, user),
            Delta::Ask(number, question) => Change::Asked(name.clone(), number, question),
            Delta::Found(found) if found.to == *own => {
                Change::Found(name.clone(), found.number, found.last, found.items)
            }
            Delta::Found(_) => return false,
            Delta::Bye => {
                self.drop_node(name, changes);
                return false;
            }
            Delta::State(_)
            | Delta::Enter(..)
            | Delta::Leave(..)
            | Delta::Here(_)
            | Delta::Gone(_)
            | Delta::Settled(..) => {
                if let Some(node) = self.0.get_mut(name) {
                    node.apply(delta, changes);
                }
                return false;
            }
        };
        changes.push(change);
        false
    }

    /// Something of the log was missed: all are asked for everything.
    pub(super) fn lost_track(&mut self, now: Instant) {
        for node in self.0.values_mut() {
            node.is_sure = false;
            node.told = None;
            node.asked_at = Some(now);
        }
    }

    /// Nobody could be heard until now.
    pub(super) fn begin_to_listen(&mut self, now: Instant) {
        for node in self.0.values_mut() {
            node.heard_at = now;
        }
    }

    /// Drops those that were not heard for too long; returns their names.
    pub(super) fn drop_silent(&mut self, now: Instant, changes: &mut Vec<Change>) -> Vec<NodeName> {
        let is_silent = |node: &Node| now.saturating_duration_since(node.heard_at) >= SILENCE_MAX;
        let silent = self.0.iter().filter(|(_, node)| is_silent(node));
        let silent: Vec<NodeName> = silent.map(|(name, _)| name.clone()).collect();
        for name in &silent {
            self.drop_node(name, changes);
        }
        silent
    }

    fn drop_node(&mut self, name: &NodeName, changes: &mut Vec<Change>) {
        if let Some(mut node) = self.0.remove(name) {
            node.become_these(Members::default(), changes);
        }
    }
}

impl Node {
    fn new(life: u64, now: Instant) -> Self {
        Self {
            life,
            seen: 0,
            is_sure: false,
            heard_at: now,
            asked_at: None,
            has: Members::default(),
            told: None,
        }
    }

    /// Whether another process has this name now: its first note is proof, and that it tells all it has. Else it may be the
    /// last word of an earlier one.
    fn begins_another_life(&mut self, life: u64, number: u64, deltas: &[Delta]) -> bool {
        let is_first = |delta: &Delta| matches!(delta, Delta::State(chunk) if chunk.first);
        let begins = number == 1 || deltas.iter().any(is_first);
        if begins {
            (self.life, self.seen) = (life, 0);
            (self.is_sure, self.told) = (false, None);
        }
        begins
    }

    fn is_to_be_asked(&mut self, now: Instant) -> bool {
        let is_due = |at: Instant| at + ASK_EVERY <= now;
        let is_due = self.asked_at.is_none_or(is_due);
        if is_due {
            self.asked_at = Some(now);
        }
        is_due
    }

    /// Notes which note this is.
    fn count(&mut self, number: u64, changes: &mut Vec<Change>) {
        if number == 1 {
            self.is_sure = true;
            self.become_these(Members::default(), changes);
        } else if number != self.seen + 1 {
            self.is_sure = false;
            self.told = None;
        }
        self.seen = number;
    }

    fn apply(&mut self, delta: Delta, changes: &mut Vec<Change>) {
        if let Delta::State(chunk) = delta {
            return self.take_chunk(chunk, changes);
        }
        if !self.is_sure {
            return;
        }
        match delta {
            Delta::Enter(room, user) => {
                if self.has.places.insert((room.clone(), user.clone())) {
                    changes.push(Change::Entered(room, user));
                }
            }
            Delta::Leave(room, user) => {
                let place = (room, user);
                if self.has.places.remove(&place) {
                    changes.push(Change::Left(place.0, place.1));
                }
            }
            Delta::Here(user) => {
                if self.has.here.insert(user.clone()) {
                    changes.push(Change::Here(user));
                }
            }
            Delta::Gone(user) => {
                if self.has.here.remove(&user) {
                    changes.push(Change::Gone(user));
                }
            }
            // Else it is not known yet that the session is in its rooms there: its places here go in their own time.
            Delta::Settled(tag, user) => changes.push(Change::Settled(tag, user)),
            Delta::Hello(_)
            | Delta::Beat
            | Delta::State(_)
            | Delta::Claim(_)
            | Delta::Places(_)
            | Delta::Typing(..)
            | Delta::Ask(..)
            | Delta::Found(_)
            | Delta::Bye => {}
        }
    }

    /// It tells all it has: what it had is not compared with that before it has told all.
    fn take_chunk(&mut self, chunk: Chunk, changes: &mut Vec<Change>) {
        if chunk.first {
            self.is_sure = true;
            self.told = Some(Members::default());
        }
        let Some(told) = &mut self.told else {
            return;
        };
        told.here.extend(chunk.here);
        told.places.extend(chunk.places);
        if chunk.last
            && let Some(told) = self.told.take()
        {
            self.become_these(told, changes);
        }
    }

    fn become_these(&mut self, members: Members, changes: &mut Vec<Change>) {
        let had = std::mem::replace(&mut self.has, members);
        let entered = self.has.places.difference(&had.places).cloned();
        changes.extend(entered.map(|(room, user)| Change::Entered(room, user)));
        let came = self.has.here.difference(&had.here).cloned();
        changes.extend(came.map(Change::Here));
        let left = had.places.difference(&self.has.places).cloned();
        changes.extend(left.map(|(room, user)| Change::Left(room, user)));
        let gone = had.here.difference(&self.has.here).cloned();
        changes.extend(gone.map(Change::Gone));
    }
}

#[cfg(test)]
mod tests;

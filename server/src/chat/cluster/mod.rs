//! The cluster as one node sees it: what it tells the others, what it has heard of them, and when it believes that.
//!
//! Nodes that share their logs tell each other in one of them, `$cluster`, who enters and leaves which room with the first and the
//! last of a node's connections. All read the same notes in the same order; a node's own come back to it, too, by which it knows that
//! it hears the others. What it has itself it knows at once. So each has a copy of who is where, which is right when the log is
//! still, and nobody decides for anybody else.
//!
//! | what happens | what follows |
//! |---|---|
//! | a node begins | `hello`: all others tell all they have |
//! | a note was missed | nothing of what follows counts; `hello` to that node |
//! | the log lost something | `hello` to all |
//! | a node was not heard for 20 s | it is dropped with all its members; heard again, it is asked for all it has |
//! | the log is away | nobody is dropped; 20 s count from its return |
//! | a node stops | `bye`: its members go at once |
//!
//! Pure: notes and the time come in, changes and notes go out.

mod claims;
mod delta;
mod nodes;
mod outbox;

use std::time::{Duration, Instant};

use serde_json::Value;

pub(super) use delta::{Claim, Places, Tag};
pub(super) use nodes::Change;
pub use outbox::Outgoing;
pub(super) use outbox::Snapshot;

use self::claims::Claims;
use self::delta::{Delta, Findings, Note, json_weight};
use self::nodes::Nodes;
use self::outbox::Outbox;
use crate::ids::{ConnId, NodeName, RoomName, UserName};

/// Between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// A node that has not heard itself for so long does not hear the others either: two beats.
const DEAF_AFTER: Duration = Duration::from_secs(10);

/// Between two times that all is told: many may ask at once.
const STATE_EVERY: Duration = Duration::from_secs(1);

/// Bytes of what was found in one note: others need some of it, too.
const PART_BYTES_MAX: usize = 48 << 10;

/// ... and in all: the log of the nodes is for who is where.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What has become of nodes since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// These were not heard for too long.
    pub dropped: Vec<NodeName>,
    /// Another process goes by this node's name.
    pub has_namesake: bool,
    /// What operators ask at others: who asks, and the question's number.
    pub asked: Vec<(NodeName, u32, Value)>,
    /// What others have found: who has, for which question, and whether that is all.
    pub found: Vec<(NodeName, u32, bool, Vec<Value>)>,
}

/// What this node has to do with the others.
#[derive(Debug)]
pub(super) struct Cluster {
    name: NodeName,
    life: u64,
    /// It follows the log, and has not stopped.
    is_open: bool,
    outbox: Outbox,
    nodes: Nodes,
    claims: Claims,
    begun_at: Option<Instant>,
    beat_at: Option<Instant>,
    heard_self_at: Option<Instant>,
    /// When to tell all that this node has.
    state_at: Option<Instant>,
    told_state_at: Option<Instant>,
    remarks: Remarks,
}

impl Cluster {
    /// A node of this name; `life` is a random number that no other process has.
    pub(super) fn new(name: NodeName, life: u64) -> Self {
        Self {
            outbox: Outbox::new(name.clone(), life),
            name,
            life,
            is_open: false,
            nodes: Nodes::default(),
            claims: Claims::default(),
            begun_at: None,
            beat_at: None,
            heard_self_at: None,
            state_at: None,
            told_state_at: None,
            remarks: Remarks::default(),
        }
    }

    /// What this node is called.
    pub(super) const fn name(&self) -> &NodeName {
        &self.name
    }

    /// Which process of the node this is.
    pub(super) const fn life(&self) -> u64 {
        self.life
    }

    /// How many others are known.
    pub(super) fn others(&self) -> usize {
        self.nodes.len()
    }

    pub(super) const fn remarks(&mut self) -> &mut Remarks {
        &mut self.remarks
    }

    pub(super) fn take_remarks(&mut self) -> Remarks {
        std::mem::take(&mut self.remarks)
    }

    // ---- the log ----

    /// The node follows the log from here on, where it did not, or something of it was missed.
    pub(super) fn begin(&mut self, now: Instant) {
        self.is_open = true;
        self.begun_at.get_or_insert(now);
        self.beat_at.get_or_insert(now + BEAT_EVERY);
        self.nodes.lost_track(now);
        self.tell(Delta::Hello(None));
        self.tell_anew(now);
    }

    /// A note is in the log. What it changes is added to `changes`.
    pub(super) fn hear(&mut self, content: &str, now: Instant, changes: &mut Vec<Change>) {
        let Some(note) = Note::read(content) else {
            return;
        };
        if note.node == self.name {
            return self.hear_own(&note, now, changes);
        }
        let sender = note.node.clone();
        let wanted = self.nodes.hear(note, &self.name, now, changes);
        if wanted.hello {
            self.tell(Delta::Hello(Some(sender)));
        }
        if wanted.state && self.is_open && !self.outbox.has_untold_state() {
            let earliest = self.told_state_at.map_or(now, |at| at + STATE_EVERY);
            self.state_at.get_or_insert(earliest.max(now));
        }
    }

    /// One of its own is back: who is heard no more is gone, if this node could hear it.
    fn hear_own(&mut self, note: &Note, now: Instant, changes: &mut Vec<Change>) {
        if note.life != self.life {
            self.remarks.has_namesake = true;
            return;
        }
        self.claims.came_back(note.number);
        let heard_self_at = self.heard_self_at.replace(now);
        let is_listening = |at: Instant| now.saturating_duration_since(at) < DEAF_AFTER;
        if heard_self_at.is_some_and(is_listening) {
            let dropped = self.nodes.drop_silent(now, changes);
            self.remarks.dropped.extend(dropped);
        } else {
            self.nodes.begin_to_listen(now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and then [`next_note`](Self::next_note).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let own = [self.beat_at, self.state_at, self.outbox.again_at()];
        own.into_iter().flatten().min()
    }

    /// Says that it is there, if it is time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.beat_at.is_none_or(|at| now < at) {
            return;
        }
        self.beat_at = Some(now + BEAT_EVERY);
        self.claims.forget_old(now);
        if self.outbox.is_empty() {
            self.tell(Delta::Beat);
        }
    }

    /// Whether all that this node has is to be told now.
    pub(super) fn owes_state(&self, now: Instant) -> bool {
        self.is_open && self.state_at.is_some_and(|at| at <= now)
    }

    /// This is it.
    pub(super) fn tell_state(&mut self, all: Snapshot, now: Instant) {
        self.state_at = None;
        self.told_state_at = Some(now);
        self.outbox.push_state(all);
    }

    /// What the log is to be given; nothing before it has [answered](Self::placed) the last.
    pub(super) fn next_note(&mut self, now: Instant) -> Option<Outgoing> {
        self.outbox.next(&mut self.claims, now)
    }

    /// The log has taken the last note, or not.
    pub(super) fn placed(&mut self, is_placed: bool, now: Instant) {
        self.outbox.placed(is_placed, now);
        if !self.is_open && !is_placed {
            // The others will find out in their own time.
            self.outbox.give_up();
        }
    }

    /// The node stops, and all its members go with it.
    pub(super) fn leave(&mut self) {
        if self.is_open {
            self.outbox.clear();
            self.tell(Delta::Bye);
        }
        (self.is_open, self.beat_at, self.state_at) = (false, None, None);
    }

    /// Whether nothing is left to be told.
    pub(super) fn is_told(&self) -> bool {
        self.outbox.is_empty()
    }

    // ---- what happens here ----

    /// A user has its first connection in a room on this node.
    pub(super) fn enter(&mut self, room: &RoomName, user: &UserName) {
        self.tell(Delta::Enter(room.clone(), user.clone()));
    }

    /// It has none there any more.
    pub(super) fn quit(&mut self, room: &RoomName, user: &UserName) {
        self.tell(Delta::Leave(room.clone(), user.clone()));
    }

    /// A user is connected to this node.
    pub(super) fn here(&mut self, user: &UserName) {
        self.tell(Delta::Here(user.clone()));
    }

    /// It is not any more.
    pub(super) fn gone(&mut self, user: &UserName) {
        self.tell(Delta::Gone(user.clone()));
    }

    /// Somebody is typing: worth telling only at once, and if there is anybody.
    pub(super) fn typing(&mut self, room: &RoomName, user: &UserName) {
        if self.nodes.len() > 0 && !self.outbox.is_stuck() {
            self.tell(Delta::Typing(room.clone(), user.clone()));
        }
    }

    // ---- operators ----

    /// What the others are called.
    pub(super) fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.names()
    }

    /// Asks them all.
    pub(super) fn ask(&mut self, number: u32, question: Value) {
        self.tell(Delta::Ask(number, question));
    }

    /// Answers the one that asked, in parts that fit into a note.
    pub(super) fn answer(&mut self, to: &NodeName, number: u32, items: Vec<Value>) {
        let mut items = items.into_iter().peekable();
        let mut left = ANSWER_BYTES_MAX;
        loop {
            let mut part = Vec::new();
            let mut bytes = 0;
            while let Some(item) = items.next_if(|item| bytes + json_weight(item) <= PART_BYTES_MAX)
            {
                bytes += json_weight(&item);
                part.push(item);
            }
            left = usize::saturating_sub(left, bytes);
            // One that fits into no note, and what would be too much, is left out.
            let last = part.is_empty() || items.peek().is_none() || left < PART_BYTES_MAX;
            self.tell(Delta::Found(Findings {
                to: to.clone(),
                number,
                last,
                items: part,
            }));
            if last {
                return;
            }
        }
    }

    fn tell(&mut self, delta: Delta) {
        if self.is_open && self.outbox.push(delta) {
            self.start_over();
        }
    }

    /// Too much waits for the log: all will be told anew instead. What was asked of others is asked again.
    fn start_over(&mut self) {
        self.outbox.clear();
        // A time that has come.
        if let Some(now) = self.begun_at {
            self.tell(Delta::Hello(None));
            self.tell_anew(now);
        }
    }

    /// All that is here is to be told, and claims that were not.
    fn tell_anew(&mut self, now: Instant) {
        self.state_at = Some(now);
        for tag in self.claims.to_be_told() {
            self.tell_claim(tag);
        }
    }

    // ---- sessions ----

    /// A connection names its session, which may have one on another node, or have been there. `has_said` tells that it wants to
    /// be where that was.
    pub(super) fn claim(
        &mut self,
        conn: ConnId,
        user: &UserName,
        tag: Tag,
        has_said: bool,
        now: Instant,
    ) {
        if self.claims.make(tag, user.clone(), has_said) {
            self.claims.await_places(conn, tag, has_said, now);
            self.tell_claim(tag);
        }
    }

    fn tell_claim(&mut self, tag: Tag) {
        if self.is_open && self.outbox.push_claim(tag) {
            self.start_over();
        }
    }

    /// A connection that has claimed its session says that it wants to be where that was.
    pub(super) fn has_said(&mut self, conn: ConnId) {
        if let Some(tag) = self.claims.has_said(conn) {
            self.claims.will_wait(tag);
        }
    }

    /// Whether this node's claim of a session holds against all that have come from others.
    pub(super) fn has_newer_claim(&self, tag: Tag) -> bool {
        self.claims.is_newer_here(tag)
    }

    /// Tells the node that has claimed a session where that was.
    pub(super) fn answer_claim(&mut self, places: Places) {
        self.tell(Delta::Places(places));
    }

    /// Whether a connection waits to hear where this session was, and if so, whether it is to be there at once.
    pub(super) fn waits(&self, conn: ConnId, tag: Tag) -> Option<bool> {
        self.claims.waits(conn, tag)
    }

    /// A session that was claimed is in all its rooms.
    pub(super) fn settled(&mut self, tag: Tag, user: &UserName) {
        self.tell(Delta::Settled(tag, user.clone()));
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.claims.forget(conn);
    }
}

#[cfg(test)]
mod tests;

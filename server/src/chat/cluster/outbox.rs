//! What this node has yet to tell the others. One note is on its way at a time, and it is sent again until the log has it: so
//! notes are in the log in the order of their numbers, and what comes up meanwhile goes together with the next.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::claims::Claims;
use super::delta::{Chunk, Delta, Note, Tag, name_weight, pair_weight};
use crate::ids::{NodeName, RoomName, UserName};

/// Bytes of a note.
const NOTE_BYTES_MAX: usize = 64 << 10;

/// What a note has beside its deltas, at most.
const HEAD_BYTES: usize = 256;

/// A claim with the longest name.
const CLAIM_BYTES_MAX: usize = 512;

/// Names in one part of all that a node has.
const CHUNK_NAMES_MAX: usize = 1000;

/// Bytes that may wait here while the log cannot be reached; beyond that, all is told anew when it can.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Between two tries to get a note into the log.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// All that a node has, at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::chat) struct Snapshot {
    pub(in crate::chat) here: Vec<UserName>,
    pub(in crate::chat) places: Vec<(RoomName, UserName)>,
}

/// A note for the log.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its number, which makes it known should it be sent twice.
    pub number: u64,
    /// What it says.
    pub content: Box<RawValue>,
}

#[derive(Debug)]
enum Item {
    Delta(Delta),
    /// A claim, as it is when it goes out.
    Claim(Tag),
    State {
        left: Snapshot,
        is_first: bool,
    },
}

/// A note that the log has not taken yet.
#[derive(Debug)]
struct Flight {
    note: Outgoing,
    /// When to send it again; not while there is no answer.
    again_at: Option<Instant>,
}

/// What waits, and what is on its way.
#[derive(Debug)]
pub(super) struct Outbox {
    node: NodeName,
    life: u64,
    number: u64,
    queue: VecDeque<Item>,
    bytes: usize,
    flight: Option<Flight>,
}

impl Outbox {
    /// Nothing yet, of this process of the node.
    pub(super) const fn new(node: NodeName, life: u64) -> Self {
        Self {
            node,
            life,
            number: 0,
            queue: VecDeque::new(),
            bytes: 0,
            flight: None,
        }
    }

    /// Adds what is to be told. Returns whether too much waits: then everything is to be [forgotten](Self::clear) and told anew.
    #[must_use]
    pub(super) fn push(&mut self, delta: Delta) -> bool {
        self.bytes += delta.weight();
        self.queue.push_back(Item::Delta(delta));
        self.bytes > WAITING_BYTES_MAX
    }

    /// Adds a claim, which is looked up when it goes out.
    #[must_use]
    pub(super) fn push_claim(&mut self, tag: Tag) -> bool {
        self.bytes += size_of::<Tag>();
        self.queue.push_back(Item::Claim(tag));
        self.bytes > WAITING_BYTES_MAX
    }

    /// Adds all that the node has, whose names are in memory anyway: that is never too much.
    pub(super) fn push_state(&mut self, all: Snapshot) {
        self.queue.push_back(Item::State {
            left: all,
            is_first: true,
        });
    }

    /// Whether all that the node has waits here and nothing of it has gone out: who asks now will hear all of it.
    pub(super) fn has_untold_state(&self) -> bool {
        let is_whole = |item: &Item| matches!(item, Item::State { is_first: true, .. });
        self.queue.iter().any(is_whole)
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }

    /// Whether nothing waits and nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.flight.is_none()
    }

    /// Whether the log takes nothing at the moment.
    pub(super) fn is_stuck(&self) -> bool {
        let flight = self.flight.as_ref();
        flight.is_some_and(|flight| flight.again_at.is_some())
    }

    /// When to ask for what is to be [sent again](Self::next).
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.flight.as_ref()?.again_at
    }

    /// The next note, if the last has its place, or that again if the log did not take it.
    pub(super) fn next(&mut self, claims: &mut Claims, now: Instant) -> Option<Outgoing> {
        if let Some(flight) = &mut self.flight {
            flight.again_at.take_if(|at| *at <= now)?;
            return Some(flight.note.clone());
        }
        if self.queue.is_empty() {
            return None;
        }
        let number = self.number + 1;
        let deltas = self.take_deltas(claims, number);
        self.number = number;
        let note = Note {
            node: self.node.clone(),
            life: self.life,
            number,
            deltas,
        };
        let content = note.write();
        let note = Outgoing { number, content };
        self.flight = Some(Flight {
            note: note.clone(),
            again_at: None,
        });
        Some(note)
    }

    /// The log has taken the note, or not.
    pub(super) fn placed(&mut self, is_placed: bool, now: Instant) {
        if is_placed {
            self.flight = None;
        } else if let Some(flight) = &mut self.flight {
            flight.again_at = Some(now + RETRY_AFTER);
        }
    }

    /// What waits goes nowhere any more.
    pub(super) fn give_up(&mut self) {
        self.clear();
        self.flight = None;
    }

    /// What fits into one note.
    fn take_deltas(&mut self, claims: &mut Claims, number: u64) -> Vec<Delta> {
        let (mut deltas, mut left) = (Vec::new(), NOTE_BYTES_MAX - HEAD_BYTES);
        while let Some(item) = self.queue.front_mut() {
            let delta = match item {
                Item::Delta(delta) if delta.weight() > left && !deltas.is_empty() => break,
                Item::Delta(delta) => {
                    self.bytes -= delta.weight();
                    mem::replace(delta, Delta::Beat)
                }
                Item::Claim(tag) => {
                    if CLAIM_BYTES_MAX > left {
                        break;
                    }
                    let claim = claims.going_out(*tag, number).map(Delta::Claim);
                    // It went out already, with another of the same session.
                    let claim = claim.unwrap_or(Delta::Beat);
                    self.bytes -= size_of::<Tag>();
                    claim
                }
                Item::State {
                    left: all,
                    is_first,
                } => {
                    let chunk = all.take_chunk(left, is_first);
                    let (is_last, is_empty) = (chunk.last, chunk.is_empty());
                    if !is_empty || is_last {
                        left = left.saturating_sub(Delta::State(chunk.clone()).weight());
                        deltas.push(Delta::State(chunk));
                    }
                    if !is_last {
                        break;
                    }
                    self.queue.pop_front();
                    continue;
                }
            };
            left = left.saturating_sub(delta.weight());
            deltas.push(delta);
            self.queue.pop_front();
        }
        deltas
    }
}

impl Snapshot {
    /// Takes what fits into so many bytes.
    fn take_chunk(&mut self, bytes_max: usize, is_first: &mut bool) -> Chunk {
        let mut left = bytes_max.saturating_sub(Delta::State(Chunk::default()).weight());
        let mut chunk = Chunk::default();
        while chunk.len() < CHUNK_NAMES_MAX
            && let Some(user) = self.here.pop_if(|user| name_weight(user) <= left)
        {
            left -= name_weight(&user);
            chunk.here.push(user);
        }
        while chunk.len() < CHUNK_NAMES_MAX
            && let Some((room, user)) = self
                .places
                .pop_if(|(room, user)| pair_weight(room, user) <= left)
        {
            left -= pair_weight(&room, &user);
            chunk.places.push((room, user));
        }
        chunk.last = self.here.is_empty() && self.places.is_empty();
        if chunk.last || !chunk.is_empty() {
            chunk.first = mem::take(is_first);
        }
        chunk
    }
}

impl Chunk {
    const fn len(&self) -> usize {
        self.here.len() + self.places.len()
    }

    const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Session;

    fn outbox() -> Outbox {
        Outbox::new(NodeName::new("a").unwrap(), 7)
    }

    fn user(number: usize) -> UserName {
        // As long in JSON as a name can be.
        UserName::new(&format!("{number:0>64}{}", "\"".repeat(64))).unwrap()
    }

    fn room() -> RoomName {
        RoomName::new(&"\\".repeat(128)).unwrap()
    }

    #[test]
    fn one_note_is_on_its_way_and_goes_again_until_it_has_its_place() {
        let (mut outbox, mut claims, now) = (outbox(), Claims::default(), Instant::now());
        assert!(outbox.next(&mut claims, now).is_none());
        assert!(!outbox.push(Delta::Beat));
        let first = outbox.next(&mut claims, now).unwrap();
        assert!(!outbox.push(Delta::Bye));
        assert!(outbox.next(&mut claims, now).is_none(), "one at a time");
        outbox.placed(false, now);
        assert!(outbox.next(&mut claims, now).is_none() && outbox.is_stuck());
        let again = outbox.next(&mut claims, now + RETRY_AFTER).unwrap();
        assert_eq!(
            (again.number, again.content.get()),
            (first.number, first.content.get())
        );
        assert!(outbox.next(&mut claims, now + RETRY_AFTER).is_none());
        outbox.placed(true, now);
        let second = outbox.next(&mut claims, now).unwrap();
        assert_eq!(second.number, 2);
        assert_eq!(
            Note::read(second.content.get()).unwrap().deltas,
            [Delta::Bye]
        );
        outbox.placed(true, now);
        assert!(outbox.is_empty());
    }

    #[test]
    fn no_note_is_longer_than_64_kib_and_all_that_a_node_has_comes_in_parts() {
        let (mut outbox, mut claims, now) = (outbox(), Claims::default(), Instant::now());
        for number in 0..500 {
            assert!(!outbox.push(Delta::Enter(room(), user(number))));
        }
        let all = Snapshot {
            here: (0..3000).map(user).collect(),
            places: (0..3000).map(|number| (room(), user(number))).collect(),
        };
        outbox.push_state(all);
        assert!(outbox.has_untold_state());
        assert!(!outbox.push(Delta::Beat));
        let mut deltas = Vec::new();
        while let Some(note) = outbox.next(&mut claims, now) {
            assert!(note.content.get().len() <= NOTE_BYTES_MAX);
            deltas.extend(Note::read(note.content.get()).unwrap().deltas);
            outbox.placed(true, now);
        }
        assert_eq!((outbox.bytes, outbox.has_untold_state()), (0, false));
        assert_eq!(deltas.pop(), Some(Delta::Beat));
        let chunks: Vec<Chunk> = deltas
            .into_iter()
            .filter_map(|delta| match delta {
                Delta::State(chunk) => Some(chunk),
                _ => None,
            })
            .collect();
        let count = chunks.len();
        for (index, chunk) in chunks.iter().enumerate() {
            assert_eq!((chunk.first, chunk.last), (index == 0, index == count - 1));
            assert!(chunk.len() <= CHUNK_NAMES_MAX);
        }
        assert_eq!(chunks.iter().map(Chunk::len).sum::<usize>(), 6000);
    }

    #[test]
    fn so_much_waits_while_the_log_is_away() {
        let mut outbox = outbox();
        let pushed = (0..1_000_000).take_while(|number| !outbox.push(Delta::Here(user(*number))));
        let pushed = pushed.count();
        assert!((1000..100_000).contains(&pushed), "{pushed}");
        outbox.clear();
        assert!(!outbox.push(Delta::Beat));
    }

    #[test]
    fn a_claim_goes_out_as_it_is_then() {
        let (mut outbox, mut claims, now) = (outbox(), Claims::default(), Instant::now());
        let user = user(1);
        let tag = Tag::of(&user, &Session::new("s").unwrap());
        claims.make(tag, user, false);
        assert!(!outbox.push_claim(tag));
        claims.will_wait(tag);
        let note = Note::read(outbox.next(&mut claims, now).unwrap().content.get()).unwrap();
        assert!(matches!(&note.deltas[..], [Delta::Claim(claim)] if claim.waits));
        assert!(claims.is_newer_here(tag), "until it is back");
        claims.came_back(1);
        assert!(!claims.is_newer_here(tag));
    }
}

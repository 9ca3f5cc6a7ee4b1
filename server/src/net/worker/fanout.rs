//! Fan-out: what came together for those in a room goes to each of them at once.
//!
//! Entries of one log that come one behind the other wait here until something else does, and are then put together once
//! for all who follow: a thousand followers of a busy room get one piece of memory each for what may be a hundred messages, and
//! one write where they have nothing else to be sent. The same for what is said in a room of the relay in one turn. Acks of a
//! follower's own entries wait with them, so that they keep their order.

use std::mem;
use std::sync::Arc;

use smallvec::SmallVec;
use tidewire_protocol::{Batch, Message, Prepared};

use super::Worker;
use super::chat::weight;
use super::delivery::{OUTBOX_BYTES_HIGH, is_urgent};
use super::mail::Mail;
use super::readers::{RoomReader, held_bytes, stream_of_one_room};
use crate::chat::Event;
use crate::ids::{ConnId, LogName, RoomName};
use crate::log::Entry;
use crate::transport::dialect::Encoding;
use crate::transport::feeds::Shared;

/// Bytes after which what came together goes out.
const TOGETHER_BYTES_MAX: usize = 64 << 10;

/// Entries of one log that go out together.
#[derive(Debug, Default)]
pub(super) struct Together {
    entries: Vec<Said>,
    bytes: usize,
}

/// An entry, and the follower that sent it, if one did.
#[derive(Debug)]
struct Said {
    shared: Arc<Shared>,
    sender: Option<Sender>,
}

/// Who sent an entry.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) conn: ConnId,
    /// It is to get the entry as others do.
    pub(super) comes_back: bool,
    /// What it is to be told of the entry's place, before what comes behind it.
    pub(super) ack: Option<Event>,
}

/// What is said in one room of the relay in a turn.
#[derive(Debug)]
pub(super) struct Relayed {
    room: RoomName,
    messages: Vec<Prepared>,
    /// Who said each, and whether it gets it, too.
    senders: Vec<(ConnId, bool)>,
    bytes: usize,
}

impl Together {
    fn log(&self) -> Option<&LogName> {
        let first = self.entries.first();
        first.map(|said| &said.shared.entry.draft.log)
    }

    /// The connections that get something else than the others.
    fn senders(&self) -> SmallVec<[ConnId; 4]> {
        let mut senders = SmallVec::new();
        for Sender { conn, .. } in self.entries.iter().filter_map(|said| said.sender.as_ref()) {
            if !senders.contains(conn) {
                senders.push(*conn);
            }
        }
        senders
    }
}

impl Worker {
    // ---- entries ----

    /// Everybody who follows the log is to get the entry: with what else comes together, or later, when there is room for it.
    pub(super) fn announce(&mut self, entry: &Arc<Entry>, sender: Option<Sender>) {
        self.note_beginning(entry);
        let log = &entry.draft.log;
        if self.together.log().is_some_and(|together| together != log)
            || self.together.bytes > TOGETHER_BYTES_MAX
        {
            self.deliver();
        }
        let conn = sender.as_ref().map(|sender| sender.conn);
        let pushed = self.feeds.push(Arc::clone(entry), conn);
        let is_live = pushed.as_ref().is_some_and(|(_, is_live)| *is_live);
        let sender = match sender {
            Some(sender) if !is_live => {
                // Nothing that waits here is for it.
                self.acknowledge_alone(entry, sender);
                None
            }
            sender => sender,
        };
        if let Some((shared, _)) = pushed {
            self.together.bytes += entry.draft.content.get().len();
            self.together.entries.push(Said { shared, sender });
        }
    }

    /// The sender of an entry is told of its place, and will not be given it when it is behind.
    fn acknowledge_alone(&mut self, entry: &Entry, sender: Sender) {
        let Sender {
            conn,
            comes_back,
            ack,
        } = sender;
        if !comes_back {
            self.feeds.note_own(conn, entry);
        }
        if let Some(ack) = ack.and_then(|ack| self.feeds.hold_back(conn, &entry.draft.log, ack)) {
            self.say(conn, ack);
        }
    }

    /// Sends what came together.
    pub(super) fn deliver(&mut self) {
        if self.together.entries.is_empty() {
            return;
        }
        let mut together = mem::take(&mut self.together);
        self.deliver_to_all(&mut together);
        together.entries.clear();
        together.bytes = 0;
        self.together = together;
    }

    fn deliver_to_all(&mut self, together: &mut Together) {
        let Some(log) = together.log().cloned() else {
            return;
        };
        let log = &log;
        let (senders, count) = (together.senders(), together.entries.len());
        let (senders, is_urgent) = (&senders[..], is_urgent(log));
        let (mut batches, mut piece) = (Batches::default(), None);
        let (mut is_heard, mut sent) = (false, 0);
        for follower in self.feeds.live(log) {
            if senders.contains(&follower) {
                self.deliver_each(follower, together);
                continue;
            }
            let Some(conn) = self.table.get_mut(follower) else {
                self.hear_own_logs(follower, &together.entries);
                continue;
            };
            if conn.unsent_bytes() + held_bytes(&self.readers, follower, conn) > OUTBOX_BYTES_HIGH {
                if let Some(first) = together.entries.first() {
                    self.fall_behind(follower, &first.shared.entry);
                }
                continue;
            }
            is_heard = true;
            if let Some(reader) = stream_of_one_room(&mut self.readers, follower, conn) {
                sent += count;
                reader.is_given(together.entries.iter().map(|said| &*said.shared));
                if conn.send_piece(piece.get_or_insert_with(|| piece_of_stream(&together.entries)))
                {
                    self.mark_dirty(follower);
                }
                continue;
            }
            let Some(encoding) = conn.encoding_of(log).filter(|_| !conn.is_tapped()) else {
                self.deliver_one_by_one(follower, &together.entries);
                continue;
            };
            let Some(batch) = batches.get(encoding, &together.entries) else {
                self.deliver_one_by_one(follower, &together.entries);
                continue;
            };
            sent += count;
            let is_left = conn.send_batch(batch);
            let is_due = conn.note_sent(count, is_urgent);
            if is_left || is_due {
                self.mark_dirty(follower);
            }
            if is_due {
                self.ask_for_receipt(follower);
            }
        }
        if is_heard {
            self.count_delivered(
                sent,
                together.entries.iter().map(|said| &*said.shared.entry),
            );
        }
    }

    /// A follower that has no connection is the worker itself, or has just gone.
    fn hear_own_logs(&mut self, follower: ConnId, entries: &[Said]) {
        if self.is_own_follower(follower) {
            for said in entries {
                self.hear_own_log(&said.shared.entry);
            }
        }
    }

    /// Gives a follower that sent some of the entries those of others, and the acks of its own.
    fn deliver_each(&mut self, follower: ConnId, together: &mut Together) {
        let mut is_behind = false;
        for Said { shared, sender } in &mut together.entries {
            let entry = &shared.entry;
            if let Some(sender) = sender.as_mut().filter(|sender| sender.conn == follower) {
                if let Some(ack) = sender.ack.take() {
                    self.note_entry(follower, entry, true);
                    self.say(follower, ack);
                }
                if !sender.comes_back {
                    if is_behind {
                        self.feeds.note_own(follower, entry);
                    }
                    continue;
                }
            }
            is_behind = is_behind || !self.send_entry_if_room(follower, shared);
        }
    }

    /// Gives a follower what is not the same for many, or counted on its way.
    fn deliver_one_by_one(&mut self, follower: ConnId, entries: &[Said]) {
        for said in entries {
            if !self.send_entry_if_room(follower, &said.shared) {
                return;
            }
        }
    }

    /// Sends an entry to a follower at the head; returns whether it is still there.
    fn send_entry_if_room(&mut self, follower: ConnId, shared: &Shared) -> bool {
        let Some(conn) = self.table.get_mut(follower) else {
            return true;
        };
        if conn.unsent_bytes() > OUTBOX_BYTES_HIGH || !conn.has_room() {
            self.fall_behind(follower, &shared.entry);
            return false;
        }
        self.send_entry(follower, shared);
        true
    }

    /// A follower at the head has no room for this entry: it goes on from a cursor, or is given up where the rule says so.
    fn fall_behind(&mut self, follower: ConnId, entry: &Entry) {
        match self.feeds.fall_behind(follower, entry, self.now.instant) {
            None => self.note_behind(follower),
            Some(position) => self.give_up(follower, Some(position)),
        }
    }

    // ---- the relay ----

    /// Others in the room are to get a message of the relay, with what else is said there in this turn.
    pub(super) fn pass_on(
        &mut self,
        sender: ConnId,
        room: RoomName,
        include_sender: bool,
        message: &Message<'_>,
    ) {
        let is_other = |relayed: &Relayed| relayed.room != room;
        if self.relayed.as_ref().is_some_and(is_other) {
            self.relay();
        }
        let prepared = Prepared::new(message);
        let relayed = self.relayed.get_or_insert_with(|| Relayed {
            room,
            messages: Vec::new(),
            senders: Vec::new(),
            bytes: 0,
        });
        let bytes = prepared.frame().len();
        relayed.bytes += bytes;
        relayed.messages.push(prepared);
        relayed.senders.push((sender, include_sender));
        let is_much = relayed.bytes > TOGETHER_BYTES_MAX;
        // What others have to deliver holds up its sender.
        let others = self.peers.others();
        if others > 0 {
            self.wait_more(sender, weight(bytes) * others as u32);
        }
        if is_much {
            self.relay();
        }
    }

    /// Sends what was said in a room of the relay, if something was.
    #[inline]
    pub(super) fn relay(&mut self) {
        if let Some(relayed) = self.relayed.take() {
            self.relay_together(relayed);
        }
    }

    fn relay_together(&mut self, relayed: Relayed) {
        let Relayed {
            room,
            messages,
            senders,
            ..
        } = relayed;
        let batch = Batch::new(messages);
        self.relay_here(&room, &batch, &senders);
        if self.peers.others() > 0 {
            let lengths = batch.messages().iter().map(|message| message.frame().len());
            let weights = senders.iter().zip(lengths);
            let weights: Vec<_> = weights
                .map(|((sender, _), length)| (*sender, weight(length)))
                .collect();
            let relayed = || Mail::Relayed(weights.clone(), room.clone(), batch.clone());
            self.peers.post_to_others(relayed);
        }
    }

    fn relay_here(&mut self, room: &RoomName, batch: &Batch, senders: &[(ConnId, bool)]) {
        // A list of its own, because queueing marks connections of this worker.
        for follower in self.relay.followers(room).to_vec() {
            let is_left_out =
                |(sender, included): &(ConnId, bool)| *sender == follower && !included;
            let is_left = if senders.iter().any(is_left_out) {
                self.relay_to_sender(follower, batch, senders)
            } else {
                self.status.own.messages_sent += batch.messages().len() as u64;
                let conn = self.table.get_mut(follower);
                conn.is_some_and(|conn| conn.send_batch(batch))
            };
            if is_left {
                self.mark_dirty(follower);
            }
        }
    }

    /// Sends what others said to one who said something itself; returns whether something is left to be flushed.
    fn relay_to_sender(
        &mut self,
        follower: ConnId,
        batch: &Batch,
        senders: &[(ConnId, bool)],
    ) -> bool {
        let others = batch.messages().iter().zip(senders);
        let others = others.filter(|(_, (sender, _))| *sender != follower);
        let others: Vec<Prepared> = others.map(|(message, _)| message.clone()).collect();
        if others.is_empty() {
            return false;
        }
        self.status.own.messages_sent += others.len() as u64;
        let conn = self.table.get_mut(follower);
        conn.is_some_and(|conn| conn.send_batch(&Batch::new(others)))
    }

    /// What other workers' connections said, and what each of it weighs.
    pub(super) fn relay_from_afar(
        &mut self,
        senders: Vec<(ConnId, u32)>,
        room: &RoomName,
        batch: &Batch,
    ) {
        self.told_bytes += batch.frames().len() * self.relay.followers(room).len();
        self.relay_here(room, batch, &[]);
        for (sender, bytes) in senders {
            self.peers.taken(sender, bytes);
        }
    }
}

/// What an event stream is sent for entries that go out together.
fn piece_of_stream(entries: &[Said]) -> Vec<u8> {
    let shared = entries.iter().map(|said| &*said.shared);
    shared.flat_map(RoomReader::event_of_one_room).collect()
}

/// Entries that go out together, in the encodings that are asked for: nearly always one.
#[derive(Default)]
struct Batches(SmallVec<[(Encoding, Option<Batch>); 1]>);

impl Batches {
    /// The batch in an encoding; none where one of the entries is more than a message in it.
    fn get(&mut self, encoding: Encoding, entries: &[Said]) -> Option<&Batch> {
        let known = self.0.iter().position(|(known, _)| *known == encoding);
        let place = known.unwrap_or_else(|| {
            let mut entries = entries.iter().map(|said| &said.shared);
            let is_batch = entries
                .clone()
                .all(|shared| encoding.is_one_message(&shared.entry));
            let messages = entries
                .by_ref()
                .map(|shared| shared.prepared(encoding).clone());
            let batch = is_batch.then(|| Batch::new(messages.collect()));
            self.0.push((encoding, batch));
            self.0.len() - 1
        });
        self.0[place].1.as_ref()
    }
}

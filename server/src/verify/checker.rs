//! The checker: what publishers, followers and the final history tell goes in, in the order in which it happened; what the
//! server did wrong comes out. No I/O and no clock.

use super::book::{Book, Place, Refusal, Witness, name};
use super::follower::{Cursor, Follower, Why, first_foreign};
use super::stamp::Stamp;
use super::verdict::{Findings, Kind};
use crate::log::{Epoch, Position};

/// The state of a check. Publishers, followers and rooms are numbered from 0; publisher `n` is also follower `n`.
#[derive(Debug, Clone)]
pub struct Checker {
    publishers: u16,
    /// As many of a room's newest entries as the server is to keep.
    kept_min: u64,
    allow_gaps: bool,
    book: Book,
    /// By follower, then by room; none where it is not in.
    cursors: Vec<Vec<Option<Cursor>>>,
    /// The connection on which each follower is.
    lives: Vec<u16>,
    histories: Vec<History>,
    /// By room: epochs that somebody was told have ended, with what was missing of them.
    ended: Vec<Vec<Epoch>>,
    found: Findings,
}

/// The final history of a room.
#[derive(Debug, Clone, Default)]
struct History {
    /// The oldest offset that is kept.
    oldest: u64,
    head: Option<Position>,
}

impl Checker {
    /// A check of `publishers` who follow their rooms too, and of as many `followers` in all.
    #[must_use]
    pub fn new(publishers: u16, followers: u16, rooms: u16, kept_min: u64) -> Self {
        let cursors = |_| (0..rooms).map(|_| None).collect();
        Self {
            publishers,
            kept_min,
            allow_gaps: false,
            book: Book::new(publishers, rooms),
            cursors: (0..followers).map(cursors).collect(),
            lives: vec![0; usize::from(followers)],
            histories: (0..rooms).map(|_| History::default()).collect(),
            ended: (0..rooms).map(|_| Vec::new()).collect(),
            found: Findings::default(),
        }
    }

    /// What was acknowledged may be lost at the end of an epoch, where somebody was told of that by a gap.
    #[must_use]
    pub const fn allow_gaps(mut self, allowed: bool) -> Self {
        self.allow_gaps = allowed;
        self
    }

    /// A follower is to have everything of a room by the end.
    pub fn expects(&mut self, follower: u16, room: u16) {
        self.cursors[usize::from(follower)][usize::from(room)].get_or_insert_default();
    }

    /// A publisher is about to send its next message. Call this before the bytes leave.
    pub fn intent(&mut self, stamp: Stamp, room: u16) {
        let life = self.lives[usize::from(stamp.publisher)];
        self.book.intend(stamp, room, u32::from(life));
    }

    /// A publisher was told the place of its message; `dup`: and that it was there before.
    pub fn ack(&mut self, publisher: u16, number: u64, room: u16, at: Position, dup: bool) {
        let number = u32::try_from(number).unwrap_or(0);
        let Some(stamp) = self.book.stamp(publisher, number) else {
            return self.found.add(Kind::Phantom, || {
                format!(
                    "an ack at {at} for {}, which was not sent",
                    name(publisher, number)
                )
            });
        };
        self.book
            .tell(Witness::Ack, room, at, stamp, &mut self.found);
        let life = self.lives[usize::from(publisher)];
        if let Some(sent) = self.book.message(publisher, number)
            && !dup
            && sent.refusal != Refusal::Never
        {
            let before = std::mem::replace(&mut sent.refusal, Refusal::New);
            if before == Refusal::Copied && sent.life == life {
                let who = self.follower(publisher, room);
                self.echo(who, stamp, at);
            }
        }
    }

    /// A publisher's message was refused: it may be sent again, behind later ones.
    pub fn refused(&mut self, publisher: u16, number: u64) {
        let number = u32::try_from(number).unwrap_or(0);
        if let Some(sent) = self.book.message(publisher, number)
            && sent.refusal == Refusal::Never
        {
            sent.refusal = Refusal::Refused;
        }
    }

    /// A follower has another connection.
    pub fn opened(&mut self, follower: u16) {
        let life = &mut self.lives[usize::from(follower)];
        *life = life.saturating_add(1);
    }

    /// A follower follows a room from behind `since`, or from its oldest entry.
    pub fn following(&mut self, follower: u16, room: u16, since: Option<Position>) {
        self.cursor(follower, room).follow(since);
    }

    /// A follower was told that it has everything up to here.
    pub fn joined(&mut self, follower: u16, room: u16, position: Position) {
        self.cursor(follower, room).joined(position);
    }

    /// A follower was shown an entry; `stamp` is what could be read of it.
    pub fn delivered(&mut self, follower: u16, room: u16, at: Position, stamp: Option<Stamp>) {
        let who = self.follower(follower, room);
        self.tell(Witness::Follower(follower), room, at, stamp);
        let life = self.lives[usize::from(follower)];
        let is_again = self.cursor(follower, room).is_shown_again(at);
        if let Some(stamp) = stamp
            && !is_again
            && who.own == Some(stamp.publisher)
            && let Some(sent) = self.book.message(stamp.publisher, stamp.number)
            && sent.life == life
        {
            // Who was refused was not told a place: the copy says that the message has one after all. Then there is no other
            // ack than that it was there before.
            match sent.refusal {
                Refusal::Refused | Refusal::Copied => sent.refusal = Refusal::Copied,
                Refusal::Never | Refusal::New => self.echo(who, stamp, at),
            }
        }
        let cursor = self.cursors[usize::from(follower)][usize::from(room)].get_or_insert_default();
        cursor.shown(who, at, &self.book, &mut self.found);
    }

    /// A follower was told that something is missing: behind `from`, up to and with `to`.
    pub fn gap(&mut self, follower: u16, room: u16, from: &str, to: Position, reason: &str) {
        let who = self.follower(follower, room);
        let cursor = self.cursors[usize::from(follower)][usize::from(room)].get_or_insert_default();
        let ended = cursor.gap(who, from, to, reason, &self.book, &mut self.found);
        let known = &mut self.ended[usize::from(room)];
        if let Some(epoch) = ended.filter(|epoch| !known.contains(epoch)) {
            known.push(epoch);
        }
    }

    /// The next entry of a room's final history, read from the oldest on.
    pub fn history(&mut self, room: u16, at: Position, stamp: Option<Stamp>) {
        let history = &mut self.histories[usize::from(room)];
        match history.head {
            None => history.oldest = at.offset,
            Some(last) if last.offset + 1 == at.offset => {}
            Some(last) => self.found.add(Kind::Hole, || {
                format!("the history of room {room}: {at} behind {last}")
            }),
        }
        history.head = Some(at);
        self.tell(Witness::History, room, at, stamp);
    }

    /// The final history says that some of it cannot be read.
    pub fn history_gap(&mut self, room: u16, from: &str, to: Position, reason: &str) {
        // Where another epoch begins nothing is missing, if the offsets go on.
        if reason == "epoch_changed" {
            if self.allow_gaps {
                self.histories[usize::from(room)].head = Some(to);
            }
        } else {
            self.found.add(Kind::Lost, || {
                format!("the history of room {room} has a gap from {from} to {to}: {reason}")
            });
        }
    }

    /// The server said what the protocol does not have.
    pub fn nonsense(&mut self, follower: u16, what: &str) {
        self.found
            .add(Kind::Nonsense, || format!("follower {follower}: {what}"));
    }

    /// Whether a follower has all that was acknowledged by now.
    #[must_use]
    pub fn has_reached(&self, follower: u16, room: u16) -> bool {
        let who = self.follower(follower, room);
        let cursor = self.cursors[usize::from(follower)][usize::from(room)].as_ref();
        let acked = self.book.newest_acked(room);
        let ended = &self.ended[usize::from(room)];
        let head = if acked.is_some_and(|acked| ended.contains(&acked.epoch)) {
            // What was acknowledged last may be lost: then the end is where the history ends, once that was read.
            self.histories[usize::from(room)].head
        } else {
            acked
        };
        head.zip(cursor)
            .is_none_or(|(head, cursor)| cursor.has_reached(who, head, &self.book))
    }

    /// What was found so far.
    #[must_use]
    pub const fn found(&self) -> &Findings {
        &self.found
    }

    /// What was found in all, once every room's final history was told.
    #[must_use]
    pub fn finish(mut self) -> Findings {
        self.check_messages();
        for room in 0..self.histories.len() {
            self.check_places(room as u16);
        }
        for follower in 0..self.cursors.len() {
            for room in 0..self.histories.len() {
                self.check_follower(follower as u16, room as u16);
            }
        }
        self.found
    }

    // ---- inside ----

    fn echo(&mut self, who: Follower, stamp: Stamp, at: Position) {
        self.found.add(Kind::Echo, || {
            format!(
                "{who}: {} at {at} came back to the connection that sent it",
                name(stamp.publisher, stamp.number)
            )
        });
    }

    fn follower(&self, index: u16, room: u16) -> Follower {
        let own = (index < self.publishers).then_some(index);
        Follower { index, room, own }
    }

    fn cursor(&mut self, follower: u16, room: u16) -> &mut Cursor {
        self.cursors[usize::from(follower)][usize::from(room)].get_or_insert_default()
    }

    fn tell(&mut self, witness: Witness, room: u16, at: Position, stamp: Option<Stamp>) {
        match stamp {
            Some(stamp) => self.book.tell(witness, room, at, stamp, &mut self.found),
            None => self.found.add(Kind::Phantom, || {
                format!("room {room} at {at} ({witness:?}): not of this run, or changed")
            }),
        }
    }

    /// Every publisher's messages: acknowledged ones are kept, and in their order.
    fn check_messages(&mut self) {
        for (publisher, messages) in self.book.sent.iter().enumerate() {
            let mut newest = vec![None::<(Position, u32)>; self.histories.len()];
            for (index, sent) in messages.iter().enumerate() {
                let called = || name(publisher as u16, index as u32 + 1);
                if !sent.acked {
                    self.found.add(Kind::Unacknowledged, called);
                }
                let Some(at) = self.book.place_of(sent) else {
                    continue;
                };
                if sent.acked && !sent.in_history && !self.is_expired(sent.room, at) {
                    let room = sent.room;
                    if self.is_told(room, at) {
                        self.found.tell();
                    } else {
                        self.found.add(Kind::Lost, || {
                            format!("{} in room {room} at {at}", called())
                        });
                    }
                }
                let before = &mut newest[usize::from(sent.room)];
                if let Some((before, number)) = *before
                    && sent.refusal == Refusal::Never
                    && before.epoch == at.epoch
                    && before.offset > at.offset
                {
                    self.found.add(Kind::Reordered, || {
                        format!(
                            "{} at {at}, but its earlier message {number} at {before}",
                            called()
                        )
                    });
                }
                if sent.refusal == Refusal::Never {
                    *before = Some((at, index as u32 + 1));
                }
            }
        }
    }

    /// Everything that anybody was shown is kept. (What was acknowledged is another matter.)
    fn check_places(&mut self, room: u16) {
        let head = self.histories[usize::from(room)].head;
        let lives = &self.book.rooms[usize::from(room)];
        for (at, place) in lives.iter().flat_map(|life| life.places()) {
            let epoch_ended = head.is_some_and(|head| head.epoch != at.epoch);
            if !place.in_history && !place.acked && !epoch_ended && !self.is_expired(room, at) {
                self.found.add(Kind::Unkept, || {
                    format!(
                        "{} in room {room} at {at}",
                        name(place.publisher, place.number)
                    )
                });
            }
        }
    }

    /// What a follower was not shown is explained, and it is at the head.
    fn check_follower(&mut self, follower: u16, room: u16) {
        let who = self.follower(follower, room);
        let Some(cursor) = &self.cursors[usize::from(follower)][usize::from(room)] else {
            return;
        };
        for skipped in cursor.skipped() {
            let unexplained = match skipped.why {
                Why::Own if who.own.is_none() => None,
                // Who sends before it has joined has acks of what its first page would show.
                Why::Expired
                    if who.own.is_some() && first_foreign(who, skipped, &self.book).is_none() =>
                {
                    None
                }
                Why::Own => first_foreign(who, skipped, &self.book),
                Why::Expired if self.is_expired(room, skipped.to) => None,
                Why::Expired if self.is_gone(room, skipped.from, skipped.to) => None,
                Why::Expired => Some(format!("{}, which is kept", skipped.to)),
                Why::EpochChanged => {
                    let from = skipped.from.unwrap_or(skipped.to);
                    let older = self
                        .kept(room, from.epoch)
                        .find(|at| at.offset > from.offset);
                    let newer = self.kept(room, skipped.to.epoch);
                    older
                        .or_else(|| newer.take_while(|at| at.offset <= skipped.to.offset).next())
                        .map(|at| format!("{at}, which is kept"))
                }
            };
            if let Some(what) = unexplained {
                let from = skipped
                    .from
                    .map_or("the oldest".to_owned(), |from| from.to_string());
                self.found
                    .add(Kind::Hole, || format!("{who}: behind {from}: {what}"));
            }
        }
        let head = self.histories[usize::from(room)].head;
        if let Some(head) = head.filter(|head| !cursor.has_reached(who, *head, &self.book)) {
            self.found.add(Kind::Undelivered, || {
                format!("{who}: something up to {head}")
            });
        }
    }

    /// Whether an acknowledged place is at the lost end of an epoch, and somebody was told of that.
    fn is_told(&self, room: u16, at: Position) -> bool {
        self.allow_gaps
            && self.ended[usize::from(room)].contains(&at.epoch)
            && !self
                .kept(room, at.epoch)
                .any(|kept| kept.offset > at.offset)
    }

    /// Whether a store that may lose something has nothing that is newer than `from`, and not behind `to`.
    fn is_gone(&self, room: u16, from: Option<Position>, to: Position) -> bool {
        let from = from.map_or(0, |from| from.offset);
        let mut lives = self.book.rooms[usize::from(room)].iter();
        self.allow_gaps
            && lives.all(|life| {
                let mut kept = self.kept(room, life.epoch);
                !kept.any(|at| from < at.offset && at.offset <= to.offset)
            })
    }

    /// The places of an epoch in the final history.
    fn kept(&self, room: u16, epoch: Epoch) -> impl Iterator<Item = Position> {
        let places = self
            .book
            .life(room, epoch)
            .into_iter()
            .flat_map(|life| life.places());
        places
            .filter(|(_, place): &(Position, &Place)| place.in_history)
            .map(|(at, _)| at)
    }

    /// Whether the retention may have let go of a place.
    fn is_expired(&self, room: u16, at: Position) -> bool {
        let history = &self.histories[usize::from(room)];
        let Some(head) = history.head else {
            return false;
        };
        // Where a newer epoch had the offset as well, the older one ended before it.
        let was_replaced = head.epoch != at.epoch
            && self
                .book
                .life(room, head.epoch)
                .and_then(|life| life.places().next())
                .is_some_and(|(first, _)| first.offset <= at.offset);
        at.offset < history.oldest
            && at.offset.saturating_add(self.kept_min) <= head.offset
            && !was_replaced
    }
}

#[cfg(test)]
mod tests;

//! One follower in one room: what it was shown is dense, or a gap says what is missing.

use super::book::{Book, name};
use super::verdict::{Findings, Kind};
use crate::log::{Epoch, Position};

/// How far a follower has come in a room.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    at: Option<Position>,
    /// A gap went back from there: up to this offset it is shown again what it may have said itself.
    again_until: u64,
    /// What was passed over, to be explained by the final history.
    skipped: Vec<Skipped>,
}

/// Places that a follower was not shown: behind `from`, up to and with `to`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Skipped {
    pub(super) from: Option<Position>,
    pub(super) to: Position,
    pub(super) why: Why,
}

/// What can explain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// They are the follower's own messages.
    Own,
    /// The retention let go of them.
    Expired,
    /// `from` was the last place of an epoch, and `to` is before the first of another one.
    EpochChanged,
}

/// Who follows which room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Follower {
    pub(super) index: u16,
    pub(super) room: u16,
    /// The publisher that it is, too: its acks are its copies.
    pub(super) own: Option<u16>,
}

impl Cursor {
    /// The follower came, and said what it has.
    pub(super) fn follow(&mut self, since: Option<Position>) {
        self.at = since;
    }

    /// The follower is told that it has everything up to here.
    pub(super) fn joined(&mut self, position: Position) {
        // Where something was shown, that counts. Where nothing was, nothing is kept up to here.
        if self.at.is_none() {
            self.at = Some(position);
            if position.offset > 0 {
                let (from, to, why) = (None, position, Why::Expired);
                self.skipped.push(Skipped { from, to, why });
            }
        }
    }

    /// The follower was shown an entry.
    pub(super) fn shown(&mut self, who: Follower, at: Position, book: &Book, found: &mut Findings) {
        let Some(before) = self.at.replace(at) else {
            if at.offset > 1 {
                self.skipped.push(Skipped::between(None, at, Why::Expired));
            }
            return;
        };
        if before.epoch != at.epoch {
            found.add(Kind::Hole, || {
                format!("{who}: {at} behind {before}, another epoch, without a gap")
            });
        } else if at.offset <= before.offset {
            // It stays where it was, so that what was rightly shown later is not blamed as well.
            self.at = Some(before);
            let was_skipped = |skipped: &Skipped| {
                skipped.to.epoch == at.epoch
                    && at.offset <= skipped.to.offset
                    && skipped.from.is_none_or(|from| from.offset < at.offset)
            };
            if self.skipped.iter().rev().any(was_skipped) {
                found.add(Kind::Reordered, || format!("{who}: {at} behind {before}"));
            } else {
                found.add(Kind::DeliveredTwice, || {
                    format!("{who}: {at}, though it was at {before}")
                });
            }
        } else if at.offset > before.offset + 1 {
            let skipped = Skipped::between(Some(before), at, Why::Own);
            if who.own.is_none() {
                found.add(Kind::Hole, || format!("{who}: {at} behind {before}"));
            }
            // An ack comes before what is behind it, so that little is left to be explained later.
            if who.own.is_none() || first_foreign(who, &skipped, book).is_some() {
                self.skipped.push(skipped);
            }
        }
    }

    /// The follower was told that something is missing; returns the epoch that has ended with it.
    pub(super) fn gap(
        &mut self,
        who: Follower,
        from: &str,
        to: Position,
        reason: &str,
        book: &Book,
        found: &mut Findings,
    ) -> Option<Epoch> {
        self.pass_own(who, from, book);
        let before = self.at.replace(to);
        let wrong = |why: &str| {
            let at = before.map_or("nowhere".to_owned(), |before| before.to_string());
            format!("{who}: gap from {from:?} to {to} ({reason}) for who was at {at}: {why}")
        };
        let Some(before) = before.filter(|before| before.to_string() == from) else {
            found.add(Kind::WrongGap, || wrong("it begins elsewhere"));
            return None;
        };
        let why = match reason {
            "expired" if before.epoch == to.epoch && before.offset < to.offset => Why::Expired,
            "epoch_changed" if before.epoch != to.epoch => Why::EpochChanged,
            _ => {
                found.add(Kind::WrongGap, || wrong("that cannot be"));
                return None;
            }
        };
        if why == Why::EpochChanged && to.offset < before.offset {
            self.again_until = self.again_until.max(before.offset);
        }
        let from = Some(before);
        self.skipped.push(Skipped { from, to, why });
        (why == Why::EpochChanged).then_some(before.epoch)
    }

    /// The server knows that who sends has its own messages, and begins a gap behind those.
    fn pass_own(&mut self, who: Follower, from: &str, book: &Book) {
        let (Some(at), Ok(from)) = (self.at, from.parse::<Position>()) else {
            return;
        };
        if who.own.is_some() && from.epoch == at.epoch && from.offset > at.offset {
            let (to, why) = (from, Why::Own);
            let skipped = Skipped {
                from: Some(at),
                to,
                why,
            };
            if first_foreign(who, &skipped, book).is_some() {
                self.skipped.push(skipped);
            }
            self.at = Some(from);
        }
    }

    /// Whether the follower was there before, and a gap sent it back: what comes up to there comes to all, also to who said it.
    pub(super) const fn is_shown_again(&self, at: Position) -> bool {
        at.offset <= self.again_until
    }

    /// What is to be explained.
    pub(super) fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether nothing up to `head` is to come, but for the follower's own messages.
    pub(super) fn has_reached(&self, who: Follower, head: Position, book: &Book) -> bool {
        let oldest = Position { offset: 0, ..head };
        let mut at = self.at.unwrap_or(oldest);
        while at.epoch == head.epoch && at.offset < head.offset {
            at.offset += 1;
            if who.own.is_none() || book.place(who.room, at).map(|place| place.publisher) != who.own
            {
                return false;
            }
        }
        at.epoch == head.epoch
    }
}

impl Skipped {
    /// The places between `from` and `next`, both shown.
    fn between(from: Option<Position>, next: Position, why: Why) -> Self {
        let to = Position {
            offset: next.offset - 1,
            ..next
        };
        Self { from, to, why }
    }
}

/// Whether all skipped places are of the follower itself; names the first that is not.
pub(super) fn first_foreign(who: Follower, skipped: &Skipped, book: &Book) -> Option<String> {
    let first = skipped.from.map_or(1, |from| from.offset + 1);
    (first..=skipped.to.offset).find_map(|offset| {
        let at = Position {
            offset,
            ..skipped.to
        };
        match book.place(who.room, at) {
            Some(place) if Some(place.publisher) == who.own => None,
            Some(place) => Some(format!("{at}, {}", name(place.publisher, place.number))),
            None => Some(format!("{at}, of which nobody knows")),
        }
    })
}

impl std::fmt::Display for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "follower {} in room {}", self.index, self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gap_goes_back_over_is_shown_again_to_all() {
        let at = |epoch, offset| {
            let epoch = Epoch::new(epoch);
            Position { epoch, offset }
        };
        let who = Follower {
            index: 0,
            room: 0,
            own: Some(0),
        };
        let (book, mut found) = (Book::new(1, 1), Findings::default());
        let mut cursor = Cursor::default();
        cursor.follow(Some(at(9, 5)));
        assert!(!cursor.is_shown_again(at(1, 1)));
        let from = at(9, 5).to_string();
        cursor.gap(who, &from, at(1, 0), "epoch_changed", &book, &mut found);
        assert_eq!(found.total(), 0);
        assert!(cursor.is_shown_again(at(1, 5)) && !cursor.is_shown_again(at(1, 6)));
    }
}

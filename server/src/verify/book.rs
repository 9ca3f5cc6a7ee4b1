//! Which message is at which place, as everybody has seen it so far: publishers by their acks, followers by what they were
//! shown, and the final history. One message has one place, and one place one message.

use std::collections::BTreeMap;

use super::stamp::Stamp;
use super::verdict::{Findings, Kind};
use crate::log::{Epoch, Position};

/// Places that are kept together.
const CHUNK: u64 = 256;

/// Who tells of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Witness {
    /// An ack.
    Ack,
    /// A follower.
    Follower(u16),
    /// The final history.
    History,
}

/// A message that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// Its place, once somebody told of it; offset 0 before that.
    offset: u64,
    /// When it was sent first, what was acknowledged up to here was behind it.
    floor: u64,
    crc: u32,
    pub(super) room: u16,
    epoch: u16,
    floor_epoch: u16,
    /// The sender's connection on which it was sent first.
    pub(super) life: u16,
    pub(super) acked: bool,
    pub(super) refusal: Refusal,
    pub(super) in_history: bool,
}

/// Whether a message was refused, and what its sender was told after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It never was.
    Never,
    /// It was: later ones may be before it.
    Refused,
    /// Its sender was shown it: it is there after all.
    Copied,
    /// Its sender was told its place, and not that it was there before.
    New,
}

/// A place, and what is there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// 0: nobody told of it.
    pub(super) number: u32,
    crc: u32,
    pub(super) publisher: u16,
    pub(super) acked: bool,
    pub(super) in_history: bool,
}

/// The places of a room in one epoch.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) epoch: Epoch,
    chunks: BTreeMap<u64, Box<[Place; CHUNK as usize]>>,
}

/// What is known of all messages and places.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    /// By publisher and number.
    pub(super) sent: Vec<Vec<Sent>>,
    /// By room.
    pub(super) rooms: Vec<Vec<Life>>,
    /// The newest acknowledged place of each room.
    acked: Vec<Option<(u16, u64)>>,
}

impl Book {
    pub(super) fn new(publishers: u16, rooms: u16) -> Self {
        Self {
            sent: (0..publishers).map(|_| Vec::new()).collect(),
            rooms: (0..rooms).map(|_| Vec::new()).collect(),
            acked: vec![None; usize::from(rooms)],
        }
    }

    /// A message is about to be sent for the first time; numbers are dense from 1.
    pub(super) fn intend(&mut self, stamp: Stamp, room: u16, life: u32) {
        let (floor_epoch, floor) = self.acked[usize::from(room)].unwrap_or_default();
        let sent = &mut self.sent[usize::from(stamp.publisher)];
        debug_assert_eq!(sent.len() + 1, stamp.number as usize, "numbers are dense");
        sent.push(Sent {
            offset: 0,
            floor,
            crc: stamp.crc,
            room,
            epoch: 0,
            floor_epoch,
            life: u16::try_from(life).unwrap_or(u16::MAX),
            acked: false,
            refusal: Refusal::Never,
            in_history: false,
        });
    }

    pub(super) fn message(&mut self, publisher: u16, number: u32) -> Option<&mut Sent> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.sent.get_mut(usize::from(publisher))?.get_mut(index)
    }

    /// What was sent under this number.
    pub(super) fn stamp(&mut self, publisher: u16, number: u32) -> Option<Stamp> {
        let crc = self.message(publisher, number)?.crc;
        Some(Stamp {
            publisher,
            number,
            crc,
        })
    }

    /// Somebody tells that a message is at a place.
    pub(super) fn tell(
        &mut self,
        witness: Witness,
        room: u16,
        at: Position,
        stamp: Stamp,
        found: &mut Findings,
    ) {
        let Stamp {
            publisher,
            number,
            crc,
        } = stamp;
        let seen = |witness: &Witness| {
            format!(
                "{} in room {room} at {at} ({witness:?})",
                name(publisher, number)
            )
        };
        let epoch = self.epoch_index(room, at.epoch);
        let Some(sent) = self
            .message(publisher, number)
            .filter(|sent| sent.crc == crc)
        else {
            return found.add(Kind::Phantom, || {
                format!("{}: nobody sent it so", seen(&witness))
            });
        };
        if sent.room != room {
            let meant = sent.room;
            return found.add(Kind::Phantom, || {
                format!("{}: sent to room {meant}", seen(&witness))
            });
        }
        if sent.floor >= at.offset && sent.floor_epoch == epoch && sent.offset == 0 {
            let floor = sent.floor;
            found.add(Kind::BeforeAcked, || {
                format!(
                    "{}: offset {floor} was acknowledged before it was sent",
                    seen(&witness)
                )
            });
        }
        let known = (sent.epoch, sent.offset);
        if sent.offset != 0 && sent.epoch == epoch && sent.offset != at.offset
            || (sent.in_history && witness == Witness::History)
        {
            found.add(Kind::StoredTwice, || {
                format!("{}: it is at offset {} too", seen(&witness), known.1)
            });
        }
        (sent.epoch, sent.offset) = (epoch, at.offset);
        sent.acked |= witness == Witness::Ack;
        sent.in_history |= witness == Witness::History;
        self.fill(witness, room, epoch, at, stamp, found);
    }

    fn fill(
        &mut self,
        witness: Witness,
        room: u16,
        epoch: u16,
        at: Position,
        stamp: Stamp,
        found: &mut Findings,
    ) {
        let Stamp {
            publisher,
            number,
            crc,
        } = stamp;
        let life = &mut self.rooms[usize::from(room)][usize::from(epoch)];
        let place = life.place_mut(at.offset);
        if place.number == 0 {
            *place = Place {
                number,
                crc,
                publisher,
                ..Place::default()
            };
        } else if (place.publisher, place.number, place.crc) != (publisher, number, crc) {
            let other = name(place.publisher, place.number);
            found.add(Kind::Reused, || {
                format!(
                    "room {room} at {at}: {} ({witness:?}), and {other} before",
                    name(publisher, number)
                )
            });
        }
        place.acked |= witness == Witness::Ack;
        place.in_history |= witness == Witness::History;
        if witness == Witness::Ack {
            let newest = &mut self.acked[usize::from(room)];
            // What was stored before another epoch began may be acknowledged after that.
            if newest.is_none_or(|newest| newest < (epoch, at.offset)) {
                *newest = Some((epoch, at.offset));
            }
        }
    }

    /// The newest acknowledged place of a room.
    pub(super) fn newest_acked(&self, room: u16) -> Option<Position> {
        let (epoch, offset) = self.acked[usize::from(room)]?;
        let epoch = self.rooms[usize::from(room)][usize::from(epoch)].epoch;
        Some(Position { epoch, offset })
    }

    /// What is at a place, as far as anybody told.
    pub(super) fn place(&self, room: u16, at: Position) -> Option<&Place> {
        let life = self.life(room, at.epoch)?;
        let chunk = life.chunks.get(&(at.offset / CHUNK))?;
        chunk
            .get((at.offset % CHUNK) as usize)
            .filter(|place| place.number != 0)
    }

    pub(super) fn life(&self, room: u16, epoch: Epoch) -> Option<&Life> {
        self.rooms[usize::from(room)]
            .iter()
            .find(|life| life.epoch == epoch)
    }

    /// The place of a message, as it was told of last.
    pub(super) fn place_of(&self, sent: &Sent) -> Option<Position> {
        let life = self
            .rooms
            .get(usize::from(sent.room))?
            .get(usize::from(sent.epoch))?;
        let (epoch, offset) = (life.epoch, sent.offset);
        (offset != 0).then_some(Position { epoch, offset })
    }

    fn epoch_index(&mut self, room: u16, epoch: Epoch) -> u16 {
        let lives = &mut self.rooms[usize::from(room)];
        let index = lives
            .iter()
            .position(|life| life.epoch == epoch)
            .unwrap_or_else(|| {
                lives.push(Life {
                    epoch,
                    chunks: BTreeMap::new(),
                });
                lives.len() - 1
            });
        u16::try_from(index).unwrap_or(u16::MAX)
    }
}

impl Life {
    fn place_mut(&mut self, offset: u64) -> &mut Place {
        let chunk = self.chunks.entry(offset / CHUNK);
        let chunk = chunk.or_insert_with(|| Box::new([Place::default(); CHUNK as usize]));
        &mut chunk[(offset % CHUNK) as usize]
    }

    /// All that anybody told of, by rising offset.
    pub(super) fn places(&self) -> impl DoubleEndedIterator<Item = (Position, &Place)> {
        let epoch = self.epoch;
        self.chunks.iter().flat_map(move |(index, chunk)| {
            let at = move |within: usize| Position {
                epoch,
                offset: index * CHUNK + within as u64,
            };
            chunk
                .iter()
                .enumerate()
                .filter(|(_, place)| place.number != 0)
                .map(move |(within, place)| (at(within), place))
        })
    }
}

/// How a message is called in the report.
pub(super) fn name(publisher: u16, number: u32) -> String {
    format!("message {number} of publisher {publisher}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_messages_take_44_megabytes() {
        assert_eq!((size_of::<Sent>(), size_of::<Place>()), (32, 12));
    }
}

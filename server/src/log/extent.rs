//! What a log holds from where to where, and where reading begins in it.

use super::{Epoch, Gap, GapReason, Position, Since};

/// From where an epoch holds: its entries have this offset and those behind it, up to the next era.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Era {
    /// Its first offset, whether there is an entry yet or not.
    pub(super) first: u64,
    pub(super) epoch: Epoch,
}

/// The committed and kept part of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent<'a> {
    /// Oldest first, the first one from offset 1 on; never empty.
    pub(super) eras: &'a [Era],
    /// The first kept offset; that behind the head where nothing is kept.
    pub(super) oldest: u64,
    /// The last committed offset; 0 before the first.
    pub(super) head: u64,
}

/// Where to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// Behind this.
    pub(super) after: Position,
    /// Up to and with this offset: behind it another epoch begins, which is a gap of its own.
    pub(super) until: u64,
}

impl Extent<'_> {
    /// The position of an offset.
    pub(super) fn position(&self, offset: u64) -> Position {
        let era = self.eras.partition_point(|era| era.first <= offset).max(1) - 1;
        Position {
            epoch: self.eras[era].epoch,
            offset,
        }
    }

    /// The head, in the newest epoch.
    pub(super) fn head(&self) -> Position {
        Position {
            epoch: self.eras[self.eras.len() - 1].epoch,
            offset: self.head,
        }
    }

    /// Where reading begins, and what is missing before that.
    pub(super) fn resolve(&self, since: &Since) -> (Start, Option<Gap>) {
        let position = match *since {
            Since::Now => return (self.start(self.head()), None),
            Since::Oldest => return (self.start(self.before_oldest()), None),
            Since::After(position) => position,
        };
        let Some(era) = self.eras.iter().position(|era| era.epoch == position.epoch) else {
            return self.behind_gap(position, self.before_oldest(), GapReason::EpochChanged);
        };
        let (first, last) = (self.eras[era].first, self.last_of(era));
        if position.offset < first - 1 || position.offset > last {
            // It names what this epoch never had, or what it lost.
            let offset = position.offset.clamp(first - 1, last);
            return self.behind_gap(
                position,
                self.begin_next(era, offset),
                GapReason::EpochChanged,
            );
        }
        if position.offset == last && era + 1 < self.eras.len() {
            return self.behind_gap(
                position,
                self.begin_next(era, last),
                GapReason::EpochChanged,
            );
        }
        if position.offset < self.oldest - 1 {
            return self.behind_gap(position, self.before_oldest(), GapReason::Expired);
        }
        (self.start(position), None)
    }

    /// The last offset of an era.
    fn last_of(&self, era: usize) -> u64 {
        self.eras
            .get(era + 1)
            .map_or(self.head, |next| next.first - 1)
    }

    /// Where to go on behind `offset`, in the next epoch if this one ends there.
    fn begin_next(&self, era: usize, offset: u64) -> Position {
        let next = self
            .eras
            .get(era + 1)
            .filter(|next| next.first == offset + 1);
        let epoch = next.unwrap_or(&self.eras[era]).epoch;
        Position { epoch, offset }
    }

    /// The position behind which the oldest entry is, in that entry's epoch.
    fn before_oldest(&self) -> Position {
        Position {
            epoch: self.position(self.oldest).epoch,
            offset: self.oldest - 1,
        }
    }

    fn start(&self, after: Position) -> Start {
        let era = self.eras.iter().position(|era| era.epoch == after.epoch);
        let until = era.map_or(self.head, |era| self.last_of(era));
        Start { after, until }
    }

    fn behind_gap(&self, from: Position, to: Position, reason: GapReason) -> (Start, Option<Gap>) {
        let to = if to.offset + 1 < self.oldest {
            self.before_oldest()
        } else {
            to
        };
        (self.start(to), Some(Gap { from, to, reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Epoch = Epoch::new(1);
    const NEW: Epoch = Epoch::new(2);

    fn at(epoch: Epoch, offset: u64) -> Position {
        Position { epoch, offset }
    }

    /// Entries 1 to 5 in the old epoch and 6 to 9 in the new one; the first two have expired.
    const EXTENT: Extent<'static> = Extent {
        eras: &[
            Era {
                first: 1,
                epoch: OLD,
            },
            Era {
                first: 6,
                epoch: NEW,
            },
        ],
        oldest: 3,
        head: 9,
    };

    /// Where reading begins, up to where it goes, and the end and reason of the gap before it.
    fn resolved(since: Since) -> (Position, u64, Option<(Position, GapReason)>) {
        let (start, gap) = EXTENT.resolve(&since);
        if let (Some(gap), Since::After(position)) = (&gap, since) {
            assert_eq!(gap.from, position);
        }
        let gap = gap.map(|gap| (gap.to, gap.reason));
        (start.after, start.until, gap)
    }

    #[test]
    fn without_a_position_nothing_is_missing() {
        assert_eq!(resolved(Since::Now), (at(NEW, 9), 9, None));
        assert_eq!(resolved(Since::Oldest), (at(OLD, 2), 5, None));
    }

    #[test]
    fn a_position_of_the_newest_epoch_goes_on_behind_it() {
        assert_eq!(resolved(Since::After(at(NEW, 9))), (at(NEW, 9), 9, None));
        assert_eq!(resolved(Since::After(at(NEW, 7))), (at(NEW, 7), 9, None));
        assert_eq!(resolved(Since::After(at(NEW, 5))), (at(NEW, 5), 9, None));
    }

    #[test]
    fn an_older_epoch_is_read_to_its_end_and_then_there_is_a_gap() {
        assert_eq!(resolved(Since::After(at(OLD, 3))), (at(OLD, 3), 5, None));
        let gap = Some((at(NEW, 5), GapReason::EpochChanged));
        assert_eq!(resolved(Since::After(at(OLD, 5))), (at(NEW, 5), 9, gap));
        // An entry that was lost with the old epoch's tail.
        assert_eq!(resolved(Since::After(at(OLD, 7))), (at(NEW, 5), 9, gap));
    }

    #[test]
    fn what_has_expired_is_a_gap_up_to_the_oldest() {
        let gap = Some((at(OLD, 2), GapReason::Expired));
        assert_eq!(resolved(Since::After(at(OLD, 0))), (at(OLD, 2), 5, gap));
        assert_eq!(resolved(Since::After(at(OLD, 2))), (at(OLD, 2), 5, None));
    }

    #[test]
    fn an_unknown_epoch_is_a_gap_up_to_the_oldest() {
        let gap = Some((at(OLD, 2), GapReason::EpochChanged));
        let other = Epoch::new(3);
        assert_eq!(resolved(Since::After(at(other, 4))), (at(OLD, 2), 5, gap));
    }

    #[test]
    fn a_position_that_never_was_is_a_gap() {
        let beyond = Some((at(NEW, 9), GapReason::EpochChanged));
        assert_eq!(resolved(Since::After(at(NEW, 10))), (at(NEW, 9), 9, beyond));
        assert_eq!(
            resolved(Since::After(at(NEW, u64::MAX))),
            (at(NEW, 9), 9, beyond)
        );
        let before = Some((at(NEW, 5), GapReason::EpochChanged));
        assert_eq!(resolved(Since::After(at(NEW, 2))), (at(NEW, 5), 9, before));
    }

    #[test]
    fn an_era_that_was_forgotten_whole_is_passed_over() {
        let extent = Extent {
            oldest: 8,
            ..EXTENT
        };
        let (start, gap) = extent.resolve(&Since::After(at(OLD, 5)));
        assert_eq!((start.after, start.until), (at(NEW, 7), 9));
        assert_eq!(gap.unwrap().to, at(NEW, 7));
    }
}

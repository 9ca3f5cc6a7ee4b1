//! Histories that are right, and for each kind of violation one that is wrong in just that way.

mod epochs;
mod lost;
mod senders;
mod shown;

use super::*;

const PUBLISHERS: u16 = 2;
/// Follower 2 only follows.
const FOLLOWER: u16 = 2;
const ROOM: u16 = 0;

fn at(offset: u64) -> Position {
    in_epoch(1, offset)
}

fn in_epoch(epoch: u32, offset: u64) -> Position {
    let epoch = Epoch::new(epoch);
    Position { epoch, offset }
}

fn stamp(publisher: u16, number: u32) -> Stamp {
    let crc = u32::from(publisher) << 16 | number;
    Stamp {
        publisher,
        number,
        crc,
    }
}

/// What happens, in domain words. Publisher 0 sends all messages unless something else is said.
struct Scenario(Checker);

impl Scenario {
    /// Everybody follows two rooms from the oldest entry on; the server keeps two entries at least.
    fn new() -> Self {
        let mut checker = Checker::new(PUBLISHERS, 3, 2, 2);
        for follower in 0..3 {
            checker.opened(follower);
            for room in 0..2 {
                checker.expects(follower, room);
                checker.following(follower, room, None);
            }
        }
        Self(checker)
    }

    fn sends(mut self, numbers: std::ops::RangeInclusive<u32>) -> Self {
        for number in numbers {
            self.0.intent(stamp(0, number), ROOM);
        }
        self
    }

    fn acked(mut self, number: u32, at: Position) -> Self {
        self.0.ack(0, u64::from(number), ROOM, at, false);
        self
    }

    /// Sends messages and gets them acknowledged, each at the offset of its number.
    fn says(self, numbers: std::ops::RangeInclusive<u32>) -> Self {
        let all = self.sends(numbers.clone());
        numbers.fold(all, |all, number| all.acked(number, at(u64::from(number))))
    }

    fn shown(self, number: u32, at: Position) -> Self {
        self.shown_to(FOLLOWER, number, at)
    }

    fn shown_to(mut self, follower: u16, number: u32, at: Position) -> Self {
        self.0.delivered(follower, ROOM, at, Some(stamp(0, number)));
        self
    }

    /// Both who did not send them are shown messages, each at the offset of its number.
    fn all_shown(self, numbers: std::ops::RangeInclusive<u32>) -> Self {
        numbers.fold(self, |all, number| {
            let at = at(u64::from(number));
            all.shown_to(1, number, at).shown(number, at)
        })
    }

    fn kept(mut self, number: u32, at: Position) -> Self {
        self.0.history(ROOM, at, Some(stamp(0, number)));
        self
    }

    fn all_kept(self, numbers: std::ops::RangeInclusive<u32>) -> Self {
        numbers.fold(self, |all, number| all.kept(number, at(u64::from(number))))
    }

    fn then(mut self, happens: impl FnOnce(&mut Checker)) -> Self {
        happens(&mut self.0);
        self
    }

    /// The publisher, which has its own messages up to `seen`, comes back and finds another epoch.
    fn publisher_finds_epoch_2(self, seen: u64, to: u64) -> Self {
        self.then(|checker| {
            let to = in_epoch(2, to);
            checker.following(0, ROOM, Some(at(seen)));
            checker.gap(0, ROOM, &at(seen).to_string(), to, "epoch_changed");
        })
    }

    #[track_caller]
    fn expect_clean(self) {
        let found = self.0.finish();
        assert_eq!(found.examples(), []);
    }

    /// Asserts that this kind was found, nothing else was, and that the first of it tells `words`.
    #[track_caller]
    fn expect_only(self, kind: Kind, words: &[&str]) {
        let found = self.0.finish();
        let first = found.examples().iter().find(|found| found.kind == kind);
        let first = first.unwrap_or_else(|| panic!("no {kind:?}: {:?}", found.examples()));
        for word in words {
            assert!(first.what.contains(word), "{word:?} is not in {first:?}");
        }
        assert_eq!(found.total(), found.count(kind), "{:?}", found.examples());
    }
}

#[test]
fn a_history_without_a_fault_is_clean() {
    let all = Scenario::new().says(1..=4).all_shown(1..=4);
    all.all_kept(1..=4).expect_clean();
}

#[test]
fn nothing_at_all_is_clean() {
    Scenario::new().expect_clean();
}

//! Histories that are right, and for each kind of violation one that is wrong in just that way.

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

#[test]
fn acknowledged_and_not_kept_is_lost() {
    let all = Scenario::new().says(1..=3).all_shown(1..=2);
    let words = ["message 3 of publisher 0", "room 0", "00000001-3"];
    all.all_kept(1..=2).expect_only(Kind::Lost, &words);
}

#[test]
fn acknowledged_in_an_epoch_that_is_gone_is_lost() {
    let all = Scenario::new().says(1..=1).all_shown(1..=1);
    let all = all.sends(2..=2).acked(2, in_epoch(2, 1));
    let all = all.then(|checker| {
        for follower in [1, 2] {
            checker.gap(
                follower,
                ROOM,
                "00000001-1",
                in_epoch(2, 0),
                "epoch_changed",
            );
            checker.delivered(follower, ROOM, in_epoch(2, 1), Some(stamp(0, 2)));
        }
    });
    all.kept(2, in_epoch(2, 1))
        .expect_only(Kind::Lost, &["message 1", "00000001-1"]);
}

/// Three messages are acknowledged and shown, and the store comes back without the last two; those who follow are `told`, or not.
fn loses_its_tail(kept: &[u32], told: bool) -> Scenario {
    let all = Scenario::new().says(1..=3).all_shown(1..=3);
    let all = all.sends(4..=4).acked(4, in_epoch(2, 4));
    let all = all.then(|checker| {
        checker.allow_gaps = true;
        for follower in [1, 2] {
            if told {
                let from = at(3).to_string();
                checker.gap(follower, ROOM, &from, in_epoch(2, 3), "epoch_changed");
            }
            checker.delivered(follower, ROOM, in_epoch(2, 4), Some(stamp(0, 4)));
        }
    });
    let all = kept
        .iter()
        .fold(all, |all, n| all.kept(*n, at(u64::from(*n))));
    let all = all.then(|checker| {
        checker.history_gap(ROOM, "00000001-1", in_epoch(2, 3), "epoch_changed");
    });
    let all = all.publisher_finds_epoch_2(3, 3);
    all.kept(4, in_epoch(2, 4))
}

#[test]
fn a_tail_that_is_lost_is_allowed_if_it_is_told_and_only_then() {
    let all = loses_its_tail(&[1], true);
    let found = all.0.clone().finish();
    assert_eq!(found.told(), 2, "{found:?}");
    all.expect_clean();
    let all = loses_its_tail(&[], true);
    assert_eq!(all.0.clone().finish().told(), 3, "all of it was lost");
    all.expect_clean();
    let all = loses_its_tail(&[1], false);
    all.expect_only(Kind::Hole, &["another epoch, without a gap"]);
    let mut all = loses_its_tail(&[1], true);
    all.0.allow_gaps = false;
    all.expect_only(Kind::Lost, &["message 2"]);
}

#[test]
fn who_was_told_that_the_newest_is_lost_has_everything_where_the_history_ends() {
    let all = Scenario::new().says(1..=2).all_shown(1..=1);
    let mut checker = all.0;
    assert!(!checker.has_reached(FOLLOWER, ROOM), "2 is to come");
    checker.gap(
        FOLLOWER,
        ROOM,
        &at(1).to_string(),
        in_epoch(2, 2),
        "epoch_changed",
    );
    assert!(
        checker.has_reached(FOLLOWER, ROOM),
        "nothing is known to come"
    );
    checker.history(ROOM, in_epoch(2, 3), Some(stamp(0, 2)));
    assert!(!checker.has_reached(FOLLOWER, ROOM), "3 is there");
    checker.delivered(FOLLOWER, ROOM, in_epoch(2, 3), Some(stamp(0, 2)));
    assert!(checker.has_reached(FOLLOWER, ROOM));
}

#[test]
fn a_hole_before_what_is_kept_is_not_allowed_by_a_gap_behind_it() {
    let found = loses_its_tail(&[1, 3], true).0.finish();
    assert_eq!(found.count(Kind::Lost), 1, "{found:?}");
    assert_eq!(found.told(), 0, "{found:?}");
}

#[test]
fn who_is_not_in_a_room_is_not_expected_to_have_its_messages() {
    let mut all = Scenario::new().says(1..=2).all_shown(1..=2).all_kept(1..=2);
    all.0.cursors[usize::from(FOLLOWER)][usize::from(ROOM)] = None;
    all.expect_clean();
}

#[test]
fn what_the_retention_let_go_of_is_not_lost_but_what_it_has_to_keep_is() {
    let all = Scenario::new().says(1..=5).all_shown(1..=5);
    all.all_kept(4..=5).expect_clean();
    let all = Scenario::new().says(1..=5).all_shown(1..=5);
    all.all_kept(5..=5).expect_only(Kind::Lost, &["message 4"]);
}

#[test]
fn a_message_that_was_never_sent_is_a_phantom() {
    let all = || Scenario::new().says(1..=1).all_shown(1..=1).all_kept(1..=1);
    let history = |number| all().then(|checker| checker.history(1, at(1), number));
    let delivery =
        |stamp| Scenario::new().then(|checker| checker.delivered(FOLLOWER, 1, at(1), stamp));
    history(Some(stamp(1, 7)))
        .expect_only_besides_undelivered(Kind::Phantom, "message 7 of publisher 1");
    history(None).expect_only_besides_undelivered(Kind::Phantom, "changed");
    delivery(Some(stamp(1, 7)))
        .expect_only(Kind::Phantom, &["message 7 of publisher 1", "Follower(2)"]);
    // Sent, but with other bytes, or to another room.
    let changed = Stamp {
        crc: 9,
        ..stamp(0, 1)
    };
    history(Some(changed)).expect_only_besides_undelivered(Kind::Phantom, "message 1");
    history(Some(stamp(0, 1))).expect_only_besides_undelivered(Kind::Phantom, "sent to room 0");
    // Acknowledged, but never sent.
    let acked = Scenario::new().acked(1, at(1));
    acked.expect_only(Kind::Phantom, &["an ack at 00000001-1", "message 1"]);
}

impl Scenario {
    /// As `expect_only`, where a history that nobody was shown is part of the fault.
    #[track_caller]
    fn expect_only_besides_undelivered(self, kind: Kind, word: &str) {
        let found = self.0.finish();
        let kinds: Vec<_> = found.examples().iter().map(|found| found.kind).collect();
        assert!(kinds.contains(&kind), "{:?}", found.examples());
        assert!(
            kinds
                .iter()
                .all(|found| [kind, Kind::Undelivered].contains(found)),
            "{:?}",
            found.examples()
        );
        assert!(
            found
                .examples()
                .iter()
                .any(|found| found.what.contains(word))
        );
    }
}

#[test]
fn a_retry_that_is_stored_again_is_found_by_anybody_who_sees_it() {
    let stored = || Scenario::new().says(1..=1).all_shown(1..=1);
    let words = ["message 1 of publisher 0", "00000001-2", "offset 1 too"];
    let again = stored().all_kept(1..=1).then(|checker| {
        for follower in [1, 2] {
            checker.delivered(follower, ROOM, at(2), Some(stamp(0, 1)));
        }
        checker.history(ROOM, at(2), Some(stamp(0, 1)));
    });
    again.expect_only(Kind::StoredTwice, &words);
    let acked = stored().acked(1, at(2)).0;
    assert_eq!(acked.found().count(Kind::StoredTwice), 1);
}

#[test]
fn a_retry_that_is_stored_again_in_another_epoch_is_found() {
    let all = Scenario::new().says(1..=1).all_shown(1..=1).all_kept(1..=1);
    let all = all.then(|checker| checker.history(ROOM, in_epoch(2, 2), Some(stamp(0, 1))));
    assert_eq!(all.0.finish().count(Kind::StoredTwice), 1);
}

#[test]
fn an_entry_that_is_shown_again_is_found() {
    let all = Scenario::new().says(1..=2).all_shown(1..=2).all_kept(1..=2);
    let words = ["follower 2 in room 0", "00000001-1", "it was at 00000001-2"];
    all.shown(1, at(1))
        .expect_only(Kind::DeliveredTwice, &words);
}

#[test]
fn who_resumes_from_further_back_is_rightly_shown_it_again() {
    let all = Scenario::new().says(1..=2).all_shown(1..=2).all_kept(1..=2);
    let all = all.then(|checker| checker.following(FOLLOWER, ROOM, Some(at(1))));
    all.shown(2, at(2)).expect_clean();
}

#[test]
fn who_joins_an_old_room_and_is_shown_nothing_of_it_is_found() {
    let all = Scenario::new()
        .says(1..=2)
        .shown_to(1, 1, at(1))
        .shown_to(1, 2, at(2));
    let all = all.then(|checker| checker.joined(FOLLOWER, ROOM, at(2)));
    all.all_kept(1..=2).expect_only(
        Kind::Hole,
        &["follower 2", "behind the oldest", "00000001-2"],
    );
}

#[test]
fn a_hole_and_what_comes_late_are_found() {
    let all = Scenario::new().says(1..=3).all_shown(1..=1).all_kept(1..=3);
    let all = all.shown_to(1, 2, at(2)).shown_to(1, 3, at(3));
    let all = all.shown(3, at(3)).shown(2, at(2));
    let found = all.0.finish();
    assert_eq!(
        (found.count(Kind::Hole), found.count(Kind::Reordered)),
        (1, 1),
        "{found:?}"
    );
    assert_eq!(found.total(), 2);
}

#[test]
fn messages_of_one_publisher_out_of_order_are_found() {
    let out_of_order = || {
        let all = Scenario::new().sends(1..=2).acked(2, at(1)).acked(1, at(2));
        let all = all.shown(2, at(1)).shown(1, at(2));
        let all = all.shown_to(1, 2, at(1)).shown_to(1, 1, at(2));
        all.kept(2, at(1)).kept(1, at(2))
    };
    let words = [
        "message 2 of publisher 0 at 00000001-1",
        "earlier message 1 at 00000001-2",
    ];
    out_of_order().expect_only(Kind::Reordered, &words);
    out_of_order()
        .then(|checker| checker.refused(0, 1))
        .expect_clean();
}

#[test]
fn what_was_sent_after_an_ack_may_not_be_before_it() {
    let mut all = Scenario::new();
    all.0.intent(stamp(1, 1), ROOM);
    all.0.ack(1, 1, ROOM, at(2), false);
    let all = all.sends(1..=1).acked(1, at(1));
    assert_eq!(
        all.0.found().count(Kind::BeforeAcked),
        1,
        "{:?}",
        all.0.found()
    );
    let what = &all.0.found().examples()[0].what;
    assert!(
        what.contains("message 1 of publisher 0") && what.contains("offset 2"),
        "{what}"
    );
}

#[test]
fn what_was_sent_before_an_ack_came_may_be_on_either_side_of_it() {
    let mut all = Scenario::new().sends(1..=1);
    all.0.intent(stamp(1, 1), ROOM);
    all.0.ack(1, 1, ROOM, at(2), false);
    assert_eq!(all.acked(1, at(1)).0.found().total(), 0);
}

#[test]
fn a_place_with_two_messages_is_found_even_if_the_first_was_shown_only_once() {
    let all = Scenario::new().sends(1..=2).shown(1, at(1)).acked(2, at(1));
    let found = all.0.found();
    assert_eq!(
        (found.count(Kind::Reused), found.total()),
        (1, 1),
        "{found:?}"
    );
    let what = &found.examples()[0].what;
    for word in [
        "00000001-1",
        "message 2 of publisher 0",
        "message 1 of publisher 0",
    ] {
        assert!(what.contains(word), "{what}");
    }
}

#[test]
fn what_was_shown_and_is_not_kept_is_found_unless_the_epoch_changed() {
    let shown = || {
        Scenario::new()
            .sends(1..=2)
            .acked(1, at(1))
            .all_shown(1..=2)
    };
    let found = shown().all_kept(1..=1).0.finish();
    assert_eq!(found.count(Kind::Unkept), 1, "{found:?}");
    // The epoch changed behind the first, the second is gone, and was sent again.
    let again = shown().acked(2, in_epoch(2, 2)).then(|checker| {
        for follower in [1, 2] {
            checker.gap(
                follower,
                ROOM,
                "00000001-2",
                in_epoch(2, 1),
                "epoch_changed",
            );
            checker.delivered(follower, ROOM, in_epoch(2, 2), Some(stamp(0, 2)));
        }
    });
    let again = again.publisher_finds_epoch_2(1, 1);
    again.all_kept(1..=1).kept(2, in_epoch(2, 2)).expect_clean();
}

#[test]
fn another_epoch_without_a_gap_is_found() {
    let all = Scenario::new().says(1..=1).all_shown(1..=1).all_kept(1..=1);
    let all = all
        .sends(2..=2)
        .acked(2, in_epoch(2, 2))
        .kept(2, in_epoch(2, 2));
    let all = all.shown_to(1, 2, in_epoch(2, 2)).shown(2, in_epoch(2, 2));
    let all = all.publisher_finds_epoch_2(1, 1);
    all.expect_only(
        Kind::Hole,
        &["00000002-2 behind 00000001-1", "without a gap"],
    );
}

#[test]
fn a_gap_names_exactly_what_is_missing() {
    let gap = |from: &'static str, to, reason: &'static str| {
        let all = Scenario::new().says(1..=5).all_shown(1..=2);
        let all = (3..=5).fold(all, |all, n| all.shown_to(1, n, at(u64::from(n))));
        let all = all.then(|checker| checker.gap(FOLLOWER, ROOM, from, to, reason));
        all.shown(5, at(5))
    };
    let right = || gap("00000001-2", at(4), "expired");
    // Offset 4 is kept after all.
    right().all_kept(4..=5).expect_only(
        Kind::Hole,
        &["follower 2", "behind 00000001-2", "which is kept"],
    );
    let wrong = gap("00000001-1", at(4), "expired").all_kept(4..=5);
    wrong.expect_only(
        Kind::WrongGap,
        &["\"00000001-1\"", "at 00000001-2", "elsewhere"],
    );
    let wrong = gap("00000001-2", at(4), "epoch_changed").all_kept(4..=5);
    wrong.expect_only(Kind::WrongGap, &["that cannot be"]);
    // One too few is a hole behind the gap.
    let short = gap("00000001-2", at(3), "expired")
        .all_kept(5..=5)
        .0
        .finish();
    assert!(short.count(Kind::Hole) >= 1, "{short:?}");
}

#[test]
fn a_gap_for_who_sends_begins_behind_its_own_messages_and_no_others() {
    let gap = |other: bool| {
        let all = Scenario::new().says(1..=2).all_shown(1..=2).all_kept(1..=2);
        all.then(|checker| {
            if other {
                checker.intent(stamp(1, 1), ROOM);
                checker.ack(1, 1, ROOM, at(3), false);
                checker.delivered(FOLLOWER, ROOM, at(3), Some(stamp(1, 1)));
                checker.history(ROOM, at(3), Some(stamp(1, 1)));
            }
            let from = at(if other { 3 } else { 2 });
            checker.following(0, ROOM, Some(at(0)));
            for follower in [0, 1, 2] {
                let from = from.to_string();
                checker.gap(follower, ROOM, &from, in_epoch(2, 3), "epoch_changed");
            }
            checker.intent(stamp(1, if other { 2 } else { 1 }), ROOM);
            let stamp = stamp(1, if other { 2 } else { 1 });
            checker.ack(1, u64::from(stamp.number), ROOM, in_epoch(2, 4), false);
            for follower in [0, FOLLOWER] {
                checker.delivered(follower, ROOM, in_epoch(2, 4), Some(stamp));
            }
            checker.allow_gaps = true;
            checker.history_gap(ROOM, "", in_epoch(2, 3), "epoch_changed");
            checker.history(ROOM, in_epoch(2, 4), Some(stamp));
        })
    };
    gap(false).expect_clean();
    // What another one said was not shown to the sender.
    gap(true).expect_only(Kind::Hole, &["follower 0", "00000001-3"]);
}

#[test]
fn a_gap_over_what_expired_is_clean() {
    let all = Scenario::new().says(1..=5).all_shown(1..=1);
    let all = (2..=5).fold(all, |all, n| all.shown_to(1, n, at(u64::from(n))));
    let all = all.then(|checker| checker.gap(FOLLOWER, ROOM, "00000001-1", at(3), "expired"));
    all.shown(4, at(4))
        .shown(5, at(5))
        .all_kept(4..=5)
        .expect_clean();
}

#[test]
fn a_change_of_epoch_hides_nothing_that_is_kept() {
    let changed = |shown_before: u32, to: u64| {
        let all = Scenario::new().says(1..=2).sends(3..=4);
        let all = all.acked(3, in_epoch(2, 3)).acked(4, in_epoch(2, 4));
        let all = all.shown_to(1, 1, at(1)).shown_to(1, 2, at(2));
        let all = (1..=shown_before).fold(all, |all, n| all.shown(n, at(u64::from(n))));
        let all = all.publisher_finds_epoch_2(2, 2);
        let all = all.then(|checker| {
            checker.gap(1, ROOM, "00000001-2", in_epoch(2, 2), "epoch_changed");
            let from = at(u64::from(shown_before)).to_string();
            checker.gap(FOLLOWER, ROOM, &from, in_epoch(2, to), "epoch_changed");
        });
        let all = all
            .shown_to(1, 3, in_epoch(2, 3))
            .shown_to(1, 4, in_epoch(2, 4));
        let all = (to + 1..=4).fold(all, |all, offset| {
            all.shown(offset as u32, in_epoch(2, offset))
        });
        all.all_kept(1..=2)
            .kept(3, in_epoch(2, 3))
            .kept(4, in_epoch(2, 4))
    };
    changed(2, 2).expect_clean();
    changed(1, 2).expect_only(Kind::Hole, &["00000001-2, which is kept"]);
    changed(2, 3).expect_only(Kind::Hole, &["00000002-3, which is kept"]);
}

#[test]
fn a_senders_own_copy_is_found_on_the_connection_that_sent_it_only() {
    let all = || Scenario::new().says(1..=1).all_shown(1..=1).all_kept(1..=1);
    let words = ["follower 0", "message 1 of publisher 0", "came back"];
    all().shown_to(0, 1, at(1)).expect_only(Kind::Echo, &words);
    let resumed = all().then(|checker| {
        checker.opened(0);
        checker.following(0, ROOM, None);
    });
    resumed.shown_to(0, 1, at(1)).expect_clean();
}

#[test]
fn a_sender_that_was_refused_may_be_shown_that_its_message_is_there_after_all() {
    let all = Scenario::new().sends(1..=1);
    let all = all.then(|checker| checker.refused(0, 1));
    let all = all.shown_to(0, 1, at(1)).all_shown(1..=1);
    let all = all.then(|checker| checker.ack(0, 1, ROOM, at(1), true));
    all.all_kept(1..=1).expect_clean();
}

#[test]
fn a_refused_message_that_is_acked_as_new_afterwards_comes_back_to_its_sender_neither_before_nor_behind_that()
 {
    let words = ["follower 0", "message 1 of publisher 0", "came back"];
    let refused = || {
        let all = Scenario::new().sends(1..=1);
        all.then(|checker| checker.refused(0, 1)).all_shown(1..=1)
    };
    let behind = refused().acked(1, at(1)).shown_to(0, 1, at(1));
    behind.all_kept(1..=1).expect_only(Kind::Echo, &words);
    let before = refused().shown_to(0, 1, at(1)).acked(1, at(1));
    before.all_kept(1..=1).expect_only(Kind::Echo, &words);
}

#[test]
fn a_publisher_may_miss_its_own_messages_and_no_others() {
    let mut all = Scenario::new();
    for number in [1, 2] {
        all.0.intent(stamp(1, number), ROOM);
    }
    // Publisher 1 has the offsets 1 and 3, publisher 0 has 2 and 4; publisher 1 is shown 4 alone.
    all.0.ack(1, 1, ROOM, at(1), false);
    let mut all = all.sends(1..=2).acked(1, at(2)).acked(2, at(4));
    all.0.ack(1, 2, ROOM, at(3), false);
    let both = [(1, 1), (0, 1), (1, 2), (0, 2)];
    for (offset, (publisher, number)) in (1..).zip(both) {
        let stamp = Some(stamp(publisher, number));
        all.0.delivered(FOLLOWER, ROOM, at(offset), stamp);
        all.0.history(ROOM, at(offset), stamp);
        if publisher == 1 {
            all.0.delivered(0, ROOM, at(offset), stamp);
        }
    }
    // It sent its first one before it had joined.
    let joins = Scenario(all.0.clone()).then(|checker| checker.following(1, ROOM, None));
    let all = all.then(|checker| checker.following(1, ROOM, Some(at(1))));
    let clean = |all: Scenario| all.shown_to(1, 1, at(2)).shown_to(1, 2, at(4));
    let missed = |all: Scenario| all.shown_to(1, 2, at(4));
    let copy = |all: &Scenario| Scenario(all.0.clone());
    clean(copy(&all)).expect_clean();
    clean(copy(&joins)).expect_clean();
    missed(joins).expect_only(Kind::Hole, &["follower 1", "the oldest"]);
    missed(copy(&all)).expect_only(Kind::Hole, &["follower 1", "00000001-2", "publisher 0"]);
}

#[test]
fn who_is_not_shown_the_end_is_found() {
    let all = Scenario::new()
        .says(1..=2)
        .all_shown(1..=1)
        .shown_to(1, 2, at(2));
    assert!(!all.0.has_reached(FOLLOWER, ROOM));
    assert!(all.0.has_reached(1, ROOM) && all.0.has_reached(0, ROOM));
    all.all_kept(1..=2)
        .expect_only(Kind::Undelivered, &["follower 2 in room 0", "00000001-2"]);
}

#[test]
fn what_is_never_acknowledged_is_found_and_may_be_kept_or_not() {
    let all = Scenario::new()
        .sends(1..=2)
        .all_shown(1..=1)
        .all_kept(1..=1);
    all.expect_only(Kind::Unacknowledged, &["message 1 of publisher 0"]);
}

#[test]
fn a_history_with_a_hole_or_damage_is_found() {
    let all = || Scenario::new().says(1..=3).all_shown(1..=3);
    let found = all().kept(1, at(1)).kept(3, at(3)).0.finish();
    assert_eq!(
        (found.count(Kind::Hole), found.count(Kind::Lost)),
        (1, 1),
        "{found:?}"
    );
    let damaged = all().all_kept(1..=3).then(|checker| {
        checker.history_gap(ROOM, "00000001-1", at(2), "damaged");
    });
    damaged.expect_only(Kind::Lost, &["damaged"]);
}

//! What is shown or kept that should not be: what nobody sent, what was there already, and what is out of order.

use super::*;

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

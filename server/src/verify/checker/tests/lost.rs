//! What was acknowledged and is not kept, or not shown.

use super::*;

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

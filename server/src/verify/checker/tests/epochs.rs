//! Other epochs, and gaps: what they allow, and what they have to say.

use super::*;

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

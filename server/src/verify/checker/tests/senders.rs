//! What a sender is shown of its own messages.

use super::*;

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

//! Who joins where that takes a while: what it hears, and its acks, wait.

use super::*;

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.to_text() == other.to_text()
    }
}

/// Any answer that is told from others by its number.
fn ack(number: u64) -> Event {
    Event::Heartbeat {
        time: number,
        id: None,
    }
}

/// What the hub wants followed when somebody enters the room `a`.
fn entering() -> Box<Follow> {
    let mut hub = Hub::new(HubConfig::default(), 1);
    let joiner = Joiner {
        rooms: vec![RoomName::new("a").unwrap()],
        ..Joiner::default()
    };
    let (instant, unix_ms) = (Instant::now(), 0);
    hub.connect(CONN, joiner, Now { instant, unix_ms });
    let mut effects = Vec::new();
    hub.take_effects(&mut effects);
    let follow = effects.into_iter().find_map(|effect| match effect {
        Effect::Follow(follow) if follow.is_joining() => Some(follow),
        _ => None,
    });
    follow.unwrap()
}

#[test]
fn who_joins_where_that_takes_a_while_hears_of_it_before_what_comes_next() {
    let mut a = Follower::new(Slow::Resume);
    a.feeds.let_joiners_wait();
    a.append(1);
    a.append(2);
    let follow = entering();
    let read = a.feeds.follow(CONN, follow.from, follow).unwrap();
    let page = a.page_for(&read);
    let mut steps = Vec::new();
    a.give(&read, &page, &mut steps);
    let [
        Step::AtHead {
            follow, position, ..
        },
    ] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!(position.offset, 2);
    let (entry, log) = (a.append(3), LogName::new("a").unwrap());
    a.feeds.push(entry, None).unwrap();
    assert_eq!(a.feeds.live(&log), [], "it waits");
    assert!(a.feeds.is_behind(CONN) && !a.feeds.can_go_on(CONN));
    let own = a.append(4);
    let (own, _) = a.feeds.push(own, Some(CONN)).unwrap();
    a.feeds.note_own(CONN, &own.entry);
    let held = a.feeds.hold_back(CONN, &log, ack(4));
    assert_eq!(
        held, None,
        "it would name a position behind the one that it joins at"
    );
    let now = Instant::now();
    let earlier = follow.ticket.wrapping_sub(1);
    assert_eq!(a.feeds.joined(CONN, earlier, now), None);
    assert!(!a.feeds.can_go_on(CONN), "that was for another");
    let held_back = a.feeds.joined(CONN, follow.ticket, now);
    assert_eq!(held_back, Some(vec![ack(4)]));
    assert_eq!(a.feeds.joined(CONN, follow.ticket, now), None, "only once");
    let mut steps = Vec::new();
    a.feeds.go_on(CONN, ROOM, &mut steps);
    a.hear(steps);
    assert_eq!(a.heard(), "3", "and not its own");
    assert!(!a.feeds.is_behind(CONN));
    let held = a.feeds.hold_back(CONN, &log, ack(5));
    assert_eq!(held, Some(ack(5)));
}

/// A joiner at the head of a log with `entries`, which has not been told so yet.
fn waiting(entries: u32) -> (Follower, Box<Follow>) {
    let mut a = Follower::new(Slow::Resume);
    a.feeds.let_joiners_wait();
    for number in 1..=entries {
        a.append(number);
    }
    let follow = entering();
    let read = a.feeds.follow(CONN, follow.from, follow).unwrap();
    let page = a.page_for(&read);
    let mut steps = Vec::new();
    a.give(&read, &page, &mut steps);
    match steps.pop() {
        Some(Step::AtHead { follow, .. }) => (a, follow),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_leaves_while_it_waits_is_not_told_that_it_has_joined_and_gets_its_acks() {
    let (mut a, follow) = waiting(2);
    let log = follow.log.clone();
    assert_eq!(a.feeds.hold_back(CONN, &log, ack(6)), None);
    assert_eq!(a.feeds.take_held_back(CONN, &log), [ack(6)]);
    a.feeds.unfollow(CONN, &log);
    assert_eq!(a.feeds.joined(CONN, follow.ticket, Instant::now()), None);
    // The same for who joins again: the first way to the head is none any more.
    let (mut a, follow) = waiting(2);
    let again = entering();
    a.feeds.follow(CONN, again.from, again);
    assert_eq!(a.feeds.joined(CONN, follow.ticket, Instant::now()), None);
}

#[test]
fn a_joiner_that_does_not_read_after_it_was_told_is_slow() {
    let (mut a, follow) = waiting(2);
    let now = Instant::now();
    a.feeds.joined(CONN, follow.ticket, now).unwrap();
    let longest = a.feeds.longest_behind(CONN);
    assert_eq!(longest.map(|(since, _, _)| since), Some(now));
}

//! Pages that several wait for.

use super::*;

/// Followers of the log `a` who come one after the other and want all of it; returns the pages that were asked for.
fn come(reader: &mut Follower, conns: std::ops::Range<u32>) -> Vec<Read> {
    let follow = |index| {
        let conn = ConnId { index, ..CONN };
        let follow = Follow::new(conn, LogName::new("a").unwrap(), Some(""));
        let from = follow.from;
        reader.feeds.follow(conn, from, Box::new(follow))
    };
    conns.filter_map(follow).collect()
}

fn entries(steps: Vec<Step>) -> Vec<Arc<Shared>> {
    let entry = |step| match step {
        Step::Entry(shared) => Some(shared),
        _ => None,
    };
    steps.into_iter().filter_map(entry).collect()
}

#[test]
fn a_page_is_read_once_for_all_who_wait_and_kept_for_who_has_no_room_yet() {
    let mut reader = Follower::new(Slow::Resume);
    (1..=50).for_each(|number| drop(reader.append(number)));
    let reads = come(&mut reader, 0..3);
    assert_eq!(reads.len(), 1, "one for all three");
    let page = reader.page_for(&reads[0]);
    let waiting = reader.feeds.arrived(&reads[0], Some(&page));
    let mut given = Vec::new();
    for (waiting, room) in waiting.into_iter().zip([ROOM, 1, 0]) {
        let mut steps = Vec::new();
        reader.feeds.page(waiting, &page, room, &mut steps);
        given.push(entries(steps));
    }
    let counts: Vec<usize> = given.iter().map(Vec::len).collect();
    assert_eq!(counts, [50, 1, 0], "as much as there was room for");
    for index in 1..3 {
        let conn = ConnId { index, ..CONN };
        assert!(reader.feeds.can_go_on(conn));
        let mut steps = Vec::new();
        reader.feeds.go_on(conn, ROOM, &mut steps);
        let shared = entries(steps);
        let of_first = &given[0][50 - shared.len()..];
        let same = shared.iter().zip(of_first);
        assert!(same.clone().all(|(a, b)| Arc::ptr_eq(a, b)), "one copy");
        assert_eq!(same.count(), 48 + index as usize);
    }
    assert!(reader.feeds.cursors.is_empty());
    let log = LogName::new("a").unwrap();
    let begin = page.begin();
    assert!(
        reader.feeds.kept.behind(&log, begin).is_none(),
        "for nobody"
    );
}

#[test]
fn what_is_kept_no_more_is_read_again() {
    let mut reader = Follower::new(Slow::Resume);
    (1..=50).for_each(|number| drop(reader.append(number)));
    let reads = come(&mut reader, 0..1);
    let page = reader.page_for(&reads[0]);
    let waiting = reader.feeds.arrived(&reads[0], Some(&page))[0];
    let mut steps = Vec::new();
    reader.feeds.page(waiting, &page, 1, &mut steps);
    reader.feeds.kept.clear();
    reader.feeds.go_on(waiting.conn, ROOM, &mut steps);
    let Some(Step::Read(read)) = steps.pop() else {
        panic!("{steps:?}")
    };
    let since = Since::After(page.entries[0].position);
    assert_eq!(read.place.from, ReadFrom::Since(since));
    assert!(!reader.feeds.can_go_on(waiting.conn), "it waits");
    assert_eq!(entries(steps).len(), 1);
}

#[test]
fn who_comes_after_all_have_left_does_not_take_a_page_that_is_older_than_what_they_heard() {
    let mut reader = Follower::new(Slow::Resume);
    reader.follow(Some(""));
    let old = reader.asked.pop().unwrap();
    let page = reader.page_for(&old);
    reader.say(1..=1, true);
    reader.feeds.unfollow(CONN, &LogName::new("a").unwrap());
    reader.follow(Some(""));
    assert_eq!(reader.asked.len(), 1, "another page");
    let mut steps = Vec::new();
    reader.give(&old, &page, &mut steps);
    assert!(steps.is_empty());
    reader.catch_up();
    assert_eq!(reader.heard(), "1 at 1");
}

#[test]
fn what_the_owner_has_seen_is_read_for_each_by_itself() {
    let mut feeds = Follower::new(Slow::Resume).feeds;
    let reads = (0..2).filter_map(|index| {
        let conn = ConnId { index, ..CONN };
        let follow = Follow::new(conn, LogName::new("@a").unwrap(), None);
        feeds.follow(conn, ReadFrom::Mark, Box::new(follow))
    });
    assert_eq!(reads.count(), 2);
}

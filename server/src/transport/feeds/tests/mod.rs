//! Followers and what they get, in order.

mod joining;
mod pages;

use std::mem;

use super::*;
use crate::chat::{Effect, Event, Hub, HubConfig, Joiner};
use crate::clock::Now;
use crate::ids::RoomName;
use crate::log::store_tests::draft;
use crate::log::{Epoch, MemoryStore, PageMax, Pattern, Placed, Rule, Since, Store as _};

const CONN: ConnId = ConnId {
    index: 1,
    generation: 1,
};

/// What it has room for at once.
const ROOM: usize = 16 << 10;

/// A follower of the log `a`, which is appended to; what it gets is written down.
struct Follower {
    feeds: Feeds,
    store: MemoryStore,
    heard: Vec<String>,
    /// Pages that were asked for and have not come.
    asked: Vec<Read>,
}

impl Follower {
    fn new(slow: Slow) -> Self {
        let mut rules = Rules::default();
        let rule = Rule {
            slow,
            ..Rule::default()
        };
        rules.push(Pattern::new("*".to_owned()), rule);
        let rules = Arc::new(rules);
        Self {
            feeds: Feeds::new(Arc::clone(&rules), Lane::ONLY),
            store: MemoryStore::new(Epoch::new(7), rules),
            heard: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn follow(&mut self, since: Option<&str>) {
        let follow = Follow::new(CONN, LogName::new("a").unwrap(), since);
        let read = self.feeds.follow(CONN, follow.from, Box::new(follow));
        self.asked.extend(read);
    }

    /// Appends an entry without announcing it.
    fn append(&mut self, number: u32) -> Arc<Entry> {
        let placed = self.store.append(draft("a", &number.to_string())).unwrap();
        self.store.commit().unwrap();
        match placed {
            Placed::New(entry) => entry,
            Placed::Duplicate { .. } => panic!(),
        }
    }

    /// Announces it; a follower without room falls behind.
    fn announce(&mut self, entry: Arc<Entry>, has_room: bool) -> Option<Position> {
        let log = entry.draft.log.clone();
        let (shared, _) = self.feeds.push(entry, None).unwrap();
        let live = self.feeds.live(&log);
        let mut closed_at = None;
        for conn in live {
            if has_room {
                self.hear(vec![Step::Entry(Arc::clone(&shared))]);
            } else {
                closed_at = self.feeds.fall_behind(conn, &shared.entry, Instant::now());
            }
        }
        closed_at
    }

    fn say(&mut self, numbers: std::ops::RangeInclusive<u32>, has_room: bool) {
        for number in numbers {
            let entry = self.append(number);
            self.announce(entry, has_room);
        }
    }

    /// The page for a read as it is now.
    fn page_for(&self, read: &Read) -> Page {
        let ReadFrom::Since(since) = read.place.from else {
            panic!()
        };
        let max = PageMax {
            entries: 100,
            bytes: 1 << 20,
        };
        self.store.read(&read.place.log, &since, max).unwrap()
    }

    /// A page comes.
    fn give(&mut self, read: &Read, page: &Page, steps: &mut Vec<Step>) {
        for reader in self.feeds.arrived(read, Some(page)) {
            self.feeds.page(reader, page, ROOM, steps);
        }
    }

    /// All pages come, and all that can be had is taken.
    fn catch_up(&mut self) {
        for _ in 0..1000 {
            let mut steps = Vec::new();
            for read in mem::take(&mut self.asked) {
                let page = self.page_for(&read);
                self.give(&read, &page, &mut steps);
            }
            self.feeds.go_on(CONN, ROOM, &mut steps);
            if steps.is_empty() {
                return;
            }
            self.hear(steps);
        }
        panic!("it never comes to an end");
    }

    fn hear(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Entry(shared) => {
                    self.heard.push(shared.entry.position.offset.to_string());
                }
                Step::Gap { gap, .. } => {
                    let (from, to) = (gap.from.offset, gap.to.offset);
                    self.heard
                        .push(format!("{} {from}..{to}", gap.reason.as_str()));
                }
                Step::AtHead { position, .. } => {
                    self.heard.push(format!("at {}", position.offset));
                }
                Step::Read(read) => self.asked.push(read),
                Step::OffTheLog { position } => {
                    self.heard.push(format!("off behind {}", position.offset));
                    self.feeds.unfollow(CONN, &LogName::new("a").unwrap());
                }
            }
        }
    }

    fn heard(&mut self) -> String {
        mem::take(&mut self.heard).join(" ")
    }
}

#[test]
fn between_a_page_and_what_is_announced_is_no_seam() {
    let mut reader = Follower::new(Slow::Resume);
    for number in 1..=3 {
        reader.append(number);
    }
    reader.follow(Some("00000007-1"));
    // The page is read before the fourth is there, and comes after that was announced.
    let read = reader.asked.pop().unwrap();
    let page = reader.page_for(&read);
    reader.say(4..=4, true);
    let mut steps = Vec::new();
    reader.give(&read, &page, &mut steps);
    reader.hear(steps);
    assert_eq!(reader.heard(), "2 3 4 at 4");
    reader.say(5..=5, true);
    assert_eq!(reader.heard(), "5");
}

#[test]
fn who_has_no_room_goes_on_from_the_ring_and_behind_that_from_the_log() {
    let mut reader = Follower::new(Slow::Resume);
    reader.follow(None);
    reader.catch_up();
    reader.say(1..=2, true);
    reader.say(3..=10, false);
    assert!(reader.feeds.is_behind(CONN));
    reader.catch_up();
    assert!(!reader.feeds.is_behind(CONN));
    assert_eq!(reader.heard(), "at 0 1 2 3 4 5 6 7 8 9 10");
    reader.say(11..=700, false);
    reader.catch_up();
    reader.say(701..=701, true);
    let expected: Vec<String> = (11..=701).map(|offset| offset.to_string()).collect();
    assert_eq!(reader.heard(), expected.join(" "));
}

#[test]
fn who_wants_the_newest_jumps_and_is_told() {
    let mut reader = Follower::new(Slow::Latest);
    reader.follow(None);
    reader.catch_up();
    reader.say(1..=700, false);
    assert!(
        reader.feeds.longest_behind(CONN).is_none(),
        "never too slow"
    );
    reader.catch_up();
    reader.say(701..=701, true);
    assert_eq!(reader.heard(), "at 0 skipped 0..700 701");
}

#[test]
fn where_the_rule_says_so_the_slow_are_closed_at_once() {
    let mut reader = Follower::new(Slow::Disconnect);
    reader.follow(None);
    reader.catch_up();
    reader.say(1..=2, true);
    let entry = reader.append(3);
    let closed_at = reader.announce(entry, false).unwrap();
    assert_eq!(closed_at.offset, 2);
}

#[test]
fn who_is_off_the_log_is_given_up() {
    let mut reader = Follower::new(Slow::Resume);
    reader.follow(None);
    reader.catch_up();
    reader.say(1..=20_000, false);
    reader.catch_up();
    assert_eq!(reader.heard(), "at 0 off behind 0");
}

#[test]
fn what_one_said_oneself_does_not_come_back_later() {
    let mut reader = Follower::new(Slow::Resume);
    reader.follow(None);
    reader.catch_up();
    reader.say(1..=1, false);
    let own = reader.append(2);
    let (own, is_live) = reader.feeds.push(own, Some(CONN)).unwrap();
    assert!(!is_live);
    reader.feeds.note_own(CONN, &own.entry);
    let live = reader.feeds.live(&LogName::new("a").unwrap());
    assert_eq!(live, []);
    reader.say(3..=3, false);
    reader.catch_up();
    assert_eq!(reader.heard(), "at 0 1 3");
}

#[test]
fn a_page_for_who_has_left_finds_nobody_and_nothing_is_left_behind() {
    let mut reader = Follower::new(Slow::Resume);
    reader.append(1);
    reader.follow(Some(""));
    let read = reader.asked.pop().unwrap();
    let page = reader.page_for(&read);
    reader.follow(Some("00000007-0"));
    let mut steps = Vec::new();
    reader.give(&read, &page, &mut steps);
    assert!(
        steps.is_empty(),
        "that was asked for by an earlier follower"
    );
    reader.catch_up();
    assert_eq!(reader.heard(), "1 at 1");
    reader.feeds.unfollow(CONN, &LogName::new("a").unwrap());
    assert!(reader.feeds.feeds.is_empty() && reader.feeds.quiet.is_empty());
    assert!(reader.feeds.cursors.is_empty());
}

#[test]
fn all_who_follow_a_log_are_told_wherever_they_are_in_it() {
    let mut a = Follower::new(Slow::Resume);
    let log = LogName::new("a").unwrap();
    assert_eq!(a.feeds.followers(&log), []);
    a.follow(None);
    assert_eq!(a.feeds.followers(&log), [CONN], "it waits for a page");
    a.catch_up();
    assert_eq!(a.feeds.followers(&log), [CONN], "the log is quiet");
    a.say(1..=1, true);
    assert_eq!(a.feeds.followers(&log), [CONN], "it is at the head");
    a.say(2..=2, false);
    assert_eq!(a.feeds.followers(&log), [CONN], "it is behind");
}

#[test]
fn what_is_followed_is_counted_until_nobody_does() {
    let mut a = Follower::new(Slow::Resume);
    let (interest, log) = (Arc::new(Interest::default()), LogName::new("a").unwrap());
    a.feeds.count_in(Arc::clone(&interest));
    assert!(!interest.may_be_in(&log));
    a.follow(None);
    assert!(interest.may_be_in(&log), "before its page was asked for");
    // Quiet, and a feed again, and from another place.
    a.catch_up();
    a.say(1..=1, true);
    a.follow(Some(""));
    a.catch_up();
    assert!(interest.may_be_in(&log));
    a.feeds.unfollow(CONN, &log);
    assert!(!interest.may_be_in(&log));
    a.follow(None);
    a.catch_up();
    a.feeds.unfollow(CONN, &log);
    assert!(!interest.may_be_in(&log), "also when it was quiet");
    a.feeds.unfollow(CONN, &log);
    assert!(!interest.may_be_in(&log), "nor twice");
}

#[test]
fn what_was_not_announced_while_nobody_followed_is_no_hole() {
    let mut a = Follower::new(Slow::Resume);
    let missed = [a.append(1), a.append(2)];
    a.follow(None);
    let read = a.asked.pop().unwrap();
    let page = a.page_for(&read);
    // What was announced to who followed before comes first; the second was not, as nobody did any more.
    a.feeds.push(Arc::clone(&missed[0]), None);
    let mut steps = Vec::new();
    a.give(&read, &page, &mut steps);
    a.hear(steps);
    assert_eq!(a.heard(), "at 2");
    a.say(3..=3, true);
    assert_eq!(a.heard(), "3");
}

#[test]
fn a_newer_connection_in_the_senders_slot_is_another() {
    let mut a = Follower::new(Slow::Resume);
    a.follow(None);
    a.catch_up();
    a.say(1..=1, true);
    let gone = ConnId {
        generation: CONN.generation.wrapping_sub(1),
        ..CONN
    };
    for (sender, is_live) in [(CONN, true), (gone, false)] {
        let entry = a.append(2);
        let pushed = a.feeds.push(entry, Some(sender));
        assert_eq!(pushed.map(|(_, is_live)| is_live), Some(is_live));
    }
}

#[test]
fn who_is_at_the_head_of_a_log_that_lost_its_end_is_told_and_goes_on() {
    let mut reader = Follower::new(Slow::Resume);
    reader.feeds.note_watches();
    reader.follow(None);
    reader.catch_up();
    reader.say(1..=3, true);
    // It comes back empty, in another epoch.
    reader.store = MemoryStore::new(Epoch::new(8), Arc::default());
    let log = LogName::new("a").unwrap();
    assert_eq!(reader.feeds.break_off(&log), [CONN]);
    reader.catch_up();
    reader.say(1..=2, true);
    assert_eq!(reader.heard(), "at 0 1 2 3 epoch_changed 3..0 1 2");
    // Nothing was lost, but not all was announced.
    reader.append(3);
    assert_eq!(reader.feeds.break_off(&log), [CONN]);
    reader.catch_up();
    reader.say(4..=4, true);
    assert_eq!(reader.heard(), "3 4");
    reader.feeds.unfollow(CONN, &log);
    let watched = reader.feeds.take_watches();
    assert_eq!(watched, [Watch::Begin(log.clone()), Watch::End(log)]);
}

#[test]
fn who_waits_for_a_page_that_cannot_be_read_goes_on_waiting_and_is_not_slow() {
    let mut follower = Follower::new(Slow::Resume);
    follower.follow(None);
    follower.catch_up();
    follower.heard.clear();
    // More than memory holds, so that it needs a page.
    let text = "x".repeat(60_000);
    for number in 0..100 {
        let placed = follower
            .store
            .append(draft("a", &format!("\"{number}{text}\"")));
        follower.store.commit().unwrap();
        let Placed::New(entry) = placed.unwrap() else {
            panic!()
        };
        follower.announce(entry, number > 0);
    }
    let mut steps = Vec::new();
    follower.feeds.go_on(CONN, ROOM, &mut steps);
    let [Step::Read(read)] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert!(follower.feeds.longest_behind(CONN).is_some());
    assert_eq!(follower.feeds.put_off(read), [CONN]);
    assert!(follower.feeds.longest_behind(CONN).is_none());
    assert!(follower.feeds.is_behind(CONN), "it waits");
    assert_eq!(
        follower.feeds.put_off(read),
        [CONN],
        "for as long as it takes"
    );
    let page = follower.page_for(read);
    let mut steps = Vec::new();
    follower.give(read, &page, &mut steps);
    assert!(matches!(&steps[0], Step::Entry(shared) if shared.entry.position.offset == 1));

    let mut left = Follower::new(Slow::Resume);
    left.follow(None);
    let read = left.asked.pop().unwrap();
    left.feeds.unfollow(CONN, &LogName::new("a").unwrap());
    assert_eq!(left.feeds.put_off(&read), [], "nobody waits for it");
}

//! Who follows which log, and how far each has come.
//!
//! A follower that is at the head of its log has no cursor of its own: what comes is sent to it at once. One that is behind
//! (it just came and reads what it missed, or it does not read fast enough) has a cursor, which is served from the ring
//! as far as that reaches back, and else from the log in pages, whenever the follower has taken what it got before. So a
//! slow reader costs a number, not a queue that grows.
//!
//! Pure: it says what to send and what to read, as [`Step`]s in order.

mod ring;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use ring::Ring;
pub use ring::Shared;

use crate::chat::{Follow, Followers};
use crate::ids::{ConnId, LogName};
use crate::log::{Entry, Gap, GapReason, Page, Position, ReadFrom, Rules, Since, Slow};

/// Bytes of content that are handed out at once.
const STEP_BYTES_MAX: usize = 64 << 10;

/// All logs that somebody follows.
#[derive(Debug)]
pub struct Feeds {
    rules: Arc<Rules>,
    feeds: HashMap<LogName, Feed, foldhash::fast::RandomState>,
    /// The cursors of connections that are behind somewhere.
    cursors: HashMap<ConnId, Vec<Cursor>, foldhash::fast::RandomState>,
    ticket: u32,
}

/// A log that somebody follows.
#[derive(Debug, Default)]
struct Feed {
    ring: Ring,
    /// The newest position that was announced; unknown before the first page.
    head: Option<Position>,
    /// Followers at the head.
    live: Followers,
    /// How many have a cursor.
    behind: usize,
}

/// How far a follower has come that is not at the head.
#[derive(Debug)]
struct Cursor {
    log: LogName,
    /// It goes on behind this; unknown before the first page.
    after: Option<Position>,
    /// Its page is on the way.
    reading: bool,
    /// Tells its page from one that was asked for earlier.
    ticket: u32,
    /// Since when it has been behind; `None` while it reads what it missed before it came.
    fell_behind: Option<Instant>,
    /// Where the ring does not reach back, it goes on at the newest.
    jumps: bool,
    /// What to say once it is at the head for the first time.
    follow: Option<Box<Follow>>,
    /// Something was missing.
    gap: bool,
    /// Entries that it sent itself while it was behind: their acks were its copies.
    own: Vec<u64>,
}

/// Whose page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The connection.
    pub conn: ConnId,
    ticket: u32,
}

/// A page to be read.
#[derive(Debug)]
pub struct Read {
    /// The log.
    pub log: LogName,
    /// From where on.
    pub from: ReadFrom,
    /// To be given back with the page.
    pub reader: Reader,
}

/// What is to be done for a follower.
#[derive(Debug)]
pub enum Step {
    /// Send an entry.
    Entry(Arc<Shared>),
    /// Tell what is missing; `from` is what the follower said, where that is no position.
    Gap {
        /// The log.
        log: LogName,
        /// What it said.
        from: Option<String>,
        /// What is missing.
        gap: Gap,
    },
    /// It is at the head for the first time.
    AtHead {
        /// How it came.
        follow: Box<Follow>,
        /// The head.
        position: Position,
        /// Nothing was missing.
        whole: bool,
    },
    /// Read a page for it.
    Read(Read),
    /// It was so slow that the log let go of what comes next.
    OffTheLog {
        /// It had come so far.
        position: Position,
    },
}

impl Feeds {
    /// Nobody follows anything yet.
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            feeds: HashMap::default(),
            cursors: HashMap::default(),
            ticket: 0,
        }
    }

    /// A connection follows a log from now on, or from another place; returns the first page to read.
    pub fn follow(&mut self, conn: ConnId, from: ReadFrom, follow: Box<Follow>) -> Read {
        let log = follow.log.clone();
        self.unfollow(conn, &log);
        self.feeds.entry(log.clone()).or_default().behind += 1;
        let reader = self.next_reader(conn);
        self.cursors.entry(conn).or_default().push(Cursor {
            log: log.clone(),
            after: None,
            reading: true,
            ticket: reader.ticket,
            fell_behind: None,
            jumps: false,
            gap: false,
            own: Vec::new(),
            follow: Some(follow),
        });
        Read { log, from, reader }
    }

    /// A connection follows a log no more.
    pub fn unfollow(&mut self, conn: ConnId, log: &LogName) {
        let Some(feed) = self.feeds.get_mut(log.as_str()) else {
            return;
        };
        if !feed.live.remove(conn)
            && let Some(cursors) = self.cursors.get_mut(&conn)
        {
            let before = cursors.len();
            cursors.retain(|cursor| cursor.log != *log);
            feed.behind -= before - cursors.len();
            if cursors.is_empty() {
                self.cursors.remove(&conn);
            }
        }
        if feed.live.is_empty() && feed.behind == 0 {
            self.feeds.remove(log.as_str());
        }
    }

    /// There is a new entry; `sender` is to be left out. Returns it and who is to get it at once.
    pub fn announce(
        &mut self,
        entry: Arc<Entry>,
        sender: Option<ConnId>,
    ) -> Option<(Arc<Shared>, Vec<ConnId>)> {
        let feed = self.feeds.get_mut(entry.draft.log.as_str())?;
        let (log, position) = (entry.draft.log.clone(), entry.position);
        let shared = Arc::new(Shared::new(entry));
        feed.ring.push(Arc::clone(&shared));
        feed.head = Some(position);
        let mut live = feed.live.as_slice().to_vec();
        if let Some(sender) = sender {
            if feed.live.contains(sender) {
                live.retain(|conn| *conn != sender);
            } else if let Some(cursor) = self.cursor_in(sender, &log) {
                cursor.own.push(position.offset);
            }
        }
        Some((shared, live))
    }

    /// A follower at the head has no room for this entry: it goes on later, from a cursor before it. Returns where that is,
    /// if it is to be closed instead.
    pub fn fall_behind(&mut self, conn: ConnId, entry: &Entry, now: Instant) -> Option<Position> {
        let log = &entry.draft.log;
        let feed = self.feeds.get_mut(log.as_str())?;
        if !feed.live.remove(conn) {
            return None;
        }
        feed.behind += 1;
        let Position { epoch, offset } = entry.position;
        let before = Position {
            epoch,
            offset: offset - 1,
        };
        let slow = self.rules.of(log.as_str()).slow;
        let ticket = self.next_reader(conn).ticket;
        self.cursors.entry(conn).or_default().push(Cursor {
            log: log.clone(),
            after: Some(before),
            reading: false,
            ticket,
            // Who jumps to the newest is never too far behind.
            fell_behind: (slow != Slow::Latest).then_some(now),
            jumps: slow == Slow::Latest,
            gap: false,
            own: Vec::new(),
            follow: None,
        });
        (slow == Slow::Disconnect).then_some(before)
    }

    /// Up to where the connection was given a log that it follows.
    #[must_use]
    pub fn position_of(&self, conn: ConnId, log: &LogName) -> Option<Position> {
        let feed = self.feeds.get(log.as_str())?;
        if feed.live.contains(conn) {
            return feed.head;
        }
        let cursors = self.cursors.get(&conn)?;
        let cursor = cursors.iter().find(|cursor| cursor.log == *log)?;
        cursor.after
    }

    /// Whether the connection is behind somewhere.
    pub fn is_behind(&self, conn: ConnId) -> bool {
        self.cursors.contains_key(&conn)
    }

    /// Where the connection has been behind for the longest time, since when, and how far it has come there.
    pub fn longest_behind(&self, conn: ConnId) -> Option<(Instant, &LogName, Position)> {
        let cursors = self.cursors.get(&conn)?;
        let behind = |cursor: &'_ Cursor| Some((cursor.fell_behind?, cursor.after?));
        cursors
            .iter()
            .filter_map(|cursor| behind(cursor).map(|(since, at)| (since, &cursor.log, at)))
            .min_by_key(|(since, _, _)| *since)
    }

    /// A page has come.
    pub fn page(&mut self, reader: Reader, page: Page, steps: &mut Vec<Step>) {
        let Some(cursor) = self.cursors.get_mut(&reader.conn).and_then(|cursors| {
            cursors
                .iter_mut()
                .find(|cursor| cursor.ticket == reader.ticket)
        }) else {
            return;
        };
        cursor.reading = false;
        if let (Some(gap), true) = (&page.gap, cursor.fell_behind.is_some()) {
            return steps.push(Step::OffTheLog { position: gap.from });
        }
        cursor.after = Some(page.next);
        let from = cursor
            .follow
            .as_mut()
            .and_then(|follow| follow.bad_since.take());
        let gap = if from.is_some() {
            Some(page.whole_gap())
        } else {
            page.gap
        };
        if let Some(gap) = gap {
            cursor.gap = true;
            let log = cursor.log.clone();
            steps.push(Step::Gap { log, from, gap });
        }
        let shown = page
            .entries
            .into_iter()
            .filter(|entry| !cursor.is_own(entry));
        steps.extend(shown.map(|entry| Step::Entry(Arc::new(Shared::new(entry)))));
        if let Some(feed) = self.feeds.get_mut(cursor.log.as_str()) {
            feed.head.get_or_insert(page.head);
        }
        self.settle(reader.conn, steps);
    }

    /// The connection has room for more.
    pub fn go_on(&mut self, conn: ConnId, steps: &mut Vec<Step>) {
        let Some(cursors) = self.cursors.get_mut(&conn) else {
            return;
        };
        let mut bytes = 0;
        for cursor in cursors.iter_mut().filter(|cursor| !cursor.reading) {
            let (Some(feed), Some(mut after)) = (self.feeds.get(cursor.log.as_str()), cursor.after)
            else {
                continue;
            };
            while bytes < STEP_BYTES_MAX
                && let Some(shared) = feed.ring.behind(after)
            {
                after = shared.entry.position;
                if !cursor.is_own(&shared.entry) {
                    bytes += shared.entry.draft.content.get().len();
                    steps.push(Step::Entry(Arc::clone(shared)));
                }
            }
            cursor.after = Some(after);
            if bytes >= STEP_BYTES_MAX {
                break;
            }
            if cursor.jumps
                && let Some(head) = feed.head.filter(|head| *head != after)
            {
                cursor.after = Some(head);
                steps.push(Step::Gap {
                    log: cursor.log.clone(),
                    from: None,
                    gap: Gap {
                        from: after,
                        to: head,
                        reason: GapReason::Skipped,
                    },
                });
            } else if feed.head != Some(after) {
                // The ring does not reach back that far.
                cursor.reading = true;
                steps.push(Step::Read(Read {
                    log: cursor.log.clone(),
                    from: ReadFrom::Since(Since::After(after)),
                    reader: Reader {
                        conn,
                        ticket: cursor.ticket,
                    },
                }));
            }
        }
        self.settle(conn, steps);
    }

    /// Cursors that are at the head are no cursors any more.
    fn settle(&mut self, conn: ConnId, steps: &mut Vec<Step>) {
        let Some(cursors) = self.cursors.get_mut(&conn) else {
            return;
        };
        let feeds = &mut self.feeds;
        cursors.retain_mut(|cursor| {
            let Some(feed) = feeds.get_mut(cursor.log.as_str()) else {
                return false;
            };
            let Some(position) = cursor.after.filter(|after| feed.head == Some(*after)) else {
                return true;
            };
            if cursor.reading {
                return true;
            }
            feed.behind -= 1;
            feed.live.insert(conn);
            steps.extend(cursor.follow.take().map(|follow| Step::AtHead {
                follow,
                position,
                whole: !cursor.gap,
            }));
            false
        });
        if cursors.is_empty() {
            self.cursors.remove(&conn);
        }
    }

    fn cursor_in(&mut self, conn: ConnId, log: &LogName) -> Option<&mut Cursor> {
        let cursors = self.cursors.get_mut(&conn)?;
        cursors.iter_mut().find(|cursor| cursor.log == *log)
    }

    fn next_reader(&mut self, conn: ConnId) -> Reader {
        self.ticket = self.ticket.wrapping_add(1);
        let ticket = self.ticket;
        Reader { conn, ticket }
    }
}

impl Cursor {
    fn is_own(&self, entry: &Entry) -> bool {
        self.own.binary_search(&entry.position.offset).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::store_tests::draft;
    use crate::log::{Epoch, MemoryStore, PageMax, Pattern, Placed, Rule, Store as _};

    const CONN: ConnId = ConnId {
        index: 1,
        generation: 1,
    };

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
                feeds: Feeds::new(Arc::clone(&rules)),
                store: MemoryStore::new(Epoch::new(7), rules),
                heard: Vec::new(),
                asked: Vec::new(),
            }
        }

        fn follow(&mut self, since: Option<&str>) {
            let follow = Follow::new(CONN, LogName::new("a").unwrap(), since);
            let read = self.feeds.follow(CONN, follow.from, Box::new(follow));
            self.asked.push(read);
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
            let (shared, live) = self.feeds.announce(entry, None).unwrap();
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
            let ReadFrom::Since(since) = read.from else {
                panic!()
            };
            let max = PageMax {
                entries: 100,
                bytes: 1 << 20,
            };
            self.store.read(&read.log, &since, max).unwrap()
        }

        /// All pages come, and all that can be had is taken.
        fn catch_up(&mut self) {
            for _ in 0..1000 {
                let mut steps = Vec::new();
                for read in std::mem::take(&mut self.asked) {
                    let page = self.page_for(&read);
                    self.feeds.page(read.reader, page, &mut steps);
                }
                self.feeds.go_on(CONN, &mut steps);
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
            std::mem::take(&mut self.heard).join(" ")
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
        reader.feeds.page(read.reader, page, &mut steps);
        reader.hear(steps);
        assert_eq!(reader.heard(), "2 3");
        reader.catch_up();
        reader.say(5..=5, true);
        assert_eq!(reader.heard(), "4 at 4 5");
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
        let (_, live) = reader.feeds.announce(own, Some(CONN)).unwrap();
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
        reader.follow(Some(""));
        let mut steps = Vec::new();
        reader.feeds.page(read.reader, page, &mut steps);
        assert!(
            steps.is_empty(),
            "that was asked for by an earlier follower"
        );
        reader.catch_up();
        assert_eq!(reader.heard(), "1 at 1");
        reader.feeds.unfollow(CONN, &LogName::new("a").unwrap());
        assert!(reader.feeds.feeds.is_empty() && reader.feeds.cursors.is_empty());
    }
}

//! Who follows which log, and how far each has come.
//!
//! A follower that is at the head of its log has no cursor of its own: what comes is sent to it at once. One that is behind
//! (it just came and reads what it missed, or it does not read fast enough) has a cursor, which is served from the ring
//! as far as that reaches back, and else from the log in pages, whenever the follower has taken what it got before. So a
//! slow reader costs a number, not a queue that grows. A page is nobody's: its entries are kept, as long as there is room, for
//! all who come to that place, and who has no room now finds them later or reads them again.
//!
//! Pure: it says what to send and what to read, as [`Step`]s in order.

mod cursor;
mod feed;
mod kept;
mod quiet;
mod reads;
mod ring;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cursor::Cursor;
use feed::Feed;
use kept::Kept;
use quiet::{QuietLog, QuietLogs};
use reads::Reads;
pub use ring::Shared;

use crate::chat::Follow;
use crate::ids::{ConnId, Lane, LogName};
use crate::log::{Entry, Gap, Page, Position, ReadFrom, Rules, Slow};

/// All logs that somebody follows.
#[derive(Debug)]
pub struct Feeds {
    rules: Arc<Rules>,
    lane: Lane,
    /// Who joins a room waits at the head until told to go on.
    joiners_wait: bool,
    feeds: HashMap<LogName, Feed, foldhash::fast::RandomState>,
    /// Those that one connection follows and nobody writes to.
    quiet: QuietLogs,
    /// The generation of each connection that follows something, by its slot.
    generations: Vec<u32>,
    /// The cursors of connections that are behind somewhere.
    cursors: HashMap<ConnId, Vec<Cursor>, foldhash::fast::RandomState>,
    /// What was read for them.
    kept: Kept,
    /// What is being read for them.
    reads: Reads,
    ticket: u32,
}

/// Whose page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The connection.
    pub conn: ConnId,
    ticket: u32,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The log.
    pub log: LogName,
    /// From where on.
    pub from: ReadFrom,
    /// Who can share it: the followers that know the same announcements.
    of: u32,
}

/// A page to be read; to be given back with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where it begins.
    pub place: Place,
    /// One entry is enough: so many are being read.
    pub is_short: bool,
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
    /// Nobody follows anything yet; those who will are connections of a worker.
    #[must_use]
    pub fn new(rules: Arc<Rules>, lane: Lane) -> Self {
        Self {
            rules,
            lane,
            joiners_wait: false,
            feeds: HashMap::default(),
            quiet: QuietLogs::default(),
            generations: Vec::new(),
            cursors: HashMap::default(),
            kept: Kept::default(),
            reads: Reads::default(),
            ticket: 0,
        }
    }

    /// Who joins a room waits at its head after [`Step::AtHead`] until [`joined`](Self::joined), so that it hears of that before
    /// what comes next: here it takes a while.
    pub const fn let_joiners_wait(&mut self) {
        self.joiners_wait = true;
    }

    /// A connection follows a log from now on, or from another place; returns the page to read, if it is not on its way.
    pub fn follow(
        &mut self,
        conn: ConnId,
        from: ReadFrom,
        mut follow: Box<Follow>,
    ) -> Option<Read> {
        let log = follow.log.clone();
        self.unfollow(conn, &log);
        let reader = self.next_reader(conn);
        follow.ticket = reader.ticket;
        self.note_generation(conn);
        self.wake(&log);
        let feed = self.feeds.entry(log.clone());
        let feed = feed.or_insert_with(|| Feed::new(reader.ticket));
        feed.behind += 1;
        let place = Place::new(log.clone(), from, feed, reader);
        self.cursors.entry(conn).or_default().push(Cursor {
            log,
            after: None,
            reading: true,
            ticket: reader.ticket,
            fell_behind: None,
            jumps: false,
            gap: false,
            own: Vec::new(),
            waits: false,
            follow: Some(follow),
        });
        self.reads.want_first(place, reader)
    }

    /// A connection follows a log no more.
    pub fn unfollow(&mut self, conn: ConnId, log: &LogName) {
        if self
            .quiet
            .get(log.as_str())
            .is_some_and(|quiet| quiet.follower == conn)
        {
            self.quiet.take(log.as_str());
        }
        let Some(feed) = self.feeds.get_mut(log.as_str()) else {
            return;
        };
        if !feed.live.remove(self.lane.slot(conn))
            && let Some(cursors) = self.cursors.get_mut(&conn)
        {
            let before = cursors.len();
            cursors.retain(|cursor| cursor.log != *log);
            feed.behind -= before - cursors.len();
            if cursors.is_empty() {
                self.forget_cursors(conn);
            }
        }
        if self
            .feeds
            .get(log.as_str())
            .is_some_and(|feed| feed.live.is_empty() && feed.behind == 0)
        {
            self.feeds.remove(log.as_str());
        }
    }

    /// A connection is behind nowhere; once none is, nothing that was read is worth its memory.
    fn forget_cursors(&mut self, conn: ConnId) {
        self.cursors.remove(&conn);
        if self.cursors.is_empty() {
            self.kept.clear();
        }
    }

    /// There is a new entry; `sender` is to be left out. Returns it and who is to get it at once.
    pub fn announce(
        &mut self,
        entry: Arc<Entry>,
        sender: Option<ConnId>,
    ) -> Option<(Arc<Shared>, Vec<ConnId>)> {
        let (log, position) = (entry.draft.log.clone(), entry.position);
        self.wake(&log);
        let feed = self.feeds.get_mut(log.as_str())?;
        let shared = Arc::new(Shared::new(entry));
        feed.ring.push(Arc::clone(&shared));
        feed.head = Some(position);
        let is_live = sender.filter(|sender| feed.live.contains(self.lane.slot(*sender)));
        let mut live = Vec::with_capacity(feed.live.len());
        let (generations, lane) = (&self.generations, self.lane);
        let but = is_live.map(|sender| lane.slot(sender));
        let others = feed.live.iter().filter(|&slot| but != Some(slot));
        live.extend(others.map(|slot| conn_at(slot, lane, generations)));
        if let (Some(sender), None) = (sender, is_live)
            && let Some(cursor) = self.cursor_in(sender, &log)
        {
            cursor.own.push(position.offset);
        }
        Some((shared, live))
    }

    /// A follower at the head has no room for this entry: it goes on later, from a cursor before it. Returns where that is,
    /// if it is to be closed instead.
    pub fn fall_behind(&mut self, conn: ConnId, entry: &Entry, now: Instant) -> Option<Position> {
        let log = &entry.draft.log;
        let feed = self.feeds.get_mut(log.as_str())?;
        if !feed.live.remove(self.lane.slot(conn)) {
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
            waits: false,
            follow: None,
        });
        (slow == Slow::Disconnect).then_some(before)
    }

    /// All who follow a log.
    #[must_use]
    pub fn followers(&self, log: &LogName) -> Vec<ConnId> {
        if let Some(quiet) = self.quiet.get(log.as_str()) {
            return vec![quiet.follower];
        }
        let Some(feed) = self.feeds.get(log.as_str()) else {
            return Vec::new();
        };
        let live = feed.live.iter();
        let live = live.map(|slot| conn_at(slot, self.lane, &self.generations));
        if feed.behind == 0 {
            return live.collect();
        }
        let is_there = |cursors: &&Vec<Cursor>| cursors.iter().any(|cursor| cursor.log == *log);
        let behind = self.cursors.iter();
        let behind = behind.filter(|(_, cursors)| is_there(cursors));
        live.chain(behind.map(|(conn, _)| *conn)).collect()
    }

    /// Up to where the connection was given a log that it follows.
    #[must_use]
    pub fn position_of(&self, conn: ConnId, log: &LogName) -> Option<Position> {
        if let Some(quiet) = self.quiet.get(log.as_str()) {
            return (quiet.follower == conn).then(|| quiet.head());
        }
        let feed = self.feeds.get(log.as_str())?;
        if feed.live.contains(self.lane.slot(conn)) {
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

    /// A page has come, or could not be read; returns who waited for it.
    pub fn arrived(&mut self, read: &Read, page: Option<&Page>) -> Vec<Reader> {
        let mut readers = self.reads.came(read);
        readers.retain(|reader| self.waits(*reader));
        if let Some(page) = page.filter(|_| !readers.is_empty()) {
            let ring = self
                .feeds
                .get(read.place.log.as_str())
                .map(|feed| &feed.ring);
            let is_in_ring = |entry: &Entry| ring.is_some_and(|ring| ring.holds(entry.position));
            let entries = page.entries.iter().filter(|entry| !is_in_ring(entry));
            self.kept.add(&read.place.log, entries);
        }
        readers
    }

    /// The page that is to be read next, if one has waited until so many were not on their way any more.
    pub fn next_read(&mut self) -> Option<Read> {
        let cursors = &self.cursors;
        self.reads
            .next(|reader| cursor_of(cursors, reader).is_some())
    }

    fn waits(&self, reader: Reader) -> bool {
        cursor_of(&self.cursors, reader).is_some()
    }

    /// Gives a follower what it has room for of the page that it waited for; the rest comes with [`go_on`](Self::go_on).
    pub fn page(&mut self, reader: Reader, page: &Page, bytes_max: usize, steps: &mut Vec<Step>) {
        let cursors = self.cursors.get_mut(&reader.conn);
        let Some(cursor) = cursors.and_then(|cursors| {
            let mut cursors = cursors.iter_mut();
            cursors.find(|cursor| cursor.ticket == reader.ticket)
        }) else {
            return;
        };
        cursor.reading = false;
        if let (Some(gap), true) = (&page.gap, cursor.fell_behind.is_some()) {
            return steps.push(Step::OffTheLog { position: gap.from });
        }
        cursor.after = Some(page.begin());
        let from = cursor
            .follow
            .as_mut()
            .and_then(|follow| follow.bad_since.take());
        let gap = if from.is_some() {
            Some(page.whole_gap())
        } else {
            page.gap.clone()
        };
        if let Some(gap) = gap {
            cursor.gap = true;
            let log = cursor.log.clone();
            steps.push(Step::Gap { log, from, gap });
        }
        if let Some(feed) = self.feeds.get_mut(cursor.log.as_str()) {
            feed.head.get_or_insert(page.head);
        }
        self.advance(reader.conn, Some(reader.ticket), bytes_max, steps);
    }

    /// Whether the connection is behind somewhere and waits neither for a page nor for being told that it has joined.
    pub fn can_go_on(&self, conn: ConnId) -> bool {
        let cursors = self.cursors.get(&conn);
        cursors.is_some_and(|cursors| cursors.iter().any(|cursor| !cursor.is_waiting()))
    }

    /// The connection has been told that it has joined: it can go on, if that was its last way to the head.
    pub fn joined(&mut self, conn: ConnId, ticket: u32) {
        let cursors = self.cursors.get_mut(&conn);
        let cursor = cursors.and_then(|cursors| {
            let mut cursors = cursors.iter_mut();
            cursors.find(|cursor| cursor.ticket == ticket)
        });
        if let Some(cursor) = cursor {
            cursor.waits = false;
        }
    }

    /// The connection has room for `bytes_max`, and gets so much, and the rest of the message that goes beyond that.
    pub fn go_on(&mut self, conn: ConnId, bytes_max: usize, steps: &mut Vec<Step>) {
        self.advance(conn, None, bytes_max, steps);
    }

    /// Moves cursors of a connection on, all or only one.
    fn advance(
        &mut self,
        conn: ConnId,
        ticket: Option<u32>,
        bytes_max: usize,
        steps: &mut Vec<Step>,
    ) {
        let Some(cursors) = self.cursors.get_mut(&conn) else {
            return;
        };
        let is_meant = |cursor: &Cursor| ticket.is_none_or(|ticket| cursor.ticket == ticket);
        let mut bytes = 0;
        for cursor in cursors.iter_mut().filter(|cursor| is_meant(cursor)) {
            if bytes >= bytes_max {
                break;
            }
            let Some(feed) = self.feeds.get(cursor.log.as_str()) else {
                continue;
            };
            bytes += cursor.take(feed, &self.kept, bytes_max - bytes, steps);
            if bytes < bytes_max
                && let Some(from) = cursor.leave_memory(feed, steps)
            {
                let ticket = cursor.ticket;
                let reader = Reader { conn, ticket };
                let place = Place::new(cursor.log.clone(), from, feed, reader);
                steps.extend(self.reads.want(place, reader).map(Step::Read));
            }
        }
        self.settle(conn, steps);
    }

    /// Cursors that are at the head are no cursors any more.
    fn settle(&mut self, conn: ConnId, steps: &mut Vec<Step>) {
        let Some(cursors) = self.cursors.get_mut(&conn) else {
            return;
        };
        let (feeds, quiet) = (&mut self.feeds, &mut self.quiet);
        let (slot, joiners_wait) = (self.lane.slot(conn), self.joiners_wait);
        cursors.retain_mut(|cursor| {
            let Some(feed) = feeds.get_mut(cursor.log.as_str()) else {
                return false;
            };
            let Some(position) = cursor.after.filter(|after| feed.head == Some(*after)) else {
                return true;
            };
            if cursor.is_waiting() {
                return true;
            }
            if let Some(follow) = cursor.follow.take() {
                cursor.waits = joiners_wait && follow.is_joining();
                let whole = !cursor.gap;
                steps.push(Step::AtHead {
                    follow,
                    position,
                    whole,
                });
                if cursor.waits {
                    return true;
                }
            }
            feed.behind -= 1;
            feed.live.insert(slot);
            if feed.is_quiet() {
                let number = feed.number;
                feeds.remove(cursor.log.as_str());
                let log = cursor.log.clone();
                quiet.insert(QuietLog::new(log, conn, number, position));
            }
            false
        });
        if cursors.is_empty() {
            self.forget_cursors(conn);
        }
    }

    fn cursor_in(&mut self, conn: ConnId, log: &LogName) -> Option<&mut Cursor> {
        let cursors = self.cursors.get_mut(&conn)?;
        cursors.iter_mut().find(|cursor| cursor.log == *log)
    }

    /// A quiet log is a feed again: something happens to it.
    fn wake(&mut self, log: &LogName) {
        if let Some(quiet) = self.quiet.take(log.as_str()) {
            let mut feed = Feed::new(quiet.number);
            feed.head = Some(quiet.head());
            feed.live.insert(self.lane.slot(quiet.follower));
            self.feeds.insert(quiet.log, feed);
        }
    }

    fn note_generation(&mut self, conn: ConnId) {
        let slot = self.lane.slot(conn) as usize;
        if slot >= self.generations.len() {
            self.generations.resize(slot + 1, 0);
        }
        self.generations[slot] = conn.generation;
    }

    fn next_reader(&mut self, conn: ConnId) -> Reader {
        self.ticket = self.ticket.wrapping_add(1);
        let ticket = self.ticket;
        Reader { conn, ticket }
    }
}

/// The connection in a slot.
fn conn_at(slot: u32, lane: Lane, generations: &[u32]) -> ConnId {
    let index = lane.place(slot);
    let generation = generations[slot as usize];
    ConnId { index, generation }
}

/// Who waits for a page, unless it follows that log no more or from another place.
fn cursor_of(
    cursors: &HashMap<ConnId, Vec<Cursor>, foldhash::fast::RandomState>,
    reader: Reader,
) -> Option<&Cursor> {
    let cursors = cursors.get(&reader.conn)?;
    cursors.iter().find(|cursor| cursor.ticket == reader.ticket)
}

impl Place {
    /// What an owner has seen changes with what it confirms, so that a page from there is for one follower.
    fn new(log: LogName, from: ReadFrom, feed: &Feed, reader: Reader) -> Self {
        let of = match from {
            ReadFrom::Since(_) => feed.number,
            ReadFrom::Mark => reader.ticket,
        };
        Self { log, from, of }
    }
}

impl Read {
    const fn whole(place: Place) -> Self {
        let is_short = false;
        Self { place, is_short }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
                for read in std::mem::take(&mut self.asked) {
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
}

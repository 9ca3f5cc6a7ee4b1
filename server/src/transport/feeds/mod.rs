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
mod interest;
mod joining;
mod kept;
mod places;
mod putting_off;
mod quiet;
mod reads;
mod ring;
mod step;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cursor::Cursor;
use feed::Feed;
pub use interest::Interest;
use kept::Kept;
use quiet::{QuietLog, QuietLogs};
use reads::Reads;
pub use ring::Shared;
pub use step::{Place, Read, Reader, Step};
pub use watch::Watch;
use watch::Watchers;

use crate::chat::Follow;
use crate::ids::{ConnId, Lane, LogName};
use crate::log::{Entry, Page, Position, ReadFrom, Rules, Slow};

/// All logs that somebody follows.
#[derive(Debug)]
pub struct Feeds {
    rules: Arc<Rules>,
    lane: Lane,
    /// Who joins a room waits at the head until told to go on.
    joiners_wait: bool,
    /// Who is told what is followed here.
    watchers: Watchers,
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

impl Feeds {
    /// Goes by other rules from now on.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
    }

    /// Nobody follows anything yet; those who will are connections of a worker.
    #[must_use]
    pub fn new(rules: Arc<Rules>, lane: Lane) -> Self {
        Self {
            rules,
            lane,
            joiners_wait: false,
            watchers: Watchers::default(),
            feeds: HashMap::default(),
            quiet: QuietLogs::default(),
            generations: Vec::new(),
            cursors: HashMap::default(),
            kept: Kept::default(),
            reads: Reads::default(),
            ticket: 0,
        }
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
        let watchers = &mut self.watchers;
        let feed = feed.or_insert_with_key(|log| {
            watchers.begin(log);
            Feed::new(reader.ticket)
        });
        feed.behind.insert(self.lane.slot(conn));
        let place = Place::new(log.clone(), from, feed, reader);
        self.cursors.entry(conn).or_default().push(Cursor {
            reading: true,
            follow: Some(follow),
            ..Cursor::at(log, None, reader.ticket)
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
            self.watchers.end(log);
        }
        let Some(feed) = self.feeds.get_mut(log.as_str()) else {
            return;
        };
        if !feed.live.remove(self.lane.slot(conn))
            && let Some(cursors) = self.cursors.get_mut(&conn)
        {
            cursors.retain(|cursor| cursor.log != *log);
            feed.behind.remove(self.lane.slot(conn));
            if cursors.is_empty() {
                self.forget_cursors(conn);
            }
        }
        if self
            .feeds
            .get(log.as_str())
            .is_some_and(|feed| feed.live.is_empty() && feed.behind.is_empty())
        {
            self.feeds.remove(log.as_str());
            self.watchers.end(log);
        }
    }

    /// A connection is behind nowhere; once none is, nothing that was read is worth its memory.
    fn forget_cursors(&mut self, conn: ConnId) {
        self.cursors.remove(&conn);
        if self.cursors.is_empty() {
            self.kept.clear();
        }
    }

    /// There is a new entry, which [those at the head](Self::live) are to get. Returns it, and whether its sender is at the head;
    /// `None` if nobody follows the log.
    pub fn push(
        &mut self,
        entry: Arc<Entry>,
        sender: Option<ConnId>,
    ) -> Option<(Arc<Shared>, bool)> {
        let position = entry.position;
        self.wake(&entry.draft.log);
        let feed = self.feeds.get_mut(entry.draft.log.as_str())?;
        let shared = Arc::new(Shared::new(entry));
        feed.ring.push(Arc::clone(&shared));
        feed.head = Some(position);
        let is_live = sender.is_some_and(|sender| {
            let slot = self.lane.slot(sender);
            // A newer connection may have the slot.
            feed.live.contains(slot)
                && self.generations.get(slot as usize) == Some(&sender.generation)
        });
        Some((shared, is_live))
    }

    /// A connection that is behind has sent an entry itself: its ack is its copy.
    pub fn note_own(&mut self, sender: ConnId, entry: &Entry) {
        if let Some(cursor) = self.cursor_in(sender, &entry.draft.log) {
            cursor.own.push(entry.position.offset);
        }
    }

    /// A follower at the head has no room for this entry: it goes on later, from a cursor before it. Returns where that is,
    /// if it is to be closed instead.
    pub fn fall_behind(&mut self, conn: ConnId, entry: &Entry, now: Instant) -> Option<Position> {
        let log = &entry.draft.log;
        let feed = self.feeds.get_mut(log.as_str())?;
        if !feed.live.remove(self.lane.slot(conn)) {
            return None;
        }
        feed.behind.insert(self.lane.slot(conn));
        let Position { epoch, offset } = entry.position;
        let before = Position {
            epoch,
            offset: offset - 1,
        };
        let slow = self.rules.of(log.as_str()).slow;
        let ticket = self.next_reader(conn).ticket;
        self.cursors.entry(conn).or_default().push(Cursor {
            // Who jumps to the newest is never too far behind.
            fell_behind: (slow != Slow::Latest).then_some(now),
            jumps: slow == Slow::Latest,
            ..Cursor::at(log.clone(), Some(before), ticket)
        });
        (slow == Slow::Disconnect).then_some(before)
    }

    /// What was announced of a log may not be there any more, or there is more that was not announced: who is at the head reads on
    /// from there, as does who is behind, and what is in memory is not what comes next. Returns who was at the head.
    pub fn break_off(&mut self, log: &LogName) -> Vec<ConnId> {
        self.wake(log);
        let live = self.live(log);
        // Who waits for a page from before gets none that others share.
        let number = self.next_number();
        let Some(feed) = self.feeds.get_mut(log.as_str()) else {
            return live;
        };
        let head = feed.break_off(number);
        for conn in &live {
            let ticket = self.next_number();
            let cursor = Cursor::at(log.clone(), head, ticket);
            self.cursors.entry(*conn).or_default().push(cursor);
        }
        live
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
            feed.note_head(page.head);
        }
        self.advance(reader.conn, Some(reader.ticket), bytes_max, steps);
    }

    /// Whether the connection is behind somewhere and waits neither for a page nor for being told that it has joined.
    pub fn can_go_on(&self, conn: ConnId) -> bool {
        let cursors = self.cursors.get(&conn);
        cursors.is_some_and(|cursors| cursors.iter().any(|cursor| !cursor.is_waiting()))
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
            feed.behind.remove(slot);
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
        let ticket = self.next_number();
        Reader { conn, ticket }
    }

    fn next_number(&mut self) -> u32 {
        self.ticket = self.ticket.wrapping_add(1);
        self.ticket
    }
}

/// Who waits for a page, unless it follows that log no more or from another place.
fn cursor_of(
    cursors: &HashMap<ConnId, Vec<Cursor>, foldhash::fast::RandomState>,
    reader: Reader,
) -> Option<&Cursor> {
    let cursors = cursors.get(&reader.conn)?;
    cursors.iter().find(|cursor| cursor.ticket == reader.ticket)
}

#[cfg(test)]
mod tests;

//! Those who follow logs on a node, as workers let them: by pages from where they are, then by what is handed on. Each checks that it
//! gets everything in order, or is told of the gap.

use std::collections::BTreeMap;

use crate::ids::LogName;
use crate::log::{Entry, Page, Position, ReadFrom, Since};

/// Who follows a log.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) number: u64,
    /// Up to where it has the log.
    pub(super) position: Option<Position>,
    /// The page that it waits for was asked from there.
    pub(super) reading: Option<ReadFrom>,
    pub(super) gaps: u32,
    /// Pages without anything new.
    idle: u32,
}

/// A log that some follow.
#[derive(Debug, Default)]
pub(super) struct Feed {
    pub(super) followers: Vec<Follower>,
    head: Option<Position>,
    ring: BTreeMap<u64, Position>,
}

/// All that are followed on a node.
#[derive(Debug, Default)]
pub(super) struct Feeds(pub(super) BTreeMap<LogName, Feed>);

impl Follower {
    pub(super) fn new(number: u64, from: ReadFrom) -> Self {
        Self {
            number,
            position: None,
            reading: Some(from),
            gaps: 0,
            idle: 0,
        }
    }

    fn read_on(&mut self) -> Option<ReadFrom> {
        let position = self.position.expect("it has had a page");
        self.reading = Some(ReadFrom::Since(Since::After(position)));
        self.reading
    }
}

impl Feed {
    /// An entry is handed on.
    pub(super) fn push(&mut self, entry: &Entry) {
        let position = entry.position;
        let before = self.ring.last_key_value().map(|(_, last)| *last);
        if before.is_some_and(|before| !follows(before, position)) {
            self.ring.clear();
        }
        self.ring.insert(position.offset, position);
        self.head = Some(position);
        for follower in &mut self.followers {
            if follower.reading.is_none() {
                let before = follower.position.expect("it is at the head");
                assert!(follows(before, position), "{before} then {position}");
                follower.position = Some(position);
            }
        }
    }

    /// Who is at the head reads on: from where.
    pub(super) fn broken(&mut self) -> Vec<(u64, ReadFrom)> {
        self.ring.clear();
        self.head = None;
        let live = self.followers.iter_mut();
        let live = live.filter(|follower| follower.reading.is_none());
        live.filter_map(|follower| Some((follower.number, follower.read_on()?)))
            .collect()
    }

    /// A page for a follower: from where it reads on, unless it is at the head.
    pub(super) fn page(&mut self, number: u64, page: &Page) -> Option<ReadFrom> {
        let known =
            |head: Position| head.epoch == page.head.epoch && head.offset < page.head.offset;
        if self.head.is_none_or(known) {
            self.head = Some(page.head);
        }
        let mut followers = self.followers.iter_mut();
        let follower = followers.find(|follower| follower.number == number)?;
        let from = follower.reading.take().expect("it waits for its page");
        check_page(from, page);
        follower.gaps += u32::from(page.gap.is_some());
        let before = follower.position;
        let mut position = page.next;
        while let Some(next) = self.ring.get(&(position.offset + 1))
            && next.epoch == position.epoch
        {
            position = *next;
        }
        follower.position = Some(position);
        if self.head == Some(position) {
            follower.idle = 0;
            return None;
        }
        follower.idle += 1;
        if before != Some(position) {
            follower.idle = 0;
        }
        assert!(
            follower.idle < 100,
            "it is at {position} and never at the head {:?}",
            self.head
        );
        follower.read_on()
    }
}

/// A page begins where it was asked for, or tells of a gap, and has no hole.
fn check_page(from: ReadFrom, page: &Page) {
    let begin = page.begin();
    if let ReadFrom::Since(Since::After(after)) = from {
        match &page.gap {
            Some(gap) => {
                assert_eq!((gap.from, gap.to), (after, begin));
                assert_ne!(after, begin, "it is no gap");
            }
            None => assert_eq!(begin, after, "a hole that nobody was told of"),
        }
    }
    let mut last = begin;
    for entry in &page.entries {
        assert!(
            follows(last, entry.position),
            "{last} then {}",
            entry.position
        );
        last = entry.position;
    }
    assert_eq!(page.next, last);
}

fn follows(before: Position, position: Position) -> bool {
    before.epoch == position.epoch && before.offset + 1 == position.offset
}

//! Who publishes, follows and reads history on a node, and what comes back to them.

use serde_json::value::RawValue;

use super::{Asked, Event, MS, SLACK, Sent, World, number_of};
use crate::ids::{LogName, Session, UserName};
use crate::log::shared::simulation::follower::{Feed, Follower};
use crate::log::{
    AppendError, Draft, Entry, Page, PageMax, Part, Placed, Position, ReadFrom, Reply, Request,
    Since, StoreError,
};

impl World {
    pub(in super::super) fn publish(&mut self, node: usize, log: LogName, has_key: bool) {
        self.next += 1;
        let message = self.next;
        self.messages.insert(
            message,
            Sent {
                log,
                has_key,
                tries: 0,
                node,
                was_refused: false,
            },
        );
        self.send(node, message);
    }

    pub(super) fn send(&mut self, node: usize, message: u64) {
        let Some(sent) = self.messages.get_mut(&message) else {
            return;
        };
        sent.tries += 1;
        sent.node = node;
        let log = sent.log.clone();
        let number = RawValue::from_string(message.to_string()).expect("it is JSON");
        let draft = Draft {
            log: log.clone(),
            from: UserName::new("alice").expect("it is a name"),
            session: Session::new("s").expect("it is a name"),
            seq: sent.has_key.then(|| number.clone()),
            content: number,
            time: self.now().unix_ms - self.nodes[node].clock_behind,
        };
        self.open += 1;
        let asked = Asked::Append {
            log,
            message,
            at: self.time,
        };
        let now = self.now();
        self.nodes[node]
            .core
            .request(Request::Append(draft, asked), now);
        self.settle(node);
    }

    pub(in super::super) fn follow(&mut self, node: usize, log: &LogName, from: ReadFrom) {
        self.next += 1;
        let number = self.next;
        let now = self.now();
        let node_state = &mut self.nodes[node];
        if !node_state.feeds.0.contains_key(log) {
            node_state.core.request(Request::Watch(log.clone()), now);
            node_state.feeds.0.insert(log.clone(), Feed::default());
        }
        if let Some(feed) = node_state.feeds.0.get_mut(log) {
            feed.followers.push(Follower::new(number, from));
        }
        self.ask_page(node, log, number, from);
        self.settle(node);
    }

    /// All who follow a log on a node leave; returns where one was.
    pub(in super::super) fn unfollow(&mut self, node: usize, log: &LogName) -> Option<Position> {
        let feed = self.nodes[node].feeds.0.remove(log)?;
        let now = self.now();
        self.nodes[node]
            .core
            .request(Request::Unwatch(log.clone()), now);
        self.settle(node);
        feed.followers.iter().find_map(|follower| follower.position)
    }

    /// Somebody who follows nothing reads the newest, or what came behind a place that was acked: all that was acked is in it.
    pub(in super::super) fn read_history(&mut self, node: usize, log: &LogName) {
        self.asked_history += 1;
        let acked = self.acked.iter().rev().filter(|(of, ..)| of == log);
        let behind = acked.map(|(_, position, _)| *position).nth(3);
        let part = match behind.filter(|_| self.dice.below(2) == 0) {
            Some(position) => Part::Since(Since::After(position)),
            None => Part::Before(None),
        };
        let max = PageMax {
            entries: 20,
            bytes: 1 << 16,
        };
        let now = self.now();
        let request = Request::History {
            log: log.clone(),
            part,
            max,
            context: Asked::History {
                log: log.clone(),
                part,
                acked: self.acked.len(),
            },
        };
        self.nodes[node].core.request(request, now);
        self.settle(node);
    }

    /// A follower goes on, if it is still there and has to.
    pub(super) fn read_on(&mut self, node: usize, log: &LogName, follower: u64) {
        let feed = self.nodes[node].feeds.0.get(log);
        let mut readers = feed.iter().flat_map(|feed| &feed.followers);
        let reader = readers.find(|reader| reader.number == follower);
        if let Some(from) = reader.and_then(|reader| reader.reading) {
            self.ask_page(node, log, follower, from);
            self.settle(node);
        }
    }

    pub(super) fn ask_page(&mut self, node: usize, log: &LogName, follower: u64, from: ReadFrom) {
        let max = PageMax {
            entries: 1 + self.dice.below(30) as usize,
            bytes: 1 << 16,
        };
        let context = Asked::Page {
            log: log.clone(),
            follower,
        };
        let now = self.now();
        self.nodes[node].core.request(
            Request::Read {
                log: log.clone(),
                from,
                max,
                context,
            },
            now,
        );
    }

    pub(super) fn reply(&mut self, node: usize, reply: Reply<Asked>) {
        match reply {
            Reply::Appended(result, Asked::Append { log, message, at }) => {
                self.open -= 1;
                // As long once more where its place is known.
                assert!(
                    self.time <= at + 4_000 * MS + SLACK,
                    "it was answered after {} ms",
                    (self.time - at) / MS
                );
                self.placed(node, &log, message, result);
            }
            Reply::Appended(..) => panic!("nobody asked"),
            Reply::Page(page, Asked::Page { log, follower }) => {
                let has_feed = self.nodes[node].feeds.0.contains_key(&log);
                match page {
                    Ok(page) => {
                        page.entries.iter().for_each(|entry| self.note(entry));
                        let feed = self.nodes[node].feeds.0.get_mut(&log);
                        if let Some(from) = feed.and_then(|feed| feed.page(follower, &page)) {
                            self.ask_page(node, &log, follower, from);
                        }
                    }
                    Err(StoreError::Unavailable) if has_feed => {
                        self.after(1_000 * MS, Event::ReadOn(node, log, follower))
                    }
                    Err(_) => {}
                }
            }
            Reply::Page(page, Asked::History { log, part, acked }) => {
                self.asked_history -= 1;
                for page in page.iter() {
                    page.entries.iter().for_each(|entry| self.note(entry));
                    self.check_history(&log, part, acked, page);
                }
            }
            Reply::Page(_, Asked::Append { .. }) | Reply::Found(..) => panic!("nobody asked"),
            Reply::Announced(entry) => {
                let sent = &self.messages[&number_of(&entry)];
                assert!(
                    sent.node != node || sent.was_refused,
                    "{} came back to its sender",
                    entry.position
                );
                self.hand_on(node, &entry);
            }
            Reply::Broken(log) => {
                let feed = self.nodes[node].feeds.0.get_mut(&log);
                for (follower, from) in feed.map_or_else(Vec::new, Feed::broken) {
                    self.ask_page(node, &log, follower, from);
                }
            }
        }
    }

    fn placed(
        &mut self,
        node: usize,
        log: &LogName,
        message: u64,
        result: Result<Placed, AppendError>,
    ) {
        match result {
            Ok(Placed::New(entry)) => {
                assert_eq!(number_of(&entry), message);
                self.acked.push((log.clone(), entry.position, message));
                self.hand_on(node, &entry);
            }
            Ok(Placed::Duplicate { position, .. }) => {
                self.acked.push((log.clone(), position, message));
                self.note_place(log, position, message);
            }
            Err(error) => {
                assert_eq!(error, AppendError::Store(StoreError::Unavailable));
                self.unavailable += 1;
                let sent = self.messages.get_mut(&message).expect("it was sent");
                sent.was_refused = true;
                if sent.has_key && sent.tries < 5 {
                    let delay = self.dice.below(1_000 * MS);
                    self.after(delay, Event::SendAgain(message));
                }
            }
        }
    }

    /// So many messages were acked when a page of a log was asked for: those of its epoch are in it, or there is more to read.
    fn check_history(&mut self, log: &LogName, part: Part, acked: usize, page: &Page) {
        if matches!(part, Part::Since(_)) && part.has_more(page) {
            return;
        }
        let end = page.head;
        let last = page.entries.last().map(|last| last.position.offset);
        assert!(
            last.is_none_or(|last| last == end.offset),
            "{log}: {page:?}"
        );
        let acked = self.acked.iter().take(acked);
        let unshown = acked
            .filter(|(of, at, _)| of == log && at.epoch == end.epoch && at.offset > end.offset);
        let unshown = unshown.map(|(log, at, _)| (log.clone(), *at));
        self.unshown.extend(unshown);
    }

    fn hand_on(&mut self, node: usize, entry: &Entry) {
        self.note(entry);
        let age = self.now().unix_ms.abs_diff(entry.draft.time);
        assert!(age < 100_000, "{} is {age} ms old", entry.position);
        if let Some(feed) = self.nodes[node].feeds.0.get_mut(&entry.draft.log) {
            feed.push(entry);
        }
    }

    fn note(&mut self, entry: &Entry) {
        self.note_place(&entry.draft.log, entry.position, number_of(entry));
    }

    fn note_place(&mut self, log: &LogName, position: Position, message: u64) {
        let there = *self
            .places
            .entry((log.clone(), position))
            .or_insert(message);
        assert_eq!(there, message, "two messages at {position} of {log}");
        if self.messages[&message].has_key {
            self.keyed.entry(message).or_default().insert(position);
        }
    }
}

//! What a client has beyond a connection: its subscriptions, how far it has come in each log, what is on its way to it and what of its
//! own messages is not done with. "Session State" is the standard's name (MQTT 5.0 §4.1).
//!
//! A message that is to arrive certainly is a [`Record`] until it has. The cursor of a log stands before the oldest of its records, so
//! that a client that comes back is given from there on what it had not acknowledged; what it had, in whatever order, it is not
//! given again. The messages themselves are in the log and nowhere else.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::keeping::Keeping;
use super::packet::{Options, QoS};
use super::topic;
use crate::ids::LogName;
use crate::log::Position;

/// Filters that a session may subscribe to.
pub(super) const SUBSCRIPTIONS_MAX: usize = 256;

/// Records that a session may have: most of them are acknowledged already, behind one that is not.
pub(super) const RECORDS_MAX: usize = 1024;

/// What a session costs before there is anything in it, roughly.
const EMPTY_BYTES: usize = 512;
/// ... and a subscription, beside its text, or a log, beside its name.
const PLACE_BYTES: usize = 256;
/// ... and a message of the client: its number has 128 bytes at most, and some of it is its place in the map.
const INBOUND_BYTES: usize = 192;

/// A session.
#[derive(Debug)]
pub(super) struct State {
    /// The connection that has it: an older one may not know yet that it has not.
    pub(super) owner: u64,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) places: BTreeMap<LogName, Place>,
    /// What is on its way to the client, in the order in which it was sent.
    pub(super) records: VecDeque<Record>,
    /// Messages of the client that are not done with, by their packet identifier.
    pub(super) inbound: HashMap<u16, Inbound, foldhash::fast::RandomState>,
    pub(super) last_id: u16,
    /// What of it is in its log.
    pub(super) keeping: Keeping,
    /// What the numbers of its messages begin with: no session had it before.
    numbers: Box<str>,
    count: u64,
}

/// A subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) options: Options,
    pub(super) id: Option<u32>,
}

/// A log that the client follows.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// How its entries go to the client.
    pub(super) way: Way,
    /// Up to where it was shown, to be compared with what comes.
    pub(super) shown: Option<Position>,
    /// Up to where all has arrived.
    pub(super) cursor: Option<Position>,
    /// What it missed, and was not told of yet.
    pub(super) gap: Option<String>,
}

/// How entries of a log go to a client, by all subscriptions that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) qos: QoS,
    pub(super) ids: Vec<u32>,
    /// Not what its own connections publish.
    pub(super) no_local: bool,
}

/// A message on its way to the client.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: u16,
    pub(super) log: LogName,
    pub(super) position: Position,
    pub(super) stage: Stage,
    /// It was sent over the connection that there is now.
    pub(super) is_out: bool,
}

/// What a record waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// PUBACK.
    Acknowledgement,
    /// PUBREC.
    Receipt,
    /// PUBCOMP; PUBREL was sent.
    Completion,
    /// Nothing but older ones.
    Done,
}

/// A message of the client that is not done with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inbound {
    /// Its number, as JSON.
    pub(super) seq: Box<str>,
    /// Of topic and payload.
    pub(super) digest: u64,
    pub(super) qos: QoS,
    /// It is in the log, and PUBREL has not come.
    pub(super) is_kept: bool,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            qos: QoS::AtMostOnce,
            ids: Vec::new(),
            no_local: false,
        }
    }
}

impl State {
    pub(super) fn new(numbers: String) -> Self {
        Self {
            owner: 0,
            subscriptions: BTreeMap::new(),
            places: BTreeMap::new(),
            records: VecDeque::new(),
            inbound: HashMap::default(),
            last_id: 0,
            keeping: Keeping::default(),
            numbers: numbers.into(),
            count: 0,
        }
    }

    /// Bytes of memory that it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        EMPTY_BYTES
            + (self.subscriptions.len() + self.places.len()) * PLACE_BYTES
            + self.records.len() * size_of::<Record>()
            + self.inbound.len() * (size_of::<Inbound>() + INBOUND_BYTES)
    }

    /// Whether there is nothing in it that a client would miss.
    pub(super) fn is_empty(&self) -> bool {
        self.subscriptions.is_empty() && self.records.is_empty() && self.inbound.is_empty()
    }

    /// A number that no message of this session had.
    pub(super) fn next_number(&mut self) -> Box<str> {
        self.count += 1;
        format!("\"{}.{:x}\"", self.numbers, self.count).into()
    }

    // ---- subscriptions ----

    /// How entries of a log go to the client; `None` if nothing matches.
    pub(super) fn way_of(&self, log: &LogName) -> Option<Way> {
        let name = log.as_str();
        let mut way: Option<Way> = None;
        for (filter, subscription) in &self.subscriptions {
            if !(topic::is_plain(name) && topic::matches(filter, name)) {
                continue;
            }
            let way = way.get_or_insert(Way {
                no_local: true,
                ..Way::default()
            });
            // "The Server MUST deliver the message to the Client respecting the maximum QoS of all the matching subscriptions" (§3.3.4).
            way.qos = way.qos.max(subscription.options.qos);
            way.no_local &= subscription.options.no_local;
            way.ids.extend(subscription.id);
        }
        way
    }

    /// The filters that match more than one topic.
    pub(super) fn wildcards(&self) -> Vec<String> {
        let filters = self.subscriptions.keys();
        filters
            .filter(|filter| !topic::is_plain(filter))
            .cloned()
            .collect()
    }

    /// The subscriptions have changed: returns the logs that none matches any more.
    pub(super) fn review(&mut self) -> Vec<LogName> {
        let logs: Vec<LogName> = self.places.keys().cloned().collect();
        let mut left = Vec::new();
        for log in logs {
            match (self.way_of(&log), self.places.get_mut(&log)) {
                (Some(way), Some(place)) => place.way = way,
                (_, _) => {
                    self.places.remove(&log);
                    // What is out is finished as it began.
                    self.records
                        .retain(|record| record.log != log || record.is_out);
                    left.push(log);
                }
            }
        }
        left
    }

    // ---- records ----

    /// Messages that were sent and not acknowledged.
    pub(super) fn on_their_way(&self) -> usize {
        let is_open = |record: &&Record| record.is_out && record.stage != Stage::Done;
        self.records.iter().filter(is_open).count()
    }

    /// Whether the log is to know of the packet identifiers that were given before more are: else it could happen that a client takes a message of QoS 2 for
    /// another one.
    pub(super) fn is_ahead_of_its_log(&self) -> bool {
        let mut subscriptions = self.subscriptions.values();
        let is_exact = |one: &Subscription| one.options.qos == QoS::ExactlyOnce;
        self.keeping.is_ahead() && subscriptions.any(is_exact)
    }

    /// A packet identifier that no record has; there are 64 times as many as records.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.records.iter().any(|record| record.id == self.last_id) {
                return self.last_id;
            }
        }
    }

    /// An entry is to go to the client so that it certainly arrives: returns its packet identifier.
    pub(super) fn record(&mut self, log: &LogName, position: Position, qos: QoS) -> u16 {
        let id = self.next_id();
        self.keeping.give_id();
        let stage = if qos == QoS::ExactlyOnce {
            Stage::Receipt
        } else {
            Stage::Acknowledgement
        };
        self.records.push_back(Record {
            id,
            log: log.clone(),
            position,
            stage,
            is_out: true,
        });
        id
    }

    /// The record of a packet identifier.
    pub(super) fn record_of(&mut self, id: u16) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.id == id)
    }

    /// Lets go of the records of a log that nothing older waits for; returns where its cursor is then, if it has moved.
    pub(super) fn settle(&mut self, log: &LogName) -> Option<Position> {
        let mut is_first = true;
        self.records.retain(|record| {
            if record.log != *log {
                return true;
            }
            is_first &= record.stage == Stage::Done;
            !is_first
        });
        let oldest = self.records.iter().find(|record| record.log == *log);
        let oldest = oldest.map(|record| before(record.position));
        let place = self.places.get_mut(log)?;
        let cursor = oldest.or(place.shown);
        if cursor == place.cursor {
            return None;
        }
        // Where it begins is no news.
        let is_first = place.cursor.is_none() && oldest.is_some();
        place.cursor = cursor;
        if place.way.qos > QoS::AtMostOnce {
            self.keeping.change();
        }
        cursor.filter(|_| !is_first)
    }

    /// What a log has no more cannot be sent again.
    pub(super) fn forget_lost(&mut self, log: &LogName, to: Position) {
        let is_lost = |record: &Record| {
            let is_before =
                record.position.epoch != to.epoch || record.position.offset <= to.offset;
            record.log == *log && !record.is_out && is_before
        };
        self.records.retain(|record| !is_lost(record));
        if let Some(place) = self.places.get_mut(log) {
            place.shown = Some(to);
        }
        self.settle(log);
    }

    /// A log has been read up to here: what of it was not sent again is not there any more.
    pub(super) fn forget_unsent(&mut self, log: &LogName, to: Position) {
        let is_unsent = |record: &Record| {
            let is_behind = record.position.epoch == to.epoch && record.position.offset > to.offset;
            record.log == *log && !record.is_out && !is_behind
        };
        self.records.retain(|record| !is_unsent(record));
        self.settle(log);
    }

    /// A connection has taken it over: what was sent over the last one is to be sent again.
    pub(super) fn come_back(&mut self) {
        for record in &mut self.records {
            record.is_out = false;
        }
    }
}

/// The place before an entry.
pub(super) const fn before(position: Position) -> Position {
    Position {
        epoch: position.epoch,
        offset: position.offset.saturating_sub(1),
    }
}

/// Whether a place has been shown already.
pub(super) fn is_shown(shown: Option<Position>, position: Position) -> bool {
    shown.is_some_and(|shown| shown.epoch == position.epoch && position.offset <= shown.offset)
}

#[cfg(test)]
mod tests {
    use super::super::packet::Retained;
    use super::*;
    use crate::log::Epoch;

    fn at(offset: u64) -> Position {
        Position {
            epoch: Epoch::new(1),
            offset,
        }
    }

    fn subscription(qos: QoS, no_local: bool, id: Option<u32>) -> Subscription {
        Subscription {
            options: Options {
                qos,
                no_local,
                retained: Retained::Always,
            },
            id,
        }
    }

    fn following(log: &LogName) -> State {
        let mut state = State::new("n".to_owned());
        let place = Place {
            shown: Some(at(0)),
            cursor: Some(at(0)),
            ..Place::default()
        };
        state.places.insert(log.clone(), place);
        state
    }

    fn send(state: &mut State, log: &LogName, offset: u64) -> u16 {
        let id = state.record(log, at(offset), QoS::AtLeastOnce);
        state.places.get_mut(log).unwrap().shown = Some(at(offset));
        id
    }

    #[test]
    fn subscriptions_that_overlap_are_one_way() {
        let mut state = State::new("n".to_owned());
        let log = LogName::new("a/b").unwrap();
        assert_eq!(state.way_of(&log), None);
        let (low, high) = (QoS::AtMostOnce, QoS::ExactlyOnce);
        let mut add = |filter: &str, subscription| {
            state.subscriptions.insert(filter.to_owned(), subscription);
        };
        add("a/+", subscription(low, false, Some(1)));
        add("a/#", subscription(high, true, Some(2)));
        add("b", subscription(QoS::AtLeastOnce, true, Some(3)));
        let way = state.way_of(&log).unwrap();
        assert_eq!((way.qos, way.no_local), (high, false));
        assert_eq!(way.ids, [2, 1]);
    }

    #[test]
    fn the_cursor_stands_before_the_oldest_that_has_not_arrived() {
        let log = LogName::new("a").unwrap();
        let mut state = following(&log);
        let ids: Vec<u16> = (1..=4)
            .map(|offset| send(&mut state, &log, offset))
            .collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        let mut done = |id| {
            state.record_of(id).unwrap().stage = Stage::Done;
            let moved = state.settle(&log);
            (moved, state.records.len(), state.on_their_way())
        };
        assert_eq!(done(2), (None, 4, 3));
        assert_eq!(done(3), (None, 4, 2));
        assert_eq!(done(1), (Some(at(3)), 1, 1));
        assert_eq!(done(4), (Some(at(4)), 0, 0));
    }

    #[test]
    fn what_the_log_has_lost_is_not_waited_for() {
        let log = LogName::new("a").unwrap();
        let mut state = following(&log);
        for offset in 1..=3 {
            send(&mut state, &log, offset);
        }
        state.come_back();
        state.forget_lost(&log, at(2));
        assert_eq!(state.records.len(), 1);
        assert_eq!(state.places[&log].cursor, Some(at(2)));
    }

    #[test]
    fn an_identifier_is_not_given_twice() {
        let log = LogName::new("a").unwrap();
        let mut state = following(&log);
        assert_eq!(send(&mut state, &log, 1), 1);
        state.last_id = u16::MAX;
        assert_eq!(send(&mut state, &log, 2), 2);
    }

    #[test]
    fn a_log_that_nothing_matches_is_left() {
        let log = LogName::new("a").unwrap();
        let mut state = following(&log);
        let one = subscription(QoS::AtLeastOnce, false, None);
        state.subscriptions.insert("a".to_owned(), one);
        assert!(state.review().is_empty());
        assert_eq!(state.places[&log].way.qos, QoS::AtLeastOnce);
        state.subscriptions.clear();
        assert_eq!(state.review(), [log]);
        assert!(state.places.is_empty());
    }
}

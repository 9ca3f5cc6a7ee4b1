//! A session as its log has it: one entry of JSON, of which the newest holds. Which log that is follows from a digest of user and client
//! id, so that its name tells neither.
//!
//! What is there: the subscriptions, how far the client has come in each log, what was on its way to it, and which of its own messages are
//! not done with. Of two entries the one of the later life of the session holds, and in a life the later one, wherever they are in the log:
//! a connection that was taken over may have written one more.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest as _, Sha256};

use super::keeping::{IDS_AHEAD_MAX, Keeping, RENEW_EVERY};
use super::packet::{Options, QoS, Retained};
use super::publish::RECEIVE_MAX;
use super::state::{Inbound, Place, Record, Stage, State, Subscription};
use super::topic::{is_room, log_of};
use crate::ids::LogName;
use crate::log::{Entry, Position};

/// The layout; another one is not read.
const VERSION: u32 = 1;

/// What a session whose connection did not end is kept for beside its time, and beside what it may not have been written for.
const SLACK: Duration = Duration::from_secs(60);

/// What the log has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    v: u32,
    pub(super) term: u64,
    number: u64,
    /// How long it waits for its client, in seconds; 0 if it is not there any more.
    expiry: u64,
    /// Its connection had ended. Else the process has.
    ended: bool,
    #[serde(default)]
    last_id: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subscriptions: Vec<SavedSubscription>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<SavedPlace>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    records: Vec<SavedRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inbound: Vec<SavedInbound>,
    /// When it was written, by the log.
    #[serde(skip)]
    time: u64,
}

/// A filter, its QoS, No Local, Retain Handling, and its identifier.
#[derive(Debug, Serialize, Deserialize)]
struct SavedSubscription(String, u8, bool, u8, Option<u32>);

#[derive(Debug, Serialize, Deserialize)]
struct SavedPlace {
    log: LogName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown: Option<Position>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Position>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<String>,
}

/// A packet identifier, the message's log and place there, and what it waits for.
#[derive(Debug, Serialize, Deserialize)]
struct SavedRecord(u16, LogName, Position, u8);

/// A packet identifier, the message's number, its digest, its QoS, and whether it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct SavedInbound(u16, Box<str>, u64, u8, bool);

/// The log of a client's session. Neither name has what is between them.
pub(super) fn log_of_session(user: &str, client: &str) -> LogName {
    let mut hasher = Sha256::new();
    hasher.update(user);
    hasher.update([0]);
    hasher.update(client);
    let digest = hasher.finalize();
    let half = digest.iter().take(16);
    LogName::mqtt_session(half.fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

/// The entry that holds, of those that were read; one that cannot be read is none.
pub(super) fn newest(entries: &[Arc<Entry>]) -> Option<Saved> {
    let read = entries.iter().filter_map(|entry| {
        let saved: Saved = serde_json::from_str(entry.draft.content.get()).ok()?;
        let time = entry.draft.time;
        (saved.v == VERSION).then_some(Saved { time, ..saved })
    });
    read.max_by_key(|saved| (saved.term, saved.number))
}

impl Saved {
    /// What is written of a session that waits for its client for so long; of one that is over, nothing but that.
    pub(super) fn of(state: &State, number: u64, expiry: Duration, ended: bool) -> Self {
        let over = Self {
            v: VERSION,
            term: state.keeping.term,
            number,
            expiry: expiry.as_secs(),
            ended,
            last_id: state.last_id,
            subscriptions: Vec::new(),
            places: Vec::new(),
            records: Vec::new(),
            inbound: Vec::new(),
            time: 0,
        };
        if expiry.is_zero() {
            return over;
        }
        let subscriptions = state.subscriptions.iter();
        let places = state
            .places
            .iter()
            .filter(|(log, place)| is_known(log, place));
        let inbound = state.inbound.iter().take(RECEIVE_MAX);
        Self {
            subscriptions: subscriptions.map(SavedSubscription::of).collect(),
            places: places.map(SavedPlace::of).collect(),
            records: state.records.iter().map(SavedRecord::of).collect(),
            inbound: inbound.map(SavedInbound::of).collect(),
            ..over
        }
    }

    /// As the content of an entry.
    pub(super) fn to_json(&self) -> Box<RawValue> {
        // Numbers, texts and lists have no way to fail.
        to_raw_value(self).unwrap_or_default()
    }

    /// Whether it is still there for its client.
    pub(super) fn lasts(&self, unix_ms: u64) -> bool {
        // When a process ended that was killed is not known.
        let unknown = if self.ended {
            Duration::ZERO
        } else {
            RENEW_EVERY + SLACK
        };
        let lasts = Duration::from_secs(self.expiry).saturating_add(unknown);
        let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        self.expiry > 0 && unix_ms < self.time.saturating_add(lasts)
    }

    /// The session, in a new life of this number; `numbers` is as [`State::new`] wants it.
    pub(super) fn restore(self, numbers: String, term: u64) -> State {
        let mut state = State::new(numbers);
        state.keeping = Keeping::new(term, true);
        state.last_id = self.last_id;
        if !self.ended {
            // What was given since is not known, but no more than this.
            let ahead = (IDS_AHEAD_MAX % u64::from(u16::MAX)) as u16;
            state.last_id = self.last_id.wrapping_add(ahead);
        }
        let subscriptions = self.subscriptions.into_iter();
        state.subscriptions = subscriptions.filter_map(SavedSubscription::read).collect();
        for saved in self.places {
            let place = Place {
                shown: saved.shown,
                cursor: saved.cursor,
                gap: saved.gap,
                ..Place::default()
            };
            state.places.insert(saved.log, place);
        }
        // What was not joined yet when it was written, was not answered either.
        let logs: Vec<LogName> = state
            .subscriptions
            .keys()
            .filter_map(|filter| log_of(filter))
            .collect();
        for log in logs {
            state.places.entry(log).or_default();
        }
        state.records = self
            .records
            .into_iter()
            .filter_map(SavedRecord::read)
            .collect();
        state.inbound = self
            .inbound
            .into_iter()
            .filter_map(SavedInbound::read)
            .collect();
        state.review();
        state
    }
}

/// Whether it is known where a log is to be gone on with. A room that a wildcard has found is not there before it is: its client gets
/// rather all of it than not all.
fn is_known(log: &LogName, place: &Place) -> bool {
    place.cursor.is_some() || place.way.qos == QoS::AtMostOnce || !is_room(log)
}

impl SavedSubscription {
    fn of((filter, subscription): (&String, &Subscription)) -> Self {
        let Options {
            qos,
            no_local,
            retained,
        } = subscription.options;
        let retained = match retained {
            Retained::Always => 0,
            Retained::IfNew => 1,
            Retained::Never => 2,
        };
        Self(
            filter.clone(),
            qos.bits(),
            no_local,
            retained,
            subscription.id,
        )
    }

    fn read(self) -> Option<(String, Subscription)> {
        let Self(filter, qos, no_local, retained, id) = self;
        let options = Options {
            qos: QoS::of(qos).ok()?,
            no_local,
            retained: match retained {
                0 => Retained::Always,
                1 => Retained::IfNew,
                _ => Retained::Never,
            },
        };
        Some((filter, Subscription { options, id }))
    }
}

impl SavedPlace {
    fn of((log, place): (&LogName, &Place)) -> Self {
        let counts = place.way.qos > QoS::AtMostOnce;
        Self {
            log: log.clone(),
            shown: place.shown.filter(|_| counts),
            cursor: place.cursor.filter(|_| counts),
            gap: place.gap.clone(),
        }
    }
}

impl SavedRecord {
    fn of(record: &Record) -> Self {
        let stage = match record.stage {
            Stage::Acknowledgement => 0,
            Stage::Receipt => 1,
            Stage::Completion => 2,
            Stage::Done => 3,
        };
        Self(record.id, record.log.clone(), record.position, stage)
    }

    fn read(self) -> Option<Record> {
        let Self(id, log, position, stage) = self;
        let stage = match stage {
            0 => Stage::Acknowledgement,
            1 => Stage::Receipt,
            2 => Stage::Completion,
            3 => Stage::Done,
            _ => return None,
        };
        Some(Record {
            id,
            log,
            position,
            stage,
            is_out: false,
        })
    }
}

impl SavedInbound {
    fn of((id, inbound): (&u16, &Inbound)) -> Self {
        let qos = inbound.qos.bits();
        Self(
            *id,
            inbound.seq.clone(),
            inbound.digest,
            qos,
            inbound.is_kept,
        )
    }

    fn read(self) -> Option<(u16, Inbound)> {
        let Self(id, seq, digest, qos, is_kept) = self;
        let qos = QoS::of(qos).ok()?;
        let inbound = Inbound {
            seq,
            digest,
            qos,
            is_kept,
        };
        Some((id, inbound))
    }
}

//! What jobs ask NATS for, one request each: streams, messages in them, and records, of which the newest counts.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::future::Future;
use std::rc::Rc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;

use super::exchange::{Asked, Exchange};
use super::naming::Naming;
use super::runs::Record;
use super::streams::{Kept, Stream};
use super::text::Message;
use crate::ids::{LogName, Session, UserName};
use crate::log::shared::Failure;
use crate::log::{Draft, Entry, Epoch, Position};

/// Logs that are known to be ready for messages, at most; then all are looked at again.
const READY_MAX: usize = 65_536;

/// How many times a node says that it is there until it looks for what others have left behind: about a minute.
const SWEEP_EVERY: u32 = 30;

/// Has a message with this subject been there? Then it is told where.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

/// Headers of a message.
const FROM: &str = "Tidewire-From";
const SESSION: &str = "Tidewire-Session";
const SEQ: &str = "Tidewire-Seq";
const TIME: &str = "Tidewire-Time";

/// Numbers that NATS gives its errors.
pub(super) mod code {
    /// There is no such stream.
    pub(in super::super) const NO_STREAM: u32 = 10_059;
    /// There is one of that name that is different.
    pub(in super::super) const OTHER_STREAM: u32 = 10_058;
    /// One takes those subjects: another node is about to make it.
    pub(in super::super) const OVERLAP: u32 = 10_065;
    /// There are as many as there may be.
    pub(in super::super) const STREAMS_FULL: [u32; 2] = [10_027, 10_028];
    /// Another message is the last of its subject.
    pub(in super::super) const NOT_LAST: u32 = 10_071;
}

/// Why a job came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The link is of no use: a sentence.
    Link(String),
    /// This was not done.
    Failed(Failure),
}

/// What all jobs of a link share.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) exchange: Exchange,
    pub(super) naming: Rc<Naming>,
    pub(super) replicas: u8,
    pub(super) known: Rc<RefCell<Known>>,
}

/// What is known of what NATS has.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// When the stream of records was made: another is another NATS.
    pub(super) begun: String,
    pub(super) run: Record,
    /// The largest message.
    pub(super) payload_max: usize,
    /// Canaries of nodes that are not there, without anything in them when they were looked at last.
    pub(super) silent: HashSet<String>,
    /// How often this node has said that it is there since then.
    beats: u32,
    /// Logs that take messages.
    ready: HashMap<LogName, Ready, foldhash::fast::RandomState>,
}

/// A log that takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) epoch: Epoch,
    pub(super) kept: Kept,
    /// It has entries of older epochs.
    pub(super) has_older: bool,
    /// It has taken one.
    pub(super) takes: bool,
    /// Bytes appended since its size was looked at.
    pub(super) bytes: u64,
}

/// A record, and where it is.
#[derive(Debug, Default, Clone)]
pub(super) struct Written {
    pub(super) seq: u64,
    pub(super) text: String,
}

/// What NATS says of an error.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) err_code: u32,
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Deserialize)]
struct ErrorReply {
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct Ack {
    error: Option<ApiError>,
    #[serde(default)]
    seq: u64,
}

/// What became of a message that was published.
#[derive(Debug)]
pub(super) enum Published {
    At(u64),
    /// One with its subject is there already: where.
    Before(u64),
    /// Nobody takes it.
    Nowhere,
    /// NATS does not take it: why.
    Refused(String),
}

impl Known {
    /// Whether it is time to look for canaries of nodes that are not there any more.
    pub(super) fn is_sweep_due(&mut self) -> bool {
        self.beats += 1;
        let is_due = self.beats >= SWEEP_EVERY;
        if is_due {
            self.beats = 0;
        }
        is_due
    }

    pub(super) fn ready(&mut self, log: &LogName) -> Option<&mut Ready> {
        self.ready.get_mut(log.as_str())
    }

    pub(super) fn note_ready(&mut self, log: &LogName, ready: Ready) {
        if self.ready.len() >= READY_MAX {
            self.ready.clear();
        }
        self.ready.insert(log.clone(), ready);
    }

    pub(super) fn forget(&mut self, log: &LogName) {
        self.ready.remove(log.as_str());
    }
}

impl Store {
    // ---- streams ----

    /// Asks JetStream for something; `Ok(Err)`: it does not do it.
    pub(super) fn api<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &serde_json::Value,
    ) -> impl Future<Output = Result<Result<T, ApiError>, Trouble>> + use<T> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let subject = format!("$JS.API.{what}");
        let asked = self.exchange.ask(&subject, &[], body.as_bytes());
        async move { read_api(&asked.await) }
    }

    /// A log's stream, if there is one.
    pub(super) fn stream(
        &self,
        log: &LogName,
    ) -> impl Future<Output = Result<Option<Stream>, Trouble>> + use<> {
        let what = format!("STREAM.INFO.{}", self.naming.stream(log));
        let info = self.api(&what, &serde_json::Value::Null);
        async move {
            match info.await? {
                Ok(info) => Ok(Some(Stream::read(info))),
                Err(error) if error.err_code == code::NO_STREAM => Ok(None),
                Err(error) => Err(error.into()),
            }
        }
    }

    // ---- messages ----

    /// Publishes a message of a log.
    pub(super) fn publish(
        &self,
        draft: &Draft,
        epoch: Epoch,
    ) -> impl Future<Output = Result<Published, Trouble>> + use<> {
        let subject = self.naming.message(draft, epoch);
        let time = draft.time.to_string();
        let mut headers = vec![
            (FROM, draft.from.as_str()),
            (SESSION, draft.session.as_str()),
            (TIME, time.as_str()),
        ];
        if let Some(seq) = &draft.seq {
            headers.extend([(SEQ, seq.get()), (EXPECTED, "0")]);
        }
        let content = draft.content.get().as_bytes();
        let asked = self.exchange.ask(&subject, &headers, content);
        async move { published(&asked.await) }
    }

    /// Where a message is in an older era, if it is there.
    pub(super) fn older(&self, draft: &Draft) -> Asked {
        let subject = self.naming.in_any_era(draft);
        self.newest_of(&self.naming.stream(&draft.log), &subject)
    }

    /// The message of a stream with a number.
    pub(super) fn message(&self, stream: &str, seq: u64) -> Asked {
        let body = json!({ "seq": seq }).to_string();
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        self.exchange.ask(&subject, &[], body.as_bytes())
    }

    /// The newest message of a stream with a subject.
    pub(super) fn newest_of(&self, stream: &str, subject: &str) -> Asked {
        let body = json!({ "last_by_subj": subject }).to_string();
        let asked = format!("$JS.API.DIRECT.GET.{stream}");
        self.exchange.ask(&asked, &[], body.as_bytes())
    }

    // ---- records ----

    /// The record of a name.
    pub(super) fn record(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<Written>, Trouble>> + use<> {
        let asked = self.newest_of(&self.naming.state(), &self.naming.record(name));
        async move {
            let written = |message: Message| Written {
                seq: sequence(&message).unwrap_or(0),
                text: String::from_utf8_lossy(&message.body).into_owned(),
            };
            Ok(found(asked.await)?.map(written))
        }
    }

    /// Writes a record in the place of the one at `before`; returns whether that was the newest.
    pub(super) fn write(
        &self,
        name: &str,
        text: &str,
        before: u64,
    ) -> impl Future<Output = Result<bool, Trouble>> + use<> {
        let before = before.to_string();
        let subject = self.naming.record(name);
        let headers = [(EXPECTED, before.as_str())];
        let asked = self.exchange.ask(&subject, &headers, text.as_bytes());
        async move {
            match published(&asked.await)? {
                Published::At(_) => Ok(true),
                Published::Before(_) => Ok(false),
                Published::Nowhere => Err(gone(503)),
                Published::Refused(why) => Err(Trouble::Failed(Failure::Unable(why))),
            }
        }
    }
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        let mut what = error.description;
        let _ = write!(what, " ({})", error.err_code);
        Self::Failed(Failure::Unable(what))
    }
}

/// What nobody answers is asked again on another link: JetStream may be on its way.
pub(super) fn gone(status: u16) -> Trouble {
    Trouble::Link(format!("JetStream does not answer ({status})"))
}

/// The message that was asked for; `None`: there is none.
///
/// # Errors
/// That is not known.
pub(super) fn found(message: Message) -> Result<Option<Message>, Trouble> {
    match message.headers.status() {
        None => Ok(Some(message)),
        Some(404) => Ok(None),
        Some(status) => Err(gone(status)),
    }
}

fn read_api<T: DeserializeOwned>(message: &Message) -> Result<Result<T, ApiError>, Trouble> {
    if let Some(status) = message.headers.status() {
        return Err(gone(status));
    }
    let bad = |error: serde_json::Error| Trouble::Link(format!("JetStream's answer: {error}"));
    let reply: ErrorReply = serde_json::from_slice(&message.body).map_err(bad)?;
    match reply.error {
        Some(error) => Ok(Err(error)),
        None => serde_json::from_slice(&message.body).map(Ok).map_err(bad),
    }
}

fn published(message: &Message) -> Result<Published, Trouble> {
    if message.headers.status().is_some() {
        return Ok(Published::Nowhere);
    }
    let ack: Ack = serde_json::from_slice(&message.body)
        .map_err(|error| Trouble::Link(format!("JetStream's answer: {error}")))?;
    let Some(error) = ack.error else {
        return Ok(Published::At(ack.seq));
    };
    if error.err_code == code::NOT_LAST {
        // "wrong last sequence: N"
        let last = error.description.rsplit(' ').next();
        let last = last.and_then(|last| last.parse().ok());
        return Ok(Published::Before(last.unwrap_or(0)));
    }
    Ok(Published::Refused(error.description))
}

/// The place of a message in its stream.
pub(super) fn sequence(message: &Message) -> Option<u64> {
    message.headers.get("Nats-Sequence")?.parse().ok()
}

/// The entry that a message is; `None`: it is not one of ours.
pub(super) fn entry(log: &LogName, message: &Message) -> Option<Entry> {
    let header = |name| message.headers.get(name);
    let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
    let subject = header("Nats-Subject")?;
    let content = String::from_utf8(message.body.to_vec()).ok()?;
    Some(Entry {
        position: Position {
            epoch: Naming::epoch(subject)?,
            offset: sequence(message)?,
        },
        draft: Draft {
            log: log.clone(),
            from: UserName::new(header(FROM)?).ok()?,
            session: Session::new(header(SESSION)?).ok()?,
            seq: header(SEQ).and_then(raw),
            content: RawValue::from_string(content).ok()?,
            time: header(TIME)?.parse().ok()?,
        },
    })
}

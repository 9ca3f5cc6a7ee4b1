//! Replies read as answers to their commands. What Redis answers is not believed blindly: what no script says is a refusal.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate's values are of many kinds, of which few are an answer"
)]

use std::str::FromStr;

use bytes::Buf as _;
use redis::{ServerError, Value};
use serde_json::value::RawValue;

use super::appends::by_log;
use super::setup::moved_to;
use crate::ids::{LogName, Session, UserName};
use crate::log::redis::{
    Answer, Appended, Command, Extracted, Failure, From, Node, Run, RunState, Stored, Trust,
};
use crate::log::{Draft, Entry, Epoch, Position};

/// What a reply to this command says; of a call that appends, the part that is this command's.
#[must_use]
pub fn answer(command: &Command, reply: Value) -> Answer {
    if let Value::ServerError(error) = &reply {
        return Answer::Failed(failure(error));
    }
    let answer = match command {
        Command::Greet { .. } | Command::Open { .. } => run(&reply).map(Answer::Run),
        Command::Vouch { seen, .. } => broken(&reply, seen).map(Answer::Broken),
        Command::Append { messages, .. } => appended(&reply, messages).map(Answer::Appended),
        Command::Page { log, from, .. } => extracted(reply, log, *from).map(Answer::Page),
        Command::Heads { logs, .. } => heads(&reply, logs.len()).map(Answer::Heads),
        Command::Mark { .. } => matches!(text(&reply), Some("OK")).then_some(Answer::Done),
        Command::Beat { .. } => nodes(&reply).map(Answer::Nodes),
    };
    answer.unwrap_or_else(|| Answer::Failed(not_understood()))
}

/// What an error means.
#[must_use]
pub fn failure(error: &ServerError) -> Failure {
    let code = error.code();
    let details = error.details().unwrap_or_default();
    let said = || format!("{code} {details}").trim_end().to_owned();
    match code {
        "STALE" => Failure::Stale,
        "MOVED" | "ASK" => {
            let place = details.rsplit(' ').next().unwrap_or_default();
            match moved_to(place) {
                Some(target) if code == "ASK" => Failure::Asked(target),
                Some(target) => Failure::Moved(target),
                None => Failure::Refused(said()),
            }
        }
        "NOSCRIPT" => Failure::NoScript,
        "LOADING" | "READONLY" | "MASTERDOWN" | "MISCONF" | "OOM" | "NOREPLICAS"
        | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => Failure::Unable(said()),
        _ => Failure::Refused(said()),
    }
}

pub(super) fn not_understood() -> Failure {
    Failure::Refused("it answered what none of our scripts says".to_owned())
}

/// A text, however it was sent.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        Value::Okay => Some("OK"),
        _ => None,
    }
}

/// A number, however it was sent.
pub(super) fn number<N: FromStr + TryFrom<i64>>(value: &Value) -> Option<N> {
    match value {
        Value::Int(number) => N::try_from(*number).ok(),
        value => text(value)?.parse().ok(),
    }
}

/// The values of a list, however it was sent.
pub(super) fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) | Value::Set(values) => Some(values),
        _ => None,
    }
}

fn run(reply: &Value) -> Option<Run> {
    let (number, state) = text(reply)?.split_once(' ')?;
    let state = match state {
        "p" => RunState::Pending,
        "w" => RunState::Open(Trust::Whole),
        "d" => RunState::Open(Trust::Doubtful),
        _ => return None,
    };
    let number = number.parse().ok()?;
    Some(Run { number, state })
}

fn broken(reply: &Value, seen: &[(LogName, Position)]) -> Option<Vec<LogName>> {
    let log = |value: &Value| {
        let place = number::<usize>(value)?.checked_sub(1)?;
        seen.get(place).map(|(log, _)| log.clone())
    };
    list(reply)?.iter().map(log).collect()
}

/// The largest offset. No log has so many, and one more is a number, too.
const OFFSET_MAX: u64 = 99_999_999_999_999;

/// An offset as it is written.
pub(super) fn offset(text: &str) -> Option<u64> {
    let offset = text.parse().ok();
    offset.filter(|offset| *offset <= OFFSET_MAX)
}

/// An id of a stream: offset and epoch.
fn position(id: &str) -> Option<Position> {
    let (number, epoch) = id.split_once('-')?;
    Some(Position {
        epoch: Epoch::new(epoch.parse().ok()?),
        offset: offset(number).filter(|offset| *offset > 0)?,
    })
}

/// What became of each message: the script has them by log.
fn appended(reply: &Value, messages: &[Stored]) -> Option<Vec<Appended>> {
    let Value::BulkString(bytes) = reply else {
        return None;
    };
    let mut places = Vec::with_capacity(messages.len());
    let parts = bytes.chunks(PART_BYTES);
    for part in parts {
        let (what, count) = outcome(part)?;
        if usize::from(count) > messages.len() - places.len() {
            return None;
        }
        places.extend((0..u64::from(count)).map(|nth| match what {
            Appended::At(first) => Appended::At(Position {
                offset: first.offset.saturating_add(nth),
                ..first
            }),
            Appended::Before { .. } | Appended::LogsFull | Appended::Refused => what,
        }));
    }
    if places.len() != messages.len() {
        return None;
    }
    let mut appended = vec![Appended::LogsFull; messages.len()];
    let logs = by_log(messages);
    let order = logs.iter().flat_map(|(_, indices)| indices);
    for (index, place) in order.zip(places) {
        *appended.get_mut(*index)? = place;
    }
    Some(appended)
}

/// A part of what a call that appends is answered.
const PART_BYTES: usize = 23;

/// What became of one message or of several in a row, the first of them.
pub(super) fn outcome(mut part: &[u8]) -> Option<(Appended, u16)> {
    if part.len() != PART_BYTES {
        return None;
    }
    let what = part.try_get_u8().ok()?;
    let count = part.try_get_u16_le().ok()?;
    let epoch = Epoch::new(part.try_get_u32_le().ok()?);
    let offset = part.try_get_u64_le().ok()?;
    let time = part.try_get_u64_le().ok()?;
    let is_place = (1..=OFFSET_MAX).contains(&offset);
    let position = Position { epoch, offset };
    match what {
        0 => is_place.then_some((Appended::At(position), count)),
        1 => is_place.then_some((Appended::Before { position, time }, 1)),
        2 => Some((Appended::LogsFull, count)),
        _ => None,
    }
}

fn extracted(reply: Value, log: &LogName, from: From) -> Option<Extracted> {
    let Value::Array(values) = reply else {
        return None;
    };
    let mut values = values.into_iter();
    let mut next = || values.next();
    let eras: Vec<_> = text(&next()?)?.split(',').map(era).collect::<Option<_>>()?;
    let is_offset = |offset: &u64| *offset <= OFFSET_MAX;
    let oldest = number(&next()?).filter(is_offset)?;
    let head = number(&next()?).filter(is_offset)?;
    let mark = position(text(&next()?)?);
    let more = number::<u8>(&next()?)? == 1;
    let first = number::<u64>(&next()?)?;
    let is_back = matches!(from, From::Before(_));
    let mut entries = Vec::with_capacity(values.len());
    for (nth, value) in (0..).zip(values) {
        let offset = if is_back {
            first.checked_sub(nth)?
        } else {
            first.checked_add(nth)?
        };
        let position = place(&eras, offset)?;
        entries.push(entry(log, position, &value)?);
    }
    if is_back {
        entries.reverse();
    }
    Some(Extracted {
        eras,
        oldest,
        head,
        mark,
        entries,
        more,
    })
}

fn era(text: &str) -> Option<(u64, Epoch)> {
    let (first, epoch) = text.split_once(':')?;
    Some((offset(first)?, Epoch::new(epoch.parse().ok()?)))
}

/// Where an entry is, by the eras of its log.
fn place(eras: &[(u64, Epoch)], offset: u64) -> Option<Position> {
    let is_before = |(first, _): &&(u64, Epoch)| *first <= offset;
    let (_, epoch) = eras.iter().rev().find(is_before)?;
    let epoch = *epoch;
    (1..=OFFSET_MAX)
        .contains(&offset)
        .then_some(Position { epoch, offset })
}

/// `time from\0session\0seq\0content`.
fn entry(log: &LogName, position: Position, value: &Value) -> Option<Entry> {
    let (time, rest) = text(value)?.split_once(' ')?;
    let mut parts = rest.splitn(4, '\0');
    let from = UserName::new(parts.next()?).ok()?;
    let session = Session::new(parts.next()?).ok()?;
    let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
    let seq = match parts.next()? {
        "" => None,
        seq => Some(raw(seq)?),
    };
    Some(Entry {
        position,
        draft: Draft {
            log: log.clone(),
            from,
            session,
            seq,
            content: raw(parts.next()?)?,
            time: time.parse().ok()?,
        },
    })
}

/// What the records of logs begin with: [`RECORD_VERSION`], epoch and offset of the head.
fn heads(reply: &Value, logs: usize) -> Option<Vec<Option<Position>>> {
    let head = |value: &Value| {
        let mut bytes = match value {
            Value::Nil => return Some(None),
            Value::BulkString(bytes) => bytes.as_slice(),
            _ => return None,
        };
        let version = bytes.try_get_u8().ok()?;
        let epoch = Epoch::new(bytes.try_get_u32_le().ok()?);
        let offset = bytes.try_get_u64_le().ok()?;
        let is_head = version == RECORD_VERSION && offset <= OFFSET_MAX;
        is_head.then_some(Some(Position { epoch, offset }))
    };
    let heads: Vec<_> = list(reply)?.iter().map(head).collect::<Option<_>>()?;
    (heads.len() == logs).then_some(heads)
}

/// How records of logs are laid out: `VERSION` of the scripts.
const RECORD_VERSION: u8 = 2;

fn nodes(reply: &Value) -> Option<Vec<Node>> {
    let node = |pair: &[Value]| {
        let [name, vouched] = pair else {
            return None;
        };
        let vouched = text(vouched)?.split(',').filter(|run| !run.is_empty());
        Some(Node {
            name: text(name)?.to_owned(),
            vouched: vouched.map(str::to_owned).collect(),
        })
    };
    list(reply)?.chunks(2).map(node).collect()
}

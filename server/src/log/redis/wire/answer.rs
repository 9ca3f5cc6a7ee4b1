//! Replies read as answers to their commands. What Redis answers is not believed blindly: what no script says is a refusal.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate's values are of many kinds, of which few are an answer"
)]

use std::str::FromStr;

use redis::{ServerError, Value};
use serde_json::value::RawValue;

use super::pack::by_log;
use super::setup::moved_to;
use crate::ids::{LogName, Session, UserName};
use crate::log::redis::{
    Answer, Appended, Command, Extracted, Failure, From, Node, Run, RunState, Stored, Trust,
};
use crate::log::{Draft, Entry, Epoch, Position};

/// What a reply to this command says.
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
    let mut places = Vec::with_capacity(messages.len());
    let parts = text(reply)?.split(',').filter(|part| !part.is_empty());
    for part in parts {
        let (what, count) = outcome(part)?;
        if count > (messages.len() - places.len()) as u64 {
            return None;
        }
        places.extend((0..count).map(|nth| match what {
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

/// What became of one message or of several in a row, the first of them.
fn outcome(part: &str) -> Option<(Appended, u64)> {
    let rest = part.get(1..)?;
    match part.as_bytes().first()? {
        b'+' => {
            let (id, count) = rest.split_once(' ')?;
            Some((Appended::At(position(id)?), count.parse().ok()?))
        }
        b'=' => {
            let (id, time) = rest.split_once(' ')?;
            let (position, time) = (position(id)?, time.parse().ok()?);
            Some((Appended::Before { position, time }, 1))
        }
        b'!' => Some((Appended::LogsFull, rest.parse().ok()?)),
        _ => None,
    }
}

fn extracted(reply: Value, log: &LogName, from: From) -> Option<Extracted> {
    let Value::Array(values) = reply else {
        return None;
    };
    let mut values = values.into_iter();
    let mut next = || values.next();
    let eras = text(&next()?)?.split(',').map(era).collect::<Option<_>>()?;
    let is_offset = |offset: &u64| *offset <= OFFSET_MAX;
    let oldest = number(&next()?).filter(is_offset)?;
    let head = number(&next()?).filter(is_offset)?;
    let mark = position(text(&next()?)?);
    let more = number::<u8>(&next()?)? == 1;
    let mut entries = Vec::with_capacity(values.len() / 3);
    while let Some(id) = values.next() {
        let parts = (values.next()?, values.next()?);
        entries.push(entry(log, position(text(&id)?)?, &parts.0, &parts.1)?);
    }
    if let From::Before(_) = from {
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

fn entry(log: &LogName, position: Position, key: &Value, value: &Value) -> Option<Entry> {
    let mut parts = text(key)?.splitn(3, '\0');
    let from = UserName::new(parts.next()?).ok()?;
    let session = Session::new(parts.next()?).ok()?;
    let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
    let seq = match parts.next()? {
        "" => None,
        seq => Some(raw(seq)?),
    };
    let (time, content) = text(value)?.split_once(' ')?;
    Some(Entry {
        position,
        draft: Draft {
            log: log.clone(),
            from,
            session,
            seq,
            content: raw(content)?,
            time: time.parse().ok()?,
        },
    })
}

/// The first two parts of records.
fn heads(reply: &Value, logs: usize) -> Option<Vec<Option<Position>>> {
    let head = |value: &Value| {
        if matches!(value, Value::Nil) {
            return Some(None);
        }
        let mut parts = text(value)?.split(' ');
        let epoch = Epoch::new(parts.next()?.parse().ok()?);
        let offset = offset(parts.next()?)?;
        Some(Some(Position { epoch, offset }))
    };
    let heads: Vec<_> = list(reply)?.iter().map(head).collect::<Option<_>>()?;
    (heads.len() == logs).then_some(heads)
}

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

//! What the log answered, for who asked: acknowledgements and history.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::value::RawValue;

use super::command::Refused;
use super::effect::{Append, Reading};
use super::event::Event;
use crate::log::{AppendError, Page, Placed, Position, StoreError};

/// What a message's sender is told of what became of it: nothing if it gave the message no number and it has its place.
#[must_use]
pub fn appended(append: Append, result: Result<&Placed, &AppendError>) -> Option<Event> {
    let Append { log, seq, id, .. } = append;
    let placed = match result {
        Ok(placed) => placed,
        Err(error) => return Some(error_event(not_kept(error), seq, id)),
    };
    let seq = seq?;
    let (time, dup) = match placed {
        Placed::New(entry) => (entry.draft.time, false),
        Placed::Duplicate { time, .. } => (*time, true),
    };
    let Position { epoch, offset } = placed.position();
    Some(Event::Ack {
        seq,
        room_id: log,
        offset,
        epoch,
        time,
        dup,
        id,
    })
}

/// A page of history for who asked for it, behind the gap before it, if there is one.
#[must_use]
pub fn history(reading: Reading, page: Result<Page, StoreError>) -> Vec<Event> {
    let Reading { log, part, id, .. } = reading;
    let page = match page {
        Ok(page) => page,
        Err(error) => return vec![error_event(not_read(&error), None, id)],
    };
    let gap = page.gap.as_ref();
    let gap = gap.map(|gap| Event::gap(&log, None, gap, id.clone()));
    let history = Event::History {
        room_id: log,
        position: page.next,
        more: part.has_more(&page),
        messages: page.entries,
        id,
    };
    gap.into_iter().chain([history]).collect()
}

/// An error, as a client is told it.
pub(super) fn error_event(
    refused: Refused,
    seq: Option<Box<RawValue>>,
    id: Option<Box<RawValue>>,
) -> Event {
    Event::Error {
        code: refused.code,
        message: Cow::Owned(refused.message),
        retry_after: None,
        seq,
        id,
    }
}

/// A message came too soon after others: it can be sent again when `wait` is over.
pub(super) fn rate_limited(
    wait: Duration,
    seq: Option<Box<RawValue>>,
    id: Option<Box<RawValue>>,
) -> Event {
    Event::Error {
        code: "rate_limited",
        message: Cow::Borrowed(
            "Too many messages or bytes in too short a time: this one was dropped.",
        ),
        // Rounded up: who comes back then is not told to wait for the rest of a millisecond.
        retry_after: Some(wait.as_millis() as u64 + 1),
        seq,
        id,
    }
}

/// Why a message has no place.
#[must_use]
pub fn not_kept(error: &AppendError) -> Refused {
    let (code, why) = match error {
        AppendError::LogsFull => (
            "storage_full",
            "there is no room for another log".to_owned(),
        ),
        AppendError::Store(error @ StoreError::Full) => ("storage_full", error.to_string()),
        AppendError::Store(error @ StoreError::Failed(_)) => ("storage_failed", error.to_string()),
        AppendError::Store(error @ StoreError::Unavailable) => ("unavailable", error.to_string()),
    };
    Refused {
        code,
        message: format!("The message was not kept: {why}."),
    }
}

/// Why a page cannot be shown.
#[must_use]
pub fn not_read(error: &StoreError) -> Refused {
    let code = match error {
        StoreError::Unavailable => "unavailable",
        StoreError::Full | StoreError::Failed(_) => "storage_failed",
    };
    Refused {
        code,
        message: format!("The history cannot be read: {error}."),
    }
}

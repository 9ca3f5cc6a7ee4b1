//! What the log answered, for who asked: acknowledgements and history.

use std::time::Duration;

use serde_json::value::RawValue;

use super::command::Refused;
use super::effect::{Append, Reading};
use super::event::{Event, gap_text};
use crate::log::{AppendError, Page, Placed, Position, StoreError};

/// What a message's sender is told of what became of it: nothing if it gave the message no number and it has its place.
#[must_use]
pub fn appended(append: &Append, result: Result<&Placed, &AppendError>) -> Option<String> {
    let (seq, id) = (append.seq.as_deref(), append.id.as_deref());
    let placed = match result {
        Ok(placed) => placed,
        Err(error) => return Some(error_text(&not_kept(error), seq, id)),
    };
    let seq = seq?;
    let (time, dup) = match placed {
        Placed::New(entry) => (entry.draft.time, false),
        Placed::Duplicate { time, .. } => (*time, true),
    };
    let Position { epoch, offset } = placed.position();
    let ack = Event::Ack {
        seq,
        room_id: append.log.as_str(),
        offset,
        epoch,
        time,
        dup,
        id,
    };
    Some(ack.to_text())
}

/// A page of history for who asked for it, behind the gap before it, if there is one.
#[must_use]
pub fn history(reading: &Reading, page: Result<&Page, &StoreError>) -> Vec<String> {
    let id = reading.id.as_deref();
    let page = match page {
        Ok(page) => page,
        Err(error) => return vec![error_text(&not_read(error), None, id)],
    };
    let gap = page.gap.as_ref();
    let gap = gap.map(|gap| gap_text(&reading.log, None, gap, id));
    let entries = page.entries.iter();
    let history = Event::History {
        room_id: reading.log.as_str(),
        messages: entries.map(|entry| Event::of_entry(entry)).collect(),
        position: page.next,
        more: reading.part.has_more(page),
        id,
    };
    gap.into_iter().chain([history.to_text()]).collect()
}

/// An error, as a client is told it.
pub(super) fn error_text(
    refused: &Refused,
    seq: Option<&RawValue>,
    id: Option<&RawValue>,
) -> String {
    let (code, message) = (refused.code, refused.message.as_str());
    Event::Error {
        code,
        message,
        retry_after: None,
        seq,
        id,
    }
    .to_text()
}

/// A message came too soon after others: it can be sent again when `wait` is over.
pub(super) fn rate_limited_text(
    wait: Duration,
    seq: Option<&RawValue>,
    id: Option<&RawValue>,
) -> String {
    Event::Error {
        code: "rate_limited",
        message: "Too many messages or bytes in too short a time: this one was dropped.",
        // Rounded up: who comes back then is not told to wait for the rest of a millisecond.
        retry_after: Some(wait.as_millis() as u64 + 1),
        seq,
        id,
    }
    .to_text()
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

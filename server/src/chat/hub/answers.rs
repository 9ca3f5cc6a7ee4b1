//! What the log answered, for who asked: acknowledgements, rooms that are joined, history.

use super::Hub;
use crate::chat::command::Refused;
use crate::chat::effect::{Append, Effect, Follow, Reading};
use crate::chat::event::{Event, gap_text};
use crate::chat::member::Member;
use crate::ids::{ConnId, LogName};
use crate::log::{AppendError, Page, Placed, Position, StoreError};

impl Hub {
    /// What became of a message: its sender hears of it, if it gave the message a number.
    pub fn appended(&mut self, append: &Append, result: Result<&Placed, &AppendError>) {
        let (seq, id) = (append.seq.as_deref(), append.id.as_deref());
        let placed = match result {
            Ok(placed) => placed,
            Err(error) => return self.send_error(append.conn, &not_kept(error), seq, id),
        };
        let Some(seq) = seq else {
            return;
        };
        let (time, dup) = match placed {
            Placed::New(entry) => (entry.draft.time, false),
            Placed::Duplicate { time, .. } => (*time, true),
        };
        let Position { epoch, offset } = placed.position();
        let room_id = append.log.as_str();
        self.send(
            append.conn,
            &Event::Ack {
                seq,
                room_id,
                offset,
                epoch,
                time,
                dup,
                id,
            },
        );
    }

    /// The connection has been shown everything up to `position`, the head: who joined a room hears so, and who is there.
    /// `whole` tells that nothing was missing.
    pub fn followed(&mut self, follow: &Follow, position: Position, whole: bool) {
        let Some(room) = &follow.room else {
            return;
        };
        self.confirmed(follow.conn, &follow.log, position);
        let room_id = room.as_str();
        let text = Event::Joined {
            room_id,
            position,
            recovered: follow.with_since && whole,
            members: self.members_of(room_id),
            id: follow.id.as_deref(),
        }
        .to_text();
        self.effects.push(Effect::Send(follow.conn, text));
    }

    /// What the connection was given of a log up to `position` has arrived, or it never asked for what was before that.
    pub fn confirmed(&mut self, conn: ConnId, log: &LogName, position: Position) {
        if let Some(member) = self.people.get_mut(conn)
            && let Some(joined) = member
                .rooms
                .iter_mut()
                .find(|joined| joined.room.as_str() == log.as_str())
        {
            joined.set_arrived(position);
        }
    }

    /// The logs that a connection follows.
    pub fn logs_of(&self, conn: ConnId) -> impl Iterator<Item = LogName> {
        let rooms = |member: &Member| {
            let rooms = member.rooms.iter().map(|joined| joined.room.log());
            rooms
                .chain([member.user.log(), LogName::broadcast()])
                .collect()
        };
        self.people
            .get(conn)
            .map_or_else(Vec::new, rooms)
            .into_iter()
    }

    /// A page of history for who asked for it.
    pub fn history_read(&mut self, reading: &Reading, page: Result<&Page, &StoreError>) {
        let (conn, id) = (reading.conn, reading.id.as_deref());
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.send_error(conn, &not_read(error), None, id),
        };
        let room_id = reading.log.as_str();
        if let Some(gap) = &page.gap {
            self.effects
                .push(Effect::Send(conn, gap_text(&reading.log, None, gap, id)));
        }
        let entries = page.entries.iter();
        let text = Event::History {
            room_id,
            messages: entries.map(|entry| Event::of_entry(entry)).collect(),
            position: page.next,
            more: reading.part.has_more(page),
            id,
        }
        .to_text();
        self.effects.push(Effect::Send(conn, text));
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
    };
    Refused {
        code,
        message: format!("The message was not kept: {why}."),
    }
}

/// Why a page cannot be shown.
#[must_use]
pub fn not_read(error: &StoreError) -> Refused {
    Refused {
        code: "storage_failed",
        message: format!("The history cannot be read: {error}."),
    }
}

//! Which messages are on the screen already, so that none is there twice. Pure.
//!
//! The server does not send us our own messages, but when we resume it cannot know which those are. Those that were
//! acknowledged are known by their places. Where the connection ended before an acknowledgement came, an entry of our
//! own name may be that message or one from another device of ours: it is held back, with what is behind it, until the
//! acknowledgement tells.

use std::collections::VecDeque;

use crate::client::{Entry, Log};
use crate::log::Position;

/// Places of own messages that are remembered until the room has gone past them.
const OWN_MAX: usize = 4096;

/// What was shown of a room, and of what is for the person alone.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The oldest and the newest entry of the room.
    oldest: Option<Position>,
    newest: Option<Position>,
    newest_private: Option<Position>,
    newest_broadcast: Option<Position>,
    /// Places of our messages.
    own: VecDeque<Position>,
    /// The connection ended while a message of ours was on its way to the room.
    is_unsettled: bool,
    held: VecDeque<Entry>,
}

impl Screen {
    /// Another room: nothing of it was shown.
    pub(super) fn clear_room(&mut self) {
        *self = Self {
            newest_private: self.newest_private,
            newest_broadcast: self.newest_broadcast,
            ..Self::default()
        };
    }

    /// Before this comes what was not shown.
    pub(super) fn oldest(&self) -> Option<Position> {
        self.oldest
    }

    /// The room was joined at its head. Where nothing was shown, history begins with the last entry that is there.
    pub(super) fn joined(&mut self, head: Position) {
        let offset = head.offset + 1;
        self.oldest.get_or_insert(Position { offset, ..head });
    }

    /// A message of ours has this place in the room: it is there as it was typed.
    pub(super) fn own(&mut self, position: Position) {
        self.oldest.get_or_insert(position);
        self.own.push_back(position);
        if self.own.len() > OWN_MAX {
            self.own.pop_front();
        }
    }

    /// The connection ended while a message of ours was on its way to the room.
    pub(super) fn unsettle(&mut self) {
        self.is_unsettled = true;
    }

    /// That message has its place, or will have none: what of the held entries is to be shown now.
    pub(super) fn settle(&mut self, me: &str) -> VecDeque<Entry> {
        self.is_unsettled = false;
        let mut held = std::mem::take(&mut self.held);
        held.retain(|entry| entry.from != me || !self.own.contains(&entry.position));
        held
    }

    /// An entry of the room came: the same if it is to be shown now.
    pub(super) fn entry(&mut self, entry: Entry, me: &str) -> Option<Entry> {
        if is_behind(self.newest, entry.position) {
            return None;
        }
        self.newest = Some(entry.position);
        self.oldest.get_or_insert(entry.position);
        let is_ours = entry.from == me;
        if is_ours && self.own.contains(&entry.position) {
            return None;
        }
        if self.is_unsettled && (is_ours || !self.held.is_empty()) {
            self.held.push_back(entry);
            return None;
        }
        Some(entry)
    }

    /// A private message or a broadcast came: the same if it is to be shown.
    pub(super) fn personal(&mut self, entry: Entry) -> Option<Entry> {
        let newest = match entry.log {
            Log::Broadcast => &mut self.newest_broadcast,
            Log::Private | Log::Room(_) => &mut self.newest_private,
        };
        if is_behind(*newest, entry.position) {
            return None;
        }
        *newest = Some(entry.position);
        Some(entry)
    }

    /// A page of the room's history is shown; where it is the first, what comes goes on behind it.
    pub(super) fn page(&mut self, entries: &[Entry], is_first: bool) {
        if let Some(first) = entries.first() {
            self.oldest = Some(first.position);
        }
        if is_first {
            self.newest = entries.last().map(|last| last.position);
        }
    }
}

/// Whether a place was passed already; places of different epochs have nothing to do with each other.
fn is_behind(newest: Option<Position>, position: Position) -> bool {
    newest.is_some_and(|newest| newest.epoch == position.epoch && position.offset <= newest.offset)
}

//! Logs that workers watch: each entry is handed on once and in order, whoever appended it, and where that cannot be it is said that
//! the log is broken. Our own messages come with their answers, others' are read; what is announced only says that there are some.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::core::Core;
use crate::ids::LogName;
use crate::log::shared::Bucket;
use crate::log::{Entry, Placed, Position, Reply};

/// A log that is watched, or whose own messages wait for something.
#[derive(Debug)]
pub(super) struct Log {
    watchers: usize,
    /// Tells what is known of it from what was known before something was lost.
    pub(super) number: u64,
    /// Up to where it was handed on; unknown before the first page.
    pub(super) delivered: Option<Position>,
    /// The newest message of our own that was handed on while that is unknown.
    shown: Option<Position>,
    /// It ends there or did, beyond what was handed on; `Some(None)`: something is different.
    pub(super) announced: Option<Option<Position>>,
    pub(super) is_filling: bool,
    /// Messages of our own that are on their way.
    pub(super) appending: u64,
    /// Messages of our own that have their places, and are not handed on yet.
    pub(super) held: BTreeMap<u64, Held>,
}

/// A message of our own.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) number: u64,
    position: Position,
    /// When it came.
    time: u64,
    /// The message, if it is certain that it is the one at that place.
    entry: Option<Arc<Entry>>,
    /// As many have it as should.
    pub(super) is_certain: bool,
}

impl Log {
    const fn new(number: u64) -> Self {
        Self {
            watchers: 0,
            number,
            delivered: None,
            shown: None,
            announced: None,
            is_filling: false,
            appending: 0,
            held: BTreeMap::new(),
        }
    }

    pub(super) const fn is_watched(&self) -> bool {
        self.watchers > 0
    }

    /// Up to where something is known to be handed on.
    pub(super) fn known(&self) -> Option<Position> {
        self.delivered.or(self.shown)
    }

    /// Nothing is known that is to come.
    pub(super) fn is_quiet(&self) -> bool {
        self.announced.is_none() && self.held.is_empty() && self.appending == 0
    }

    /// Whether it ends where it cannot if nothing is lost.
    pub(super) fn is_broken_by(&self, end: Position) -> bool {
        self.known()
            .is_some_and(|known| known.epoch != end.epoch || end.offset < known.offset)
    }

    /// A page is shown of a log that ends there: up to where it may, behind which entries are handed on.
    pub(super) fn show(&mut self, end: Position) -> Position {
        let until = self.delivered.unwrap_or_else(|| {
            let held = self.held.first_key_value().map(|(&offset, _)| offset - 1);
            let shown = self.shown.map_or(0, |shown| shown.offset);
            let offset = held.unwrap_or(end.offset).min(end.offset).max(shown);
            Position { offset, ..end }
        });
        self.delivered = Some(until);
        self.shown = None;
        if end.offset > until.offset {
            self.announced = Some(Some(end));
        }
        until
    }

    /// The first message of our own that is not handed on, if it is the next one and nothing is missing.
    fn next_held(&mut self) -> Option<Held> {
        let first = self.held.first_entry()?;
        let is_next = self
            .delivered
            .is_none_or(|delivered| *first.key() == delivered.offset + 1);
        let is_ready = first.get().is_certain && first.get().entry.is_some();
        (is_next && is_ready).then(|| first.remove())
    }

    /// A message of our own is handed on.
    fn hand_out(&mut self, position: Position) {
        if self.delivered.is_some() {
            self.delivered = Some(position);
        } else if self.is_watched() {
            self.shown = Some(position);
        }
    }

    /// Whether something is to be read before anything can be handed on.
    fn needs_fill(&self) -> bool {
        let Some(delivered) = self.delivered else {
            return false;
        };
        if !self.is_watched() || self.is_filling {
            return false;
        }
        if let Some((&offset, held)) = self.held.first_key_value() {
            return offset > delivered.offset + 1 || (held.is_certain && held.entry.is_none());
        }
        self.announced.is_some_and(|announced| {
            announced.is_none_or(|end| {
                // Its own messages that are on their way may be all there is.
                end.epoch != delivered.epoch || end.offset > delivered.offset + self.appending
            })
        })
    }

    /// What was announced has been handed on.
    fn forget_announced(&mut self) {
        if let (Some(Some(end)), Some(delivered)) = (self.announced, self.delivered)
            && end.epoch == delivered.epoch
            && end.offset <= delivered.offset
        {
            self.announced = None;
        }
    }
}

impl<C> Core<C> {
    pub(super) fn watch(&mut self, name: LogName) {
        let bucket = Bucket::of(&name);
        let number = self.next_number();
        let log = self.log(bucket, &name);
        log.watchers += 1;
        if log.watchers == 1 {
            // Pages that were asked for before are not of now.
            log.number = number;
            self.watched += 1;
            if self.watched == 1 {
                self.next_check = self.now.instant;
            }
            self.hear(bucket, &name, true);
        }
    }

    pub(super) fn unwatch(&mut self, name: &LogName) {
        let bucket = Bucket::of(name);
        let number = self.next_number();
        let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str()) else {
            return;
        };
        log.watchers = log.watchers.saturating_sub(1);
        if log.watchers > 0 {
            return;
        }
        log.number = number;
        (log.delivered, log.shown, log.announced) = (None, None, None);
        log.is_filling = false;
        self.watched -= 1;
        self.hear(bucket, name, false);
        self.release_held(bucket, name);
        self.let_go_on(bucket, name, None);
        self.forget_if_over(bucket, name);
    }

    /// The log's state, a new one if there is none.
    pub(super) fn log(&mut self, bucket: Bucket, name: &LogName) -> &mut Log {
        let number = self.number;
        let logs = &mut self.shelf(bucket).logs;
        logs.entry(name.clone()).or_insert_with(|| Log::new(number))
    }

    fn forget_if_over(&mut self, bucket: Bucket, name: &LogName) {
        let logs = &mut self.shelf(bucket).logs;
        if let Some(log) = logs.get(name.as_str())
            && !log.is_watched()
            && log.held.is_empty()
        {
            logs.remove(name.as_str());
        }
    }

    // ---- our own messages ----

    /// A message of our own has its place; `is_certain`: for good.
    pub(super) fn own_placed(
        &mut self,
        bucket: Bucket,
        number: u64,
        entry: Arc<Entry>,
        is_certain: bool,
    ) {
        let name = &entry.draft.log.clone();
        let position = entry.position;
        let time = entry.draft.time;
        if is_certain {
            self.note_place(number);
        }
        if !is_certain {
            self.log(bucket, name);
        }
        let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str()) else {
            return self.hand_on(bucket, number, entry, false);
        };
        if log.is_watched() && log.is_broken_by(position) {
            self.break_off(bucket, name);
        }
        let log = self.log(bucket, name);
        let is_free = is_certain && log.held.is_empty();
        let is_more = log.announced.is_some();
        match log.delivered {
            None if is_free => {
                log.shown = log.is_watched().then_some(position);
                let is_watched = log.is_watched();
                return self.hand_on(bucket, number, entry, is_watched);
            }
            Some(delivered) if is_free && position.offset == delivered.offset + 1 => {
                log.delivered = Some(position);
                self.hand_on(bucket, number, entry, true);
                if is_more {
                    self.go_on(bucket, name);
                } else {
                    self.let_go_on(bucket, name, Some(position));
                }
                return;
            }
            Some(_) | None => {}
        }
        let entry = Some(entry);
        let held = Held {
            number,
            position,
            time,
            entry,
            is_certain,
        };
        log.held.insert(position.offset, held);
        self.go_on(bucket, name);
    }

    /// A message of our own that was sent twice is there, perhaps from the first time: whether it is still to come. Then what is
    /// read takes it along.
    pub(super) fn own_found(
        &mut self,
        bucket: Bucket,
        name: &LogName,
        number: u64,
        position: Position,
        time: u64,
        is_certain: bool,
    ) -> bool {
        let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str()) else {
            return false;
        };
        let is_to_come = log.delivered.is_some_and(|delivered| {
            delivered.epoch == position.epoch && delivered.offset < position.offset
        });
        if !is_to_come || log.held.contains_key(&position.offset) {
            return false;
        }
        let held = Held {
            number,
            position,
            time,
            entry: None,
            is_certain,
        };
        log.held.insert(position.offset, held);
        true
    }

    /// As many have a message as should, or nobody waits for that any more.
    pub(super) fn own_certain(
        &mut self,
        bucket: Bucket,
        name: &LogName,
        position: Position,
        number: u64,
        time: u64,
    ) {
        let log = self.shelf(bucket).logs.get_mut(name.as_str());
        let held = log.and_then(|log| log.held.get_mut(&position.offset));
        let Some(held) = held.filter(|held| held.number == number) else {
            return self.tell_place(name, number, position, time);
        };
        held.is_certain = true;
        self.note_place(number);
        self.go_on(bucket, name);
    }

    /// Hands an entry to its sender, or to all.
    pub(super) fn hand_on(
        &mut self,
        bucket: Bucket,
        number: u64,
        entry: Arc<Entry>,
        is_watched: bool,
    ) {
        self.saw(bucket, &entry.draft.log, entry.position);
        let reply = match self.take_waiting(number) {
            Some(context) => Reply::Appended(Ok(Placed::New(entry)), context),
            None if is_watched => Reply::Announced(entry),
            None => return,
        };
        self.replies.push(reply);
    }

    /// Messages of our own do not wait any more for those of others.
    fn release_held(&mut self, bucket: Bucket, name: &LogName) {
        let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str()) else {
            return;
        };
        let held = std::mem::take(&mut log.held);
        let (certain, uncertain) = held.into_iter().partition(|(_, held)| held.is_certain);
        let certain: BTreeMap<u64, Held> = certain;
        // Those are told of when others have them.
        drop::<BTreeMap<u64, Held>>(uncertain);
        for held in certain.into_values() {
            self.tell_place(name, held.number, held.position, held.time);
        }
    }

    // ---- others' ----

    /// Something was announced of a log: that it ends there or did; `None`: that it is not what it was.
    pub(super) fn announced(&mut self, name: &LogName, end: Option<Position>) {
        self.traffic.announcements += 1;
        let bucket = Bucket::of(name);
        self.note_announced(bucket, name, end);
    }

    pub(super) fn note_announced(&mut self, bucket: Bucket, name: &LogName, end: Option<Position>) {
        let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str()) else {
            return;
        };
        if !log.is_watched() {
            return;
        }
        log.announced = match (log.announced, end) {
            // It is looked at anyway.
            (Some(None), _) => Some(None),
            (Some(Some(known)), Some(end)) if known.epoch == end.epoch => {
                Some(Some(if known.offset > end.offset {
                    known
                } else {
                    end
                }))
            }
            (Some(Some(_)), Some(_)) => Some(None),
            (None, end) => Some(end),
            (Some(Some(_)), None) => Some(None),
        };
        self.go_on(bucket, name);
    }

    /// Hands on what can be, and reads what is needed for more.
    pub(super) fn go_on(&mut self, bucket: Bucket, name: &LogName) {
        self.drop_stale_held(bucket, name);
        while let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str())
            && let Some(held) = log.next_held()
        {
            log.hand_out(held.position);
            let is_watched = log.is_watched();
            if let Some(entry) = held.entry {
                self.hand_on(bucket, held.number, entry, is_watched);
            }
        }
        let is_open = self.shelf(bucket).is_open();
        let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str()) else {
            return;
        };
        log.forget_announced();
        let (until, number) = (log.delivered, log.number);
        if is_open && log.needs_fill() {
            log.is_filling = true;
            log.announced = None;
            self.fill(bucket, name, number);
        }
        if until.is_some() {
            self.let_go_on(bucket, name, until);
        }
        self.forget_if_over(bucket, name);
    }

    /// Messages of our own whose places are not to come any more, since the log is another.
    fn drop_stale_held(&mut self, bucket: Bucket, name: &LogName) {
        while let Some(log) = self.shelf(bucket).logs.get_mut(name.as_str())
            && let Some(delivered) = log.delivered
            && let Some(first) = log.held.first_entry()
            && (first.get().position.epoch != delivered.epoch || *first.key() <= delivered.offset)
        {
            let held = first.remove();
            if held.position.epoch != delivered.epoch {
                self.give_up(held.number);
            } else if held.is_certain {
                self.tell_place(name, held.number, held.position, held.time);
            }
        }
    }

    /// Something of a log is lost, or cannot be handed on without a hole.
    pub(super) fn break_off(&mut self, bucket: Bucket, name: &LogName) {
        let number = self.next_number();
        let log = self.log(bucket, name);
        log.number = number;
        (log.delivered, log.shown, log.announced) = (None, None, None);
        log.is_filling = false;
        let held = std::mem::take(&mut log.held);
        self.replies.push(Reply::Broken(name.clone()));
        // They may be lost with what was before them; if not, their senders are shown them by the pages that follow.
        for held in held.into_values().filter(|held| held.is_certain) {
            self.give_up(held.number);
        }
        self.let_go_on(bucket, name, None);
    }
}

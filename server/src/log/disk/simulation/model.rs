//! What a store has promised so far, and the check of what it then says.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

use crate::ids::{LogName, Session, UserName};
use crate::log::{Draft, Entry, Epoch, GapReason, PageMax, Position, Retention, Since, Store};

/// A promise that was not kept.
pub(super) type Broken = String;

/// Fails with a sentence unless something holds.
macro_rules! promise {
    ($holds:expr, $($sentence:tt)*) => {
        if !$holds {
            return Err(format!($($sentence)*));
        }
    };
}
pub(super) use promise;

/// A message that was ever handed to the store; its number is in its content and is its key.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) log: usize,
    pub(super) content: String,
    pub(super) time: u64,
    /// Where it is for good, since it was acknowledged or read.
    pub(super) place: Option<Position>,
    /// It was reported lost, or is too old.
    pub(super) is_gone: bool,
}

/// All promises.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) retention: Retention,
    pub(super) messages: Vec<Message>,
    /// Who was ever seen at a position.
    places: HashMap<(usize, Epoch, u64), usize>,
    /// By log, the newest position that was handed out, and how many messages had their place then.
    handed_out: BTreeMap<usize, Vec<(Position, usize)>>,
    /// Messages by log in the order in which they got their places.
    order: BTreeMap<usize, Vec<usize>>,
    /// Everything older than this may be gone.
    pub(super) oldest_time: u64,
    /// Bits that were flipped since nothing was known to be lost.
    pub(super) flips: u64,
}

const ALL: PageMax = PageMax {
    entries: 7,
    bytes: 4000,
};

pub(super) fn log_name(log: usize) -> LogName {
    let names = ["a", "b", "@carol", "*", "a longer name of a room"];
    LogName::new(names[log]).unwrap_or_else(|_| LogName::broadcast())
}

/// The log that nobody ever writes to.
pub(super) fn empty_log() -> LogName {
    LogName::new("empty").unwrap_or_else(|_| LogName::broadcast())
}

impl Model {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            messages: Vec::new(),
            places: HashMap::new(),
            handed_out: BTreeMap::new(),
            order: BTreeMap::new(),
            oldest_time: 0,
            flips: 0,
        }
    }

    pub(super) fn draft(&self, number: usize) -> Result<Draft, Broken> {
        let message = &self.messages[number];
        let json = |text: String| RawValue::from_string(text).map_err(|error| error.to_string());
        Ok(Draft {
            log: log_name(message.log),
            from: UserName::new("alice").map_err(|error| error.to_string())?,
            session: Session::new("s").map_err(|error| error.to_string())?,
            seq: Some(json(number.to_string())?),
            content: json(message.content.clone())?,
            time: message.time,
        })
    }

    /// A message has this place for good, because it was acknowledged or somebody has seen it there.
    pub(super) fn settle(&mut self, number: usize, position: Position) -> Result<(), Broken> {
        let message = &mut self.messages[number];
        let log = message.log;
        let first = *self
            .places
            .entry((log, position.epoch, position.offset))
            .or_insert(number);
        promise!(
            first == number,
            "log {log}: {position} was message {first} and is message {number}"
        );
        if message.place != Some(position) {
            let before = message.place.filter(|_| !message.is_gone);
            promise!(
                before.is_none(),
                "message {number} was at {before:?} and is at {position}"
            );
            message.place = Some(position);
            message.is_gone = false;
            let order = self.order.entry(log).or_default();
            order.retain(|other| *other != number);
            order.push(number);
        }
        Ok(())
    }

    /// Messages that must be there, by what the store says is the head.
    fn must_have(&self, log: usize, head: Position) -> Vec<usize> {
        let kept = |number: &usize| {
            let message = &self.messages[*number];
            let in_window = message
                .place
                .is_some_and(|place| place.offset + self.retention.entries_max > head.offset);
            !message.is_gone && in_window && message.time >= self.oldest_time
        };
        let order = self.order.get(&log).map_or(&[][..], Vec::as_slice);
        order.iter().copied().filter(kept).collect()
    }

    /// Reads a whole log and compares.
    pub(super) fn check_log(&mut self, store: &dyn Store, log: usize) -> Result<(), Broken> {
        let head = store.head(&log_name(log));
        let found = self.read_all(store, log)?;
        let mut there = HashMap::new();
        for entry in &found {
            let number = self.identify(log, entry)?;
            promise!(
                there.insert(number, entry.position).is_none(),
                "message {number} is there twice"
            );
            self.settle(number, entry.position)?;
        }
        let mut lost = 0;
        for number in self.must_have(log, head) {
            if there.contains_key(&number) {
                continue;
            }
            lost += 1;
            self.check_loss(store, number)?;
            self.messages[number].is_gone = true;
        }
        promise!(
            lost <= self.flips,
            "{lost} messages are lost and {} bits were flipped",
            self.flips
        );
        self.flips -= lost;
        self.check_positions(store, log)?;
        self.hand_out(log, head);
        Ok(())
    }

    /// All entries, over pages; they must be in order, and without a hole that is not told.
    fn read_all(&self, store: &dyn Store, log: usize) -> Result<Vec<Entry>, Broken> {
        let name = log_name(log);
        let mut found: Vec<Entry> = Vec::new();
        let mut since = Since::Oldest;
        loop {
            let page = store
                .read(&name, &since, ALL)
                .map_err(|error| error.to_string())?;
            let mut next = match (&page.gap, since) {
                (Some(gap), _) => Some(gap.to.offset + 1),
                (None, Since::After(position)) => Some(position.offset + 1),
                (None, Since::Oldest | Since::Now) => None,
            };
            for entry in &page.entries {
                let offset = entry.position.offset;
                promise!(
                    next.is_none_or(|next| next == offset),
                    "log {log}: {next:?} was to come, and {offset} came"
                );
                next = Some(offset + 1);
                found.push((**entry).clone());
            }
            if page.entries.is_empty() && page.gap.is_none() {
                promise!(
                    page.next.offset == page.head.offset,
                    "log {log}: reading ends at {} before {}",
                    page.next,
                    page.head
                );
                return Ok(found);
            }
            promise!(
                since != Since::After(page.next),
                "log {log}: reading stands still at {}",
                page.next
            );
            since = Since::After(page.next);
        }
    }

    fn identify(&self, log: usize, entry: &Entry) -> Result<usize, Broken> {
        let seq = entry.draft.seq.as_deref().map_or("", RawValue::get);
        let number: usize = seq
            .parse()
            .map_err(|_| format!("a message with the key {seq:?}"))?;
        let known = self.messages.get(number);
        let is_ours = known.is_some_and(|message| {
            message.log == log
                && message.content == entry.draft.content.get()
                && message.time == entry.draft.time
        });
        promise!(
            is_ours,
            "log {log}: {} is not message {number} as it was sent",
            entry.position
        );
        Ok(number)
    }

    /// A message is not there: whoever has seen the one before it must be told.
    fn check_loss(&self, store: &dyn Store, number: usize) -> Result<(), Broken> {
        let message = &self.messages[number];
        let Some(place) = message.place else {
            return Ok(());
        };
        promise!(
            self.flips > 0,
            "message {number}, acknowledged at {place} in log {}, is lost",
            message.log
        );
        let before = Position {
            offset: place.offset - 1,
            ..place
        };
        let page = store.read(&log_name(message.log), &Since::After(before), ALL);
        let page = page.map_err(|error| error.to_string())?;
        promise!(
            page.gap.is_some(),
            "message {number} at {place} in log {} is lost without a word",
            message.log
        );
        Ok(())
    }

    /// Whoever has an older position must get all that is newer, or be told.
    fn check_positions(&self, store: &dyn Store, log: usize) -> Result<(), Broken> {
        let order = self.order.get(&log).map_or(&[][..], Vec::as_slice);
        for &(position, count) in self.handed_out.get(&log).map_or(&[][..], Vec::as_slice) {
            let page = store.read(&log_name(log), &Since::After(position), ALL);
            let page = page.map_err(|error| error.to_string())?;
            if let Some(gap) = page.gap {
                let needless = gap.reason == GapReason::Damaged
                    && self.flips == 0
                    && self.messages.iter().all(|message| !message.is_gone);
                promise!(
                    !needless,
                    "log {log}: damage without a flipped bit at {}",
                    gap.to
                );
                continue;
            }
            let newer = order
                .iter()
                .skip(count)
                .map(|number| &self.messages[*number]);
            let mut newer = newer
                .filter(|message| !message.is_gone)
                .filter_map(|message| message.place);
            let hidden = newer
                .find(|place| place.epoch == position.epoch && place.offset <= position.offset);
            promise!(
                hidden.is_none(),
                "log {log}: {hidden:?} is newer than {position} and hidden behind it"
            );
        }
        Ok(())
    }

    pub(super) fn hand_out(&mut self, log: usize, position: Position) {
        let count = self.order.get(&log).map_or(0, Vec::len);
        let positions = self.handed_out.entry(log).or_default();
        positions.push((position, count));
        if positions.len() > 6 {
            positions.remove(0);
        }
    }

    /// Messages that the store must know for the second time.
    pub(super) fn is_known(&self, store: &dyn Store, number: usize) -> bool {
        let message = &self.messages[number];
        let head = store.head(&log_name(message.log));
        self.flips == 0 && self.must_have(message.log, head).contains(&number)
    }
}

//! Logs that last as long as the process, with the promises of the disk as far as memory goes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::extent::{Era, Extent};
use super::{
    Draft, Entry, Epoch, Key, LOGS_MAX, LogsFull, Page, PageMax, Placed, Position, Retention,
    Since, Store, StoreError,
};
use crate::ids::LogName;

/// All logs of a server, in memory. A new process begins a new epoch, since everything before it is gone.
#[derive(Debug)]
pub struct MemoryStore {
    /// What new logs begin with; another one after each log that was forgotten.
    epoch: Epoch,
    retention: Retention,
    logs: HashMap<LogName, Log, foldhash::fast::RandomState>,
    /// Logs with entries that are not committed, perhaps several times.
    uncommitted: Vec<LogName>,
}

#[derive(Debug)]
struct Log {
    era: Era,
    entries: VecDeque<Arc<Entry>>,
    content_bytes: u64,
    /// The last committed offset.
    head: u64,
    /// The offset of each key that is kept.
    keys: HashMap<Box<[u8]>, u64, foldhash::fast::RandomState>,
    mark: Option<Position>,
}

impl MemoryStore {
    /// Empty logs that begin with this epoch.
    #[must_use]
    pub fn new(epoch: Epoch, retention: Retention) -> Self {
        Self {
            epoch,
            retention,
            logs: HashMap::default(),
            uncommitted: Vec::new(),
        }
    }

    /// The log of this name, or an empty one.
    fn log(&mut self, name: &LogName) -> Result<&mut Log, LogsFull> {
        if !self.logs.contains_key(name.as_str()) {
            if self.logs.len() >= LOGS_MAX {
                return Err(LogsFull);
            }
            self.logs.insert(name.clone(), Log::new(self.epoch));
        }
        self.logs.get_mut(name.as_str()).ok_or(LogsFull)
    }

    fn empty_page(&self, since: &Since) -> Page {
        let era = [Era {
            first: 1,
            epoch: self.epoch,
        }];
        let extent = Extent {
            eras: &era,
            oldest: 1,
            head: 0,
        };
        let (start, gap) = extent.resolve(since);
        Page {
            gap,
            entries: Vec::new(),
            next: start.after,
            head: extent.head(),
            oldest: extent.oldest,
        }
    }
}

impl Store for MemoryStore {
    fn append(&mut self, draft: Draft) -> Result<Placed, LogsFull> {
        let name = draft.log.clone();
        let log = self.log(&name)?;
        let key = draft.key().map(key_bytes);
        if let Some(first) = key.as_ref().and_then(|key| log.keys.get(key)) {
            let first = log.entry(*first);
            if let Some(first) = first {
                return Ok(Placed::Duplicate {
                    position: first.position,
                    time: first.draft.time,
                });
            }
        }
        let entry = Arc::new(Entry {
            position: log.next_position(),
            draft,
        });
        if let Some(key) = key {
            log.keys.insert(key, entry.position.offset);
        }
        log.content_bytes += content_bytes(&entry);
        log.entries.push_back(Arc::clone(&entry));
        self.uncommitted.push(name);
        Ok(Placed::New(entry))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        for name in self.uncommitted.drain(..) {
            if let Some(log) = self.logs.get_mut(name.as_str()) {
                log.head = log.next_position().offset - 1;
                log.shrink_to(&self.retention);
            }
        }
        Ok(())
    }

    fn head(&self, log: &LogName) -> Position {
        self.logs.get(log.as_str()).map_or(
            Position {
                epoch: self.epoch,
                offset: 0,
            },
            |log| log.extent().head(),
        )
    }

    fn read(&self, log: &LogName, since: &Since, max: PageMax) -> Result<Page, StoreError> {
        let Some(log) = self.logs.get(log.as_str()) else {
            return Ok(self.empty_page(since));
        };
        let extent = log.extent();
        let (start, gap) = extent.resolve(since);
        let behind = log.entries.range(log.index_of(start.after.offset + 1)..);
        let committed = behind.take_while(|entry| entry.position.offset <= start.until);
        let entries = within(committed.cloned(), max);
        Ok(Page {
            gap,
            next: entries.last().map_or(start.after, |entry| entry.position),
            entries,
            head: extent.head(),
            oldest: extent.oldest,
        })
    }

    fn read_before(
        &self,
        log: &LogName,
        before: Option<&Position>,
        max: PageMax,
    ) -> Result<Page, StoreError> {
        let Some(log) = self.logs.get(log.as_str()) else {
            return Ok(self.empty_page(&Since::Now));
        };
        let extent = log.extent();
        let end = before.map_or(extent.head + 1, |position| {
            position.offset.min(extent.head + 1)
        });
        let older = log.entries.range(..log.index_of(end));
        let mut entries = within(older.rev().cloned(), max);
        entries.reverse();
        Ok(Page {
            gap: None,
            next: entries.last().map_or(extent.head(), |entry| entry.position),
            entries,
            head: extent.head(),
            oldest: extent.oldest,
        })
    }

    fn mark(&self, log: &LogName) -> Option<Position> {
        self.logs.get(log.as_str()).and_then(|log| log.mark)
    }

    fn set_mark(&mut self, log: &LogName, position: Position) {
        if let Some(log) = self.logs.get_mut(log.as_str()) {
            log.mark = Some(position);
        }
    }

    fn expire(&mut self, unix_ms: u64) -> Result<(), StoreError> {
        let age_max = u64::try_from(self.retention.age_max.as_millis()).unwrap_or(u64::MAX);
        let oldest_time = unix_ms.saturating_sub(age_max);
        let before = self.logs.len();
        self.logs.retain(|_, log| {
            log.expire(oldest_time);
            !log.entries.is_empty()
        });
        if self.logs.len() < before {
            self.epoch = Epoch::new(self.epoch.number().wrapping_add(1));
        }
        Ok(())
    }

    fn logs(&self) -> Vec<(LogName, Position)> {
        let head = |(name, log): (&LogName, &Log)| (name.clone(), log.extent().head());
        self.logs.iter().map(head).collect()
    }
}

impl Log {
    fn new(epoch: Epoch) -> Self {
        Self {
            era: Era { first: 1, epoch },
            entries: VecDeque::new(),
            content_bytes: 0,
            head: 0,
            keys: HashMap::default(),
            mark: None,
        }
    }

    fn extent(&self) -> Extent<'_> {
        let oldest = self.entries.front().map(|entry| entry.position.offset);
        Extent {
            eras: std::slice::from_ref(&self.era),
            oldest: oldest.unwrap_or(self.head + 1).min(self.head + 1),
            head: self.head,
        }
    }

    fn next_position(&self) -> Position {
        let last = self.entries.back();
        Position {
            epoch: self.era.epoch,
            offset: last.map_or(self.head, |entry| entry.position.offset) + 1,
        }
    }

    /// Where the entry of an offset is in the list, or would be.
    fn index_of(&self, offset: u64) -> usize {
        let first = self.entries.front().map(|entry| entry.position.offset);
        let index = offset.saturating_sub(first.unwrap_or(offset));
        self.entries
            .len()
            .min(usize::try_from(index).unwrap_or(usize::MAX))
    }

    fn entry(&self, offset: u64) -> Option<&Entry> {
        let entry = self.entries.get(self.index_of(offset))?;
        (entry.position.offset == offset).then_some(entry)
    }

    fn shrink_to(&mut self, retention: &Retention) {
        while self.entries.len() as u64 > retention.entries_max
            || (self.content_bytes > retention.bytes_max && self.entries.len() > 1)
        {
            self.forget_oldest();
        }
    }

    fn expire(&mut self, oldest_time: u64) {
        while let Some(entry) = self.entries.front()
            && entry.draft.time < oldest_time
            && entry.position.offset <= self.head
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.content_bytes -= content_bytes(&entry);
            if let Some(key) = entry.draft.key() {
                self.keys.remove(&key_bytes(key));
            }
        }
    }
}

fn content_bytes(entry: &Entry) -> u64 {
    entry.draft.content.get().len() as u64
}

/// The parts of a key, kept apart by what none of them contains.
fn key_bytes(key: Key<'_>) -> Box<[u8]> {
    let parts = [key.from, key.session, key.seq];
    parts.join("\0").into_bytes().into()
}

/// As many entries as fit, at least one.
fn within(entries: impl Iterator<Item = Arc<Entry>>, max: PageMax) -> Vec<Arc<Entry>> {
    let mut bytes = 0;
    let fits = |entry: &Arc<Entry>| {
        let first = bytes == 0;
        bytes += entry.draft.content.get().len();
        first || bytes <= max.bytes
    };
    entries.take(max.entries.max(1)).take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::log::store_tests::store_tests!(|retention| MemoryStore::new(Epoch::new(7), retention));
}

//! Logs that last as long as the process, with the promises of the disk as far as memory goes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::extent::{Era, Extent};
use super::{
    Draft, Entry, Epoch, Keep, Key, LOGS_MAX, LogsFull, Page, PageMax, Placed, Position, Retention,
    Rule, Rules, Since, Store, StoreError, Usage,
};
use crate::ids::LogName;

/// Bytes of content in all logs together; above that the oldest entries go, whichever log they are in.
const CONTENT_BYTES_MAX: u64 = 256 << 20;

/// All logs of a server, in memory. A new process begins a new epoch, since everything before it is gone.
#[derive(Debug)]
pub struct MemoryStore {
    /// What new logs begin with; another one after each log that was forgotten.
    epoch: Epoch,
    rules: Arc<Rules>,
    logs: HashMap<LogName, Log, foldhash::fast::RandomState>,
    /// Logs with entries that are not committed, perhaps several times.
    uncommitted: Vec<LogName>,
    /// All entries in the order in which they came, and some that are gone already.
    arrivals: VecDeque<(LogName, u64)>,
    entries: usize,
    content_bytes: u64,
    content_bytes_max: u64,
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
    retention: Retention,
    /// When the newest entry came, in milliseconds since 1970: a log that keeps nothing is not forgotten at once.
    newest_time: u64,
}

impl MemoryStore {
    /// Empty logs that begin with this epoch.
    #[must_use]
    pub fn new(epoch: Epoch, rules: Arc<Rules>) -> Self {
        Self {
            epoch,
            rules,
            logs: HashMap::default(),
            uncommitted: Vec::new(),
            arrivals: VecDeque::new(),
            entries: 0,
            content_bytes: 0,
            content_bytes_max: CONTENT_BYTES_MAX,
        }
    }

    /// The log of this name, or an empty one.
    fn log(&mut self, name: &LogName) -> Result<&mut Log, LogsFull> {
        if !self.logs.contains_key(name.as_str()) {
            if self.logs.len() >= LOGS_MAX {
                return Err(LogsFull);
            }
            let log = Log::new(self.epoch, self.rules.of(name.as_str()));
            self.logs.insert(name.clone(), log);
        }
        self.logs.get_mut(name.as_str()).ok_or(LogsFull)
    }

    /// Lets go of what is too much in one log, and in all together.
    fn shrink(&mut self, name: &LogName) {
        self.forget(name, Log::is_over);
        while self.content_bytes > self.content_bytes_max
            && let Some((name, offset)) = self.arrivals.pop_front()
        {
            self.forget(&name, |log| {
                log.entries.len() > 1 && log.oldest().is_some_and(|oldest| oldest <= offset)
            });
        }
        if self.arrivals.len() > 2 * self.entries + 1024 {
            let logs = &self.logs;
            self.arrivals.retain(|(name, offset)| {
                let log = logs.get(name.as_str());
                log.and_then(Log::oldest)
                    .is_some_and(|oldest| oldest <= *offset)
            });
        }
    }

    /// Forgets the oldest entries of a log as long as `is_over`.
    fn forget(&mut self, name: &LogName, is_over: impl Fn(&Log) -> bool) {
        let Some(log) = self.logs.get_mut(name.as_str()) else {
            return;
        };
        let (entries, bytes) = (log.entries.len(), log.content_bytes);
        while is_over(log) {
            log.forget_oldest();
        }
        self.entries -= entries - log.entries.len();
        self.content_bytes -= bytes - log.content_bytes;
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
        log.newest_time = entry.draft.time;
        log.content_bytes += content_bytes(&entry);
        log.entries.push_back(Arc::clone(&entry));
        self.content_bytes += content_bytes(&entry);
        self.entries += 1;
        self.arrivals
            .push_back((name.clone(), entry.position.offset));
        self.uncommitted.push(name);
        Ok(Placed::New(entry))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        for name in std::mem::take(&mut self.uncommitted) {
            if let Some(log) = self.logs.get_mut(name.as_str()) {
                log.head = log.next_position().offset - 1;
                self.shrink(&name);
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
        let before = self.logs.len();
        let names: Vec<LogName> = self.logs.keys().cloned().collect();
        for name in &names {
            self.forget(name, |log| log.has_old_entry(unix_ms));
        }
        self.logs
            .retain(|_, log| !log.entries.is_empty() || !log.is_old(log.newest_time, unix_ms));
        if self.logs.len() < before {
            self.epoch = Epoch::new(self.epoch.number().wrapping_add(1));
        }
        Ok(())
    }

    fn set_rules(&mut self, rules: Arc<Rules>) {
        for (name, log) in &mut self.logs {
            log.retention = retention(rules.of(name.as_str()));
        }
        self.rules = rules;
    }

    fn logs(&self) -> Vec<(LogName, Position)> {
        let head = |(name, log): (&LogName, &Log)| (name.clone(), log.extent().head());
        self.logs.iter().map(head).collect()
    }

    fn usage(&self) -> Usage {
        Usage {
            logs: self.logs.len() as u64,
            bytes: self.content_bytes,
            live_bytes: self.content_bytes,
        }
    }
}

/// How long a log is kept: not at all is a length, too.
const fn retention(rule: &Rule) -> Retention {
    match rule.keep {
        Keep::Durable | Keep::Memory => rule.retention,
        Keep::Nothing => Retention {
            entries_max: 0,
            ..rule.retention
        },
    }
}

impl Log {
    fn new(epoch: Epoch, rule: &Rule) -> Self {
        Self {
            era: Era { first: 1, epoch },
            entries: VecDeque::new(),
            content_bytes: 0,
            head: 0,
            keys: HashMap::default(),
            mark: None,
            retention: retention(rule),
            newest_time: 0,
        }
    }

    fn extent(&self) -> Extent<'_> {
        let oldest = self.oldest();
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
        let index = offset.saturating_sub(self.oldest().unwrap_or(offset));
        self.entries
            .len()
            .min(usize::try_from(index).unwrap_or(usize::MAX))
    }

    fn entry(&self, offset: u64) -> Option<&Entry> {
        let entry = self.entries.get(self.index_of(offset))?;
        (entry.position.offset == offset).then_some(entry)
    }

    fn oldest(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.position.offset)
    }

    fn is_over(&self) -> bool {
        self.entries.len() as u64 > self.retention.entries_max
            || (self.content_bytes > self.retention.bytes_max && self.entries.len() > 1)
    }

    fn is_old(&self, time: u64, unix_ms: u64) -> bool {
        u128::from(unix_ms.saturating_sub(time)) > self.retention.age_max.as_millis()
    }

    fn has_old_entry(&self, unix_ms: u64) -> bool {
        self.entries.front().is_some_and(|entry| {
            self.is_old(entry.draft.time, unix_ms) && entry.position.offset <= self.head
        })
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

    fn open(retention: Retention) -> MemoryStore {
        let rule = Rule {
            retention,
            ..Rule::default()
        };
        MemoryStore::new(Epoch::new(7), Arc::new(Rules::new(rule)))
    }

    crate::log::store_tests::store_tests!(open);

    #[test]
    fn a_log_that_keeps_nothing_still_counts() {
        use crate::log::store_tests::draft;
        let rule = Rule {
            keep: Keep::Nothing,
            ..Rule::default()
        };
        let mut store = MemoryStore::new(Epoch::new(7), Arc::new(Rules::new(rule)));
        let name = LogName::new("a").unwrap();
        for offset in 1..=3 {
            store.append(draft("a", "1")).unwrap();
            store.commit().unwrap();
            store.expire(2000).unwrap();
            assert_eq!(store.head(&name).to_string(), format!("00000007-{offset}"));
            assert_eq!(store.content_bytes, 0);
        }
    }

    #[test]
    fn all_logs_together_keep_so_much_and_the_oldest_goes_first() {
        use crate::log::store_tests::draft;
        let mut store = open(Retention::default());
        store.content_bytes_max = 30;
        let oldest = |store: &MemoryStore, name: &str| {
            let name = LogName::new(name).unwrap();
            store.logs.get(name.as_str()).and_then(Log::oldest)
        };
        for round in 1..=5 {
            for name in ["a", "b"] {
                store.append(draft(name, "12345")).unwrap();
                store.commit().unwrap();
            }
            assert!(store.content_bytes <= 30, "{round}");
        }
        assert_eq!(
            (oldest(&store, "a"), oldest(&store, "b")),
            (Some(3), Some(3))
        );
        for _ in 0..20 {
            store.append(draft("a", "12345")).unwrap();
            store.commit().unwrap();
        }
        // A quiet log keeps its newest entry, and with it its epoch.
        assert_eq!(
            (oldest(&store, "a"), oldest(&store, "b")),
            (Some(21), Some(5))
        );
        assert_eq!((store.entries, store.content_bytes), (6, 30));
        // What is gone does not pile up in the order of arrivals.
        store.logs.get_mut("a").unwrap().retention.entries_max = 1;
        for _ in 0..5000 {
            store.append(draft("a", "1")).unwrap();
            store.commit().unwrap();
        }
        assert!(store.arrivals.len() <= 1028, "{}", store.arrivals.len());
    }
}

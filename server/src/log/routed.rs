//! Two stores as one: each log is in the one that its rule says.

use std::sync::Arc;

use super::{
    Draft, Keep, LogsFull, MemoryStore, Page, PageMax, Placed, Position, Rules, Since, Store,
    StoreError, Usage,
};
use crate::ids::LogName;

/// Durable logs in one store, the others in memory.
pub struct RoutedStore {
    rules: Arc<Rules>,
    durable: Box<dyn Store>,
    memory: MemoryStore,
}

impl RoutedStore {
    /// Both; `rules` say which log is where.
    #[must_use]
    pub fn new(rules: Arc<Rules>, durable: Box<dyn Store>, memory: MemoryStore) -> Self {
        Self {
            rules,
            durable,
            memory,
        }
    }

    fn of(&self, log: &LogName) -> &dyn Store {
        match self.rules.of(log.as_str()).keep {
            Keep::Durable => &*self.durable,
            Keep::Memory | Keep::Nothing => &self.memory,
        }
    }

    fn of_mut(&mut self, log: &LogName) -> &mut dyn Store {
        match self.rules.of(log.as_str()).keep {
            Keep::Durable => &mut *self.durable,
            Keep::Memory | Keep::Nothing => &mut self.memory,
        }
    }
}

impl Store for RoutedStore {
    fn append(&mut self, draft: Draft) -> Result<Placed, LogsFull> {
        let log = draft.log.clone();
        self.of_mut(&log).append(draft)
    }

    /// If the disk fails, what is in memory was kept all the same.
    fn commit(&mut self) -> Result<(), StoreError> {
        self.memory.commit()?;
        self.durable.commit()
    }

    fn head(&self, log: &LogName) -> Position {
        self.of(log).head(log)
    }

    fn read(&self, log: &LogName, since: &Since, max: PageMax) -> Result<Page, StoreError> {
        self.of(log).read(log, since, max)
    }

    fn read_before(
        &self,
        log: &LogName,
        before: Option<&Position>,
        max: PageMax,
    ) -> Result<Page, StoreError> {
        self.of(log).read_before(log, before, max)
    }

    fn mark(&self, log: &LogName) -> Option<Position> {
        self.of(log).mark(log)
    }

    fn set_mark(&mut self, log: &LogName, position: Position) {
        self.of_mut(log).set_mark(log, position);
    }

    fn set_rules(&mut self, rules: Arc<Rules>) {
        self.memory.set_rules(Arc::clone(&rules));
        self.durable.set_rules(Arc::clone(&rules));
        self.rules = rules;
    }

    fn expire(&mut self, unix_ms: u64) -> Result<(), StoreError> {
        self.memory.expire(unix_ms)?;
        self.durable.expire(unix_ms)
    }

    fn logs(&self) -> Vec<(LogName, Position)> {
        let mut logs = self.durable.logs();
        logs.append(&mut self.memory.logs());
        logs
    }

    fn usage(&self) -> Usage {
        let (durable, memory) = (self.durable.usage(), self.memory.usage());
        Usage {
            logs: durable.logs + memory.logs,
            bytes: durable.bytes + memory.bytes,
            live_bytes: durable.live_bytes + memory.live_bytes,
        }
    }
}

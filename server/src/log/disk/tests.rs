//! The store in a directory of the real file system. What happens in crashes is the simulation's.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::log::{Retention, Rule};

/// A directory that is removed with its value.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tidewire-log-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Self(std::env::temp_dir().join(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A store together with its directory.
struct Kept(
    DiskStore,
    #[expect(dead_code, reason = "lives as long as the store")] Folder,
);

impl Store for Kept {
    fn append(&mut self, draft: Draft) -> Result<Placed, LogsFull> {
        self.0.append(draft)
    }
    fn commit(&mut self) -> Result<(), StoreError> {
        self.0.commit()
    }
    fn head(&self, log: &LogName) -> Position {
        self.0.head(log)
    }
    fn read(&self, log: &LogName, since: &Since, max: PageMax) -> Result<Page, StoreError> {
        self.0.read(log, since, max)
    }
    fn read_before(
        &self,
        log: &LogName,
        before: Option<&Position>,
        max: PageMax,
    ) -> Result<Page, StoreError> {
        self.0.read_before(log, before, max)
    }
    fn mark(&self, log: &LogName) -> Option<Position> {
        self.0.mark(log)
    }
    fn set_mark(&mut self, log: &LogName, position: Position) {
        self.0.set_mark(log, position);
    }
    fn set_rules(&mut self, rules: Arc<Rules>) {
        self.0.set_rules(rules);
    }
    fn expire(&mut self, unix_ms: u64) -> Result<(), StoreError> {
        self.0.expire(unix_ms)
    }
    fn usage(&self) -> Usage {
        Store::usage(&self.0)
    }
    fn logs(&self) -> Vec<(LogName, Position)> {
        self.0.logs()
    }
}

fn kept(retention: Retention) -> Kept {
    let folder = Folder::new();
    let options = Options {
        rules: Arc::new(Rules::new(Rule {
            retention,
            ..Rule::default()
        })),
        ..Options::default()
    };
    let (store, recovery) = DiskStore::open(folder.path(), &options).unwrap();
    assert_eq!(recovery, Recovery::default());
    Kept(store, folder)
}

crate::log::store_tests::store_tests!(kept);

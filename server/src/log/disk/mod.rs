//! Logs on a disk: what was committed is there after a kill, after a loss of power, and beside damage.
//!
//! All logs share one sequence of segments, files that are only appended to. A commit is one group of records, one write
//! and one `fdatasync`. In memory is an index of 16 bytes an entry and 12 bytes a key; contents are read from the disk, and
//! their checksums with them. `docs/LOG-FORMAT.md` has the layout and the rules.

mod build;
mod chain;
pub mod device;
mod files;
mod format;
mod index;
mod keys;
mod meta;
mod read;
mod record;
mod recovery;
mod report;
mod retain;
mod scan;
mod segments;
mod settle;
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
pub mod simulation;
mod staged;
#[cfg(test)]
mod tests;
pub mod tool;
mod writer;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use report::{Cut, Damage, OpenError, Recovery};

use self::chain::ChainError;
use self::device::{Disk, RealDisk};
use self::files::Files;
use self::format::{Location, segment_number};
use self::index::{Log, Logs};
use self::keys::{KeyHasher, hash_key};
use self::meta::{Meta, MetaFile, SyncedFile};
use self::read::Reader;
use self::record::{Body, EntryBody};
use self::segments::Segments;
use self::staged::{GROUP_BYTES_MAX, Staged, StagedEntry};
use self::writer::Writer;
use super::{
    Draft, Entry, Epoch, LogsFull, Page, PageMax, Placed, Position, Rules, Since, Store,
    StoreError, Usage,
};
use crate::ids::LogName;
use crate::log::LOGS_MAX;

/// Whether there are logs in a directory, as far as it can be looked into.
#[must_use]
pub fn has_logs(path: &Path) -> bool {
    let names = RealDisk::look(path).list().unwrap_or_default();
    names.iter().any(|name| segment_number(name).is_some())
}

/// How a store is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the entries of each log are kept.
    pub rules: Arc<Rules>,
    /// A segment that has this many bytes is full. Default 64 MiB: a hundredth of a second to read, few files in a large
    /// store, and the unit in which space is freed.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rules: Arc::default(),
            segment_bytes: 64 << 20,
        }
    }
}

/// Logs in a directory, which nobody else may use at the same time.
#[derive(Debug)]
pub struct DiskStore {
    rules: Arc<Rules>,
    meta: Meta,
    meta_file: MetaFile,
    hasher: KeyHasher,
    logs: Logs,
    files: Files,
    segments: Segments,
    writer: Writer,
    staged: Staged,
    /// Logs whose state is to be saved with the next commit.
    unsaved_states: BTreeSet<u32>,
    /// Logs that were forgotten, which is to be saved with the next commit.
    unsaved_forgets: Vec<LogName>,
    /// The segment that is being cleaned, and the next log to look at.
    clean_at: (u64, u32),
}

impl DiskStore {
    /// Opens the store in a directory, which is made if there is none.
    ///
    /// # Errors
    /// Another process has it, it is of another version, or the disk refuses something.
    pub fn open(path: &Path, options: &Options) -> Result<(Self, Recovery), OpenError> {
        let disk = RealDisk::own(path)?;
        Self::open_on(Arc::new(disk), options).map_err(|error| match error {
            ChainError::Version(found) => OpenError::Version {
                path: path.to_owned(),
                found,
            },
            ChainError::Io(error) => OpenError::io(path, error),
        })
    }

    /// Opens the store on a disk.
    fn open_on(disk: Arc<dyn Disk>, options: &Options) -> Result<(Self, Recovery), ChainError> {
        let hasher = KeyHasher::default();
        let mut found = recovery::inspect(&*disk, &options.rules, &hasher, &mut |_, _| ())?;
        let report = std::mem::take(&mut found.report);
        let (mut meta_file, _) = MetaFile::open(&*disk)?;
        let meta = settle::settle_meta(&found, &report, &*disk);
        // Also what was read has to be saved: the process before may have ended between writing and saving it. In both slots,
        // so that a damaged one is none any more.
        meta_file.write(meta)?;
        meta_file.write(meta)?;
        settle::save_end(&found, &*disk)?;
        let synced = SyncedFile::open(&*disk)?;
        disk.sync_directory()?;
        let mut store = Self {
            rules: Arc::clone(&options.rules),
            meta,
            meta_file,
            hasher,
            logs: found.built.logs,
            files: Files::new(Arc::clone(&disk)),
            segments: found.segments,
            writer: Writer {
                disk,
                synced,
                file: None,
                end: found.end,
                next_segment: found.highest + 1,
                next_group: found.next_group,
                segment_bytes: options.segment_bytes,
            },
            staged: Staged::default(),
            unsaved_states: BTreeSet::new(),
            unsaved_forgets: Vec::new(),
            clean_at: (0, 0),
        };
        store.settle_end(&found.built.uncertain, found.end_is_unsettled)?;
        Ok((store, report))
    }

    /// Gives logs that may have lost entries a new epoch, and has that saved before anything else is.
    fn settle_end(&mut self, uncertain: &[u32], end_is_unsettled: bool) -> io::Result<()> {
        for &number in uncertain {
            let epoch = self.random_epoch();
            if let Some(log) = self.logs.get_mut(number) {
                log.begin_era(epoch);
                self.unsaved_states.insert(number);
            }
        }
        if end_is_unsettled {
            self.begin_group();
        } else {
            self.writer.synced.write(self.writer.end)?;
            self.writer.synced.sync()?;
        }
        match self.save_staged() {
            // What is unsaved will be with the first commit that succeeds, and no new entry before.
            Ok(()) | Err(StoreError::Full) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn random_epoch(&self) -> Epoch {
        Epoch::new(self.writer.disk.random())
    }

    fn save_epoch(&mut self, epoch: Epoch) -> io::Result<()> {
        let meta = Meta { epoch, ..self.meta };
        self.meta_file.write(meta)?;
        self.meta = meta;
        Ok(())
    }

    /// The log of this name, or an empty one.
    fn log_number(&mut self, name: &LogName) -> Result<u32, LogsFull> {
        if let Some(number) = self.logs.number(name) {
            return Ok(number);
        }
        if self.logs.len() >= LOGS_MAX {
            return Err(LogsFull);
        }
        let number = self.logs.insert(Log::new(name.clone(), self.meta.epoch));
        self.staged.new_logs.push(number);
        Ok(number)
    }

    /// The entry that a draft is the second of.
    fn find_first(&self, number: u32, key: u64, draft: &Draft) -> io::Result<Option<Placed>> {
        let Some(log) = self.logs.get(number) else {
            return Ok(None);
        };
        let mut first = None;
        for offset in self.logs.keys.candidates(number, key, log.oldest) {
            let Some(place) = log.place(offset) else {
                continue;
            };
            let mut compare = |entry: EntryBody<'_>| {
                if entry.log == draft.log.as_str() && entry.key() == draft.key() {
                    first = Some(Placed::Duplicate {
                        position: entry.position,
                        time: entry.time,
                    });
                }
            };
            if offset <= log.head {
                let places = [place];
                self.files
                    .read(&places, |entry| entry.into_iter().for_each(&mut compare))?;
            } else if let Some((Body::Entry(entry), _)) =
                scan::record_at(self.staged.bytes_at(place.location()), place.location())
            {
                compare(entry);
            }
        }
        Ok(first)
    }

    /// Begins a group if none has begun: logs that were forgotten come first, since they may begin anew in it.
    fn begin_group(&mut self) {
        if self.staged.begin(self.writer.place()) {
            for name in &self.unsaved_forgets {
                self.staged.put(&Body::Forget(name.as_str()));
            }
        }
    }

    /// Stages a new entry.
    fn stage(&mut self, number: u32, key: Option<u64>, draft: Draft) -> Entry {
        self.begin_group();
        let position = match self.logs.get(number) {
            Some(log) => log.next_position(),
            None => unreachable!("the log was just found or made"),
        };
        let place = self.staged.put_entry(&EntryBody::of(&draft, position));
        if let Some(log) = self.logs.get_mut(number) {
            log.places.push_back(place);
            log.content_bytes += place.content_bytes();
        }
        if let Some(key) = key {
            self.logs.keys.insert(number, key, position.offset);
        }
        self.staged.entries.push(StagedEntry {
            log: number,
            offset: position.offset,
            key,
        });
        if self.staged.size() > GROUP_BYTES_MAX {
            let what = "too much was appended without a commit".to_owned();
            self.staged.refused = Some(StoreError::Failed(what));
        }
        Entry { position, draft }
    }

    /// Saves what is staged, and what else was left to be saved.
    fn save_staged(&mut self) -> Result<(), StoreError> {
        if let Some(refused) = self.staged.refused.take() {
            self.undo();
            return Err(refused);
        }
        let unsaved = !self.unsaved_states.is_empty() || !self.unsaved_forgets.is_empty();
        if self.staged.size() == 0 && !unsaved {
            return Ok(());
        }
        self.begin_group();
        for &number in &self.unsaved_states {
            if let Some(log) = self.logs.get(number) {
                self.staged.put(&Body::State(log.state()));
                self.staged.states.push((number, log.oldest));
            }
        }
        let count = self.staged.count();
        let place = self.writer.place();
        match self.writer.write(self.staged.group(), count) {
            Ok(()) => {
                self.publish();
                Ok(())
            }
            Err(error) => {
                if place.segment != self.writer.end.segment {
                    // A file may be left, which does not count and is to go in its turn.
                    let bytes = place.at + self.staged.size() as u64;
                    self.segments.add(place.segment, bytes);
                }
                self.undo();
                Err(store_error(&error))
            }
        }
    }

    /// Everything staged is saved.
    fn publish(&mut self) {
        let Location { segment, at } = self.writer.end;
        self.segments.grow(segment, at);
        for copied in std::mem::take(&mut self.staged.copies) {
            let Some(log) = self.logs.get_mut(copied.log) else {
                continue;
            };
            log.has_copies = true;
            if let Some(place) = log.place_mut(copied.offset) {
                *place = copied.to;
                self.segments.lose(copied.from);
                self.segments.gain(copied.to);
            }
        }
        for &(number, oldest) in &self.staged.states {
            if let Some(log) = self.logs.get_mut(number) {
                log.state_segment = segment;
                log.oldest_saved = oldest;
            }
        }
        self.unsaved_states.clear();
        self.unsaved_forgets.clear();
        let entries = std::mem::take(&mut self.staged.entries);
        for staged in &entries {
            if let Some(log) = self.logs.get_mut(staged.log) {
                log.head = staged.offset;
                log.place(staged.offset)
                    .into_iter()
                    .for_each(|place| self.segments.gain(place));
            }
        }
        entries.iter().for_each(|staged| self.shrink(staged.log));
        self.staged.clear();
        self.logs.sweep_keys();
    }

    /// Applies the limits on entries and bytes.
    fn shrink(&mut self, number: u32) {
        while let Some(log) = self.logs.get_mut(number)
            && log.is_over(&self.rules.of(log.name.as_str()).retention)
        {
            let place = log.forget_oldest();
            self.note_gone(place);
        }
    }

    /// Nothing staged was saved: its places and keys are free again.
    fn undo(&mut self) {
        for staged in &self.staged.entries {
            if let Some(key) = staged.key {
                self.logs.keys.remove(staged.log, key, staged.offset);
            }
            if let Some(log) = self.logs.get_mut(staged.log) {
                log.undo();
            }
        }
        for &number in &self.staged.new_logs {
            self.logs.remove(number);
        }
        self.staged.clear();
    }

    fn reader<'a>(&'a self, log: &'a Log) -> Reader<'a> {
        Reader {
            files: &self.files,
            log,
        }
    }

    /// What the index takes in memory, in bytes: places and keys of entries.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.logs.memory()
    }

    /// Segments, their bytes, and how many of those still matter.
    #[must_use]
    pub fn usage(&self) -> (usize, u64, u64) {
        let (bytes, live) = self.segments.usage();
        (self.segments.len(), bytes, live)
    }
}

impl Store for DiskStore {
    fn append(&mut self, draft: Draft) -> Result<Placed, LogsFull> {
        let number = self.log_number(&draft.log)?;
        let key = draft.key().map(|key| hash_key(&self.hasher, &key));
        if let Some(key) = key {
            match self.find_first(number, key, &draft) {
                Ok(Some(first)) => return Ok(first),
                Ok(None) => (),
                // It may be a second one, so it must not be saved.
                Err(error) => self.staged.refused = Some(store_error(&error)),
            }
        }
        Ok(Placed::New(Arc::new(self.stage(number, key, draft))))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.save_staged()
    }

    fn head(&self, log: &LogName) -> Position {
        self.logs.named(log).map_or(
            Position {
                epoch: self.meta.epoch,
                offset: 0,
            },
            |log| log.extent().head(),
        )
    }

    fn read(&self, log: &LogName, since: &Since, max: PageMax) -> Result<Page, StoreError> {
        match self.logs.named(log) {
            Some(log) => self.reader(log).page(since, max),
            None => Ok(read::empty_page(self.meta.epoch, since)),
        }
    }

    fn read_before(
        &self,
        log: &LogName,
        before: Option<&Position>,
        max: PageMax,
    ) -> Result<Page, StoreError> {
        match self.logs.named(log) {
            Some(log) => self.reader(log).page_before(before, max),
            None => Ok(read::empty_page(self.meta.epoch, &Since::Now)),
        }
    }

    fn mark(&self, log: &LogName) -> Option<Position> {
        self.logs.named(log).and_then(|log| log.mark)
    }

    fn set_mark(&mut self, log: &LogName, position: Position) {
        if let Some(number) = self.logs.number(log)
            && let Some(log) = self.logs.get_mut(number)
            && log.mark != Some(position)
        {
            log.mark = Some(position);
            self.unsaved_states.insert(number);
        }
    }

    /// Does nothing while something is appended and not committed.
    fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
    }

    fn expire(&mut self, unix_ms: u64) -> Result<(), StoreError> {
        self.let_go(unix_ms)
    }

    fn logs(&self) -> Vec<(LogName, Position)> {
        let committed = self.logs.iter().filter(|(_, log)| log.head > 0);
        committed
            .map(|(_, log)| (log.name.clone(), log.extent().head()))
            .collect()
    }

    fn usage(&self) -> Usage {
        let (_, bytes, live_bytes) = Self::usage(self);
        Usage {
            logs: self.logs.len() as u64,
            bytes,
            live_bytes,
        }
    }
}

impl Drop for DiskStore {
    /// Saves what was left for the next commit. What was appended and never committed is not kept.
    fn drop(&mut self) {
        self.undo();
        // Nobody is there to be told; a crash would have lost the same.
        let _ = self.save_staged();
        let _ = self.writer.close();
    }
}

fn store_error(error: &io::Error) -> StoreError {
    match error.kind() == io::ErrorKind::StorageFull || error.kind() == io::ErrorKind::QuotaExceeded
    {
        true => StoreError::Full,
        false => StoreError::Failed(error.to_string()),
    }
}

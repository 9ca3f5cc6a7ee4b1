//! A disk that forgets what was not synced, in the worst ways that a real one may.
//!
//! After a loss of power, of what was written and not synced any part may be there, in sectors of 512 bytes and in any order;
//! so may names that were made or removed. After a failed sync, what was to be saved is dropped while it can still be read,
//! and the next sync succeeds. After a kill everything written is there, but the last write may have stopped half-way.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::device::{BootId, Disk, DiskFile};
use super::dice::Dice;

const SECTOR: usize = 512;

/// How often an operation fails, in percent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) write: u64,
    pub(super) sync: u64,
    pub(super) truncate: u64,
    /// The most bytes of all files.
    pub(super) capacity: Option<u64>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process ends; what the kernel has stays.
    Kill,
    /// The machine ends.
    PowerLoss,
}

/// One run's view of the disk: it fails for good once the run has crashed.
#[derive(Debug, Clone)]
pub(super) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    run: u64,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    names: BTreeMap<String, usize>,
    /// The names that a loss of power leaves, and what has happened to them since.
    saved_names: BTreeMap<String, usize>,
    unsaved_names: Vec<(String, Option<usize>)>,
    files: Vec<Content>,
    faults: Faults,
    /// So many operations from now, the run crashes.
    crash_in: Option<u64>,
    run: u64,
    boot: u64,
    has_crashed: bool,
}

#[derive(Debug, Default, Clone)]
struct Content {
    /// What reading sees.
    cached: Vec<u8>,
    /// What a loss of power leaves.
    saved: Vec<u8>,
    /// What the next sync will save.
    dirty: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl SimulatedDisk {
    pub(super) fn new(seed: u64) -> Self {
        let state = State {
            dice: Dice::new(seed),
            names: BTreeMap::new(),
            saved_names: BTreeMap::new(),
            unsaved_names: Vec::new(),
            files: Vec::new(),
            faults: Faults::default(),
            crash_in: None,
            run: 0,
            boot: 1,
            has_crashed: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            run: 0,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless this run has crashed.
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        match state.run == self.run && !state.has_crashed {
            true => Ok(state),
            false => Err(crashed()),
        }
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Whether an operation may fail.
    pub(super) fn has_faults(&self) -> bool {
        let faults = self.state().faults;
        faults.write + faults.sync + faults.truncate > 0 || faults.capacity.is_some()
    }

    /// Has the run crash so many operations from now.
    pub(super) fn crash_in(&self, operations: u64) {
        self.state().crash_in = Some(operations);
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.state().has_crashed
    }

    /// Ends this run and begins the next.
    pub(super) fn restart(&self, crash: Crash) -> Self {
        let mut state = self.state();
        state.run += 1;
        state.has_crashed = false;
        state.crash_in = None;
        if crash == Crash::PowerLoss {
            state.lose_power();
        }
        Self {
            state: Arc::clone(&self.state),
            run: state.run,
        }
    }

    /// The sum of all files' sizes.
    pub(super) fn used(&self) -> u64 {
        self.state().used()
    }

    /// Flips a bit of a file that was saved, and says where.
    pub(super) fn flip(&self, only_segments: bool) -> Option<String> {
        let mut state = self.state();
        let names: Vec<_> = state
            .names
            .iter()
            .map(|(name, file)| (name.clone(), *file))
            .collect();
        let names: Vec<_> = names
            .into_iter()
            .filter(|(name, _)| !only_segments || name.ends_with(".seg"))
            .collect();
        let choice = state.dice.below(names.len() as u64) as usize;
        let (name, file) = names.get(choice)?;
        let length = state.files[*file]
            .saved
            .len()
            .min(state.files[*file].cached.len());
        if length == 0 {
            return None;
        }
        let bit = state.dice.below(length as u64 * 8) as usize;
        let content = &mut state.files[*file];
        for bytes in [&mut content.saved, &mut content.cached] {
            *bytes.get_mut(bit / 8)? ^= 1 << (bit % 8);
        }
        Some(format!("{name} byte {}", bit / 8))
    }
}

impl State {
    /// Counts an operation; fails if the run crashes with it.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.crash_in {
            Some(0) => {
                self.has_crashed = true;
                Err(crashed())
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn fails(&mut self, chance: fn(&Faults) -> u64) -> bool {
        let chance = chance(&self.faults);
        self.dice.percent(chance)
    }

    fn used(&self) -> u64 {
        self.names
            .values()
            .map(|file| self.files[*file].cached.len() as u64)
            .sum()
    }

    fn write(&mut self, file: usize, bytes: &[u8], at: usize) -> io::Result<()> {
        let mut outcome = self.step();
        if outcome.is_ok() && self.fails(|faults| faults.write) {
            outcome = Err(device_error());
        }
        let grows = (at + bytes.len()).saturating_sub(self.files[file].cached.len()) as u64;
        let room = self
            .faults
            .capacity
            .map(|capacity| capacity.saturating_sub(self.used()));
        if outcome.is_ok() && room.is_some_and(|room| grows > room) {
            outcome = Err(io::ErrorKind::StorageFull.into());
        }
        // What fails may have been done in part.
        let length = match &outcome {
            Ok(()) => bytes.len(),
            Err(_) => self.dice.below(bytes.len() as u64 + 1) as usize,
        };
        let change = Change::Write(at, bytes[..length].to_vec());
        let content = &mut self.files[file];
        apply(&mut content.cached, &change);
        content.dirty.push(change);
        outcome
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        self.step()?;
        let fails = self.fails(|faults| faults.sync);
        let content = &mut self.files[file];
        let dirty = std::mem::take(&mut content.dirty);
        if fails {
            // Dropped, or saved nevertheless: nobody knows.
            self.save_some(file, dirty);
            return Err(device_error());
        }
        dirty
            .iter()
            .for_each(|change| apply(&mut content.saved, change));
        Ok(())
    }

    /// Saves a random part of some changes.
    fn save_some(&mut self, file: usize, dirty: Vec<Change>) {
        let chance = [0, 50, 90, 100][self.dice.below(4) as usize];
        let mut parts: Vec<Change> = dirty.into_iter().flat_map(sectors).collect();
        if chance < 100 {
            self.dice.shuffle(&mut parts);
        }
        for part in parts {
            if self.dice.percent(chance) {
                apply(&mut self.files[file].saved, &part);
            }
        }
    }

    fn lose_power(&mut self) {
        self.boot += 1;
        for file in 0..self.files.len() {
            let dirty = std::mem::take(&mut self.files[file].dirty);
            self.save_some(file, dirty);
            let content = &mut self.files[file];
            content.cached = content.saved.clone();
        }
        let chance = [0, 50, 100][self.dice.below(3) as usize];
        for (name, file) in std::mem::take(&mut self.unsaved_names) {
            if self.dice.percent(chance) {
                set(&mut self.saved_names, name, file);
            }
        }
        self.names = self.saved_names.clone();
    }
}

fn set(names: &mut BTreeMap<String, usize>, name: String, file: Option<usize>) {
    match file {
        Some(file) => names.insert(name, file),
        None => names.remove(&name),
    };
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, new) => {
            let end = at + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(new);
        }
        Change::Truncate(length) => bytes.truncate(*length),
    }
}

/// A change in the parts that a disk does whole or not at all.
fn sectors(change: Change) -> Vec<Change> {
    let Change::Write(at, bytes) = change else {
        return vec![change];
    };
    let mut parts = Vec::new();
    let (mut at, mut rest) = (at, &bytes[..]);
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
        parts.push(Change::Write(at, part.to_vec()));
        at += part.len();
        rest = behind;
    }
    parts
}

fn crashed() -> io::Error {
    io::Error::other("the run has crashed")
}

fn device_error() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.alive()?;
        state.step()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.files.len();
        state.files.push(Content::default());
        state.names.insert(name.to_owned(), file);
        state.unsaved_names.push((name.to_owned(), Some(file)));
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            file,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.alive()?.names.get(name).copied();
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            file,
        }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        state.step()?;
        state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.unsaved_names.push((name.to_owned(), None));
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        state.step()?;
        if state.fails(|faults| faults.sync) {
            return Err(device_error());
        }
        state.unsaved_names.clear();
        state.saved_names = state.names.clone();
        Ok(())
    }

    fn boot_id(&self) -> Option<BootId> {
        Some(u128::from(self.state().boot).to_le_bytes())
    }

    fn random(&self) -> u32 {
        self.state().dice.next() as u32
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> io::Result<u64> {
        let state = self.disk.alive()?;
        Ok(state.files[self.file].cached.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let state = self.disk.alive()?;
        let bytes = &state.files[self.file].cached;
        let rest = bytes.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.disk.alive()?.write(self.file, bytes, at as usize)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.alive()?.sync(self.file)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        state.step()?;
        if state.fails(|faults| faults.truncate) {
            return Err(device_error());
        }
        let change = Change::Truncate(length as usize);
        let content = &mut state.files[self.file];
        apply(&mut content.cached, &change);
        content.dirty.push(change);
        Ok(())
    }
}

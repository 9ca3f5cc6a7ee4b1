//! The two small files beside the segments: `META`, what the store is, and `SYNCED`, up to where it was surely saved.
//!
//! Both are overwritten in place and need no new space, so they can be written when the disk is full.

use std::io;
use std::sync::Arc;

use super::device::{BootId, Disk, DiskFile};
use super::format::{Location, VERSION, checksum_without, u32_at, u64_at};
use crate::log::Epoch;

const META: &str = "META";
const META_MAGIC: [u8; 8] = *b"TWMETA\xF7\n";
const META_BYTES: usize = 40;

/// Each slot has a sector to itself, which a disk writes whole or not at all.
const SLOT_BYTES: u64 = 512;

const SYNCED: &str = "SYNCED";
const SYNCED_MAGIC: [u8; 4] = *b"TWS\xF7";
const SYNCED_BYTES: usize = 40;

/// What a store is besides its logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    /// What new logs begin with; another one after logs were forgotten.
    pub(super) epoch: Epoch,
    /// A digest of the damage that has been answered by a new epoch, so that it is answered once.
    pub(super) damage: u64,
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundMeta {
    None,
    /// It cannot be read, or perhaps not the newest of it.
    Damaged,
    Version(u32),
    Good(Meta),
}

/// The file, with two slots that are written in turn.
#[derive(Debug)]
pub(super) struct MetaFile {
    file: Arc<dyn DiskFile>,
    counter: u64,
}

impl MetaFile {
    /// Reads what is there without changing anything.
    pub(super) fn look(disk: &dyn Disk) -> io::Result<FoundMeta> {
        match disk.open(META) {
            Ok(file) => Ok(read_slots(&*file)?.1),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FoundMeta::None),
            Err(error) => Err(error),
        }
    }

    /// Opens it, or makes an empty one, and says what it holds.
    pub(super) fn open(disk: &dyn Disk) -> io::Result<(Self, FoundMeta)> {
        let file = open_or_create(disk, META)?;
        let (counter, found) = read_slots(&*file)?;
        Ok((Self { file, counter }, found))
    }

    /// Saves it for good.
    pub(super) fn write(&mut self, meta: Meta) -> io::Result<()> {
        self.counter += 1;
        let mut bytes = [0; META_BYTES];
        bytes[..8].copy_from_slice(&META_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.counter.to_le_bytes());
        bytes[24..28].copy_from_slice(&meta.epoch.number().to_le_bytes());
        bytes[32..40].copy_from_slice(&meta.damage.to_le_bytes());
        let checksum = checksum_without(&bytes, 12..16);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        self.file.write_at(&bytes, self.counter % 2 * SLOT_BYTES)?;
        self.file.sync()
    }
}

/// A slot that holds something.
enum Slot {
    Blank,
    Damaged,
    Version(u32),
    Good(u64, Meta),
}

fn read_slots(file: &dyn DiskFile) -> io::Result<(u64, FoundMeta)> {
    let mut bytes = [0; SLOT_BYTES as usize + META_BYTES];
    file.read_at(&mut bytes, 0)?;
    let slots = [
        decode(&bytes[..META_BYTES]),
        decode(&bytes[SLOT_BYTES as usize..]),
    ];
    let mut newest: Option<(u64, Meta)> = None;
    let mut damaged = false;
    for slot in slots {
        match slot {
            Slot::Blank => (),
            Slot::Damaged => damaged = true,
            Slot::Version(version) => return Ok((0, FoundMeta::Version(version))),
            Slot::Good(counter, meta) => {
                if newest.is_none_or(|(other, _)| counter > other) {
                    newest = Some((counter, meta));
                }
            }
        }
    }
    Ok(match newest {
        // The damaged one may be the newer.
        Some((counter, _)) if damaged => (counter + 1, FoundMeta::Damaged),
        Some((counter, meta)) => (counter, FoundMeta::Good(meta)),
        None if damaged => (0, FoundMeta::Damaged),
        None => (0, FoundMeta::None),
    })
}

fn decode(bytes: &[u8]) -> Slot {
    if bytes.iter().all(|byte| *byte == 0) {
        return Slot::Blank;
    }
    if bytes[..8] != META_MAGIC || checksum_without(bytes, 12..16) != u32_at(bytes, 12) {
        return Slot::Damaged;
    }
    match u32_at(bytes, 8) {
        VERSION => Slot::Good(
            u64_at(bytes, 16),
            Meta {
                epoch: Epoch::new(u32_at(bytes, 24)),
                damage: u64_at(bytes, 32),
            },
        ),
        other => Slot::Version(other),
    }
}

/// A statement that everything before `end` was saved, and by which run of the kernel it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Synced {
    pub(super) end: Location,
    pub(super) boot: Option<BootId>,
}

/// The file with the newest such statement. It is rewritten after each commit without being synced itself: it is always
/// true, and it is the newest one as long as the kernel runs, which is what tells a kill from a loss of power.
#[derive(Debug)]
pub(super) struct SyncedFile {
    file: Arc<dyn DiskFile>,
    boot: Option<BootId>,
}

impl SyncedFile {
    /// Reads what is there without changing anything.
    pub(super) fn look(disk: &dyn Disk) -> io::Result<Option<Synced>> {
        match disk.open(SYNCED) {
            Ok(file) => read_synced(&*file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens it, or makes an empty one.
    pub(super) fn open(disk: &dyn Disk) -> io::Result<Self> {
        Ok(Self {
            file: open_or_create(disk, SYNCED)?,
            boot: disk.boot_id(),
        })
    }

    /// States that everything before `end` is saved.
    pub(super) fn write(&self, end: Location) -> io::Result<()> {
        let mut bytes = [0; SYNCED_BYTES];
        bytes[..4].copy_from_slice(&SYNCED_MAGIC);
        bytes[8..16].copy_from_slice(&end.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&end.at.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.boot.unwrap_or_default());
        let checksum = checksum_without(&bytes, 4..8);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        self.file.write_at(&bytes, 0)
    }

    /// Makes the statement last longer than the kernel.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

fn read_synced(file: &dyn DiskFile) -> io::Result<Option<Synced>> {
    let mut bytes = [0; SYNCED_BYTES];
    let count = file.read_at(&mut bytes, 0)?;
    if count < SYNCED_BYTES
        || bytes[..4] != SYNCED_MAGIC
        || checksum_without(&bytes, 4..8) != u32_at(&bytes, 4)
    {
        return Ok(None);
    }
    let mut boot = [0; 16];
    boot.copy_from_slice(&bytes[24..]);
    Ok(Some(Synced {
        end: Location::new(u64_at(&bytes, 8), u64_at(&bytes, 16)),
        boot: (boot != BootId::default()).then_some(boot),
    }))
}

fn open_or_create(disk: &dyn Disk, name: &str) -> io::Result<Arc<dyn DiskFile>> {
    match disk.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(name),
        opened => opened,
    }
}

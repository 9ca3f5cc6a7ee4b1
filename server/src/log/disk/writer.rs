//! Puts groups at the end of the newest segment, and knows how far they are saved.
//!
//! After an error nothing is tried again in the same file: the kernel may have dropped what it could not write, and say next
//! time that all is well. The next group begins a new segment, whose header says where the old one ends.

use std::io;
use std::sync::Arc;

use super::device::{Disk, DiskFile};
use super::format::{
    GROUP_HEADER, GroupHeader, Location, SEGMENT_HEADER, SegmentHeader, segment_name,
};
use super::meta::SyncedFile;

/// The end of the store.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) synced: SyncedFile,
    /// The segment that is being written; none at the start, and after an error.
    pub(super) file: Option<Arc<dyn DiskFile>>,
    /// The end of what is saved; segment 0 where nothing is.
    pub(super) end: Location,
    pub(super) next_segment: u64,
    pub(super) next_group: u64,
    /// A segment that has this many bytes is full.
    pub(super) segment_bytes: u64,
}

impl Writer {
    /// Where the next group will begin.
    pub(super) fn place(&self) -> Location {
        match self.file {
            Some(_) if self.end.at < self.segment_bytes => self.end,
            _ => Location::new(self.next_segment, SEGMENT_HEADER),
        }
    }

    /// Saves a group of `count` records, which begins with room for its header, at [`place`](Self::place).
    ///
    /// # Errors
    /// What the disk says; then nothing of it counts.
    pub(super) fn write(&mut self, group: &mut [u8], count: u32) -> io::Result<()> {
        let at = self.place();
        let header = GroupHeader {
            bytes: (group.len() as u64 - GROUP_HEADER) as u32,
            count,
            number: self.next_group,
        };
        group[..GROUP_HEADER as usize].copy_from_slice(&header.encode(at));
        let end = Location::new(at.segment, at.at + group.len() as u64);
        let saved = match at == self.end {
            true => self.append(group, at),
            false => self.begin_segment(group, at.segment),
        };
        if saved.is_err() {
            self.give_up(at);
            return saved;
        }
        // The statement has to be there before anybody is told, or it would not be the newest.
        if let Err(error) = self.synced.write(end) {
            // It may be there nevertheless. So what it is about stays, too, until the next header says that it does not count.
            self.file = None;
            return Err(error);
        }
        self.end = end;
        self.next_group += 1;
        Ok(())
    }

    fn append(&self, group: &[u8], at: Location) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.write_at(group, at.at)?;
        file.sync()
    }

    fn begin_segment(&mut self, group: &[u8], number: u64) -> io::Result<()> {
        // Whatever happens, the number is used up.
        self.next_segment = number + 1;
        self.file = None;
        let header = SegmentHeader {
            number,
            previous: self.end,
        };
        let file = self.disk.create(&segment_name(number))?;
        // In one write, so that no whole group is ever seen without the header before it.
        file.write_at(&[&header.encode(), group].concat(), 0)?;
        file.sync()?;
        self.disk.sync_directory()?;
        self.file = Some(file);
        Ok(())
    }

    /// Tidies up behind a failed write. It does not matter whether that works: the next header says what counts.
    fn give_up(&mut self, at: Location) {
        let file = self.file.take();
        let _ = match file {
            Some(file) if at == self.end => file.truncate(self.end.at),
            Some(_) | None => self.disk.remove(&segment_name(at.segment)),
        };
    }

    /// Makes the last statement durable.
    pub(super) fn close(&self) -> io::Result<()> {
        self.synced.sync()
    }
}

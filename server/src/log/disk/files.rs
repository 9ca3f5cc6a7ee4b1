//! Reads records back, each time with its checksum.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use super::device::{Disk, DiskFile};
use super::format::{Location, RECORD_BYTES_MAX, RECORD_HEADER_MAX, body_range, segment_name};
use super::index::Place;
use super::record::{Body, EntryBody};
use super::scan::record_at;

/// The most files that are kept open for reading: connections need descriptors, too.
const FILES_MAX: usize = 16;

/// What a record has besides its content is mostly not more than this.
const BESIDES_CONTENT: usize = 160;

/// Records so near to each other are read at once.
const NEAR_BYTES: u64 = 16 << 10;

/// The most bytes that are read at once, unless one record is longer.
const READ_BYTES_MAX: u64 = 1 << 20;

/// Segments, open to read.
#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    /// The last one used is the last.
    open: RefCell<Vec<(u64, Arc<dyn DiskFile>)>>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            open: RefCell::default(),
        }
    }

    /// Reads the entries at `places` and hands them to `visit` one after another; `None` for one that is damaged.
    ///
    /// # Errors
    /// What the disk says, unless it is that it cannot read just there.
    pub(super) fn read(
        &self,
        places: &[Place],
        mut visit: impl FnMut(Option<EntryBody<'_>>),
    ) -> io::Result<()> {
        let mut rest = places;
        let mut buffer = Vec::new();
        while let Some(&first) = rest.first() {
            let count = neighbours(rest);
            let (near, behind) = rest.split_at(count);
            let last = near[count - 1];
            let start = first.location();
            let length = (last.location().at - start.at) as usize + guess(last);
            self.fill(&mut buffer, start, length)?;
            for &place in near {
                let at = (place.location().at - start.at) as usize;
                match entry_at(&buffer, at, place) {
                    Some(entry) => visit(Some(entry)),
                    None => self.read_one(place, &mut visit)?,
                }
            }
            rest = behind;
        }
        Ok(())
    }

    /// Reads one entry, as long as it says that it is.
    fn read_one(
        &self,
        place: Place,
        visit: &mut impl FnMut(Option<EntryBody<'_>>),
    ) -> io::Result<()> {
        let mut buffer = Vec::new();
        if !place.is_missing() {
            self.fill(&mut buffer, place.location(), guess(place))?;
            if let Some(body) = body_range(&buffer)
                && body.end > buffer.len()
                && body.end <= RECORD_BYTES_MAX + RECORD_HEADER_MAX
            {
                self.fill(&mut buffer, place.location(), body.end)?;
            }
        }
        visit(entry_at(&buffer, 0, place));
        Ok(())
    }

    /// Fills the buffer as far as the file goes; with nothing, where it cannot be read.
    fn fill(&self, buffer: &mut Vec<u8>, from: Location, length: usize) -> io::Result<()> {
        buffer.clear();
        if from.segment == 0 {
            return Ok(());
        }
        let file = match self.file(from.segment) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        buffer.resize(length, 0);
        match file.read_at(buffer, from.at) {
            Ok(count) => buffer.truncate(count),
            Err(error) if error.raw_os_error() == Some(EIO) => buffer.clear(),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn file(&self, segment: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.borrow_mut();
        let opened = match open.iter().position(|(number, _)| *number == segment) {
            Some(index) => open.remove(index),
            None => (segment, self.disk.open(&segment_name(segment))?),
        };
        if open.len() >= FILES_MAX {
            open.remove(0);
        }
        let file = Arc::clone(&opened.1);
        open.push(opened);
        Ok(file)
    }

    /// Lets go of a segment that is to be removed.
    pub(super) fn close(&self, segment: u64) {
        self.open
            .borrow_mut()
            .retain(|(number, _)| *number != segment);
    }
}

/// "Input/output error": a part of the device that cannot be read.
const EIO: i32 = 5;

fn guess(place: Place) -> usize {
    RECORD_HEADER_MAX + BESIDES_CONTENT + place.content_bytes() as usize
}

/// How many of the first places are near enough to each other to be read at once.
fn neighbours(places: &[Place]) -> usize {
    let first = places[0].location();
    let near = |pair: &[Place]| {
        let (one, next) = (pair[0].location(), pair[1].location());
        let end = one.at + guess(pair[0]) as u64;
        next.segment == one.segment
            && next.at > one.at
            && next.at < end + NEAR_BYTES
            && next.at + guess(pair[1]) as u64 - first.at <= READ_BYTES_MAX
    };
    1 + places.windows(2).take_while(|pair| near(pair)).count()
}

/// The intact entry in a buffer.
fn entry_at(buffer: &[u8], at: usize, place: Place) -> Option<EntryBody<'_>> {
    match record_at(buffer.get(at..)?, place.location())?.0 {
        Body::Entry(entry) => Some(entry),
        Body::State(_) | Body::Forget(_) => None,
    }
}

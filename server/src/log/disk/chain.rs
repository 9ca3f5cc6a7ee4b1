//! Which files count, and up to where: each segment's header names the one before it and the end of what was saved there.

use std::io;
use std::sync::Arc;

use super::device::{Disk, DiskFile};
use super::format::{
    BadHeader, Location, SEGMENT_HEADER, SegmentHeader, segment_name, segment_number,
};
use super::report::Damage;
use super::scan;

/// A segment that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) number: u64,
    /// The end of what counts. Of the newest: of the file.
    pub(super) length: u64,
    pub(super) file_bytes: u64,
}

/// The segments of a store.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Oldest first.
    pub(super) links: Vec<Link>,
    /// Files that do not count, with their sizes: commits that failed, or did not get far.
    pub(super) void: Vec<(u64, u64)>,
    /// One of them is newer than all that count, and not blank.
    pub(super) has_junk_behind: bool,
    /// The highest number of any file; 0 if there is none.
    pub(super) highest: u64,
    pub(super) damage: Vec<Damage>,
}

/// A file that was looked into.
struct Candidate {
    number: u64,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    header: Option<SegmentHeader>,
}

/// Why there is no chain.
pub(super) enum ChainError {
    Version(u32),
    Io(io::Error),
}

impl From<io::Error> for ChainError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Finds out from the headers.
pub(super) fn read(disk: &dyn Disk) -> Result<Chain, ChainError> {
    let mut candidates = candidates(disk)?;
    let mut chain = Chain {
        highest: candidates.last().map_or(0, |last| last.number),
        ..Chain::default()
    };
    while let Some(last) = candidates.last()
        && last.header.is_none()
        && !has_group(last)?
    {
        chain.has_junk_behind |= !is_blank(last)?;
        chain.void.push((last.number, last.bytes));
        candidates.pop();
    }
    let mut length = candidates.last().map_or(0, |last| last.bytes);
    while let Some(candidate) = candidates.pop() {
        length = chain.add(&candidate, length, &mut candidates);
    }
    chain.links.reverse();
    chain.void.sort_unstable();
    Ok(chain)
}

impl Chain {
    /// Adds a segment that counts up to `length`, and moves on to the one before it: what is in between leaves the
    /// candidates. Returns up to where that one counts.
    fn add(&mut self, candidate: &Candidate, length: u64, older: &mut Vec<Candidate>) -> u64 {
        let number = candidate.number;
        self.links.push(Link {
            number,
            length: length.min(candidate.bytes),
            file_bytes: candidate.bytes,
        });
        if length > candidate.bytes {
            self.note(number, candidate.bytes, length);
        }
        let Some(header) = candidate.header else {
            self.note(number, 0, SEGMENT_HEADER.min(candidate.bytes));
            return older.last().map_or(0, |older| older.bytes);
        };
        let previous = header.previous;
        while let Some(between) = older.pop_if(|older| older.number > previous.segment) {
            self.void.push((between.number, between.bytes));
        }
        match older.last() {
            Some(older) if older.number < previous.segment => {
                // The oldest are removed first, so what has an older one was not removed by us.
                self.note(previous.segment, 0, 0);
                older.bytes
            }
            Some(_) => previous.at,
            None => 0,
        }
    }

    fn note(&mut self, segment: u64, from: u64, to: u64) {
        self.damage.push(Damage {
            segment,
            bytes: from..to,
        });
    }
}

fn candidates(disk: &dyn Disk) -> Result<Vec<Candidate>, ChainError> {
    let names = disk.list()?;
    let mut numbers: Vec<_> = names
        .iter()
        .filter_map(|name| segment_number(name))
        .collect();
    numbers.sort_unstable();
    numbers
        .into_iter()
        .map(|number| candidate(disk, number))
        .collect()
}

fn candidate(disk: &dyn Disk, number: u64) -> Result<Candidate, ChainError> {
    let file = disk.open(&segment_name(number))?;
    let mut start = [0; SEGMENT_HEADER as usize];
    let count = file.read_at(&mut start, 0)?;
    let header = match SegmentHeader::decode(&start[..count], number) {
        Ok(header) => Some(header),
        Err(BadHeader::Damaged) => None,
        Err(BadHeader::Version(version)) => return Err(ChainError::Version(version)),
    };
    Ok(Candidate {
        number,
        bytes: file.size()?,
        file,
        header,
    })
}

fn content(candidate: &Candidate) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; candidate.bytes as usize];
    let count = candidate.file.read_at(&mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn has_group(candidate: &Candidate) -> io::Result<bool> {
    let bytes = content(candidate)?;
    Ok(scan::find_group(&bytes, candidate.number, 0).is_some())
}

fn is_blank(candidate: &Candidate) -> io::Result<bool> {
    Ok(content(candidate)?.iter().all(|byte| *byte == 0))
}

/// The place behind the last byte that counts.
pub(super) fn end_of(links: &[Link]) -> Location {
    links.last().map_or(Location::default(), |last| {
        Location::new(last.number, last.length)
    })
}

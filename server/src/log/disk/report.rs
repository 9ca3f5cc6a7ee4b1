//! What opening a store says: how it went, or why it did not.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::format::VERSION;

/// What was found when a store was opened. Its `Display` is for a person: one line, and one more for each thing amiss.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments, which are files.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Logs.
    pub logs: usize,
    /// Entries in them.
    pub entries: u64,
    /// Bytes that are not what was written, in parts that surely were saved. They stay where they are; an entry that was
    /// there is reported to readers as damaged.
    pub damage: Vec<Damage>,
    /// The unfinished end that does not count.
    pub cut: Option<Cut>,
    /// Logs that began a new epoch because the newest of their entries may have been lost.
    pub new_epochs: usize,
}

/// A part of a segment that is damaged; an empty range at 0 if the whole segment is missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Damage {
    /// The number of the segment.
    pub segment: u64,
    /// The bytes.
    pub bytes: Range<u64>,
}

/// An end that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The number of the segment.
    pub segment: u64,
    /// From here on.
    pub at: u64,
    /// So many bytes.
    pub bytes: u64,
    /// It is certain that nothing of it was acknowledged: only the process ended, not the machine.
    pub never_acknowledged: bool,
}

impl Recovery {
    /// Whether everything is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.new_epochs == 0
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} entries in {} logs ({} segments, {})",
            self.entries,
            self.logs,
            self.segments,
            Bytes(self.bytes)
        )?;
        if let Some(cut) = &self.cut {
            let certainty = match cut.never_acknowledged {
                true => "it was never acknowledged",
                false => "whether it was acknowledged cannot be known",
            };
            write!(
                f,
                "\nan unfinished commit of {} bytes at the end of segment {} was cut off: {certainty}",
                cut.bytes, cut.segment
            )?;
        }
        if !self.damage.is_empty() {
            let bytes: u64 = self
                .damage
                .iter()
                .map(|damage| damage.bytes.end - damage.bytes.start)
                .sum();
            write!(
                f,
                "\n{} damaged places ({bytes} bytes), first in {}: their entries are lost and reported to readers as gaps",
                self.damage.len(),
                self.damage[0]
            )?;
        }
        if self.new_epochs > 0 {
            write!(
                f,
                "\n{} logs began a new epoch, because the newest of their entries may have been lost",
                self.new_epochs
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.bytes;
        match start == end {
            true => write!(f, "segment {}, which is missing", self.segment),
            false => write!(f, "segment {}, bytes {start} to {end}", self.segment),
        }
    }
}

/// A number of bytes as people say it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..1024 => write!(f, "{bytes} B"),
            bytes @ 1024..1_048_576 => write!(f, "{:.1} KiB", bytes as f64 / 1024.0),
            bytes @ 1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", bytes as f64 / 1_048_576.0),
            bytes => write!(f, "{:.2} GiB", bytes as f64 / 1_073_741_824.0),
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, if it can be known.
        process: Option<u32>,
    },
    /// It was written in another version of the layout.
    Version {
        /// The directory.
        path: PathBuf,
        /// That version.
        found: u32,
    },
    /// There is no store in it.
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// The disk refused something.
    Io {
        /// The directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path, process } => {
                write!(f, "the data directory {} is in use", path.display())?;
                match process {
                    Some(process) => write!(f, " by process {process}: stop it first"),
                    None => f.write_str(" by another process: stop it first"),
                }
            }
            Self::Version { path, found } => write!(
                f,
                "the data directory {} has layout version {found}, but this is for version {VERSION}: use the tidewire that wrote it",
                path.display()
            ),
            Self::NoStore { path } => {
                write!(f, "there are no logs in {}", path.display())
            }
            Self::Io { path, error } => {
                write!(
                    f,
                    "cannot use the data directory {}: {error}",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::InUse { .. } | Self::Version { .. } | Self::NoStore { .. } => None,
        }
    }
}

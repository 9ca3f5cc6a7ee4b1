//! Looking into a data directory, also while a server uses it: nothing is changed, and nothing is locked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::chain::ChainError;
use super::device::{Disk, RealDisk};
use super::files::Files;
use super::keys::KeyHasher;
use super::meta::FoundMeta;
use super::read::Reader;
use super::recovery::{self, Found};
use super::report::{OpenError, Recovery};
use crate::ids::LogName;
use crate::log::{Page, PageMax, Position, Retention, Rule, Rules, Since, StoreError};

/// What a data directory holds.
#[derive(Debug)]
pub struct Inspection {
    found: Found,
    files: Files,
}

/// A log in a few numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub name: LogName,
    /// The position of its newest entry.
    pub head: Position,
    /// The offset of its oldest entry.
    pub oldest: u64,
    /// Entries that can be read.
    pub entries: u64,
    /// Bytes of content.
    pub content_bytes: u64,
    /// When the newest entry came, in milliseconds since 1970.
    pub newest_time: u64,
}

/// Everything that is there counts, whatever the server's settings say.
fn everything() -> Rules {
    Rules::new(Rule {
        retention: Retention {
            entries_max: u64::MAX,
            age_max: Duration::MAX,
            bytes_max: u64::MAX,
        },
        ..Rule::default()
    })
}

impl Inspection {
    /// Reads everything and checks every checksum. `progress` is called with the bytes that were read, and all that there are.
    ///
    /// # Errors
    /// There is no store, it is of another version, or it cannot be read.
    pub fn new(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, OpenError> {
        let disk = RealDisk::look(path);
        let found = recovery::inspect(&disk, &everything(), &KeyHasher::default(), progress);
        let found = found.map_err(|error| match error {
            ChainError::Version(found) => OpenError::Version {
                path: path.to_owned(),
                found,
            },
            ChainError::Io(error) if error.kind() == io::ErrorKind::NotFound => no_store(path),
            ChainError::Io(error) => OpenError::io(path, error),
        })?;
        if found.meta == FoundMeta::None && found.report.segments == 0 {
            return Err(no_store(path));
        }
        let disk: Arc<dyn Disk> = Arc::new(disk);
        Ok(Self {
            found,
            files: Files::new(disk),
        })
    }

    /// What is whole and what is not, as a server would find it now.
    #[must_use]
    pub fn report(&self) -> &Recovery {
        &self.found.report
    }

    /// All logs by name.
    #[must_use]
    pub fn logs(&self) -> Vec<Summary> {
        let summary = |(_, log): (u32, &super::index::Log)| Summary {
            name: log.name.clone(),
            head: log.extent().head(),
            oldest: log.oldest,
            entries: log
                .places
                .iter()
                .filter(|place| !place.is_missing())
                .count() as u64,
            content_bytes: log.content_bytes,
            newest_time: log.places.back().map_or(0, |place| place.time()),
        };
        let mut logs: Vec<_> = self.found.built.logs.iter().map(summary).collect();
        logs.sort_by(|one, other| one.name.cmp(&other.name));
        logs
    }

    /// A page of a log; `None` if there is no such log.
    ///
    /// # Errors
    /// It cannot be read. What is damaged is a gap.
    pub fn read(
        &self,
        log: &LogName,
        since: &Since,
        max: PageMax,
    ) -> Result<Option<Page>, StoreError> {
        let Some(log) = self.found.built.logs.named(log) else {
            return Ok(None);
        };
        let reader = Reader {
            files: &self.files,
            log,
        };
        reader.page(since, max).map(Some)
    }
}

fn no_store(path: &Path) -> OpenError {
    OpenError::NoStore {
        path: PathBuf::from(path),
    }
}

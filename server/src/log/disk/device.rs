//! What a store asks of a disk: some operations on the files of one directory, and nothing that a simulation could not do.
//!
//! [`RealDisk`] is the file system. Its errors go up as they are: what they mean is for the store to say.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::OpenError;

/// What tells one run of the kernel from the next: what was only in its page cache is gone with it.
pub type BootId = [u8; 16];

/// A directory of files.
pub trait Disk: fmt::Debug + Send + Sync {
    /// The names of all files.
    ///
    /// # Errors
    /// What the disk says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new file. Its name is only there for good after [`sync_directory`](Self::sync_directory).
    ///
    /// # Errors
    /// There is one of this name, or what the disk says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file.
    ///
    /// # Errors
    /// There is none of this name, or what the disk says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file. It may come back until [`sync_directory`](Self::sync_directory).
    ///
    /// # Errors
    /// What the disk says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names of files durable.
    ///
    /// # Errors
    /// What the disk says.
    fn sync_directory(&self) -> io::Result<()>;

    /// Which run of the kernel this is, if that can be known.
    fn boot_id(&self) -> Option<BootId>;

    /// A number that nobody can foretell.
    fn random(&self) -> u32;
}

/// A file; several may be reading it while one writes.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// How many bytes it has.
    ///
    /// # Errors
    /// What the disk says.
    fn size(&self) -> io::Result<u64>;

    /// Fills the buffer from `at` on, as far as the file goes, and returns how far.
    ///
    /// # Errors
    /// What the disk says.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of it; durable after [`sync`](Self::sync).
    ///
    /// # Errors
    /// What the disk says; then any part of it may have been written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes what was written durable (`fdatasync`).
    ///
    /// # Errors
    /// What the disk says; then what was written may be lost even if a later call succeeds.
    fn sync(&self) -> io::Result<()>;

    /// Cuts it to this length.
    ///
    /// # Errors
    /// What the disk says.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// The name of the file whose lock says who owns the directory.
const LOCK: &str = "LOCK";

/// A directory of the file system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    /// Holds the lock as long as it is open; `None` for one who only reads.
    _lock: Option<File>,
}

impl RealDisk {
    /// Makes the directory if there is none, and becomes its owner.
    ///
    /// # Errors
    /// It has another owner, or the file system refuses something.
    pub fn own(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::io(path, error);
        if !path.is_dir() {
            fs::create_dir_all(path).map_err(failed)?;
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = File::open(parent.unwrap_or(Path::new("."))).map_err(failed)?;
            parent.sync_all().map_err(failed)?;
        }
        let lock = path.join(LOCK);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&lock).unwrap_or_default();
                return Err(OpenError::InUse {
                    path: path.to_owned(),
                    process: holder.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // For people and for the error above; the lock itself is what counts.
        let process = format!("{}\n", std::process::id());
        file.set_len(0).map_err(failed)?;
        file.write_all_at(process.as_bytes(), 0).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: Some(file),
        })
    }

    /// The same directory to look into, whoever owns it.
    #[must_use]
    pub fn look(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            _lock: None,
        }
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name()));
        let names: io::Result<Vec<_>> = names.collect();
        // A name that is no text is none of ours.
        let ours = names?
            .into_iter()
            .filter_map(|name| name.into_string().ok());
        Ok(ours.collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        Ok(Arc::new(options.open(self.path.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(self._lock.is_some());
        Ok(Arc::new(options.open(self.path.join(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn boot_id(&self) -> Option<BootId> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let digits: String = text.trim().split('-').collect();
        u128::from_str_radix(&digits, 16)
            .ok()
            .map(u128::to_be_bytes)
    }

    fn random(&self) -> u32 {
        rand::random()
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, mut buffer: &mut [u8], mut at: u64) -> io::Result<usize> {
        let wanted = buffer.len();
        while !buffer.is_empty() {
            match std::os::unix::fs::FileExt::read_at(self, buffer, at) {
                Ok(0) => break,
                Ok(count) => {
                    buffer = &mut buffer[count..];
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        Ok(wanted - buffer.len())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let folder = super::super::tests::Folder::new();
        let first = RealDisk::own(folder.path()).unwrap();
        let error = RealDisk::own(folder.path()).unwrap_err().to_string();
        let pid = std::process::id().to_string();
        assert!(error.contains(&pid), "{error}");
        assert!(
            error.contains(&folder.path().display().to_string()),
            "{error}"
        );
        drop(first);
        RealDisk::own(folder.path()).unwrap();
    }
}

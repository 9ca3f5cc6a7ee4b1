//! The directory of files. A file is one line of JSON (its [`Meta`]) and then its bytes, so that both come and go as one;
//! it has its name only once it is whole and on the disk.
//!
//! Nothing is kept open between two calls: a slow client costs no descriptor. The calls block.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{FileError, FileId, Meta};

/// What a file is called while it is not whole.
const PARTIAL: &str = "part";

/// The longest first line: a name of 255 bytes, escaped, and the rest.
const META_BYTES_MAX: usize = 4096;

/// A directory of files.
#[derive(Debug)]
pub struct FileStore {
    directory: PathBuf,
    /// It goes when the store goes; and it is made when it is first needed.
    temporary: bool,
    /// The most that all files may have.
    bytes_max: u64,
    /// What they have, with what is promised to those that are being sent.
    bytes: Arc<AtomicU64>,
}

/// A file that is being sent. Dropping it removes what is there of it.
#[derive(Debug)]
pub struct Partial {
    id: FileId,
    path: PathBuf,
    missing: u64,
    /// What it gives back when it goes; nothing once it is a file.
    promised: u64,
    bytes: Arc<AtomicU64>,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: FileId,
    /// What is known of it.
    pub meta: Meta,
    /// Where its bytes begin.
    start: u64,
}

impl FileStore {
    /// Takes a directory for at most `bytes_max` bytes of files, made if it is not there, and removes what was left half-way
    /// in it. It has one owner at a time.
    ///
    /// # Errors
    /// It cannot be made or written to.
    pub fn open(directory: &Path, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut bytes = 0;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let is_ours = stem.is_some_and(|stem| FileId::parse(stem).is_some());
            if is_ours && path.extension().is_some_and(|end| end == PARTIAL) {
                fs::remove_file(&path)?;
            } else if is_ours {
                // With the line in front, which is close enough.
                bytes += entry.metadata()?.len();
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            temporary: false,
            bytes_max,
            bytes: Arc::new(AtomicU64::new(bytes)),
        })
    }

    /// Uses a directory of its own among the system's temporary ones, for as long as the store lives.
    #[must_use]
    pub fn temporary(bytes_max: u64) -> Self {
        Self {
            directory: std::env::temp_dir().join(format!("tidewire-files-{}", FileId::random())),
            temporary: true,
            bytes_max,
            bytes: Arc::default(),
        }
    }

    /// Begins a file of `meta.size` bytes.
    ///
    /// # Errors
    /// The disk refuses, or all files together would have too many bytes.
    pub fn begin(&self, meta: &Meta) -> Result<Partial, FileError> {
        if self.bytes.load(Relaxed).saturating_add(meta.size) > self.bytes_max {
            return Err(FileError::Full);
        }
        if self.temporary && !self.directory.exists() {
            // Nobody else on this machine is to look into it.
            DirBuilder::new().mode(0o700).create(&self.directory)?;
        }
        let id = FileId::random();
        let path = self.path(id).with_extension(PARTIAL);
        let mut line = serde_json::to_vec(meta).map_err(io::Error::from)?;
        line.push(b'\n');
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let partial = Partial {
            id,
            path,
            missing: meta.size,
            promised: meta.size,
            bytes: Arc::clone(&self.bytes),
        };
        self.bytes.fetch_add(meta.size, Relaxed);
        file.write_all(&line)?;
        Ok(partial)
    }

    /// Makes a whole file of it, for good: bytes and name are on the disk when this returns.
    ///
    /// # Errors
    /// The disk refuses, or bytes are missing.
    pub fn finish(&self, mut partial: Partial) -> Result<FileId, FileError> {
        if partial.missing > 0 {
            return Err(FileError::Failed(format!(
                "{} bytes are missing",
                partial.missing
            )));
        }
        File::open(&partial.path)?.sync_all()?;
        fs::rename(&partial.path, self.path(partial.id))?;
        // What is renamed is not removed: the drop of `partial` finds nothing any more.
        partial.promised = 0;
        File::open(&self.directory)?.sync_all()?;
        Ok(partial.id)
    }

    /// Finds a file.
    ///
    /// # Errors
    /// There is none, or it is not what was written.
    pub fn find(&self, id: FileId) -> Result<Stored, FileError> {
        let damaged = || FileError::Failed(format!("the file {id} is damaged"));
        let file = match File::open(self.path(id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(FileError::NotFound),
            file => file?,
        };
        let mut head = [0; META_BYTES_MAX];
        let read = read_up_to(&file, &mut head)?;
        let line = head[..read].split(|&byte| byte == b'\n').next();
        let line = line.filter(|line| line.len() < read).ok_or_else(damaged)?;
        let meta: Meta = serde_json::from_slice(line).map_err(|_| damaged())?;
        let start = line.len() as u64 + 1;
        if file.metadata()?.len() != start + meta.size {
            return Err(damaged());
        }
        Ok(Stored { id, meta, start })
    }

    /// Reads `len` bytes of a file from `at` on.
    ///
    /// # Errors
    /// The disk refuses, or there are fewer.
    pub fn read(&self, file: &Stored, at: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let mut bytes = vec![0; len];
        File::open(self.path(file.id))?.read_exact_at(&mut bytes, file.start + at)?;
        Ok(bytes)
    }

    fn path(&self, id: FileId) -> PathBuf {
        self.directory.join(id.to_string())
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        if self.temporary {
            // If it was never made, or somebody removed it, so be it.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

impl Partial {
    /// Adds bytes behind those that are there.
    ///
    /// # Errors
    /// The disk refuses, or the file has all its bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let left = self.missing.checked_sub(bytes.len() as u64);
        self.missing = left.ok_or_else(|| FileError::Failed("too many bytes".to_owned()))?;
        OpenOptions::new()
            .append(true)
            .open(&self.path)?
            .write_all(bytes)?;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Where it was finished, there is nothing by this name.
        let _ = fs::remove_file(&self.path);
        self.bytes.fetch_sub(self.promised, Relaxed);
    }
}

fn read_up_to(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: u64 = 1 << 20;

    #[test]
    fn what_ends_early_gives_back_what_it_was_promised_and_a_restart_counts_again() {
        let store = FileStore::temporary(1000);
        store_file(&store, &[0; 400]);
        let partial = store.begin(&meta(600)).unwrap();
        assert!(matches!(store.begin(&meta(1)), Err(FileError::Full)));
        drop(partial);
        store_file(&store, &[0; 500]);
        assert!(matches!(store.begin(&meta(101)), Err(FileError::Full)));
        let again = FileStore::open(&store.directory, 1200).unwrap();
        assert!(matches!(again.begin(&meta(300)), Err(FileError::Full)));
    }

    fn meta(size: u64) -> Meta {
        Meta {
            size,
            content_type: "image/png".to_owned(),
            name: Some("a \"b\"\n.png".to_owned()),
        }
    }

    /// What is in the store's directory.
    fn names(store: &FileStore) -> Vec<String> {
        let entries = fs::read_dir(&store.directory).into_iter().flatten();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }

    fn store_file(store: &FileStore, bytes: &[u8]) -> FileId {
        let mut partial = store.begin(&meta(bytes.len() as u64)).unwrap();
        for chunk in bytes.chunks(1000) {
            partial.append(chunk).unwrap();
        }
        store.finish(partial).unwrap()
    }

    #[test]
    fn a_file_comes_back_as_it_was() {
        let store = FileStore::temporary(BYTES_MAX);
        for size in [0, 1, 4095, 4096, 4097, 70_000] {
            let bytes: Vec<u8> = (0..size).map(|n: u32| n as u8).collect();
            let id = store_file(&store, &bytes);
            let stored = store.find(id).unwrap();
            assert_eq!(stored.meta, meta(u64::from(size)));
            assert_eq!(store.read(&stored, 0, bytes.len()).unwrap(), bytes);
            let half = bytes.len() / 2;
            let rest = store.read(&stored, half as u64, bytes.len() - half);
            assert_eq!(rest.unwrap(), bytes[half..]);
        }
    }

    #[test]
    fn a_file_that_is_not_whole_has_no_name_and_leaves_nothing() {
        let store = FileStore::temporary(BYTES_MAX);
        let mut partial = store.begin(&meta(10)).unwrap();
        partial.append(b"12345").unwrap();
        let id = partial.id;
        assert_eq!(store.find(id), Err(FileError::NotFound));
        assert!(matches!(store.finish(partial), Err(FileError::Failed(_))));
        assert_eq!(names(&store), Vec::<String>::new());
        let mut partial = store.begin(&meta(3)).unwrap();
        assert!(partial.append(b"1234").is_err());
        drop(partial);
        assert_eq!(names(&store), Vec::<String>::new());
    }

    #[test]
    fn what_a_crash_left_half_way_is_removed_at_the_next_start_and_nothing_else() {
        let store = FileStore::temporary(BYTES_MAX);
        let whole = store_file(&store, b"whole");
        std::mem::forget(store.begin(&meta(10)).unwrap());
        fs::write(store.directory.join("notes.part"), "not ours").unwrap();
        let again = FileStore::open(&store.directory, BYTES_MAX).unwrap();
        let mut left = names(&again);
        left.sort();
        assert_eq!(left, {
            let mut expected = [whole.to_string(), "notes.part".to_owned()];
            expected.sort();
            expected
        });
        assert_eq!(again.find(whole).unwrap().meta.size, 5);
    }

    #[test]
    fn a_file_that_was_cut_is_told_from_one_that_is_whole() {
        let store = FileStore::temporary(BYTES_MAX);
        let id = store_file(&store, b"0123456789");
        let file = OpenOptions::new().write(true).open(store.path(id)).unwrap();
        for length in [file.metadata().unwrap().len() - 1, 5, 0] {
            file.set_len(length).unwrap();
            assert!(
                matches!(store.find(id), Err(FileError::Failed(_))),
                "{length}"
            );
        }
    }

    #[test]
    fn a_temporary_directory_is_private_and_goes_with_its_store() {
        use std::os::unix::fs::PermissionsExt as _;
        let store = FileStore::temporary(BYTES_MAX);
        let directory = store.directory.clone();
        assert!(!directory.exists(), "a server without files has none");
        store_file(&store, b"x");
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(store);
        assert!(!directory.exists());
    }
}

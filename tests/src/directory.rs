//! A directory of a test's own, which goes with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, process};

use crate::launch::target_directory;

/// Counts the directories of this process.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// An empty directory under cargo's target directory; dropping it removes it and everything in it.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// A new one.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{count}", process::id());
        let path = target_directory().join("tmp").join(name);
        fs::create_dir_all(&path).expect("a directory for this test");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Every file in it, at any depth.
    #[must_use]
    #[track_caller]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut open = vec![self.0.clone()];
        while let Some(directory) = open.pop() {
            // It may go while we look, as a server's temporary one does.
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    open.push(entry.path());
                } else {
                    files.push(entry.path());
                }
            }
        }
        files
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Left-overs are in `target`, which nobody keeps.
        let _ = fs::remove_dir_all(&self.0);
    }
}

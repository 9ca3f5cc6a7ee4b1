//! Remembers what an installation was made from: a stamp inside the installed folder holds the
//! text of its lock file. Delete the folder or change the lock file, and it is made anew.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const NAME: &str = ".tidewire-stamp";

/// Whether `folder` was installed from exactly `text`.
pub(super) fn fresh(folder: &Path, text: &str) -> bool {
    fs::read_to_string(folder.join(NAME)).is_ok_and(|stamp| stamp == text)
}

/// Notes that `folder` is now installed from `text`. Call this last.
pub(super) fn write(folder: &Path, text: &str) -> Result<()> {
    let path = folder.join(NAME);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The text of a lock file of ours.
pub(super) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

//! A disk that is soon full: a small tmpfs, which only root can mount.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::directory::Directory;

const DISK: &str = "size=8m";

/// What is taken from the disk to be freed later; the rest is for messages.
const BALLAST_BYTES: usize = 5 << 20;

/// A disk of a test's own.
#[derive(Debug)]
pub struct SmallDisk {
    place: Directory,
}

impl SmallDisk {
    /// A new one, with ballast in it.
    ///
    /// # Panics
    ///
    /// Who runs the test may not mount.
    #[must_use]
    #[track_caller]
    pub fn mount() -> Self {
        let place = Directory::new();
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", DISK, "tidewire-test"])
            .arg(place.path());
        let output = command.output().expect("the command `mount`");
        assert!(
            output.status.success(),
            "a small tmpfs is needed, and mounting one needs root (CI is): {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let disk = Self { place };
        fs::write(disk.ballast(), vec![7; BALLAST_BYTES]).expect("room for the ballast");
        disk
    }

    fn ballast(&self) -> PathBuf {
        self.place.path().join("ballast")
    }

    /// Where a server may keep its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// Takes the ballast away.
    ///
    /// # Panics
    ///
    /// It was taken away before.
    #[track_caller]
    pub fn free_space(&self) {
        fs::remove_file(self.ballast()).expect("the ballast is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still has a file open must not keep the mount from going.
        let status = Command::new("umount")
            .arg("--lazy")
            .arg(self.place.path())
            .status();
        let gone = status.is_ok_and(|status| status.success());
        assert!(
            gone || std::thread::panicking(),
            "cannot unmount {}",
            self.place.path().display()
        );
    }
}

//! The memory of the process, measured and held within its budget: a thread that looks, and what workers are told.
//!
//! What is measured is the resident set, since that is what the kernel's out-of-memory killer goes by: what the allocator keeps
//! for later is in it, as are its losses. So before anything is done about too much of it, the allocator gives back what is
//! free; else the memory of clients that have gone would be held against those who come.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, Builder};
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use super::inbox::Sender;
use super::worker::{HOME, Mail};
use crate::clock::Now;
use crate::limit::{Budget, Level, Step};

/// How often it is measured while there is plenty ...
const INTERVAL: Duration = Duration::from_secs(1);

/// ... and from half of the budget on, since a fast network fills hundreds of megabytes in a second.
const INTERVAL_ABOVE_HALF: Duration = Duration::from_millis(100);

/// What of the machine's memory is the budget where nothing is said, in percent: the kernel's part of a connection is not in the
/// resident set, and the page cache needs some.
const DEFAULT_PERCENT: u64 = 80;

/// Where the process stands; all workers look here when a connection comes.
#[derive(Debug, Default)]
pub(super) struct Memory(AtomicU8);

impl Memory {
    /// Begins to watch: against `max` bytes, or what the machine allows; 0 means no limit.
    pub(super) fn watch(max: Option<u64>, workers: Vec<Sender<Mail>>) -> io::Result<Arc<Self>> {
        let memory = Arc::new(Self::default());
        if let Some(max) = max.or_else(default_max).filter(|max| *max > 0) {
            let watch = Watch {
                resident: Resident::open()?,
                memory: Arc::downgrade(&memory),
                workers,
                budget: Budget::new(max),
            };
            Builder::new()
                .name("memory".to_owned())
                .spawn(|| watch.run())?;
        }
        Ok(memory)
    }

    /// What is to be done.
    pub(super) fn level(&self) -> Level {
        self.0.load(Ordering::Relaxed).into()
    }
}

/// The thread.
struct Watch {
    resident: Resident,
    /// Gone with the server.
    memory: Weak<Memory>,
    workers: Vec<Sender<Mail>>,
    budget: Budget,
}

impl Watch {
    fn run(mut self) {
        let mut interval = INTERVAL;
        let start = Now::read().instant;
        loop {
            thread::sleep(interval);
            let Some(memory) = self.memory.upgrade() else {
                return;
            };
            let Some(mut used) = self.resident.bytes() else {
                continue;
            };
            if self.budget.is_tight(used) {
                give_back();
                used = self.resident.bytes().unwrap_or(used);
            }
            let now = Now::read().instant.saturating_duration_since(start);
            let step = self.budget.measure(used, now);
            memory.0.store(step.level as u8, Ordering::Relaxed);
            self.act(step, used);
            let is_much = used > self.budget.max() / 2;
            interval = if is_much {
                INTERVAL_ABOVE_HALF
            } else {
                INTERVAL
            };
        }
    }

    fn act(&self, step: Step, used: u64) {
        if step.has_changed {
            self.tell(step.level, used);
        }
        if step.excess > 0 {
            let share = step.excess.div_ceil(self.workers.len() as u64);
            for worker in &self.workers {
                worker.send([Mail::Shed(share)]);
            }
        }
    }

    fn tell(&self, level: Level, used: u64) {
        let max = self.budget.max();
        match level {
            Level::Enough => {
                tracing::info!(
                    event = "memory_enough",
                    used,
                    max,
                    "There is enough memory again."
                );
            }
            Level::Short => {
                tracing::warn!(
                    event = "memory_short",
                    used,
                    max,
                    "Memory is short: new connections are turned away."
                );
            }
            Level::Critical => {
                tracing::error!(
                    event = "memory_critical",
                    used,
                    max,
                    "Memory has run out: connections that hold the most are closed."
                );
            }
        }
        if let Some(home) = self.workers.get(HOME) {
            home.send([Mail::Memory(level)]);
        }
    }
}

/// The resident set of this process. Its file stays open: a server that is out of descriptors is to be watched, too.
struct Resident(File);

impl Resident {
    fn open() -> io::Result<Self> {
        File::open("/proc/self/statm").map(Self)
    }

    fn bytes(&self) -> Option<u64> {
        // Seven numbers.
        let mut statm = [0; 256];
        let len = self.0.read_at(&mut statm, 0).ok()?;
        let statm = str::from_utf8(statm.get(..len)?).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        // 4 KiB here, up to 64 KiB on other processors.
        let page_bytes = sysconf(SysconfVar::PAGE_SIZE).ok()??;
        Some(pages * u64::try_from(page_bytes).ok()?)
    }
}

/// Lets the allocator give back what it keeps for later. glibc does so by itself only at the end of its heap, where one small
/// piece holds hundreds of megabytes: without this a server that was filled once would turn clients away until it is restarted.
#[cfg(target_env = "gnu")]
#[allow(
    unsafe_code,
    reason = "no crate offers this call of glibc; it takes a number and touches nothing that is in use"
)]
fn give_back() {
    // SAFETY: malloc_trim has no preconditions, and is thread-safe (malloc_trim(3): "MT-Safe").
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators give back by themselves.
#[cfg(not(target_env = "gnu"))]
const fn give_back() {}

/// What the control group or the machine has, less a part.
fn default_max() -> Option<u64> {
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.and_then(|text| group_max(Path::new("/sys/fs/cgroup"), &text));
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| machine_max(&text));
    let max = group.into_iter().chain(machine).min()?;
    Some(max / 100 * DEFAULT_PERCENT)
}

/// The least that a control group (version 2) of this process or one around it allows.
fn group_max(root: &Path, groups: &str) -> Option<u64> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = |group: &Path| {
        let text = fs::read_to_string(group.join("memory.max")).ok()?;
        // "max" is no limit.
        text.trim().parse::<u64>().ok()
    };
    let group: PathBuf = root.join(path);
    let groups = group
        .ancestors()
        .take_while(|group| group.starts_with(root));
    groups.filter_map(limit).min()
}

fn machine_max(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_the_groups_around_holds() {
        let root = std::env::temp_dir().join(format!("tidewire-cgroup-{}", std::process::id()));
        let inner = root.join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        let groups = "1:name=systemd:/x\n0::/a/b\n";
        assert_eq!(group_max(&root, groups), None);
        fs::write(root.join("a/memory.max"), "5000\n").unwrap();
        assert_eq!(group_max(&root, groups), Some(5000));
        fs::write(inner.join("memory.max"), "3000\n").unwrap();
        assert_eq!(group_max(&root, groups), Some(3000));
        assert_eq!(group_max(&root, "1:name=systemd:/x\n"), None);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_machine_says_what_it_has() {
        let text = "MemFree: 1 kB\nMemTotal:       16384 kB\n";
        assert_eq!(machine_max(text), Some(16 << 20));
        assert_eq!(machine_max("MemFree: 1 kB\n"), None);
        let resident = Resident::open().unwrap();
        let before = resident.bytes().unwrap();
        assert!(before > 1 << 20);
        let filled = vec![1_u8; 64 << 20];
        assert!(resident.bytes().unwrap() > before + (48 << 20));
        drop(std::hint::black_box(filled));
        assert!(default_max().unwrap() > 1 << 20);
    }
}

//! What the kernel says that processes have used: run time from `schedstat`, which is exact and counts no time that
//! others took of the processor; memory from `smaps_rollup`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

/// A process and its children.
pub(crate) struct Meter {
    processes: Vec<u32>,
}

impl Meter {
    /// Those that run now.
    pub(crate) fn of(pid: u32) -> Self {
        let mut processes = vec![pid];
        let mut looked = 0;
        while let Some(&process) = processes.get(looked) {
            looked += 1;
            let children =
                tasks(process).filter_map(|task| fs::read_to_string(task + "/children").ok());
            let children: Vec<_> = children.collect();
            let numbers = children.iter().flat_map(|line| line.split_whitespace());
            processes.extend(numbers.filter_map(|number| number.parse::<u32>().ok()));
        }
        Self { processes }
    }

    /// How long all threads have run so far, in user mode and in the kernel.
    pub(crate) fn run_time(&self) -> Duration {
        self.threads().values().sum()
    }

    /// The same, thread by thread.
    pub(crate) fn threads(&self) -> BTreeMap<String, Duration> {
        let tasks = self.processes.iter().flat_map(|process| tasks(*process));
        let times = tasks.filter_map(|task| {
            let line = fs::read_to_string(format!("{task}/schedstat")).ok()?;
            let nanoseconds = line.split_whitespace().next()?.parse().ok()?;
            Some((task, Duration::from_nanos(nanoseconds)))
        });
        times.collect()
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) fn resident(&self) -> Result<u64> {
        let mut kibibytes = 0;
        for process in &self.processes {
            let page = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))
                .context("the server has ended")?;
            let line = page.lines().find_map(|line| line.strip_prefix("Rss:"));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kibibytes += number.context("no such line")?;
        }
        Ok(kibibytes * 1024)
    }
}

/// The folders of a process' threads.
fn tasks(process: u32) -> impl Iterator<Item = String> {
    let folder = fs::read_dir(format!("/proc/{process}/task"));
    let entries = folder.into_iter().flatten().flatten();
    entries.map(|entry| entry.path().to_string_lossy().into_owned())
}

/// How long this process has run.
pub(crate) fn own_run_time() -> Duration {
    since_zero(ClockId::ProcessCPUTime)
}

/// How long all processors have been busy since the machine began, with whatever it was; in steps of a hundredth of a second.
pub(crate) fn machine_run_time() -> Duration {
    let page = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = page.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|ticks| ticks.parse().unwrap_or(0))
        .collect();
    // user, nice, system, then idle and iowait, then irq, softirq and steal.
    let busy = ticks.iter().take(3).chain(ticks.iter().skip(5).take(3));
    Duration::from_millis(busy.sum::<u64>() * 10)
}

/// Nanoseconds of the monotonic clock.
pub(crate) fn now() -> u64 {
    since_zero(ClockId::Monotonic).as_nanos() as u64
}

fn since_zero(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_has_memory() {
        let meter = Meter::of(std::process::id());
        let before = meter.run_time();
        let mut sum = 0_u64;
        // The kernel may write the account of who is running only at its next tick.
        let has_run = (0..1000).any(|_| {
            (0..2_000_000).for_each(|number| sum = std::hint::black_box(sum + number));
            meter.run_time() > before
        });
        assert!(has_run);
        assert!(meter.resident().unwrap() > 100_000);
    }
}

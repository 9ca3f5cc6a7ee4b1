//! `cargo xtask chaos pauses`: the tests of CI on a machine that stands still now and then, as one does that is moved, saved or out of
//! its share. All processes, tests and servers and what they start, stop at once in the midst of whatever they do (the freezer of
//! cgroup v2, which needs root): waits with a timeout are interrupted, and time has passed that nobody has seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::exec;

/// The golden ratio: its multiples without their whole parts are spread evenly, and in no order.
const RATIO: f64 = 0.618_033_988_749_895;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which steps of `cargo xtask test`
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "unit,client,integration,workers,redis,nats,schema,autobahn,differential"
    )]
    only: Vec<String>,
    /// The longest time between two pauses, in seconds
    #[arg(long, value_name = "N", default_value_t = 15.0)]
    every: f64,
    /// The longest pause, in seconds
    #[arg(long, value_name = "N", default_value_t = 1.5)]
    hold: f64,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let group = Group::make()?;
    let mut tests = group.start(&["test", "--only", &args.only.join(",")])?;
    let mut part = 0.0;
    let mut of = |max: f64| {
        part = (part + RATIO) % 1.0;
        Duration::try_from_secs_f64(max * part)
    };
    let mut pauses = 0;
    let status = loop {
        sleep(of(args.every)?);
        if let Some(status) = tests.try_wait()? {
            break status;
        }
        group.pause(of(args.hold)?)?;
        pauses += 1;
    };
    println!(
        "   {pauses} pauses of up to {} s, {} s after each other at most",
        args.hold, args.every
    );
    ensure!(status.success(), "what stood still now and then failed");
    Ok(())
}

/// Processes that can stand still together; goes when it is dropped.
struct Group(PathBuf);

impl Group {
    fn make() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let place = place(&mounts).context("this needs cgroup v2, which is not mounted here")?;
        let path = Path::new(place).join(format!("tidewire-pauses-{}", std::process::id()));
        fs::create_dir(&path)
            .with_context(|| format!("this needs root, to make {}", path.display()))?;
        Ok(Self(path))
    }

    /// This program, with these words, in the group with all that it starts.
    fn start(&self, words: &[&str]) -> Result<Child> {
        let mut command = exec::command("sh");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]);
        command.arg(self.0.join("cgroup.procs"));
        command.arg(std::env::current_exe()?).args(words);
        Ok(command.spawn()?)
    }

    /// Lets all of them stand still for a while. Who interrupts us meanwhile must not leave them so, therefore a shell does it.
    fn pause(&self, time: Duration) -> Result<()> {
        let mut command = exec::command("sh");
        command.args([
            "-c",
            r#"trap "" INT TERM; echo 1 > "$0"; sleep "$1"; echo 0 > "$0""#,
        ]);
        command.arg(self.0.join("cgroup.freeze"));
        command.arg(time.as_secs_f64().to_string());
        exec::output(&mut command).map(drop)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Stays where a process of it does.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Where the groups of version 2 are.
fn place(mounts: &str) -> Option<&str> {
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    mounts.find_map(|mut words| {
        let place = words.nth(1)?;
        (words.next()? == "cgroup2").then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_version_2_are_found_beside_those_of_version_1() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        assert_eq!(place(hybrid), Some("/sys/fs/cgroup/unified"));
        assert_eq!(place("proc /proc proc rw 0 0\n"), None);
    }
}

//! What a campaign of restarts needs: a server that is ended and comes back on its port and directory, `tidewire verify` beside
//! it, and dice.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::{exec, server};

/// More than any run sends: what is gone is lost, not expired.
const HISTORY_ENTRIES: u64 = 1_000_000;

/// Starts `tidewire verify` with these numbers behind flags; what it prints goes to `verify.txt`.
pub(super) fn verify(
    binary: &Path,
    load: &[(&str, u64)],
    server: SocketAddr,
    folder: &Path,
) -> Result<Ended> {
    let mut command = exec::command(binary);
    command.args(["verify", &format!("ws://{server}")]);
    for (flag, value) in load.iter().chain(&[("--history-entries", HISTORY_ENTRIES)]) {
        command.args([*flag, &value.to_string()]);
    }
    let output = File::create(folder.join("verify.txt"))?;
    let errors = output.try_clone()?;
    let child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()?;
    Ok(Ended(child))
}

/// Waits for its end, for so long.
pub(super) fn ended_within(process: &mut Ended, time: Duration) -> Result<Option<ExitStatus>> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if let Some(status) = process.0.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

/// A process that does not outlive this one's interest in it.
#[derive(Debug)]
pub(super) struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with its logs in a folder, in which another one goes on behind it.
#[derive(Debug)]
pub(super) struct Victim {
    child: Ended,
    address: SocketAddr,
}

impl Victim {
    /// Starts it.
    pub(super) fn start(binary: &Path, folder: &Path, listen: &str) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("server.log"))?;
        let mut command = exec::command(binary);
        command.args(["serve", "--listen", listen, "--messages-per-second", "0"]);
        command.args(["--history-entries", &HISTORY_ENTRIES.to_string(), "--data"]);
        command.arg(folder.join("data"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take().expect("stdout was piped a line above");
        let child = Ended(child);
        let line = server::first_line(stdout).with_context(|| {
            let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            let said = log.lines().last().unwrap_or("nothing");
            format!("the server did not start; the last that it said: {said}")
        })?;
        let address = server::address(&line)?.parse()?;
        Ok(Self { child, address })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// SIGKILL: it gets no chance to say or save anything.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.0.kill()?;
        self.child.0.wait()?;
        Ok(())
    }

    /// SIGTERM: it lets its clients go. Returns how long that took.
    ///
    /// # Errors
    /// It does not end within `patience`, or with another exit code than 0.
    pub(super) fn drain(mut self, patience: Duration) -> Result<Duration> {
        let begin = Instant::now();
        server::terminate(self.child.0.id())?;
        match ended_within(&mut self.child, patience)? {
            None => bail!("it did not end within {} s", patience.as_secs()),
            Some(status) if !status.success() => bail!("it ended with {status}"),
            Some(_) => Ok(begin.elapsed()),
        }
    }
}

/// SplitMix64: the same numbers for the same seed, in every version of this program.
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next_below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same_numbers() {
        let rolls = |seed| {
            let mut dice = Dice(seed);
            [900, 200, 900].map(|end| dice.next_below(end))
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
    }
}

//! Processes that run at the same time, each with a log: waited for together, and ended together when one fails or hangs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::docker;
use crate::{exec, paths};

/// Between two looks at the processes.
const PAUSE: Duration = Duration::from_millis(100);

/// A process that runs; dropped, it is ended.
pub(super) struct Job {
    child: Child,
    /// Ending the docker command does not end its container.
    container: Option<String>,
    log: PathBuf,
}

impl Job {
    /// Starts `command` with its output in the file `log`.
    pub(super) fn start(
        mut command: Command,
        container: Option<String>,
        log: PathBuf,
    ) -> Result<Self> {
        println!("   $ {}", exec::line(&command));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("`{}` could not be started", exec::line(&command)))?;
        Ok(Self {
            child,
            container,
            log,
        })
    }

    /// Where its output goes.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it has ended well; another end is an error.
    fn has_ended(&mut self) -> Result<bool> {
        match self.child.try_wait()? {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(status) => bail!("it ended with {status}"),
        }
    }

    /// The last thing it said, for messages.
    fn said(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(str::trim);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.contains("--help"));
        lines.next_back().unwrap_or("no word").to_owned()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(container) = &self.container {
            docker::kill(container);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until all have ended, at most `limit`, calling `tick` with the time waited now and then.
pub(super) fn wait_for_all(
    jobs: &mut [Job],
    limit: Duration,
    mut tick: impl FnMut(Duration),
) -> Result<()> {
    let started = Instant::now();
    loop {
        let mut running = false;
        for job in &mut *jobs {
            let ended = job.has_ended();
            running |= !ended.with_context(|| {
                format!(
                    "a part of the run failed: {} (all of it: {})",
                    job.said(),
                    paths::shown(&job.log)
                )
            })?;
        }
        if !running {
            return Ok(());
        }
        if started.elapsed() > limit {
            bail!("it was still running after {} s", limit.as_secs());
        }
        tick(started.elapsed());
        std::thread::sleep(PAUSE);
    }
}

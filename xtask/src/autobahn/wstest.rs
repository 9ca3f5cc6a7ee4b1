//! Runs wstest, shows how far it is, and ends it when it hangs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{CASES, docker, reports, spec};
use crate::{exec, paths, setup};

/// The cases take 15 to 20 seconds, most of it fixed waits.
const LIMIT: Duration = Duration::from_secs(300);

/// Seconds between two lines of progress.
const PROGRESS_EVERY: u64 = 5;

/// What wstest prints once a case.
const MARK: &str = "Running test case ID";

/// How wstest is started.
#[derive(Debug, Clone, Copy)]
pub(super) enum Engine {
    Docker,
    Python,
}

impl Engine {
    /// Runs the cases (none given: all) against `url`; the report is then in [`reports`].
    pub(super) fn run(self, url: &str, cases: &[String]) -> Result<()> {
        let config = paths::target().join("autobahn").join("config");
        clear(&config)?;
        clear(&reports())?;
        let mut command = self.command(&config)?;
        let (config_seen, reports_seen) = self.folders(&config);
        let instructions = config_seen.join("fuzzingclient.json");
        fs::write(
            config.join("fuzzingclient.json"),
            spec::render(url, &reports_seen, cases)?,
        )?;
        command
            .args(["--mode", "fuzzingclient", "--spec"])
            .arg(instructions);
        println!("   $ {}", exec::line(&command));
        let expected = if cases.is_empty() {
            format!(" of {CASES}")
        } else {
            String::new()
        };
        self.watch(&mut command, &expected)
    }

    fn command(self, config: &Path) -> Result<Command> {
        match self {
            Self::Docker => docker::wstest(config, &reports()),
            Self::Python => {
                let mut command = exec::command(setup::autobahn::wstest());
                // The count of cases is read from its output while it runs.
                command.env("PYTHONUNBUFFERED", "1");
                Ok(command)
            }
        }
    }

    /// The folders of the instructions and the report as wstest sees them.
    fn folders(self, config: &Path) -> (PathBuf, String) {
        match self {
            Self::Docker => (docker::CONFIG.into(), docker::REPORTS.to_owned()),
            Self::Python => (config.to_owned(), reports().display().to_string()),
        }
    }

    fn watch(self, command: &mut Command, expected: &str) -> Result<()> {
        let log = paths::target().join("autobahn").join("wstest.log");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let stdout = file.try_clone()?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .spawn()?;
        let mut next = PROGRESS_EVERY;
        let ended = exec::wait(&mut child, LIMIT, |waited| {
            if waited.as_secs() >= next {
                println!("   {} s: {}{expected} cases", waited.as_secs(), count(&log));
                next += PROGRESS_EVERY;
            }
        });
        if let (Self::Docker, Err(_)) = (self, &ended) {
            docker::kill();
        }
        let failed = || {
            format!(
                "wstest failed: {} (all of it: {})",
                said(&log),
                paths::shown(&log)
            )
        };
        match ended.with_context(failed)?.success() {
            true => Ok(()),
            false => bail!(failed()),
        }
    }
}

/// The last thing it said that is no progress, for messages.
fn said(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines().map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.contains("--help"));
    lines.next_back().unwrap_or("no word").to_owned()
}

/// How many cases have begun.
fn count(log: &Path) -> usize {
    fs::read_to_string(log)
        .unwrap_or_default()
        .matches(MARK)
        .count()
}

/// An empty folder: a report of an earlier run must not be taken for this one's.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

//! Runs the suite: several wstest processes at once, each with a part of the cases and a report of its own, and for the test
//! of our client one client for each.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::job::{self, Job};
use super::{Run, Side, docker, select, spec};
use crate::{exec, paths, setup};

/// What a run may take beyond its cases: starting, and writing the reports.
const LIMIT: Duration = Duration::from_secs(180);

/// How many times as long as expected the cases may take: machines differ.
const SLOWER: u32 = 6;

/// Seconds between two lines of progress.
const PROGRESS_EVERY: u64 = 10;

/// What wstest prints once a case.
const MARK: &str = "Running test case ID";

/// How wstest is started.
#[derive(Debug, Clone, Copy)]
pub(super) enum Engine {
    Docker,
    Python,
}

/// One of the processes of a run.
struct Part<'a> {
    run: &'a Run,
    number: usize,
    cases: Vec<String>,
}

impl Engine {
    /// Runs the cases against the server at `url`; the reports are then where [`Run::reports`] says.
    pub(super) fn test_server(self, run: &Run, url: &str, processes: usize) -> Result<()> {
        let parts = parts(run, processes)?;
        let start = |part: &Part<'_>| self.start(part, url, 0);
        let mut fuzzers = parts.iter().map(start).collect::<Result<Vec<_>>>()?;
        let logs = logs(&fuzzers);
        job::wait_for_all(&mut fuzzers, limit(&parts), progress(run, logs))
    }

    /// Runs the cases with the program `client` as the one that is tested.
    pub(super) fn test_client(self, run: &Run, client: &Path, processes: usize) -> Result<()> {
        let parts = parts(run, processes)?;
        let (mut fuzzers, mut clients) = (Vec::new(), Vec::new());
        for part in &parts {
            let port = free_port()?;
            let inside = match self {
                Self::Docker => docker::PORT,
                Self::Python => port,
            };
            fuzzers.push(self.start(part, &format!("ws://127.0.0.1:{inside}"), port)?);
            let mut command = exec::command(client);
            command
                .arg(format!("127.0.0.1:{port}"))
                .arg(part.cases.len().to_string());
            if run.takeover {
                command.arg("takeover");
            }
            clients.push(Job::start(command, None, part.file("client.log"))?);
        }
        // The fuzzing servers would serve for ever; they are ended when the clients have their reports.
        let logs = logs(&fuzzers);
        job::wait_for_all(&mut clients, limit(&parts), progress(run, logs))
    }

    fn start(self, part: &Part<'_>, url: &str, port: u16) -> Result<Job> {
        let side = part.run.side;
        let (config, reports) = (part.file("config"), part.reports());
        clear(&config)?;
        clear(&reports)?;
        let name = format!("tidewire-autobahn-{}-{}", part.run.name, part.number);
        let (mut command, config_seen, reports_seen) = match self {
            Self::Docker => (
                docker::wstest(&name, side, port, &config, &reports)?,
                PathBuf::from(docker::CONFIG),
                docker::REPORTS.to_owned(),
            ),
            Self::Python => (python(side), config.clone(), reports.display().to_string()),
        };
        let file = format!("{}.json", side.mode());
        fs::write(
            config.join(&file),
            spec::render(side, url, &reports_seen, &part.cases)?,
        )?;
        command
            .args(["--mode", side.mode(), "--webport", "0", "--spec"])
            .arg(config_seen.join(&file));
        let container = matches!(self, Self::Docker).then_some(name);
        Job::start(command, container, part.file("wstest.log"))
    }
}

impl Part<'_> {
    /// Where wstest writes.
    fn reports(&self) -> PathBuf {
        self.run.reports().join(self.number.to_string())
    }

    /// A file or folder of this part's own, out of git's sight.
    fn file(&self, name: &str) -> PathBuf {
        let (run, number) = (&self.run.name, self.number);
        let folder = paths::target().join("autobahn");
        folder.join(format!("{run}-{number}-{name}"))
    }
}

fn parts(run: &Run, processes: usize) -> Result<Vec<Part<'_>>> {
    clear(&run.reports())?;
    let packed = select::pack(&run.cases, processes);
    let part = |(index, cases)| Part {
        run,
        number: index + 1,
        cases,
    };
    Ok(packed.into_iter().enumerate().map(part).collect())
}

fn limit(parts: &[Part<'_>]) -> Duration {
    let cost = |part: &Part<'_>| part.cases.iter().map(|id| select::cost(id)).sum();
    let longest = parts.iter().map(cost).max().unwrap_or_default();
    LIMIT + SLOWER * Duration::from_millis(longest)
}

/// The suite under Python 2.7.
fn python(side: Side) -> Command {
    let wstest = setup::autobahn::wstest();
    let mut command = match side {
        Side::Server => exec::command(wstest),
        Side::Client => {
            let mut python = exec::command(wstest.with_file_name("python"));
            python.arg(super::home().join("wstest_on_loopback.py"));
            python
        }
    };
    // The count of cases is read from its output while it runs.
    command.env("PYTHONUNBUFFERED", "1");
    command
}

/// A port that was free a moment ago: wstest cannot say which one it got.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port of loopback is free")?;
    Ok(listener.local_addr()?.port())
}

fn logs(jobs: &[Job]) -> Vec<PathBuf> {
    jobs.iter().map(|job| job.log().to_owned()).collect()
}

/// Says now and then how many cases have begun.
fn progress(run: &Run, logs: Vec<PathBuf>) -> impl FnMut(Duration) {
    let mut next = PROGRESS_EVERY;
    move |waited| {
        if waited.as_secs() >= next {
            let begun: usize = logs.iter().map(|log| count(log)).sum();
            let all = run.cases.len();
            println!("   {} s: {begun} of {all} cases", waited.as_secs());
            next += PROGRESS_EVERY;
        }
    }
}

/// How many cases have begun.
fn count(log: &Path) -> usize {
    let text = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text).matches(MARK).count()
}

/// An empty folder: a report of an earlier run must not be taken for this one's.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

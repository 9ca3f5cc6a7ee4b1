//! A Tidewire server as a real process: started on a free port, watched through `/proc`, ended by its own pid.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::directory::Directory;
use crate::http;
use crate::launch::Launch;
use crate::wait::wait_until;

/// How much of the server's stderr is kept for the failure report.
const LOG_BYTES_MAX: usize = 1024 * 1024;

/// A running server. Dropping it ends the process; if the test failed, its log is shown.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
    is_tls: bool,
    /// Goes when the process has gone.
    _temporary: Directory,
}

/// What a process uses at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Processor time since it started.
    pub cpu: Duration,
}

/// What `GET /health` counts.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// Turns of the event loop.
    pub turns: u64,
    /// Turns that found nothing to do.
    pub idle_turns: u64,
    /// Open connections.
    pub connections: u64,
    /// Connections closed as slow.
    pub slow: u64,
}

impl Server {
    /// A process that has just been started, and has not said yet where it listens.
    #[track_caller]
    pub(crate) fn new(mut child: Child, is_tls: bool, temporary: Directory) -> Self {
        let log = keep_log(child.stderr.take().expect("stderr is piped"));
        Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
            is_tls,
            _temporary: temporary,
        }
    }

    /// A server with the defaults.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Launch::default().start()
    }

    /// A server with these arguments after `serve`.
    #[must_use]
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> Self {
        Launch::default().arguments(arguments).start()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A `ws://` address on it, or `wss://` if it speaks TLS.
    #[must_use]
    pub fn websocket_url(&self, target: &str) -> String {
        let scheme = if self.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}{target}", self.address)
    }

    /// The origin of its own pages, in a browser that knows it as `localhost`.
    #[must_use]
    pub fn origin(&self) -> &'static str {
        if self.is_tls {
            "https://localhost"
        } else {
            "http://localhost"
        }
    }

    /// Sends it a signal, such as `TERM`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Holds it still, all of its threads, until it gets `CONT`: what comes meanwhile it finds together.
    #[track_caller]
    pub fn hold_still(&self) {
        self.signal("STOP");
        let tasks = PathBuf::from(format!("/proc/{}/task", self.pid()));
        wait_until("all threads stand still", || {
            let tasks = std::fs::read_dir(&tasks).expect("its threads in /proc");
            let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat"));
            let mut stats = tasks.flatten().filter_map(|task| stat(task).ok());
            // Behind the name, which may have anything in it but ends with a bracket.
            stats.all(|stat| {
                stat.rsplit(") ")
                    .next()
                    .is_some_and(|rest| rest.starts_with('T'))
            })
        });
    }

    /// How it ended, if it has.
    #[track_caller]
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of our own child")
    }

    /// Waits until the process has ended and returns how.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server has ended", || {
            status = self.exit_status();
            status.is_some()
        });
        status.expect("the loop above ends with a status")
    }

    /// Ends the process and its connections without any farewell.
    #[track_caller]
    pub fn kill(&mut self) {
        self.child.kill().expect("we may end our own child");
        self.child.wait().expect("the state of our own child");
    }

    /// What the process uses now.
    #[must_use]
    #[track_caller]
    pub fn usage(&self) -> Usage {
        let directory = PathBuf::from(format!("/proc/{}", self.pid()));
        Usage {
            resident_bytes: resident_bytes(&directory),
            descriptors: std::fs::read_dir(directory.join("fd"))
                .expect("the server's descriptors in /proc")
                .count(),
            cpu: cpu(&directory),
        }
    }

    /// How many descriptors each of its readiness loops watches.
    #[must_use]
    #[track_caller]
    pub fn watched(&self) -> Vec<usize> {
        let directory = PathBuf::from(format!("/proc/{}", self.pid()));
        let descriptors = std::fs::read_dir(directory.join("fd")).expect("its descriptors");
        let is_epoll = |path: &PathBuf| {
            let target = std::fs::read_link(path);
            target.is_ok_and(|target| target.ends_with("anon_inode:[eventpoll]"))
        };
        let epolls = descriptors
            .flatten()
            .map(|entry| entry.path())
            .filter(is_epoll);
        let watched = epolls.filter_map(|path| {
            let info = directory.join("fdinfo").join(path.file_name()?);
            let info = std::fs::read_to_string(info).ok()?;
            Some(info.lines().filter(|line| line.starts_with("tfd:")).count())
        });
        watched.collect()
    }

    /// The counters of `/health`.
    #[must_use]
    #[track_caller]
    pub fn health(&self) -> Health {
        let response = http::get(self.address, "/health");
        assert_eq!(response.status, 200, "{response:?}");
        let body = response.json();
        assert_eq!(body["status"], "up", "{body}");
        let count = |name: &str| {
            body[name]
                .as_u64()
                .unwrap_or_else(|| panic!("/health has no count {name}: {body}"))
        };
        Health {
            turns: count("turns"),
            idle_turns: count("idle_turns"),
            connections: count("connections"),
            slow: count("slow"),
        }
    }

    /// One of the counters of `/health`.
    #[must_use]
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        let health = http::get(self.address, "/health").json();
        health[name]
            .as_u64()
            .unwrap_or_else(|| panic!("/health has no count {name}: {health}"))
    }

    /// Waits until it has counted so many: other workers tell theirs at the end of a turn.
    #[track_caller]
    pub fn wait_for_count(&self, name: &str, at_least: u64) {
        wait_until(&format!("{name} is {at_least}"), || {
            self.count(name) >= at_least
        });
    }

    /// Whether it says that it is ready.
    #[must_use]
    #[track_caller]
    pub fn is_ready(&self) -> bool {
        http::get(self.address, "/ready").status == 200
    }

    /// Why it says that it is not ready, or null where it is.
    #[must_use]
    #[track_caller]
    pub fn unready(&self) -> Value {
        http::get(self.address, "/ready").json()["reason"].clone()
    }

    /// Waits until it says that it is ready.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        wait_until("the server is ready", || self.is_ready());
    }

    /// What it has written to stderr so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when the process has ended and been waited for already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if thread::panicking() {
            eprintln!(
                "--- what the server (pid {}) wrote to stderr ---\n{log}---",
                self.child.id()
            );
        } else {
            assert!(!log.contains("panicked at"), "the server panicked:\n{log}");
        }
    }
}

/// Sends a signal to one process by its id.
#[track_caller]
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(
        status.expect("the command `kill`").success(),
        "cannot send {name} to process {pid}"
    );
}

/// Collects what comes from `stderr` in a thread, so that the server never waits for its log to be read.
pub(crate) fn keep_log(stderr: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&log);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = written.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() < LOG_BYTES_MAX {
                log.push_str(&line);
                log.push('\n');
            }
        }
    });
    log
}

/// Sends the first line of `stdout`, and reads on so that the pipe never fills.
pub(crate) fn first_line(stdout: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Only the first line has a reader.
            let _ = sender.send(line);
        }
    });
    receiver
}

#[track_caller]
fn resident_bytes(directory: &Path) -> u64 {
    let status =
        std::fs::read_to_string(directory.join("status")).expect("the server's status in /proc");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS in /proc/PID/status");
    let kibibytes: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("VmRSS in kB");
    kibibytes * 1024
}

#[track_caller]
fn cpu(directory: &Path) -> Duration {
    // Linux counts in USER_HZ, which is 100 a second on every architecture we run on.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(directory.join("stat")).expect("the server's stat in /proc");
    // The command name, in parentheses, may contain anything; utime and stime are fields 14 and 15.
    let (_, after_name) = stat
        .rsplit_once(')')
        .expect("a command name in /proc/PID/stat");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<u32>().expect("a number of ticks");
    TICK * (ticks(14) + ticks(15))
}

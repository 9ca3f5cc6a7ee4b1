//! A Tidewire server as a real process: started on a free port, watched through `/proc`, ended by its own pid.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::directory::Directory;
use crate::http;
use crate::shared_log;
use crate::tls::{self, Identity};
use crate::wait::{PATIENCE, wait_until};

/// How much of the server's stderr is kept for the failure report.
const LOG_BYTES_MAX: usize = 1024 * 1024;

/// Names the workers that servers have whose test does not say: every behaviour holds for any number of them.
pub const WORKERS_VARIABLE: &str = "TIDEWIRE_TEST_WORKERS";

/// If this is set, servers whose test does not say speak TLS, and so do those who connect to them by [`Wire`](crate::wire::Wire).
pub const TLS_VARIABLE: &str = "TIDEWIRE_TEST_TLS";

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    listen: String,
    data: PathBuf,
    is_alone: bool,
    under: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, PathBuf)>,
    descriptors_max: Option<u32>,
    identity: Option<Identity>,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            data: "memory".into(),
            is_alone: false,
            under: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            descriptors_max: None,
            identity: std::env::var_os(TLS_VARIABLE).map(|_| Identity::shared()),
        }
    }
}

impl Launch {
    /// With these arguments after `serve`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// With its logs in a directory, instead of in memory.
    #[must_use]
    pub fn data(mut self, directory: &Path) -> Self {
        directory.clone_into(&mut self.data);
        self
    }

    /// It keeps its logs itself, whatever the environment says.
    #[must_use]
    pub const fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// Started by another program, which becomes the server or lets it be our child: `strace -D …`.
    #[must_use]
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// On the port of a server that has ended.
    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        self.listen = format!("127.0.0.1:{port}");
        self
    }

    /// With a directory of the test's for temporary files.
    #[must_use]
    pub fn temporary_directory(mut self, directory: &Path) -> Self {
        self.environment
            .push(("TMPDIR".to_owned(), directory.to_owned()));
        self
    }

    /// Speaking TLS, as this.
    #[must_use]
    pub fn tls(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// Without TLS, whatever the environment says.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.identity = None;
        self
    }

    /// With a variable of the environment that names a path.
    #[must_use]
    pub fn variable(mut self, name: &str, path: &Path) -> Self {
        self.environment.push((name.to_owned(), path.to_owned()));
        self
    }

    /// Under `prlimit --nofile`.
    #[must_use]
    pub fn descriptors_max(mut self, count: u32) -> Self {
        self.descriptors_max = Some(count);
        self
    }

    /// The command line, for tests of the command line itself.
    #[must_use]
    #[track_caller]
    pub fn command(&self) -> Command {
        let mut words: Vec<OsString> = self.under.iter().map(OsString::from).collect();
        if let Some(count) = self.descriptors_max {
            // prlimit becomes the server by exec, so the pid is the server's.
            words.push("prlimit".into());
            words.push(format!("--nofile={count}:{count}").into());
        }
        words.push(binary().into());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["serve", "--listen", &self.listen, "--data"])
            .arg(&self.data)
            .args(&self.arguments);
        if let Some(identity) = &self.identity {
            command.arg("--tls-cert").arg(identity.certificate());
            command.arg("--tls-key").arg(identity.key());
        }
        let workers = std::env::var_os(WORKERS_VARIABLE);
        if let Some(workers) = workers.filter(|_| !self.says("--workers")) {
            command.arg("--workers").arg(workers);
        }
        if self.shares_log() {
            command.args(shared_log::arguments(&self.data));
        }
        // The caller's settings are not the test's.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIDEWIRE_"))
        {
            command.env_remove(name);
        }
        command
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn scheme(&self) -> &'static str {
        match self.identity {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Whether its log is where the environment says, because its test does not.
    fn shares_log(&self) -> bool {
        shared_log::is_wanted() && !self.is_alone && !self.says("--log")
    }

    fn says(&self, flag: &str) -> bool {
        self.arguments.iter().any(|argument| argument == flag)
    }

    /// Starts the server and waits until it says where it listens.
    #[must_use]
    #[track_caller]
    pub fn start(&self) -> Server {
        // A server that is killed cannot remove its temporary files.
        let temporary = Directory::new();
        let mut command = self.command();
        if self.environment.is_empty() {
            command.env("TMPDIR", temporary.path());
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let log = keep_log(child.stderr.take().expect("stderr is piped"));
        let first_line = first_line(child.stdout.take().expect("stdout is piped"));
        // The server exists from here on, so that it is ended and its log shown if the next lines panic.
        let mut server = Server {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
            is_tls: self.identity.is_some(),
            _temporary: temporary,
        };
        let line = first_line
            .recv_timeout(PATIENCE)
            .expect("the server says on stdout where it listens");
        let address = line
            .trim_end()
            .strip_prefix("tidewire listening on ")
            .and_then(|line| line.strip_prefix(self.scheme()))
            .and_then(|line| line.strip_prefix("://"))
            .and_then(|address| address.parse().ok());
        server.address = address.unwrap_or_else(|| {
            panic!("the first line of stdout does not say where the server listens: {line:?}")
        });
        tls::note(server.address, self.identity.as_ref());
        if self.shares_log() {
            // That it is what `/ready` says; to ask would be a connection more than the test counts.
            wait_until("the server has met Redis", || {
                server.log().contains("canary_green")
            });
        }
        server
    }
}

/// A running server. Dropping it ends the process; if the test failed, its log is shown.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
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

/// The binary under test: `TIDEWIRE_BIN`, or the newest one that cargo has built.
///
/// # Panics
///
/// When there is none.
#[must_use]
#[track_caller]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TIDEWIRE_BIN") {
        return path.into();
    }
    let built =
        ["ci", "release", "debug"].map(|profile| target_directory().join(profile).join("tidewire"));
    let newest = built
        .into_iter()
        .filter_map(|path| Some((modified(&path)?, path)))
        .max();
    newest
        .expect("a server to test: run `cargo build --profile ci`, or set TIDEWIRE_BIN to a binary")
        .1
}

/// Cargo's target directory.
#[must_use]
pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}

pub(crate) fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
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

//! How a server is started: the binary under test, its flags and surroundings, and what the environment adds for tests that do
//! not say.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::directory::Directory;
use crate::server::{Server, first_line};
use crate::shared_log;
use crate::tls::{self, Identity};
use crate::wait::{PATIENCE, wait_until};

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
        let first_line = first_line(child.stdout.take().expect("stdout is piped"));
        // The server exists from here on, so that it is ended and its log shown if the next lines panic.
        let mut server = Server::new(child, self.identity.is_some(), temporary);
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
    newest_built("tidewire")
        .expect("a server to test: run `cargo build --profile ci`, or set TIDEWIRE_BIN to a binary")
}

/// Of all profiles the newest that cargo has built, by its path in the folder of its profile.
pub(crate) fn newest_built(path: impl AsRef<Path>) -> Option<PathBuf> {
    let built = ["ci", "release", "debug"]
        .map(|profile| target_directory().join(profile).join(path.as_ref()));
    let newest = built
        .into_iter()
        .filter_map(|path| Some((modified(&path)?, path)))
        .max();
    newest.map(|(_, path)| path)
}

/// Cargo's target directory.
#[must_use]
pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
}

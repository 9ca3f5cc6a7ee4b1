//! A real NATS as a process of the test's own: Debian's, on a free port, with its streams in a directory of the test's. It can be
//! killed and come back with its data or without them, and held still.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::directory::Directory;
use crate::redis::{empty, free_address};
use crate::script::tool;
use crate::server::{signal, target_directory};
use crate::wait::wait_until;

/// Runs a program until it is told to end; then it is killed, and a directory removed.
const FAREWELL: &str =
    r#"directory=$0; "$@" & trap 'kill -KILL $!; wait; rm -rf "$directory"' TERM; wait"#;

/// A running NATS; dropping it ends its process.
#[derive(Debug)]
pub struct Nats {
    child: Option<Child>,
    address: SocketAddr,
    login: Option<(String, String)>,
    directory: Directory,
    ends_with_its_thread: bool,
}

impl Nats {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    ///
    /// When there is no nats-server, or it does not start.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::start_as(None, false)
    }

    /// One that lets in this user only.
    #[must_use]
    #[track_caller]
    pub fn start_for(user: &str, password: &str) -> Self {
        Self::start_as(Some((user.to_owned(), password.to_owned())), false)
    }

    /// One that is killed when the thread that starts it ends, also with the whole process.
    #[must_use]
    #[track_caller]
    pub fn start_with_thread() -> Self {
        Self::start_as(None, true)
    }

    #[track_caller]
    fn start_as(login: Option<(String, String)>, ends_with_its_thread: bool) -> Self {
        let mut nats = Self {
            child: None,
            address: free_address(),
            login,
            directory: Directory::new(),
            ends_with_its_thread,
        };
        nats.come_back();
        nats
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `--log` takes.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.login {
            Some((user, password)) => format!("nats://{user}:{password}@{}", self.address),
            None => format!("nats://{}", self.address),
        }
    }

    /// SIGKILL: what it has written is there when it comes back, since the machine runs on.
    #[track_caller]
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("we may end our own child");
            child.wait().expect("the state of our own child");
        }
    }

    /// Starts it again with what it has, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn come_back(&mut self) {
        self.kill();
        self.child = Some(self.spawn());
        wait_until("NATS answers", || {
            let child = self.child.as_mut().expect("it was started above");
            let ended = child.try_wait().expect("the state of our own child");
            assert!(
                ended.is_none(),
                "nats-server has ended ({ended:?}):\n{}",
                fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
            );
            TcpStream::connect(self.address).is_ok()
        });
    }

    /// Kills it and forgets its data; it is for the caller to start it again.
    #[track_caller]
    pub fn kill_and_empty(&mut self) {
        self.kill();
        empty(&self.data());
    }

    /// Holds its process still: nobody is told, and nothing is lost.
    #[track_caller]
    pub fn pause(&mut self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on.
    #[track_caller]
    pub fn resume(&mut self) {
        signal(self.pid(), "CONT");
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// When it was killed.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    #[track_caller]
    fn spawn(&self) -> Child {
        fs::create_dir_all(self.data()).expect("the test's own directory can be written");
        // Debian's.
        let unpacked = target_directory().join("debian/usr/sbin/nats-server");
        let program = if unpacked.is_file() {
            unpacked
        } else {
            tool("nats", &["nats-server"], "run `cargo xtask setup`")
        };
        let mut command = if self.ends_with_its_thread {
            // JetStream makes folders as it goes: they are removed when it has ended.
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "TERM", "--", "sh", "-c", FAREWELL]);
            command.arg(self.directory.path()).arg(program);
            command
        } else {
            Command::new(program)
        };
        let port = self.address.port().to_string();
        command.args(["--addr", "127.0.0.1", "--port", &port, "--jetstream"]);
        command.arg("--store_dir").arg(self.data());
        command.arg("--log").arg(self.directory.path().join("log"));
        if let Some((user, password)) = &self.login {
            command.args(["--user", user, "--pass", password]);
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn();
        child.expect("nats-server can be started")
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail when it has ended by itself, which is as well; who is held still can be killed, too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

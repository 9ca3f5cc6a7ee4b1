//! A real NATS as a process of the test's own: Debian's, with its streams in a directory of the test's.

use std::net::TcpStream;
use std::process::Command;

use crate::daemon::{Daemon, Place, Program};
use crate::script::debian_tool;

/// Runs a program until it is told to end; then it is killed, and a directory removed.
const FAREWELL: &str =
    r#"directory=$0; "$@" & trap 'kill -KILL $!; wait; rm -rf "$directory"' TERM; wait"#;

/// A running NATS; dropping it ends its process. Killed, it has what it has written when it comes back, since the machine runs on.
pub type Nats = Daemon<NatsLaunch>;

/// How a NATS is started.
#[derive(Clone, Debug, Default)]
pub struct NatsLaunch {
    login: Option<(String, String)>,
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
        Self::run(NatsLaunch::default())
    }

    /// One that lets in this user only.
    #[must_use]
    #[track_caller]
    pub fn start_for(user: &str, password: &str) -> Self {
        Self::run(NatsLaunch {
            login: Some((user.to_owned(), password.to_owned())),
            ..NatsLaunch::default()
        })
    }

    /// One that is killed when the thread that starts it ends, also with the whole process.
    #[must_use]
    #[track_caller]
    pub fn start_with_thread() -> Self {
        Self::run(NatsLaunch {
            ends_with_its_thread: true,
            ..NatsLaunch::default()
        })
    }

    /// What `--log` takes.
    #[must_use]
    pub fn url(&self) -> String {
        let address = self.address();
        match &self.program.login {
            Some((user, password)) => format!("nats://{user}:{password}@{address}"),
            None => format!("nats://{address}"),
        }
    }
}

impl Program for NatsLaunch {
    const NAME: &'static str = "nats-server";

    fn command(&self, place: &Place) -> Command {
        let program = debian_tool("nats", "usr/sbin/nats-server");
        let mut command = if self.ends_with_its_thread {
            // JetStream makes folders as it goes: they are removed when it has ended.
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "TERM", "--", "sh", "-c", FAREWELL]);
            command.arg(place.directory()).arg(program);
            command
        } else {
            Command::new(program)
        };
        let port = place.address.port().to_string();
        command.args(["--addr", "127.0.0.1", "--port", &port, "--jetstream"]);
        command.arg("--store_dir").arg(place.data());
        command.arg("--log").arg(place.log());
        if let Some((user, password)) = &self.login {
            command.args(["--user", user, "--pass", password]);
        }
        command
    }

    fn answers(&self, place: &Place) -> bool {
        TcpStream::connect(place.address).is_ok()
    }
}

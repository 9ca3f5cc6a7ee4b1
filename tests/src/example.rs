//! An example of the protocol crate as a real process: an echo server, started on a free port and ended by its own pid.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::launch::newest_built;
use crate::server::{first_line, keep_log};
use crate::wait::PATIENCE;

/// A running echo server. Dropping it ends the process, and fails the test if it panicked.
#[derive(Debug)]
pub struct Example {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Example {
    /// Starts the example of this name and waits until it says where it listens.
    #[must_use]
    #[track_caller]
    pub fn start(name: &str) -> Self {
        let mut child = Command::new(binary(name))
            .arg("127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start the example {name}: {error}"));
        let log = keep_log(child.stderr.take().expect("stderr is piped"));
        let lines = first_line(child.stdout.take().expect("stdout is piped"));
        // The process has an owner from here on, so that it is ended if the next lines panic.
        let mut example = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
        };
        let line = lines
            .recv_timeout(PATIENCE)
            .expect("the example says on stdout where it listens");
        let address = line.strip_prefix("listening on ws://");
        example.address = address
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("the example does not say where it listens: {line:?}"));
        example
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A `ws://` address on it.
    #[must_use]
    pub fn websocket_url(&self) -> String {
        format!("ws://{}/", self.address)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Both fail when the process has ended and been waited for already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::thread::panicking() {
            assert!(!log.contains("panicked at"), "the example panicked:\n{log}");
        }
    }
}

/// Runs the example of this name to its end and returns what it wrote to stdout.
///
/// # Panics
///
/// When it fails.
#[must_use]
#[track_caller]
pub fn run(name: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(binary(name))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start the example {name}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(input.as_bytes())
        .expect("the example reads its stdin");
    drop(stdin);
    let mut said = String::new();
    let mut stdout = child.stdout.take().expect("stdout is piped");
    stdout.read_to_string(&mut said).expect("UTF-8 on stdout");
    let status = child.wait().expect("the state of our own child");
    assert!(status.success(), "the example {name} failed ({status})");
    said
}

/// The program: in the folder `TIDEWIRE_EXAMPLES`, or the newest one that cargo has built.
#[track_caller]
fn binary(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("TIDEWIRE_EXAMPLES") {
        return PathBuf::from(folder).join(name);
    }
    newest_built(Path::new("examples").join(name))
        .expect("an example to test: run `cargo build --package tidewire-protocol --examples`")
}

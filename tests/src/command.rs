//! A command of the binary that runs beside the test: its standard input is written to, its output is collected as it comes.

use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::launch::{binary, target_directory};
use crate::server::signal;
use crate::wait::{holds_within, uninterrupted, wait_until};

/// How long a command may take that is run to its end.
const RUN_MAX: Duration = Duration::from_secs(120);

/// A running command. Dropping it ends its process.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    /// Starts `tidewire` with these arguments.
    #[must_use]
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments);
        Self::spawn(&mut command)
    }

    /// Starts `tidewire` with these arguments and environment on a terminal of its own, which the Python of `target/venv` makes.
    #[must_use]
    #[track_caller]
    pub fn on_terminal_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let python = target_directory().join("venv/bin/python");
        assert!(
            python.exists(),
            "the Python environment is missing: run `cargo xtask setup`"
        );
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/terminal.py");
        let mut command = Command::new(python);
        command.arg("-u").arg(script).arg(binary()).args(arguments);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        Self::spawn(command.envs(environment.iter().copied()))
    }

    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        // The caller's settings are not the test's.
        for name in ["TIDEWIRE_USER", "TIDEWIRE_TOKEN", "TIDEWIRE_TOKEN_SECRET"] {
            command.env_remove(name);
        }
        command
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let stdout = collect(child.stdout.take().expect("stdout is piped"));
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        Self {
            child,
            stdin,
            stdout,
            stderr,
        }
    }

    /// Writes to its standard input.
    #[track_caller]
    pub fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("its standard input is open");
        stdin.write_all(text.as_bytes()).expect("it reads on");
        stdin.flush().expect("it reads on");
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// What it has written to standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until this is in its standard output.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        let mut seen = String::new();
        let found = crate::wait::holds(|| {
            seen = self.stdout();
            seen.contains(text)
        });
        assert!(
            found,
            "{text:?} never came; stdout: {seen:?}; stderr: {:?}",
            self.stderr()
        );
    }

    /// Waits until this is in its standard error.
    #[track_caller]
    pub fn expect_error(&self, text: &str) {
        wait_until(&format!("{text:?} is on stderr"), || {
            self.stderr().contains(text)
        });
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Whether it has ended.
    #[track_caller]
    pub fn has_ended(&mut self) -> bool {
        self.status().is_some()
    }

    /// Waits for its end and that of its output.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_until("the command has ended", || self.has_ended());
        self.wait_for_output();
        self.status().expect("it has ended")
    }

    /// Waits for its end and that of its output; `None` if it does not end in this time.
    #[track_caller]
    pub fn ends_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        if !holds_within(patience, || self.has_ended()) {
            return None;
        }
        self.wait_for_output();
        self.status()
    }

    #[track_caller]
    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of our own child")
    }

    /// Its output ends with it; the threads that read it may be a moment behind.
    #[track_caller]
    fn wait_for_output(&self) {
        wait_until("its output has ended", || {
            Arc::strong_count(&self.stdout) == 1 && Arc::strong_count(&self.stderr) == 1
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when the process has ended and been waited for already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `tidewire` to its end with this on its standard input; returns its exit code, stdout and stderr.
#[must_use]
#[track_caller]
pub fn run(arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut running = Running::start(arguments);
    if let Some(mut stdin) = running.stdin.take() {
        // It may end without reading all.
        let _ = stdin.write_all(input);
    }
    let status = running.ends_within(RUN_MAX).expect("it ends");
    (status.code(), running.stdout(), running.stderr())
}

fn collect(mut output: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&collected);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = uninterrupted(|| output.read(&mut buffer)) {
            let mut collected = written.lock().unwrap_or_else(PoisonError::into_inner);
            collected.extend_from_slice(&buffer[..count]);
        }
    });
    collected
}

fn text(collected: &Mutex<Vec<u8>>) -> String {
    let collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&collected).into_owned()
}

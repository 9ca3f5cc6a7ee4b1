//! Foreign clients: Node and Python scripts of `tests/scripts/`, run to their end or talked to line by line.
//!
//! A tool that is missing fails the test with a sentence that says what to install. Nothing is skipped: a test
//! that did not run proves nothing.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::launch::target_directory;

/// How long a script may take from one line of output to the next: each of its own waits ends before, and some lines stand for several.
const LINE_PATIENCE: Duration = Duration::from_secs(300);

/// A running script. It reports by lines on stdout; dropping it ends its process.
#[derive(Debug)]
pub struct Script {
    child: Child,
    lines: mpsc::Receiver<String>,
    transcript: Arc<Mutex<String>>,
}

impl Script {
    /// Starts a script of `tests/scripts/` with Node.
    #[must_use]
    #[track_caller]
    pub fn node(name: &str, arguments: &[&str]) -> Self {
        Self::spawn(&mut Self::node_command(name, arguments))
    }

    /// The same, which takes this certificate for a good one.
    #[must_use]
    #[track_caller]
    pub fn node_trusting(certificate: &Path, name: &str, arguments: &[&str]) -> Self {
        let mut command = Self::node_command(name, arguments);
        Self::spawn(command.env("NODE_EXTRA_CA_CERTS", certificate))
    }

    #[track_caller]
    fn node_command(name: &str, arguments: &[&str]) -> Command {
        for module in [
            "axe-core",
            "ws",
            "playwright-core",
            "mqtt",
            "socket.io-client",
        ] {
            let installed = manifest_directory().join("node_modules").join(module);
            assert!(
                installed.exists(),
                "the Node module {module} is missing: run `npm ci --prefix tests`"
            );
        }
        let node = tool("node", &["node"], "install Node.js 20 or newer");
        let mut command = Command::new(node);
        command.arg(script(name)).args(arguments);
        command
    }

    /// Starts a script of `tests/scripts/` with the Python of `target/venv`.
    #[must_use]
    #[track_caller]
    pub fn python(name: &str, arguments: &[&str]) -> Self {
        Self::spawn(&mut Self::python_command(name, arguments))
    }

    /// The same, which takes this certificate for a good one.
    #[must_use]
    #[track_caller]
    pub fn python_trusting(certificate: &Path, name: &str, arguments: &[&str]) -> Self {
        let mut command = Self::python_command(name, arguments);
        Self::spawn(command.env("SSL_CERT_FILE", certificate))
    }

    #[track_caller]
    fn python_command(name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(python());
        command.arg("-u").arg(script(name)).args(arguments);
        command
    }

    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let transcript = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = mpsc::channel();
        keep(
            child.stderr.take().expect("stderr is piped"),
            Arc::clone(&transcript),
            None,
        );
        keep(
            child.stdout.take().expect("stdout is piped"),
            Arc::clone(&transcript),
            Some(sender),
        );
        Self {
            child,
            lines,
            transcript,
        }
    }

    /// Waits until the script writes exactly this line to stdout, passing over others.
    #[track_caller]
    pub fn expect_line(&mut self, expected: &str) {
        loop {
            match self.lines.recv_timeout(LINE_PATIENCE) {
                Ok(line) if line == expected => return,
                Ok(_) => {}
                Err(reason) => panic!(
                    "the script never said {expected:?} ({reason}):\n{}",
                    self.transcript()
                ),
            }
        }
    }

    /// Waits for the next line that the script writes to stdout.
    #[track_caller]
    pub fn next_line(&mut self) -> String {
        match self.lines.recv_timeout(LINE_PATIENCE) {
            Ok(line) => line,
            Err(reason) => panic!("the script is silent ({reason}):\n{}", self.transcript()),
        }
    }

    /// Waits until the script writes this line to stdout; `false` if it ends without.
    #[track_caller]
    pub fn says_before_its_end(&mut self, awaited: &str) -> bool {
        loop {
            match self.lines.recv_timeout(LINE_PATIENCE) {
                Ok(line) if line == awaited => return true,
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return false,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("the script fell silent:\n{}", self.transcript())
                }
            }
        }
    }

    /// Says a line to the script.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{line}").expect("the script reads its stdin");
    }

    /// Waits until the script ends well.
    ///
    /// # Panics
    ///
    /// With all the script's output when it fails or falls silent.
    #[track_caller]
    pub fn finish(mut self) {
        loop {
            match self.lines.recv_timeout(LINE_PATIENCE) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("the script fell silent:\n{}", self.transcript())
                }
            }
        }
        let status = self.child.wait().expect("the state of our own child");
        assert!(
            status.success(),
            "the script failed ({status}):\n{}",
            self.transcript()
        );
    }

    fn transcript(&self) -> String {
        // The reading threads may be a moment behind the script's end.
        thread::sleep(Duration::from_millis(200));
        self.transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Both fail when the process has ended and been waited for already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the Python of `target/venv` is.
///
/// # Panics
///
/// When it is not there, or its path is not UTF-8.
#[must_use]
#[track_caller]
pub fn python() -> String {
    let python = target_directory().join("venv/bin/python");
    assert!(
        python.exists(),
        "the Python environment is missing: run `python3 -m venv target/venv` \
         and `target/venv/bin/pip install -r tests/requirements.txt`"
    );
    python.to_str().expect("a path in UTF-8").to_owned()
}

/// Where a program is: the file that the environment variable `TIDEWIRE_<NAME>` names, or the first of `names`
/// on the `PATH`.
///
/// # Panics
///
/// With `advice` when it is nowhere.
#[must_use]
#[track_caller]
pub fn tool(name: &str, names: &[&str], advice: &str) -> PathBuf {
    let variable = format!("TIDEWIRE_{}", name.to_uppercase());
    if let Some(path) = std::env::var_os(&variable) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |directory| directory.join(name)));
    let found = candidates.into_iter().find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: {advice}, or set {variable} to its path"))
}

/// Where a program of Debian's is: where `cargo xtask setup` unpacks its package, or as [`tool`] finds it.
///
/// # Panics
///
/// When it is nowhere.
#[must_use]
#[track_caller]
pub fn debian_tool(name: &str, path: &str) -> PathBuf {
    let unpacked = target_directory().join("debian").join(path);
    if unpacked.is_file() {
        return unpacked;
    }
    let program = path.rsplit('/').next().unwrap_or(path);
    tool(name, &[program], "run `cargo xtask setup`")
}

fn manifest_directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script(name: &str) -> impl AsRef<OsStr> {
    manifest_directory().join("scripts").join(name)
}

fn keep(
    output: impl Read + Send + 'static,
    transcript: Arc<Mutex<String>>,
    lines: Option<mpsc::Sender<String>>,
) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut transcript = transcript.lock().unwrap_or_else(PoisonError::into_inner);
            transcript.push_str(&line);
            transcript.push('\n');
            if let Some(lines) = &lines {
                // The test may have stopped listening.
                let _ = lines.send(line);
            }
        }
    });
}

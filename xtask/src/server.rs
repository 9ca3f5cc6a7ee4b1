//! The server under test: builds it with the `ci` profile, starts it on a free port, stops it with
//! SIGTERM and insists on exit code 0. Dropped without a stop, it is killed, so nothing stays behind.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::{exec, paths};

/// Cargo's profile for what is tested: see the root Cargo.toml.
pub(crate) const PROFILE: &str = "ci";

/// How long the server may take to print its address, under valgrind too, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the server as the tests want it and returns the binary's path. Quick when nothing has changed.
pub(crate) fn build() -> Result<PathBuf> {
    exec::run(&mut exec::cargo(&format!(
        "build --package tidewire --bin tidewire --profile {PROFILE}"
    )))?;
    Ok(paths::target().join(PROFILE).join("tidewire"))
}

/// A running server. Call [`Server::stop`] when done with it.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Builds the server, starts it on a free loopback port, unless they say another address, with these further options, and
    /// waits for its address.
    pub(crate) fn start(options: &[&str]) -> Result<Self> {
        let binary = build()?;
        let log = paths::target().join("xtask-server.log");
        let stderr =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = exec::command(binary);
        command.arg("serve");
        if !options.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(["--data", "memory", "--workers", "1"]);
        command.args(options);
        println!("   $ {}", exec::line(&command));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()?;
        let stdout = child.stdout.take().expect("stdout was piped a line above");
        let mut server = Self {
            child,
            address: String::new(),
        };
        server.address = first_line(stdout)
            .and_then(|line| address(&line))
            .with_context(|| {
                format!(
                    "the server did not start; what it said is in {}",
                    paths::shown(&log)
                )
            })?;
        Ok(server)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Asks the server to end and waits for it.
    ///
    /// # Errors
    /// When it had ended before, does not end in time, or exits with anything but 0.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself during the test ({status})");
        }
        terminate(self.child.id())?;
        let status = exec::wait(&mut self.child, PATIENCE, |_| ())
            .context("the server did not stop on SIGTERM")?;
        if !status.success() {
            bail!("the server should exit with 0 on SIGTERM, but: {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a stop the child is reaped, and both calls do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM. The shell's built-in `kill` spares a dependency and unsafe code.
pub(crate) fn terminate(pid: u32) -> Result<()> {
    exec::output(exec::command("sh").args(["-c", &format!("kill -TERM {pid}")])).map(drop)
}

/// The server's first line. Its other output is read and dropped, so that it never blocks on a
/// full pipe.
pub(crate) fn first_line(stdout: ChildStdout) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The receiver is gone after the first line.
            let _ = sender.send(line);
        }
    });
    receiver
        .recv_timeout(PATIENCE)
        .map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                anyhow!("it printed no line within {} s", PATIENCE.as_secs())
            }
            RecvTimeoutError::Disconnected => anyhow!("it ended without printing its address"),
        })
}

/// The address in a server's first line.
pub(crate) fn address(line: &str) -> Result<String> {
    let address = line
        .strip_prefix("tidewire listening on http://")
        .with_context(|| {
            format!("its first line should be `tidewire listening on http://…`, but is `{line}`")
        })?;
    Ok(address.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn the_address_is_read_from_the_first_line() {
        assert_eq!(
            address("tidewire listening on http://127.0.0.1:4711")
                .ok()
                .as_deref(),
            Some("127.0.0.1:4711")
        );
        assert!(address("listening").is_err());
    }
}

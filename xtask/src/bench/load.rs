//! A server built as for release, on a free port, and the load that measures it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{exec, paths, server};

/// Builds the server and the load.
pub(super) fn build() -> Result<()> {
    exec::run(&mut exec::cargo(
        "build --release --package tidewire --bin tidewire --example load",
    ))
}

fn release() -> PathBuf {
    paths::target().join("release")
}

/// An empty directory in the target directory, which is on the disk that is measured.
pub(super) fn directory() -> Result<PathBuf> {
    let directory = paths::target().join("bench-data");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).context("no directory for the logs")?;
    Ok(directory)
}

/// A running server; dropped, it is ended.
pub(super) struct Subject {
    child: Child,
    address: String,
}

impl Subject {
    /// With its logs in `data`, and further options.
    pub(super) fn start(data: &Path, options: &[&str]) -> Result<Self> {
        let mut command = exec::command(release().join("tidewire"));
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--messages-per-second",
            "0",
        ]);
        command.arg("--data").arg(data).args(options);
        println!("   $ {}", exec::line(&command));
        let log = paths::target().join("xtask-bench-server.log");
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take().context("stdout was piped above")?;
        let mut subject = Self {
            child,
            address: String::new(),
        };
        subject.address = server::address(&server::first_line(stdout)?)?;
        Ok(subject)
    }

    /// Loads it and returns the figures.
    pub(super) fn load(&self, what: &str, options: &[&str]) -> Result<Value> {
        let mut command = load();
        command.args([what, &self.address]).args(options);
        figures(&mut command)
    }

    pub(super) fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that makes the load.
pub(super) fn load() -> Command {
    exec::command(release().join("examples/load"))
}

/// Runs the load, with its progress shown, and returns what it says at the end.
pub(super) fn figures(command: &mut Command) -> Result<Value> {
    println!("   $ {}", exec::line(command));
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("`{}` could not be started", exec::line(command)))?;
    ensure!(
        output.status.success(),
        "`{}` failed ({})",
        exec::line(command),
        output.status
    );
    serde_json::from_slice(&output.stdout).context("the load's figures are no JSON")
}

/// A figure by its path, as `/milliseconds/p99`.
pub(super) fn number(figures: &Value, path: &str) -> Result<f64> {
    figures
        .pointer(path)
        .and_then(Value::as_f64)
        .with_context(|| format!("there is no {path} in {figures}"))
}

/// The middle one.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

//! What the benchmarks of servers share: the programs, a free port, a directory, the load to its end.

use std::fs;
use std::io::Read as _;
use std::iter;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::arena::{Arena, Running};
use super::home;
use crate::{exec, paths};

/// What no run takes: connecting and greeting 9,000 included.
const RUN_MAX: Duration = Duration::from_secs(120);

/// Builds the server, and what is named of the benchmarks' workspace.
pub(super) fn build(packages: &[&str]) -> Result<()> {
    exec::run(&mut exec::cargo(
        "build --release --package tidewire --bin tidewire",
    ))?;
    let mut build = exec::cargo("build --release --manifest-path bench/Cargo.toml");
    build.args(["--target-dir", "bench/target"]);
    for package in packages {
        build.args(["--package", package]);
    }
    exec::run(&mut build)
}

/// A program of the benchmarks' workspace.
pub(super) fn built(name: &str) -> PathBuf {
    home().join("target/release").join(name)
}

/// Tidewire's server.
pub(super) fn tidewire() -> PathBuf {
    paths::target().join("release/tidewire")
}

/// A server that listens, and its directory, which goes with it.
pub(super) struct Server {
    running: Running,
    port: u16,
    _data: Data,
}

impl Server {
    /// Tidewire with these further options, of which `DATA` is a directory of its own.
    pub(super) fn tidewire(name: &str, mut command: Command, options: &str) -> Result<Self> {
        let (port, data) = (free_port()?, Data::new(name)?);
        let listen = format!("serve --listen 127.0.0.1:{port} --messages-per-second 0");
        let options = options.replace("DATA", &data.path().to_string_lossy());
        command.args(listen.split_whitespace());
        command.args(options.split_whitespace());
        Ok(Self {
            running: Running::start_logged(command, &tidewire(), name)?,
            port,
            _data: data,
        })
    }

    /// The limit: see `bench/limit`.
    pub(super) fn limit(arena: &Arena, words: &str) -> Result<Self> {
        let (port, data) = (free_port()?, Data::new("limit")?);
        let mut command = arena.server(&built("limit"));
        command.args(words.split_whitespace()).arg(port.to_string());
        Ok(Self {
            running: Running::start_logged(command, &built("limit"), "limit")?,
            port,
            _data: data,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// A load on it in this mode, with these options.
    pub(super) fn load(&self, mut load: Command, words: &str) -> Command {
        let (mode, options) = words.split_once(' ').unwrap_or((words, ""));
        load.args([mode, &format!("127.0.0.1:{}", self.port)]);
        load.args(["--pid", &self.pid().to_string()]);
        load.args(options.split_whitespace());
        load
    }
}

/// Runs a load to its end.
pub(super) fn figures(load: &mut Command) -> Result<Value> {
    let mut child = load
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdout = child.stdout.take().context("it was piped")?;
    wait_briefly(&mut child)?;
    let mut said = String::new();
    stdout.read_to_string(&mut said)?;
    let figures: Value = serde_json::from_str(&said).context("the load said nothing")?;
    match figures["error"].as_str() {
        Some(error) => bail!("{error}"),
        None => Ok(figures),
    }
}

/// Like [`crate::exec::wait`], for runs of a second: it looks more often.
fn wait_briefly(child: &mut std::process::Child) -> Result<()> {
    let until = Instant::now() + RUN_MAX;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            bail!("it took longer than {} s", RUN_MAX.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Ports that the kernel gives to no client by itself: a client's stays taken for a minute behind its connection, and not every
/// server starts on one of those.
const PORTS: Range<u16> = 12_000..32_000;

/// Another port each time, and nobody has it just now, here; in a namespace of its own nobody ever has.
pub(super) fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(PORTS.start);
    let next = || NEXT.fetch_add(1, Ordering::Relaxed);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    iter::repeat_with(next)
        .take_while(|port| PORTS.contains(port))
        .find(is_free)
        .context("no port of loopback is free")
}

/// A directory for a server, on the disk that the target directory is on; removed when dropped.
pub(super) struct Data(PathBuf);

impl Data {
    /// Servers that run at the same time have different names.
    pub(super) fn new(name: &str) -> Result<Self> {
        let folder = paths::target().join(format!("bench-data-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).context("no directory for the logs")?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

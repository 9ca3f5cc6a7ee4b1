//! `cargo xtask bench redis`: what keeping logs in Redis costs, beside a plain `XADD` and `PUBLISH` of the same entries in the
//! same run; and what two nodes on one Redis deliver, beside one.

mod appends;
mod nodes;

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::stage::{Data, free_port};
use crate::setup::unpacked;
use crate::{exec, paths};

/// How long redis-server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How often everything is run; the tables have the medians
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Messages of each measurement of appends
    #[arg(long, default_value_t = 60_000)]
    messages: usize,
    /// Seconds of each measurement of nodes; 0: none
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Take the programs as they were built last
    #[arg(long)]
    built: bool,
}

/// The command; returns the page but for its head.
pub(super) fn run(args: &Args) -> Result<String> {
    ensure!(args.rounds > 0, "at least one round is needed");
    unpacked::unpack(&unpacked::REDIS)?;
    if !args.built {
        exec::run(&mut exec::cargo(
            "build --release --package tidewire --bin tidewire --example redis_appends",
        ))?;
    }
    let appends = appends::run(args.rounds, args.messages)?;
    if args.seconds == 0 {
        return Ok(appends);
    }
    let nodes = nodes::run(args.rounds, args.seconds)?;
    Ok(format!("{appends}\n{nodes}"))
}

fn release(name: &str) -> PathBuf {
    paths::target().join("release").join(name)
}

/// A redis-server; dropped, it is ended.
struct Redis {
    child: Child,
    port: u16,
    _data: Data,
}

/// How a redis-server writes what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saves {
    Nothing,
    EverySecond,
}

impl Saves {
    const ALL: [Self; 2] = [Self::Nothing, Self::EverySecond];

    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "`appendonly no`",
            Self::EverySecond => "`appendfsync everysec`",
        }
    }
}

impl Redis {
    /// On the first processor alone, if `is_bound`.
    fn start(saves: Saves, is_bound: bool) -> Result<Self> {
        let (port, data) = (free_port()?, Data::new("redis")?);
        let appendonly = match saves {
            Saves::Nothing => "no",
            Saves::EverySecond => "yes",
        };
        let mut command = exec::command("taskset");
        let processors = if is_bound { "0" } else { "0,1" };
        command.args(["--cpu-list", processors]);
        command
            .arg(unpacked::file(unpacked::REDIS[1]))
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", appendonly])
            .args(["--appendfsync", "everysec", "--dir"])
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = command.spawn().context("redis-server does not start")?;
        let redis = Self {
            child,
            port,
            _data: data,
        };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < until, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor seconds of all threads of a process.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let said = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = said.split_whitespace().next().unwrap_or_default();
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// A program of Redis' own.
fn redis_tool(name: &str) -> Result<Command> {
    let unpacked = unpacked::file(("redis-tools", "usr/bin")).join(name);
    if unpacked.exists() {
        return Ok(exec::command(unpacked));
    }
    ensure!(exec::on_path(name), "`{name}` is needed");
    Ok(exec::command(name))
}

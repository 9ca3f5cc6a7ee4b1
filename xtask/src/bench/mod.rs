//! `cargo xtask bench`: what is claimed about speed, measured beside something else in the same run. Each of its commands
//! writes a page in `bench/results/`.
//!
//! `servers` is the server beside others and the physical limit; `growth`, `many` and `workers` are the server alone, with
//! more and more of something, with very many connections, and with two threads; `transports` is one room over each of its
//! transports, beside Mosquitto and socket.io; `codec` is Tidewire's codec beside those of
//! its peers on the same bytes, also for the protocol crate's README; `publish` is the log on the disk beside the one in
//! memory; `redis` is the log in Redis beside plain commands of Redis; `slow` is a room with slow readers beside the same room without
//! them. `instructions` compares the server with itself.

mod arena;
mod codec;
mod crowd;
mod growth;
pub(crate) mod instructions;
mod load;
mod many;
mod publish;
mod redis;
mod servers;
mod slow;
mod stage;
mod table;
mod transports;
mod workers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use self::codec::Row;
use crate::{callgrind, exec, paths};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The server, other servers and the physical limit: processor time for each message
    Servers(servers::Args),
    /// The server with more and more rooms, connections and history: what a message costs then
    Growth(growth::Args),
    /// 100,000 connections on several servers, and 10,000 that arrive in a second
    Many(many::Args),
    /// Two workers beside one
    Workers(workers::Args),
    /// A delivery on each transport, beside Mosquitto and socket.io
    Transports(transports::Args),
    /// Tidewire, tungstenite, fastwebsockets and soketto in memory
    Codec(CodecArgs),
    /// The server's instructions for a message beside those that were accepted: more than 3 % above fails
    Instructions(instructions::Args),
    /// Where a message's instructions and system calls go
    Budget,
    /// Publishing with logs on the disk and in memory
    Publish(publish::Args),
    /// Publishing with logs in Redis beside plain commands, and two nodes beside one
    Redis(redis::Args),
    /// A room with and without readers that hardly read
    Slow,
}

#[derive(Debug, clap::Args)]
struct CodecArgs {
    /// Only rows whose name begins so, as `in- out-16k`; then nothing is written
    rows: Vec<String>,
    /// How often everything is run; the table has the medians
    #[arg(long, default_value_t = 5)]
    passes: usize,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Servers(args) => servers::run(args),
        What::Growth(args) => growth::run(args),
        What::Many(args) => many::run(args),
        What::Workers(args) => workers::run(args),
        What::Transports(args) => transports::run(args),
        What::Instructions(args) => instructions::run(args),
        What::Codec(args) => run_codec(args),
        What::Budget => {
            let body = instructions::budget::run()?;
            write_page("budget.md", "What a message costs, by its parts", &body)
        }
        What::Publish(args) => {
            let body = publish::run(args)?;
            write_page("publish.md", "What keeping a message costs", &body)
        }
        What::Redis(args) => {
            let body = redis::run(args)?;
            write_page("redis.md", "What keeping logs in Redis costs", &body)
        }
        What::Slow => write_page("slow.md", "Slow readers", &slow::run()?),
    }
}

fn run_codec(args: &CodecArgs) -> Result<()> {
    ensure!(args.passes > 0, "at least one pass is needed");
    callgrind::ensure()?;
    exec::run(&mut exec::cargo(
        "build --release --manifest-path bench/Cargo.toml --target-dir bench/target --package tidewire-bench",
    ))?;
    let mut rows = codec::measure(args.passes, &args.rows, binary)?;
    codec::count_instructions(&mut rows, binary)?;
    let table = table::of(&rows);
    println!("\n{table}\n{}", table::verdict(&rows));
    match args.rows.is_empty() {
        true => write(&rows, &table),
        false => Ok(()),
    }
}

fn binary() -> Command {
    exec::command(home().join("target/release/tidewire-bench"))
}

fn home() -> PathBuf {
    paths::root().join("bench")
}

fn write(rows: &[Row], table: &str) -> Result<()> {
    let results = home().join("results");
    fs::create_dir_all(&results).with_context(|| format!("cannot make {}", results.display()))?;
    let place = format!("{}\n\n{table}\n{}\n", provenance()?, table::verdict(rows));
    let page = format!(
        "# Codecs side by side\n\n{}\n\n{place}",
        table::INTRODUCTION
    );
    save(&results.join("codec.md"), &page)?;
    let readme = paths::root().join("protocol/README.md");
    let text = fs::read_to_string(&readme)?;
    save(&readme, &table::replaced(&text, &place)?)
}

/// Shows a page and puts it among the results.
fn write_page(name: &str, title: &str, body: &str) -> Result<()> {
    let page = format!("# {title}\n\n{body}\n{}\n", provenance()?);
    println!("\n{page}");
    let results = home().join("results");
    fs::create_dir_all(&results).with_context(|| format!("cannot make {}", results.display()))?;
    save(&results.join(name), &page)
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("   written: {}", paths::shown(path));
    Ok(())
}

/// When, of what and where.
fn provenance() -> Result<String> {
    let said = |program: &str, args: &[&str]| -> Result<String> {
        Ok(exec::output(exec::command(program).args(args))?
            .trim()
            .to_owned())
    };
    let date = said("date", &["--utc", "+%Y-%m-%d"])?;
    let commit = said("git", &["rev-parse", "--short=10", "HEAD"])?;
    let (compiler, processor) = (compiler()?, processor());
    Ok(format!(
        "Measured on {date} at commit {commit} with {compiler} for the default x86-64 target, on: {processor}."
    ))
}

fn compiler() -> Result<String> {
    let said = exec::output(exec::command("rustc").arg("--version"))?;
    Ok(said.trim().to_owned())
}

fn processor() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_owned()
}

//! `cargo xtask bench codec`: Tidewire's codec beside those of its peers, on the same bytes in the same run, as a table in
//! `bench/results/codec.md` and in the protocol crate's README.

mod codec;
mod table;

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
    /// Tidewire, tungstenite, fastwebsockets and soketto in memory
    Codec(CodecArgs),
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
        What::Codec(args) => run_codec(args),
    }
}

fn run_codec(args: &CodecArgs) -> Result<()> {
    ensure!(args.passes > 0, "at least one pass is needed");
    callgrind::ensure()?;
    exec::run(&mut exec::cargo(
        "build --release --manifest-path bench/Cargo.toml --target-dir bench/target",
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
    let compiler = said("rustc", &["--version"])?;
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name)
        .to_owned();
    Ok(format!(
        "Measured on {date} at commit {commit} with {compiler} for the default x86-64 target, on: {processor}."
    ))
}

//! `cargo xtask fuzz --coverage`: replays what the fuzz targets know, seeds and corpus, in a build that counts, and tells
//! which lines of the protocol crate that reaches. No fuzzing happens here, and no sanitizer watches.
//!
//! Counted is every line of `protocol/src` that the compiler made code of, the texts of errors included. Not counted are
//! the tests, which are not compiled here, and the properties of the targets themselves (`protocol/src/fuzzing`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{home, nightly, seeds};
use crate::{exec, paths};

/// What is to be reached, in percent of the lines.
const WANTED: f64 = 95.0;

/// How files of counts are called.
const COUNTS: &str = "profraw";

/// Replays all `targets` and prints a table.
///
/// # Errors
/// An input fails, the compiler's LLVM tools cannot be had, or less than [`WANTED`] percent of the lines are reached.
pub(super) fn run(targets: &[String]) -> Result<()> {
    let tools = Tools::find()?;
    build()?;
    let folder = paths::target().join("fuzz-coverage");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for target in targets {
        replay(target, &folder)?;
    }
    let report = tools.report(targets, &folder)?;
    Coverage::read(&report).judge()
}

fn build() -> Result<()> {
    let mut build = nightly("cargo");
    build
        .env("RUSTFLAGS", "-Cinstrument-coverage --cfg fuzzing")
        .args(["build", "--quiet", "--release", "--bins"])
        .args(["--manifest-path", "fuzz/Cargo.toml"])
        .args(["--target-dir", "fuzz/target/coverage"]);
    exec::run(&mut build).context("the fuzz targets do not build")
}

fn binary(target: &str) -> PathBuf {
    home().join("target/coverage/release").join(target)
}

/// Runs the target on each of its inputs.
fn replay(target: &str, folder: &Path) -> Result<()> {
    let mut inputs = files(&seeds::expand(target)?)?;
    let of_seeds = inputs.len();
    inputs.extend(files(&home().join("corpus").join(target))?);
    println!(
        "   {target}: {of_seeds} seeds, {} inputs of the corpus",
        inputs.len() - of_seeds
    );
    // A command line has room for some thousands of paths.
    let parts = inputs.chunks(1_000).enumerate();
    let mut parts = parts.map(|(part, inputs)| (format!("{target}-{part}"), inputs));
    parts.try_for_each(|(name, inputs)| replay_part(target, inputs, &folder.join(name)))
}

/// The counts are written when it ends, what it says goes to a log beside them.
fn replay_part(target: &str, inputs: &[PathBuf], to: &Path) -> Result<()> {
    let log = to.with_extension("log");
    let mut command = exec::command(binary(target));
    command
        .env("LLVM_PROFILE_FILE", to.with_extension(COUNTS))
        .args(inputs)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log)?);
    let status = command
        .status()
        .with_context(|| format!("{target} could not be started"))?;
    if !status.success() {
        let log = paths::shown(&log);
        bail!("{target} ended with {status}; {log} names the input last");
    }
    Ok(())
}

/// The files of a folder; none if it is not there.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|error: std::io::Error| error)?;
    paths.sort();
    Ok(paths)
}

/// LLVM's tools as they belong to the compiler: another version may not read what it writes.
struct Tools(PathBuf);

impl Tools {
    fn find() -> Result<Self> {
        let libraries = exec::output(nightly("rustc").args(["--print", "target-libdir"]))?;
        let folder = Path::new(libraries.trim()).with_file_name("bin");
        if !folder.join("llvm-cov").exists() {
            let component = ["component", "add", "llvm-tools", "--toolchain", "nightly"];
            exec::run(exec::command("rustup").args(component))
                .context("coverage needs the LLVM tools of the nightly compiler")?;
        }
        Ok(Self(folder))
    }

    fn tool(&self, name: &str) -> Command {
        exec::command(self.0.join(name))
    }

    /// The counts of all targets together, in the format of lcov.
    fn report(&self, targets: &[String], folder: &Path) -> Result<String> {
        let merged = folder.join("all.profdata");
        let mut merge = self.tool("llvm-profdata");
        merge.args(["merge", "-sparse", "-o"]).arg(&merged);
        let counts = files(folder)?.into_iter();
        let counts = counts.filter(|path| path.extension().is_some_and(|is| is == COUNTS));
        exec::output(merge.args(counts))?;
        let mut export = self.tool("llvm-cov");
        export.args(["export", "--format=lcov", "--instr-profile"]);
        export.arg(&merged);
        for target in targets {
            export.arg("--object").arg(binary(target));
        }
        let report = exec::output(&mut export)?;
        let path = folder.join("lcov.info");
        fs::write(&path, &report)?;
        println!("   all lines and counts: {}", paths::shown(&path));
        Ok(report)
    }
}

/// The lines of each file: reached or not.
#[derive(Debug, Default, PartialEq)]
struct Coverage(BTreeMap<String, BTreeMap<u32, bool>>);

impl Coverage {
    /// Takes the files of the protocol crate from a report in lcov's format.
    fn read(report: &str) -> Self {
        let (mut all, mut file) = (Self::default(), None);
        for line in report.lines() {
            if let Some(path) = line.strip_prefix("SF:") {
                file = counted(path);
            } else if let (Some(file), Some((line, count))) = (&file, count(line)) {
                let lines = all.0.entry(file.clone()).or_default();
                *lines.entry(line).or_default() |= count > 0;
            }
        }
        all
    }

    fn judge(&self) -> Result<()> {
        println!("   {:24} {:>6} {:>6}  not reached", "file", "lines", "%");
        for (file, lines) in &self.0 {
            let reached = lines.values().filter(|reached| **reached).count();
            println!(
                "   {file:24} {:>6} {:>6.1}  {}",
                lines.len(),
                percent(reached, lines.len()),
                ranges(lines)
            );
        }
        let all = || self.0.values().flat_map(BTreeMap::values);
        let (lines, reached) = (all().count(), all().filter(|reached| **reached).count());
        let percent = percent(reached, lines);
        println!("   {:24} {lines:>6} {percent:>6.1}", "all");
        if percent < WANTED {
            bail!("fuzzing reaches {percent:.1} % of the lines; {WANTED} % are wanted");
        }
        Ok(())
    }
}

/// The name of a file that counts.
fn counted(path: &str) -> Option<String> {
    let sources = paths::root().join("protocol/src");
    let file = Path::new(path).strip_prefix(sources).ok()?;
    (!file.starts_with("fuzzing")).then(|| file.display().to_string())
}

/// `DA:line,count`.
fn count(line: &str) -> Option<(u32, u64)> {
    let (line, count) = line.strip_prefix("DA:")?.split_once(',')?;
    Some((line.parse().ok()?, count.parse().ok()?))
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Lines that were not reached, as `3-5 9`; those between two of them that hold no code are not told apart.
fn ranges(lines: &BTreeMap<u32, bool>) -> String {
    let all: Vec<_> = lines.iter().collect();
    let missed = all.chunk_by(|(_, a), (_, b)| a == b);
    let missed = missed.filter_map(|run| match run {
        [(first, false), .., (last, _)] => Some(format!("{first}-{last}")),
        [(only, false)] => Some(only.to_string()),
        _ => None,
    });
    missed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_crate_without_its_fuzzing_counts_and_one_reach_is_enough() {
        let sources = paths::root().join("protocol/src");
        let report = format!(
            "SF:{0}/mask.rs\nDA:3,0\nDA:4,7\nDA:5,0\nDA:7,0\nend_of_record\n\
             SF:/rustc/core.rs\nDA:1,1\nSF:{0}/fuzzing/mod.rs\nDA:1,1\nSF:{0}/mask.rs\nDA:3,1\n",
            sources.display()
        );
        let lines = BTreeMap::from([(3, true), (4, true), (5, false), (7, false)]);
        assert_eq!(ranges(&lines), "5-7");
        let expected = BTreeMap::from([("mask.rs".to_owned(), lines)]);
        assert_eq!(Coverage::read(&report), Coverage(expected));
    }

    #[test]
    fn too_little_fails() {
        let lines = (1..=100).map(|line| (line, line > 6)).collect();
        let coverage = Coverage(BTreeMap::from([("mask.rs".to_owned(), lines)]));
        assert!(coverage.judge().is_err());
    }
}

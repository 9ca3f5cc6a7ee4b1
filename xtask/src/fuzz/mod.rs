//! `cargo xtask fuzz`: builds the targets of `fuzz/` with cargo-fuzz (nightly, AddressSanitizer unless told otherwise) and
//! runs them from the committed seeds, with a memory and a time limit for every single input.

mod coverage;
mod libfuzzer;
mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::libfuzzer::Outcome;
use crate::{exec, paths, setup};

/// What an input may cost: a limit that is missed shows as a finding here.
const MEMORY_LIMIT: &str = "-rss_limit_mb=512";
const TIME_LIMIT: &str = "-timeout=1";

/// How often an input that was late is run again, until it is not.
const REPLAYS: usize = 3;

/// The longest input that is made up; longer ones find nothing that short ones do not, and take their time. Seeds that
/// test a longer length form are cut to it here, and replayed whole for coverage.
const LENGTH_LIMIT: &str = "-max_len=4096";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The target; all one after another if none is named
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, conflicts_with = "runs")]
    seconds: u64,
    /// How many inputs each target runs instead of a time
    #[arg(long)]
    runs: Option<u64>,
    /// What watches the memory: AddressSanitizer, or nothing, which is three times as fast (all of the crate is safe code;
    /// what there is to watch is in the DEFLATE under it)
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    sanitizer: Sanitizer,
    /// Optimize little, which is built sooner: for who runs it for seconds
    #[arg(long)]
    quick_build: bool,
    /// Only this input: to see a finding again
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
    /// Fuzz nothing: tell which lines of the crate the seeds and the corpus of all targets reach
    #[arg(long, conflicts_with_all = ["target", "runs", "input"])]
    coverage: bool,
    /// Print the targets
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Default, Clone, Copy, clap::ValueEnum)]
enum Sanitizer {
    #[default]
    Address,
    None,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let targets = targets()?;
    if args.list {
        targets.iter().for_each(|target| println!("{target}"));
        return Ok(());
    }
    require_nightly()?;
    if args.coverage {
        return coverage::run(&targets);
    }
    let chosen = choose(&targets, args.target.as_deref())?;
    let built = build(args)?;
    chosen.iter().try_for_each(|target| match &args.input {
        Some(input) => built.replay(target, input),
        None => built.explore(target, Budget::of(args)),
    })
}

/// As a step of `cargo xtask test`: a short run of every target.
pub(crate) fn step() -> Result<()> {
    run(&Args {
        seconds: 8,
        quick_build: true,
        ..Args::default()
    })
}

/// How much a target is run.
#[derive(Debug, Clone, Copy)]
enum Budget {
    Runs(u64),
    Seconds(u64),
}

impl Budget {
    fn of(args: &Args) -> Self {
        args.runs.map_or(Self::Seconds(args.seconds), Self::Runs)
    }

    fn argument(self) -> String {
        match self {
            Self::Runs(runs) => format!("-runs={runs}"),
            Self::Seconds(seconds) => format!("-max_total_time={seconds}"),
        }
    }

    /// What is left of it; `None` where that is nothing.
    fn less(self, executed: u64, took: Duration) -> Option<Self> {
        match self {
            Self::Runs(runs) => runs
                .checked_sub(executed)
                .filter(|&left| left > 0)
                .map(Self::Runs),
            Self::Seconds(seconds) => seconds
                .checked_sub(took.as_secs())
                .filter(|&left| left > 0)
                .map(Self::Seconds),
        }
    }
}

/// The names of the targets: the files of `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let folder = home().join("fuzz_targets");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let names = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<_> = names
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn choose<'a>(targets: &'a [String], wanted: Option<&str>) -> Result<Vec<&'a String>> {
    let Some(wanted) = wanted else {
        return Ok(targets.iter().collect());
    };
    match targets.iter().find(|target| *target == wanted) {
        Some(target) => Ok(vec![target]),
        None => bail!(
            "there is no fuzz target {wanted}; there are: {}",
            targets.join(", ")
        ),
    }
}

fn require_nightly() -> Result<()> {
    if exec::succeeds(nightly("rustc").arg("--version")) {
        return Ok(());
    }
    bail!("fuzzing needs a nightly compiler: run `rustup toolchain install nightly`")
}

/// A command under the nightly toolchain; without what cargo told us about its own.
fn nightly(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = exec::command(program);
    command
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .env_remove("CARGO")
        .env_remove("RUSTC");
    command
}

fn build(args: &Args) -> Result<Built> {
    setup::cargo_tools::ensure_one("cargo-fuzz")?;
    let mut build = nightly(setup::cargo_tools::binary("cargo-fuzz"));
    // Following comparisons costs a third of the speed, most of it inside DEFLATE, where it leads nowhere; seeds and
    // dictionaries know the words that matter.
    build.args(["build", "--no-trace-compares"]);
    build.args(["--fuzz-dir", "fuzz", "--target-dir", "fuzz/target"]);
    build.args([
        "--sanitizer",
        match args.sanitizer {
            Sanitizer::Address => "address",
            Sanitizer::None => "none",
        },
    ]);
    if args.quick_build {
        build.arg("--dev");
    }
    exec::run(build.args(&args.target)).context("the fuzz targets do not build")?;
    let said = exec::output(nightly("rustc").arg("-vV"))?;
    let host = said
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names no host")?;
    let profile = if args.quick_build { "debug" } else { "release" };
    Ok(Built(home().join("target").join(host).join(profile)))
}

/// Where the targets are that were built.
struct Built(PathBuf);

impl Built {
    /// Runs a target until its budget is spent.
    ///
    /// The limit of time is one of the clock's: on a machine that does something else for a second, an input may miss it that
    /// takes a millisecond. One that passes when it is run again is not a finding, and the rest of the budget is run behind it.
    fn explore(&self, target: &str, budget: Budget) -> Result<()> {
        let mut left = Some(budget);
        while let Some(budget) = left {
            let started = Instant::now();
            left = match libfuzzer::run(target, &mut self.fuzzer(target, budget)?)? {
                Outcome::Done => None,
                Outcome::Slow { input, executed } => {
                    let mut replays = (0..REPLAYS).map(|_| self.replay(target, &input));
                    let passes = replays.find(Result::is_ok);
                    passes.context("an input takes longer than it may each time")??;
                    println!(
                        "   {target}: a timeout after {executed} execs that does not come again: the machine's"
                    );
                    budget.less(executed, started.elapsed())
                }
            };
        }
        Ok(())
    }

    /// The command that fuzzes a target.
    fn fuzzer(&self, target: &str, budget: Budget) -> Result<Command> {
        let corpus = home().join("corpus").join(target);
        let artifacts = home().join("artifacts").join(target);
        for folder in [&corpus, &artifacts] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let seeds = seeds::expand(target)?;
        let mut command = exec::command(self.0.join(target));
        command.args([&budget.argument(), MEMORY_LIMIT, TIME_LIMIT, LENGTH_LIMIT]);
        command.arg("-print_final_stats=1");
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        let dictionary = home().join("dictionaries").join(format!("{target}.dict"));
        if dictionary.exists() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.arg(corpus).arg(seeds);
        Ok(command)
    }

    fn replay(&self, target: &str, input: &Path) -> Result<()> {
        // As typed, a relative path is meant from where one stands.
        let input =
            fs::canonicalize(input).with_context(|| format!("cannot read {}", input.display()))?;
        exec::run(
            exec::command(self.0.join(target))
                .args([MEMORY_LIMIT, TIME_LIMIT])
                .arg(input),
        )
    }
}

fn home() -> PathBuf {
    paths::root().join("fuzz")
}

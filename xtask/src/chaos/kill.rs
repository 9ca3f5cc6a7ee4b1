//! `cargo xtask chaos kill`: a server under the load of `tidewire verify`, killed at random moments and restarted on the same
//! port and directory. What a seed does can be done again, as far as two processes can.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::victim::{Dice, Victim, ended_within, verify};
use crate::{paths, server};

/// How long a run may take in all.
const RUN_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many runs
    #[arg(long, value_name = "N", default_value_t = 100)]
    runs: u64,
    /// Messages of a run
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    messages: u32,
    /// Messages a second: what makes a run long enough to be killed in
    #[arg(long, value_name = "N", default_value_t = 6_000)]
    rate: u32,
    /// The most kills of a run
    #[arg(long, value_name = "N", default_value_t = 6)]
    kills: u32,
    /// Seed of the first run; the next has the next number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// The command: a line for each run, and an error if one was not clean.
pub(crate) fn run(args: &Args) -> Result<()> {
    let binary = server::build()?;
    let started = Instant::now();
    let (mut failed, mut kills) = (Vec::new(), 0);
    for index in 0..args.runs {
        let seed = args.seed + index;
        let outcome = one(&binary, args, seed).with_context(|| format!("run with seed {seed}"))?;
        kills += outcome.kills;
        // Whoever was ended by a signal has said nothing: that is no verdict, and no proof either.
        let verdict = match outcome.status.code() {
            Some(0) => "clean".to_owned(),
            Some(1) => "NOT CLEAN".to_owned(),
            Some(_) | None => format!("NO VERDICT, verify ended with {}", outcome.status),
        };
        println!(
            "   {:>4}/{} seed {seed}: {verdict}, {} kills, {:.1} s; {} not clean so far",
            index + 1,
            args.runs,
            outcome.kills,
            outcome.took.as_secs_f64(),
            failed.len() + usize::from(!outcome.is_clean),
        );
        if !outcome.is_clean {
            println!("{}", outcome.report);
            failed.push(seed);
        }
    }
    let took = started.elapsed().as_secs();
    println!("   {} runs, {kills} kills, {took} s", args.runs);
    if kills < args.runs {
        bail!(
            "{kills} kills in {} runs are too few to prove anything",
            args.runs
        );
    }
    match failed.as_slice() {
        [] => Ok(()),
        seeds => bail!(
            "runs with these seeds were not clean: {seeds:?}; their directories and logs are in {}",
            paths::shown(&folder())
        ),
    }
}

struct Outcome {
    is_clean: bool,
    /// How `verify` ended.
    status: ExitStatus,
    kills: u64,
    took: Duration,
    /// What `verify` printed.
    report: String,
}

fn one(binary: &Path, args: &Args, seed: u64) -> Result<Outcome> {
    let started = Instant::now();
    let folder = folder().join(seed.to_string());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut dice = Dice(seed);
    let mut victim = Victim::start(binary, &folder, "127.0.0.1:0")?;
    let address = victim.address();
    let load = [
        ("--messages", u64::from(args.messages)),
        ("--rate", u64::from(args.rate)),
        ("--seed", seed),
    ];
    let mut verify = verify(binary, &load, address, &folder)?;
    let mut kills = 0;
    let status = loop {
        let wait = Duration::from_millis(100 + dice.next_below(900));
        if let Some(status) = ended_within(&mut verify, wait)? {
            break status;
        }
        if started.elapsed() > RUN_MAX {
            bail!("verify did not end in {} s", RUN_MAX.as_secs());
        }
        if kills < u64::from(args.kills) {
            victim.kill()?;
            kills += 1;
            std::thread::sleep(Duration::from_millis(dice.next_below(200)));
            victim = Victim::start(binary, &folder, &address.to_string())
                .with_context(|| format!("the server did not come back after kill {kills}"))?;
        }
    };
    victim.kill()?;
    let report = fs::read_to_string(folder.join("verify.txt")).unwrap_or_default();
    let is_clean = status.success();
    if is_clean {
        fs::remove_dir_all(&folder)?;
    }
    Ok(Outcome {
        is_clean,
        status,
        kills,
        took: started.elapsed(),
        report,
    })
}

fn folder() -> PathBuf {
    paths::target().join("chaos-kill")
}

//! `cargo xtask chaos kill`: a server under the load of `tidewire verify`, killed at random moments and restarted on the same
//! port and directory. What a seed does can be done again, as far as two processes can.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::{exec, paths, server};

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
    let address = victim.address;
    let mut verify = verify(binary, args, seed, address, &folder)?;
    let mut kills = 0;
    let status = loop {
        let wait = Duration::from_millis(100 + dice.next_below(900));
        if let Some(status) = ended_within(&mut verify.0, wait)? {
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

fn verify(
    binary: &Path,
    args: &Args,
    seed: u64,
    server: SocketAddr,
    folder: &Path,
) -> Result<Ended> {
    let mut command = exec::command(binary);
    command.args(["verify", &format!("ws://{server}")]);
    for (flag, value) in [
        ("--messages", u64::from(args.messages)),
        ("--rate", u64::from(args.rate)),
        ("--history-entries", 1_000_000),
        ("--seed", seed),
    ] {
        command.args([flag, &value.to_string()]);
    }
    let output = File::create(folder.join("verify.txt"))?;
    let errors = output.try_clone()?;
    let child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()?;
    Ok(Ended(child))
}

fn ended_within(child: &mut Child, time: Duration) -> Result<Option<ExitStatus>> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

/// A process that does not outlive this one's interest in it.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server that is killed.
struct Victim {
    child: Ended,
    address: SocketAddr,
}

impl Victim {
    fn start(binary: &Path, folder: &Path, listen: &str) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("server.log"))?;
        let mut command = exec::command(binary);
        command.args(["serve", "--listen", listen, "--messages-per-second", "0"]);
        command.args(["--history-entries", "1000000", "--data"]);
        command.arg(folder.join("data"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take().expect("stdout was piped a line above");
        let child = Ended(child);
        let line = server::first_line(stdout).with_context(|| {
            let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            let said = log.lines().last().unwrap_or("nothing");
            format!("the server did not start; the last that it said: {said}")
        })?;
        let address = server::address(&line)?.parse()?;
        Ok(Self { child, address })
    }

    /// SIGKILL: it gets no chance to say or save anything.
    fn kill(mut self) -> Result<()> {
        self.child.0.kill()?;
        self.child.0.wait()?;
        Ok(())
    }
}

/// SplitMix64: the same numbers for the same seed, in every version of this program.
struct Dice(u64);

impl Dice {
    fn next_below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same_numbers() {
        let rolls = |seed| {
            let mut dice = Dice(seed);
            [900, 200, 900].map(|end| dice.next_below(end))
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
    }
}

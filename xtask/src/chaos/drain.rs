//! `cargo xtask chaos drain`: a server under the load of `tidewire verify`, with so many followers that they are let go in
//! batches, stopped with SIGTERM again and again and restarted on the same port and directory. Each drain has to end with 0 in
//! its time, and at the end nothing may be lost, doubled or out of order.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::victim::{Dice, Victim, ended_within, verify};
use crate::{paths, server};

/// The server's `--drain`.
const DRAIN: Duration = Duration::from_secs(30);

/// How long `verify` may take after the last drain: everybody resumes, and the whole history is read.
const END_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many drains
    #[arg(long, value_name = "N", default_value_t = 50)]
    drains: u64,
    /// Clients that only follow, beside 8 that send and follow: above 256 they go in batches
    #[arg(long, value_name = "N", default_value_t = 400)]
    followers: u16,
    /// Messages a second, each of which goes to all
    #[arg(long, value_name = "N", default_value_t = 100)]
    rate: u32,
    /// Seed of the moments at which the server is stopped
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// The command: a line for each drain, and an error if one was not clean.
pub(crate) fn run(args: &Args) -> Result<()> {
    let binary = server::build()?;
    let folder = paths::target().join("chaos-drain");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut dice = Dice(args.seed);
    let mut victim = Victim::start(&binary, &folder, "127.0.0.1:0")?;
    let address = victim.address();
    // Between two drains are 1.5 s on average, and each of them takes one.
    let messages = (args.drains + 2) * 5 / 2 * u64::from(args.rate);
    let load = [
        ("--messages", messages),
        ("--rate", u64::from(args.rate)),
        ("--subscribers", u64::from(args.followers)),
        ("--seed", args.seed),
    ];
    let mut load = verify(&binary, &load, address, &folder)?;
    let (mut longest, mut done) = (Duration::ZERO, 0);
    for drain in 1..=args.drains {
        let wait = Duration::from_millis(500 + dice.next_below(2_000));
        if ended_within(&mut load, wait)?.is_some() {
            break;
        }
        let took = victim
            .drain(DRAIN)
            .with_context(|| format!("drain {drain}"))?;
        longest = longest.max(took);
        done = drain;
        println!(
            "   {drain:>4}/{}: exit code 0 after {:.2} s",
            args.drains,
            took.as_secs_f64()
        );
        victim = Victim::start(&binary, &folder, &address.to_string())
            .with_context(|| format!("the server did not come back after drain {drain}"))?;
    }
    let begin = Instant::now();
    let status = ended_within(&mut load, END_MAX)?
        .with_context(|| format!("verify did not end in {} s", END_MAX.as_secs()))?;
    victim.kill()?;
    let report = fs::read_to_string(folder.join("verify.txt")).unwrap_or_default();
    println!("{report}");
    println!(
        "   {done} drains, the longest {:.2} s; verify ended {:.1} s after the last",
        longest.as_secs_f64(),
        begin.elapsed().as_secs_f64()
    );
    if !status.success() {
        let folder = paths::shown(&folder);
        bail!("verify ended with {status}: its report and the server's log are in {folder}");
    }
    if done < args.drains {
        bail!(
            "the load ended after {done} drains: it was too short for {}",
            args.drains
        );
    }
    Ok(fs::remove_dir_all(&folder)?)
}

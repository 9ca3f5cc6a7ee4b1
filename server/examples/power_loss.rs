//! The campaign of `cargo xtask chaos power`: crashes of a store on a simulated disk, from seeds, until one breaks a promise.
//!
//! `cargo run --release -p tidewire --features simulation --example power_loss -- [CRASHES] [FIRST SEED]`

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use tidewire::log::disk::simulation::{Outcome, run};

/// Crashes of one life of a store, which is one seed.
const CRASHES_A_LIFE: u64 = 10;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Ok(crashes), Ok(first_seed)) = (
        numbers.next().unwrap_or(Ok(10_000)),
        numbers.next().unwrap_or(Ok(1)),
    ) else {
        eprintln!("usage: power_loss [CRASHES] [FIRST SEED]");
        return ExitCode::from(2);
    };
    let started = Instant::now();
    let mut all = Outcome::default();
    for seed in first_seed..first_seed.saturating_add(crashes.div_ceil(CRASHES_A_LIFE)) {
        match run(seed, CRASHES_A_LIFE.min(crashes)) {
            Ok(outcome) => add(&mut all, &outcome),
            Err(violation) => {
                eprintln!("\nVIOLATION: {violation}");
                eprintln!(
                    "again: cargo xtask chaos power --crashes {CRASHES_A_LIFE} --seed {seed}"
                );
                return ExitCode::FAILURE;
            }
        }
        show(&all, crashes, &started);
    }
    println!(
        "\n{} crashes, {} messages acknowledged, {} failed commits, {} flipped bits, {} ends cut off in {:.1} s: 0 violations",
        all.crashes,
        all.acknowledged,
        all.failed_commits,
        all.flips,
        all.cuts,
        started.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

fn add(all: &mut Outcome, outcome: &Outcome) {
    all.crashes += outcome.crashes;
    all.acknowledged += outcome.acknowledged;
    all.failed_commits += outcome.failed_commits;
    all.flips += outcome.flips;
    all.cuts += outcome.cuts;
}

/// Ten times in a campaign; more often for a person.
fn show(all: &Outcome, crashes: u64, started: &Instant) {
    let every = if std::io::stdout().is_terminal() {
        200
    } else {
        10
    };
    let step = (crashes / every).max(CRASHES_A_LIFE);
    if all.crashes / step != (all.crashes - CRASHES_A_LIFE.min(all.crashes)) / step {
        print!(
            "\r   {:>3} %  {} of {crashes} crashes, {:.0} s",
            all.crashes * 100 / crashes.max(1),
            all.crashes,
            started.elapsed().as_secs_f64()
        );
        let _ = std::io::stdout().flush();
    }
}

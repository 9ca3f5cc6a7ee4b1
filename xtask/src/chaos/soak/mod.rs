//! `cargo xtask chaos soak`: the integration test of a server under churn for hours, what the server used meanwhile as a picture,
//! and the slope of its memory as the verdict: of what it holds of the allocator. The resident memory is told beside it. It rises
//! with each new maximum of clients at once, and stays there, since what they leave are holes between what lives.

mod picture;
mod samples;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use self::samples::{Samples, Slope};
use crate::{exec, paths, server};

/// What the memory may grow by.
const SLOPE_MAX: f64 = 1.0;

/// Until all that is remembered has reached its bounds: 14,336 sessions, rings of 256 messages, keys of what is kept.
const WARM_UP_MINUTES: f64 = 20.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long it takes
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
    /// How many times the normal churn, which is 2,000 clients that stay five minutes each
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    churn: u32,
    /// What the verdict leaves out, until all bounds are reached [default: 20, or a third of a short run]
    #[arg(long, value_name = "MINUTES")]
    warm_up: Option<f64>,
    /// Say the verdict again on the samples of an earlier run, and draw them
    #[arg(long, value_name = "FILE")]
    samples: Option<std::path::PathBuf>,
}

/// The command: an error if the memory grows.
pub(crate) fn run(args: &Args) -> Result<()> {
    let file = match &args.samples {
        Some(file) => file.clone(),
        None => {
            let file = paths::target().join("soak.tsv");
            load(args, &file)?;
            file
        }
    };
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let samples = Samples::parse(&text)?;
    let usual = (samples.minutes() / 3.0).min(WARM_UP_MINUTES);
    let warm_up = args.warm_up.unwrap_or(usual);
    let slope = samples
        .slope(warm_up)
        .context("a run that short has no slope")?;
    let held = samples.held_slope(warm_up);
    let picture = paths::target().join("soak.svg");
    fs::write(&picture, picture::draw(&samples, warm_up, &slope)?)
        .with_context(|| format!("cannot write {}", picture.display()))?;
    report(&samples, warm_up, (&slope, held.as_ref()), &picture)
}

fn load(args: &Args, file: &Path) -> Result<()> {
    let binary = server::build()?;
    let mut test = exec::cargo("test --package tidewire-tests --test soak -- --nocapture");
    test.env("TIDEWIRE_BIN", binary)
        .env("TIDEWIRE_SOAK_SECONDS", (args.minutes * 60).to_string())
        .env("TIDEWIRE_SOAK_CHURN", args.churn.to_string())
        .env("TIDEWIRE_SOAK_SAMPLES", file);
    exec::run(&mut test)
}

fn report(
    samples: &Samples,
    warm_up: f64,
    (resident, held): (&Slope, Option<&Slope>),
    picture: &Path,
) -> Result<()> {
    let Some((first, last)) = samples.ends(warm_up) else {
        bail!("there is nothing behind the warm-up");
    };
    println!(
        "   {:.0} minutes, of which the first {warm_up:.0} warm it up; {} clients came, {} messages were heard",
        samples.minutes(),
        last.begun,
        last.heard
    );
    println!(
        "   memory {:.1} MiB, then {:.1} MiB; descriptors {}, then {}; connections {}, then {}",
        first.mebibytes(),
        last.mebibytes(),
        first.descriptors,
        last.descriptors,
        first.connections,
        last.connections
    );
    println!(
        "   slope of the resident memory {resident} (least squares); {}",
        paths::shown(picture)
    );
    if let (Some(slope), Some(from), Some(to)) =
        (held, first.held_mebibytes(), last.held_mebibytes())
    {
        println!("   held of it {from:.1} MiB, then {to:.1} MiB; slope {slope}");
    }
    // Samples that do not tell what is held are judged by what is there.
    let slope = held.unwrap_or(resident);
    if slope.per_hour >= SLOPE_MAX {
        bail!("the memory grows by {slope}, and {SLOPE_MAX} MiB an hour is the most");
    }
    Ok(())
}

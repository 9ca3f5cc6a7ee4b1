//! The runner of steps: a heading for each while it runs, then the list with the time each took
//! and the plain line `N passed, N failed`. A failed step does not stop the ones after it, so one
//! run tells everything that is wrong.

use std::time::{Duration, Instant};

use anyhow::Result;

/// One step: a name to ask for it by, what it does in a few words, and the doing.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn() -> Result<()>,
}

/// Steps failed, and the list has said so: there is nothing to add to its last line.
#[derive(Debug)]
pub(crate) struct StepsFailed;

impl std::error::Error for StepsFailed {}

impl std::fmt::Display for StepsFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("steps failed")
    }
}

struct Outcome<'a> {
    step: &'a Step,
    took: Duration,
    error: Option<String>,
}

/// Runs `steps` in order and prints the list at the end. Fails when one of them failed.
pub(crate) fn run(steps: &[&Step]) -> Result<()> {
    let started = Instant::now();
    let mut outcomes = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!(
            "\n== [{}/{}] {}: {}",
            index + 1,
            steps.len(),
            step.name,
            step.about
        );
        outcomes.push(run_one(step));
    }
    summarize(&outcomes, started.elapsed())
}

fn run_one(step: &Step) -> Outcome<'_> {
    let started = Instant::now();
    let error = (step.run)().err().map(|error| format!("{error:#}"));
    let took = started.elapsed();
    match &error {
        None => println!("   ok, {:.1} s", took.as_secs_f64()),
        Some(error) => println!("   FAILED after {:.1} s: {error}", took.as_secs_f64()),
    }
    Outcome { step, took, error }
}

fn summarize(outcomes: &[Outcome<'_>], took: Duration) -> Result<()> {
    println!(
        "\n== {} steps in {:.0} s",
        outcomes.len(),
        took.as_secs_f64()
    );
    for outcome in outcomes {
        let mark = if outcome.error.is_none() {
            "ok    "
        } else {
            "FAILED"
        };
        println!(
            "   {mark} {:>7.1} s  {}",
            outcome.took.as_secs_f64(),
            outcome.step.name
        );
        if let Some(error) = &outcome.error {
            let first = error.lines().next().unwrap_or_default();
            println!("                     {first}");
        }
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.error.is_some())
        .count();
    println!("\n{} passed, {failed} failed", outcomes.len() - failed);
    if failed > 0 {
        return Err(StepsFailed.into());
    }
    Ok(())
}

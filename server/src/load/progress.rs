//! How far a run is, on stderr: a bar on a terminal, else a line a second; nothing where only JSON is wanted and nobody looks.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plan::Plan;
use super::report::{count, duration, rate};
use super::run::Phase;
use super::tally::Tally;

/// Steps of the bar: a thousandth is finer than a terminal.
const STEPS: f64 = 1000.0;

/// What is shown.
#[derive(Debug)]
pub(super) struct Progress {
    /// None where lines are.
    bar: Option<ProgressBar>,
    /// Nanoseconds between two looks; none: nothing is shown.
    every: Option<u64>,
    shown_at: u64,
    /// What had been sent and received then.
    counts: (u64, u64),
}

impl Progress {
    pub(super) fn new(json: bool) -> Self {
        let is_terminal = stderr().is_terminal();
        let bar = is_terminal.then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(STEPS as u64), ProgressDrawTarget::stderr());
            // A template that is wrong is a bar without style.
            if let Ok(style) = ProgressStyle::with_template("{bar:14.cyan/dim} {wide_msg}") {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar
        });
        let every = match (is_terminal, json) {
            (true, _) => Some(Duration::from_millis(200)),
            (false, false) => Some(Duration::from_secs(1)),
            (false, true) => None,
        };
        Self {
            bar,
            every: every.map(|every| every.as_nanos() as u64),
            shown_at: 0,
            counts: (0, 0),
        }
    }

    /// Shows how far it is, if it is time for it.
    pub(super) fn show(&mut self, now: u64, phase: Phase, plan: &Plan, tally: &Tally, open: u64) {
        let passed = now.saturating_sub(self.shown_at);
        if self.every.is_none_or(|every| passed < every) {
            return;
        }
        // What came before the window is not counted, nor is its time.
        let since = self.shown_at.max(tally.window.start);
        let live = self.live(now.saturating_sub(since), tally);
        self.shown_at = now;
        let (part, told) = match phase {
            Phase::Opening => {
                let part = tally.opened as f64 / plan.opened_first().max(1) as f64;
                (
                    part,
                    format!(
                        "opening: {} of {}",
                        count(tally.opened),
                        count(plan.opened_first() as u64)
                    ),
                )
            }
            Phase::Running => running(now, plan, tally, &live, open),
            Phase::Draining => (
                1.0,
                format!("waiting for {} to arrive", count(tally.missing())),
            ),
            Phase::Closing | Phase::Over => (1.0, "closing".to_owned()),
        };
        match &self.bar {
            Some(bar) => {
                bar.set_position((part.clamp(0.0, 1.0) * STEPS) as u64);
                bar.set_message(told);
            }
            // Nobody who listens is no reason not to go on.
            None => drop(writeln!(stderr(), "{told}")),
        }
    }

    /// Takes the bar away: the result follows.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// What was sent and received since the last look, a second.
    fn live(&mut self, passed: u64, tally: &Tally) -> String {
        let counts = (tally.sent, tally.received);
        let seconds = passed as f64 / 1e9;
        let each = |now: u64, before: u64| rate((now - before) as f64 / seconds.max(1e-3));
        let told = format!(
            "{}/s out, {}/s in",
            each(counts.0, self.counts.0),
            each(counts.1, self.counts.1)
        );
        self.counts = counts;
        told
    }
}

fn running(now: u64, plan: &Plan, tally: &Tally, live: &str, open: u64) -> (f64, String) {
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    let whole = plan.warmup + plan.duration;
    let left = seconds(tally.window.end.saturating_sub(now));
    let part = 1.0 - left / whole.as_secs_f64();
    if now < tally.window.start {
        return (part, "warming up".to_owned());
    }
    let at = seconds(now - tally.window.start).min(plan.duration.as_secs_f64());
    let at = format!("{at:.0}/{:.0} s", plan.duration.as_secs_f64());
    let errors = format!("{} errors", count(tally.errors_total()));
    if plan.senders().is_empty() && plan.opened_first() > 1 {
        let (open, pings) = (count(open), count(tally.pings));
        return (part, format!("{at}: {open} open, {pings} pings, {errors}"));
    }
    let (p50, p99) = (tally.latency.quantile(0.5), tally.latency.quantile(0.99));
    let latency = format!("p50 {}, p99 {}", duration(p50), duration(p99));
    (part, format!("{at}: {live}, {latency}, {errors}"))
}

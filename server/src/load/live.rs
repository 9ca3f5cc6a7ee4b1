//! A run while it goes on, in one line: the phase, the rates since the last look, the latencies so far.

use super::options::Scenario;
use super::plan::Plan;
use super::report::{count, duration, rate};
use super::run::Phase;
use super::tally::Tally;

/// What there was at the last look.
#[derive(Debug, Default)]
pub(super) struct Live {
    looked_at: u64,
    sent: u64,
    received: u64,
}

impl Live {
    /// Which part of the phase is over, and what there is to say.
    pub(super) fn look(
        &mut self,
        now: u64,
        phase: Phase,
        plan: &Plan,
        tally: &Tally,
        open: usize,
    ) -> (f64, String) {
        let rates = self.rates(now, tally);
        match phase {
            Phase::Opening => {
                let (opened, all) = (tally.opened, plan.opened_first() as u64);
                let told = format!("opening: {} of {}", count(opened), count(all));
                (opened as f64 / all as f64, told)
            }
            Phase::Running => {
                let whole = (plan.warmup + plan.duration).as_nanos() as f64;
                let left = tally.window.end.saturating_sub(now) as f64;
                let told = match now < tally.window.start {
                    true => "warming up".to_owned(),
                    false => measured(now, plan, tally, &rates, open),
                };
                (1.0 - left / whole, told)
            }
            Phase::Draining => {
                let told = format!("waiting for {} to arrive", count(tally.missing()));
                (1.0, told)
            }
            Phase::Closing | Phase::Over => (1.0, "closing".to_owned()),
        }
    }

    fn rates(&mut self, now: u64, tally: &Tally) -> String {
        // What came before the window is not counted, nor is its time.
        let since = self.looked_at.max(tally.window.start);
        let seconds = (now.saturating_sub(since) as f64 / 1e9).max(1e-3);
        let each = |now: u64, before: u64| rate((now - before) as f64 / seconds);
        let told = format!(
            "{}/s out, {}/s in",
            each(tally.sent, self.sent),
            each(tally.received, self.received)
        );
        *self = Self {
            looked_at: now,
            sent: tally.sent,
            received: tally.received,
        };
        told
    }
}

fn measured(now: u64, plan: &Plan, tally: &Tally, rates: &str, open: usize) -> String {
    let whole = plan.duration.as_secs_f64();
    let at = ((now - tally.window.start) as f64 / 1e9).min(whole);
    let errors = count(tally.errors_total());
    match plan.scenario {
        Scenario::Idle => {
            let (open, pings) = (count(open as u64), count(tally.pings));
            format!("{at:.0}/{whole:.0} s: {open} open, {pings} pings, {errors} errors")
        }
        Scenario::Echo | Scenario::Fanout | Scenario::Connect => {
            let [p50, p99] = [0.5, 0.99].map(|part| duration(tally.latency.quantile(part)));
            format!("{at:.0}/{whole:.0} s: {rates}, p50 {p50}, p99 {p99}, {errors} errors")
        }
    }
}

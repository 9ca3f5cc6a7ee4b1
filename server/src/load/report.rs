//! The result: as text for people, as one JSON object for programs.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount};
use serde_json::{Value, json};

use super::options::Scenario;
use super::plan::Plan;
use super::tally::Tally;
use super::target::Target;
use crate::histogram::{Histogram, TOLD};
use crate::tools::terminal::{Lines, visible};

/// The longest bar of the plot, in characters.
const BAR_MAX: usize = 40;

/// A generator that is later than this with one message in a hundred has something to say about it,
const LATE_MIN: u64 = 1_000_000;

/// if that is more than this part of the latency that it tells.
const LATE_PART: f64 = 0.1;

/// What is known at the end beside the tally.
#[derive(Debug)]
pub(super) struct Figures {
    /// How long it was measured.
    pub(super) seconds: f64,
    /// What the processor did for us, warm-up and waiting for the last answers included, and how long that took.
    pub(super) processor: Duration,
    pub(super) ran_for: Duration,
    pub(super) is_stopped: bool,
    /// How many connections were open at the end.
    pub(super) open: usize,
}

impl Figures {
    /// Answers a second; what came behind the end took its time, too.
    pub(super) fn per_second(&self, tally: &Tally) -> f64 {
        let behind = tally.heard_at.saturating_sub(tally.window.end);
        let seconds = self.seconds + behind as f64 / 1e9;
        tally.received as f64 / seconds.max(1e-9)
    }

    fn processor_share(&self) -> f64 {
        self.processor.as_secs_f64() / self.ran_for.as_secs_f64().max(1e-9)
    }
}

/// The 99th percentile of the lateness, if that makes the latencies ours rather than the server's.
pub(super) fn late(tally: &Tally) -> Option<u64> {
    let late = tally.lateness.quantile(0.99);
    let latency = tally.latency.quantile(0.99) as f64;
    (late >= LATE_MIN && late as f64 >= latency * LATE_PART).then_some(late)
}

/// The latencies that the scenario is about.
pub(super) const fn latencies<'t>(plan: &Plan, tally: &'t Tally) -> &'t Histogram {
    match plan.scenario {
        Scenario::Idle => &tally.handshakes,
        Scenario::Echo | Scenario::Fanout | Scenario::Connect => &tally.latency,
    }
}

// ---- for people ----

/// Some lines.
pub(super) fn text(plan: &Plan, target: &Target, tally: &Tally, figures: &Figures) -> String {
    let mut text = format!(
        "tidewire bench {}: {}, {:.1} s{}\n\n",
        target.url(),
        plan.told(),
        figures.seconds,
        if figures.is_stopped {
            ", stopped early"
        } else {
            ""
        }
    );
    match plan.scenario {
        Scenario::Idle => idle_rows(&mut text, plan, tally, figures),
        Scenario::Echo | Scenario::Fanout | Scenario::Connect => {
            loaded_rows(&mut text, plan, tally, figures);
        }
    }
    row(&mut text, "errors", tally.errors_total(), "");
    for (cause, number) in &tally.errors {
        let cause = visible(cause, Lines::One);
        let _ = writeln!(text, "    {cause}: {}{}", count(*number), of_whom(&cause));
    }
    let latencies = latencies(plan, tally);
    if !latencies.is_empty() {
        let _ = writeln!(text, "\n  latency, {}", plan.latency_of());
        for (name, time) in told(latencies) {
            let _ = writeln!(text, "    {name:<6} {:>10}", duration(time));
        }
        text.push('\n');
        plot(&mut text, latencies);
    }
    text.push('\n');
    footer(&mut text, plan, tally, figures);
    text
}

fn row(text: &mut String, name: &str, number: u64, more: &str) {
    // A String takes everything.
    let _ = writeln!(text, "  {name:<26} {:>14}{more}", count(number));
}

fn loaded_rows(text: &mut String, plan: &Plan, tally: &Tally, figures: &Figures) {
    let handshakes = plan.scenario == Scenario::Connect;
    let (sent, received) = match handshakes {
        true => ("handshakes begun", "done"),
        false => ("sent", "received"),
    };
    let sent_rate = rate(tally.sent as f64 / figures.seconds.max(1e-9));
    row(text, sent, tally.sent, &format!("   {sent_rate} a second"));
    if tally.expected != tally.sent {
        row(text, "to be received", tally.expected, "");
    }
    let received_rate = rate(figures.per_second(tally));
    row(
        text,
        received,
        tally.received,
        &format!("   {received_rate} a second"),
    );
    row(text, "missing", tally.missing(), "");
    if !handshakes {
        let bytes = |number| DecimalBytes(number).to_string();
        let (out, back) = (bytes(tally.sent_bytes), bytes(tally.received_bytes));
        let _ = writeln!(text, "  {:<26} {out:>14} out, {back} in", "payload");
    }
    if tally.unexpected > 0 {
        row(
            text,
            "other messages",
            tally.unexpected,
            "   none of them an answer",
        );
    }
}

fn idle_rows(text: &mut String, plan: &Plan, tally: &Tally, figures: &Figures) {
    let wanted = format!("   of {}", count(plan.connections as u64));
    row(text, "opened", tally.opened, &wanted);
    row(text, "open at the end", figures.open as u64, "");
    row(text, "lost", tally.lost, "");
    row(text, "pings of the server", tally.pings, "");
    row(text, "messages of the server", tally.unexpected, "");
}

fn told(latencies: &Histogram) -> Vec<(&'static str, u64)> {
    let quantiles = TOLD.map(|(name, _, part)| (name, latencies.quantile(part)));
    let mut rows = quantiles.to_vec();
    rows.push(("max", latencies.max()));
    rows
}

/// How many latencies are in each step of 1, 2, 5, 10.
fn plot(text: &mut String, latencies: &Histogram) {
    let mut steps = Vec::new();
    let mut low = 0;
    for exponent in 0..15 {
        for factor in [1, 2, 5] {
            let high = factor * 10_u64.pow(exponent);
            steps.push((high, latencies.between(low, high)));
            low = high;
        }
    }
    let is_used = |(_, number): &(u64, u64)| *number > 0;
    let (Some(first), Some(last)) = (
        steps.iter().position(is_used),
        steps.iter().rposition(is_used),
    ) else {
        return;
    };
    let most = steps.iter().map(|(_, number)| *number).max().unwrap_or(1);
    for (high, number) in &steps[first..=last] {
        // Who is there is seen, however few.
        let length = (*number as f64 / most as f64 * BAR_MAX as f64).ceil() as usize;
        let bar = "█".repeat(length);
        let part = 100.0 * *number as f64 / latencies.count() as f64;
        let _ = writeln!(
            text,
            "  below {:>7} │{bar:<BAR_MAX$} {part:>7.3} %",
            duration(*high)
        );
    }
}

fn footer(text: &mut String, plan: &Plan, tally: &Tally, figures: &Figures) {
    let _ = writeln!(
        text,
        "  this generator used {:.0} % of a processor",
        100.0 * figures.processor_share()
    );
    if let Some(late) = late(tally) {
        let _ = writeln!(
            text,
            "  the generator was late by p99 {}: the latencies are about this machine, not the server; give it a processor of \
             its own, or less to do",
            duration(late)
        );
    }
    if plan.rate.is_none() && plan.scenario != Scenario::Idle {
        text.push_str(
            "  closed loop: who waits sends nothing, so a slow moment is in few latencies; say --rate for those that users see\n",
        );
    }
}

// ---- for programs ----

/// One object; times are in microseconds.
pub(super) fn json(plan: &Plan, target: &Target, tally: &Tally, figures: &Figures) -> Value {
    let micros = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
    let times = |histogram: &Histogram| {
        let mut object = json!({
            "count": histogram.count(),
            "min": micros(histogram.min()),
            "mean": histogram.mean() / 1000.0,
            "max": micros(histogram.max()),
        });
        for (_, name, part) in TOLD {
            object[name] = json!(micros(histogram.quantile(part)));
        }
        match histogram.is_empty() {
            true => Value::Null,
            false => object,
        }
    };
    json!({
        "url": target.url(),
        "scenario": plan.scenario.name(),
        "loop": if plan.rate.is_some() { "open" } else { "closed" },
        "rate": plan.rate,
        "size": plan.size,
        "kind": if plan.binary { "binary" } else { "text" },
        "deflate": plan.deflate,
        "chat": plan.chat,
        "rooms": plan.rooms,
        "publishers": plan.publishers,
        "seconds": figures.seconds,
        "stopped_early": figures.is_stopped,
        "connections": {
            "wanted": plan.connections,
            "opened": tally.opened,
            "open_at_the_end": figures.open,
            "lost": tally.lost,
        },
        "sent": tally.sent,
        "expected": tally.expected,
        "received": tally.received,
        "missing": tally.missing(),
        "unexpected": tally.unexpected,
        "pings": tally.pings,
        "received_per_second": figures.per_second(tally),
        "bytes": { "sent": tally.sent_bytes, "received": tally.received_bytes },
        "errors": tally.errors,
        "latency_us": times(&tally.latency),
        "handshake_us": times(&tally.handshakes),
        "generator": {
            "lateness_us": times(&tally.lateness),
            "is_late": late(tally).is_some(),
            "processor_seconds": figures.processor.as_secs_f64(),
            "processor_share": figures.processor_share(),
        },
    })
}

// ---- how things are written ----

/// Whose limit a refusal is about, where it is one that the server's operator sets.
fn of_whom(cause: &str) -> &'static str {
    match cause {
        "refused: rate_limited" => {
            " (the server's --messages-per-second for a connection, or --user-messages-per-second: all of a token are one user)"
        }
        "refused: too_many_connections" => {
            " (the server's --user-connections: all of a token are one user)"
        }
        _ => "",
    }
}

/// A number with commas.
pub(super) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A number a second; below ten with its first decimal.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        rate if rate < 10.0 && rate.fract() != 0.0 => format!("{rate:.1}"),
        rate => count(rate.round() as u64),
    }
}

/// Three digits and a unit.
pub(super) fn duration(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        0..1_000 => (nanoseconds as f64, "ns"),
        1_000..1_000_000 => (nanoseconds as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    let decimals = match value {
        value if value >= 100.0 || value.fract() == 0.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_their_unit() {
        for (nanoseconds, told) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1 µs"),
            (81_234, "81.2 µs"),
            (1_234_567, "1.23 ms"),
            (2_000_000_000, "2 s"),
            (123_456_000_000, "123 s"),
        ] {
            assert_eq!(duration(nanoseconds), told);
        }
        assert_eq!([rate(0.5), rate(1000.0)], ["0.5", "1,000"]);
    }

    #[test]
    fn the_plot_shows_all_steps_between_the_first_and_the_last() {
        let mut histogram = Histogram::default();
        histogram.add(30_000, 999);
        histogram.add(3_000_000, 1);
        let mut text = String::new();
        plot(&mut text, &histogram);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].contains("below   50 µs") && lines[0].contains("99.900 %"),
            "{text}"
        );
        assert!(
            lines.last().unwrap().contains("below    5 ms │█ "),
            "{text}"
        );
        assert_eq!(lines.len(), 7, "{text}");
    }

    #[test]
    fn a_late_generator_says_so_only_if_it_matters() {
        let tally = |lateness, latency| {
            let mut tally = Tally::new();
            tally.lateness.add(lateness, 100);
            tally.latency.add(latency, 100);
            late(&tally).is_some()
        };
        assert!(tally(2_000_000, 3_000_000));
        assert!(!tally(2_000_000, 300_000_000));
        assert!(!tally(500_000, 600_000));
    }
}

//! What `tidewire verify` shows: a line of progress on stderr, and the table at the end.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use super::latency::Latencies;
use super::verdict::{Findings, Kind};

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) acks: u64,
    pub(super) dups: u64,
    pub(super) refused: u64,
    pub(super) deliveries: u64,
    pub(super) reconnects: u64,
    pub(super) gaps: u64,
    pub(super) history: u64,
    /// From the first sending to the ack, also where the server was away between.
    pub(super) latencies: Latencies,
}

/// Shows how far the run is: on a terminal in place, else as a line every few seconds.
#[derive(Debug)]
pub(super) struct Progress {
    is_terminal: bool,
    every: Duration,
    shown_at: Option<Instant>,
    width: usize,
}

impl Progress {
    pub(super) fn new() -> Self {
        let is_terminal = stderr().is_terminal();
        Self {
            is_terminal,
            every: Duration::from_millis(if is_terminal { 200 } else { 5000 }),
            shown_at: None,
            width: 0,
        }
    }

    /// Shows the line that `line` makes, if it is time for it.
    pub(super) fn show(&mut self, now: Instant, line: impl FnOnce() -> String) {
        let since = *self.shown_at.get_or_insert(now);
        if now.duration_since(since) < self.every {
            return;
        }
        self.shown_at = Some(now);
        let line = line();
        // Nobody who listens is no reason not to go on.
        let _ = if self.is_terminal {
            write!(stderr(), "\r{line:width$}", width = self.width)
        } else {
            writeln!(stderr(), "{line}")
        };
        self.width = line.chars().count();
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if self.is_terminal && self.width > 0 {
            let _ = write!(stderr(), "\r{:width$}\r", "", width = self.width);
            self.width = 0;
        }
    }
}

/// The table: what was done, and every kind of violation.
pub(super) fn table(counts: &Counts, took: Duration, found: &Findings) -> String {
    let mut text = String::new();
    let mut row = |name: &str, count: u64, more: &str| {
        // A String takes everything.
        let _ = writeln!(text, "  {name:<34} {:>12}{more}", grouped(count));
    };
    let seconds = took.as_secs_f64();
    let rate = counts.sent as f64 / seconds.max(0.001);
    row(
        "messages",
        counts.sent,
        &format!("   in {seconds:.1} s, {rate:.0} a second"),
    );
    row(
        "acknowledged",
        counts.acks,
        &format!("   {} of them a second time", grouped(counts.dups)),
    );
    row("refused, and sent again", counts.refused, "");
    row("deliveries", counts.deliveries, "");
    row("reconnects", counts.reconnects, "");
    row("gaps", counts.gaps, "");
    row("read from the history", counts.history, "");
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        if let Some(latency) = counts.latencies.quantile(share) {
            let name = format!("ack latency, {name}");
            let shown = format!("{:.2} ms", latency.as_secs_f64() * 1e3);
            let _ = writeln!(text, "  {name:<34} {shown:>12}");
        }
    }
    let _ = writeln!(
        text,
        "  {:<34} {:>12}",
        "violations",
        grouped(found.total())
    );
    for kind in Kind::ALL.into_iter().filter(|kind| found.count(*kind) > 0) {
        let _ = writeln!(text, "    {:<32} {:>12}", kind, grouped(found.count(kind)));
    }
    for violation in found.examples() {
        let _ = writeln!(text, "  {}: {}", violation.kind, violation.what);
    }
    text
}

/// A number with commas: 1,234,567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        let grouped: Vec<_> = [0, 999, 1000, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_table_names_each_kind_that_was_found_and_its_examples() {
        let mut found = Findings::default();
        (0..7).for_each(|n| found.add(Kind::Lost, || format!("number {n}")));
        let text = table(&Counts::default(), Duration::from_secs(1), &found);
        assert!(
            text.contains("acknowledged, but lost                      7"),
            "{text}"
        );
        assert!(
            text.contains("number 4") && !text.contains("number 5"),
            "{text}"
        );
        assert!(!text.contains("never sent"), "{text}");
    }
}

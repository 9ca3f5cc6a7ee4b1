//! What `tidewire verify` shows at the end: the table and the verdict.

use std::fmt::Write as _;
use std::time::Duration;

use super::verdict::{Findings, Kind};
use crate::histogram::Histogram;
use crate::tools::terminal::{Lines, visible};

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
    pub(super) latencies: Histogram,
    /// From the loss of a server until a client follows again, there or at the next.
    pub(super) away: Histogram,
}

/// The verdict as a sentence.
pub(super) fn verdict(counts: &Counts, found: &Findings) -> String {
    if found.total() > 0 {
        return "The server did not keep its promises: what is listed above should not be."
            .to_owned();
    }
    if found.told() > 0 {
        return format!(
            "Nothing was lost in silence, doubled or put out of order: of {} acknowledged messages {} are lost, and a gap said so.",
            grouped(counts.acks),
            grouped(found.told())
        );
    }
    let gaps = match counts.gaps {
        0 => "nobody missed any",
        _ => "who missed some was told so by a gap",
    };
    format!(
        "Nothing was lost, doubled or put out of order: all {} acknowledged messages are where their acknowledgements said, and {gaps}.",
        grouped(counts.acks)
    )
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
    if found.told() > 0 {
        row("lost, and told by a gap", found.told(), "");
    }
    for (what, times, name, share) in [
        ("ack latency", &counts.latencies, "p50", 0.5),
        ("ack latency", &counts.latencies, "p99", 0.99),
        ("away until it follows again", &counts.away, "p99", 0.99),
        ("away until it follows again", &counts.away, "max", 1.0),
    ] {
        if !times.is_empty() {
            let time = Duration::from_nanos(times.quantile(share));
            let name = format!("{what}, {name}");
            let shown = format!("{:.2} ms", time.as_secs_f64() * 1e3);
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
        let what = visible(&violation.what, Lines::One);
        let _ = writeln!(text, "  {}: {what}", violation.kind);
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
    fn the_verdict_says_in_words_what_the_numbers_mean() {
        let mut counts = Counts {
            acks: 1234,
            ..Counts::default()
        };
        let mut found = Findings::default();
        let text = verdict(&counts, &found);
        assert!(text.contains("all 1,234 acknowledged messages"), "{text}");
        assert!(text.ends_with("nobody missed any."), "{text}");
        counts.gaps = 1;
        assert!(verdict(&counts, &found).ends_with("told so by a gap."));
        found.add(Kind::Lost, String::new);
        assert!(verdict(&counts, &found).contains("did not keep its promises"));
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

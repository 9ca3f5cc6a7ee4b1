//! The text that Prometheus scrapes, in its format 0.0.4: families with their help and type, each in one place.
//!
//! Written here because the library for it writes OpenMetrics, which `promtool` and older scrapers do not read. Labels come from
//! fixed lists in the code, never from a room, a user or a peer: so there are as many series after a year as at the start.

use std::fmt::{self, Display, Write as _};

use super::histogram::Buckets;

/// What the names of ours begin with.
const PREFIX: &str = "tidewire_";

/// The content type of the text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family is to those who scrape it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// Its name ends with `_total`.
    Counter,
    Gauge,
}

/// The text, as far as it is written. Writing to a string cannot fail.
#[derive(Debug, Default)]
pub(crate) struct Exposition(String);

impl Exposition {
    /// A family of one value.
    pub(crate) fn one(&mut self, kind: Type, name: &str, help: &str, value: impl Display) {
        self.many(kind, name, help, [("", value)]);
    }

    /// A family of values, each with its labels, such as `kind="chat"`.
    pub(crate) fn many<V: Display>(
        &mut self,
        kind: Type,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
        };
        let name = full_name(name);
        self.head(&name, help, kind);
        for (labels, value) in values {
            let _ = match labels.as_ref() {
                "" => writeln!(self.0, "{name} {value}"),
                labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
            };
        }
    }

    /// Durations.
    pub(crate) fn histogram(&mut self, name: &str, help: &str, buckets: &Buckets) {
        let name = full_name(name);
        self.head(&name, help, "histogram");
        for (bound, count) in buckets.cumulated() {
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let sum = Seconds(buckets.sum_nanoseconds());
        let _ = writeln!(self.0, "{name}_sum {sum}");
        let _ = writeln!(self.0, "{name}_count {}", buckets.count());
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let help = help.trim();
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

/// Those of the process have the names that every exporter gives them.
fn full_name(name: &str) -> String {
    let prefix = if name.starts_with("process_") {
        ""
    } else {
        PREFIX
    };
    format!("{prefix}{name}")
}

/// Nanoseconds, written as seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds(pub(crate) u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_family_is_in_one_place_with_its_help_and_type() {
        let mut text = Exposition::default();
        text.one(Type::Counter, "turns_total", " Turns.", 3);
        let values = [("kind=\"a\"", 1), ("kind=\"b\"", 2)];
        text.many(Type::Gauge, "things", "Things.", values);
        text.one(
            Type::Counter,
            "process_cpu_seconds_total",
            "Time.",
            Seconds(1_500_000_000),
        );
        let mut buckets = Buckets::default();
        buckets.add(Duration::from_secs(20));
        text.histogram("turn_seconds", "Turns.", &buckets);
        let text = text.into_text();
        let expected = "# HELP tidewire_turns_total Turns.\n# TYPE tidewire_turns_total counter\ntidewire_turns_total 3\n\
            # HELP tidewire_things Things.\n# TYPE tidewire_things gauge\n\
            tidewire_things{kind=\"a\"} 1\ntidewire_things{kind=\"b\"} 2\n\
            # HELP process_cpu_seconds_total Time.\n# TYPE process_cpu_seconds_total counter\n\
            process_cpu_seconds_total 1.500000000\n\
            # HELP tidewire_turn_seconds Turns.\n# TYPE tidewire_turn_seconds histogram\n\
            tidewire_turn_seconds_bucket{le=\"0.00005\"} 0\n";
        assert!(text.starts_with(expected), "{text}");
        let end = "tidewire_turn_seconds_bucket{le=\"10\"} 0\ntidewire_turn_seconds_bucket{le=\"+Inf\"} 1\n\
            tidewire_turn_seconds_sum 20.000000000\ntidewire_turn_seconds_count 1\n";
        assert!(text.ends_with(end), "{text}");
    }
}

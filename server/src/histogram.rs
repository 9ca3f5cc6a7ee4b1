//! Durations, counted as HdrHistogram does: three significant digits from a nanosecond to hours.

use std::time::Duration;

use hdrhistogram::Histogram as Hdr;

/// The percentiles that are told, with their names in JSON.
pub(crate) const TOLD: [(&str, &str, f64); 4] = [
    ("p50", "p50", 0.5),
    ("p90", "p90", 0.9),
    ("p99", "p99", 0.99),
    ("p99.9", "p999", 0.999),
];

/// How many of each duration there were.
#[derive(Debug)]
pub(crate) struct Histogram(Hdr<u64>);

impl Default for Histogram {
    fn default() -> Self {
        // 1 ns to 24 h: the longest that a run can take. The bounds are right, so that this cannot fail.
        let bounded = Hdr::new_with_bounds(1, Duration::from_secs(86_400).as_nanos() as u64, 3);
        Self(bounded.expect("3 digits, and 1 is less than half of 24 h"))
    }
}

impl Histogram {
    /// Counts `count` times a duration in nanoseconds.
    pub(crate) fn add(&mut self, nanoseconds: u64, count: u64) {
        self.0.saturating_record_n(nanoseconds.max(1), count);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The duration that so large a part of all does not exceed, in nanoseconds; 0 without any.
    pub(crate) fn quantile(&self, part: f64) -> u64 {
        self.0.value_at_quantile(part)
    }

    pub(crate) fn min(&self) -> u64 {
        self.0.min()
    }

    pub(crate) fn max(&self) -> u64 {
        self.0.max()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// How many are from `low` up to, without it, `high`.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        self.0.count_between(low, high.saturating_sub(1))
    }

    /// Quantiles and what is not above them, ever closer to 1: a curve's points.
    pub(crate) fn curve(&self) -> Vec<(f64, u64)> {
        self.0
            .iter_quantiles(8)
            .map(|step| (step.quantile_iterated_to(), step.value_iterated_to()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_three_digits() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.max()), (0, 0));
        (1..=10_000).for_each(|number| histogram.add(number * 1000, 1));
        for (_, _, part) in TOLD {
            let ratio = histogram.quantile(part) as f64 / (part * 1e7);
            assert!((0.999..1.001).contains(&ratio), "{part}: {ratio}");
        }
        let curve = histogram.curve();
        assert!(curve.is_sorted() && curve.last().unwrap().1 >= histogram.max());
    }
}

//! Latencies in buckets that are at most 1/64 wide for what they hold, as HdrHistogram has them: 8 KiB from nanoseconds to
//! minutes, a few instructions to count one.

use serde_json::{Value, json};

/// Buckets to each power of two, as a power of two.
const BITS: u32 = 6;
const STEPS: usize = 1 << BITS;

/// Counts of nanoseconds.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; (64 - BITS as usize + 1) * STEPS],
            count: 0,
            max: 0,
        }
    }

    pub(crate) fn add(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.count += 1;
        self.max = self.max.max(nanoseconds);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// What so large a part of all is not above; 0 if there is nothing.
    pub(crate) fn quantile(&self, part: f64) -> u64 {
        let wanted = (part * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper(bucket).min(self.max);
            }
        }
        0
    }

    /// Microseconds.
    pub(crate) fn to_json(&self) -> Value {
        let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
        let at = |part| microseconds(self.quantile(part));
        json!({
            "count": self.count,
            "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999),
            "max": microseconds(self.max),
        })
    }
}

/// The smallest values have a bucket each; each further power of two has `STEPS`.
const fn bucket(value: u64) -> usize {
    if value < STEPS as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - BITS;
    (shift as usize + 1) * STEPS + ((value >> shift) as usize - STEPS)
}

/// The largest value of a bucket.
const fn upper(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let shift = (bucket / STEPS - 1) as u32;
    let lower = ((bucket % STEPS + STEPS) as u64) << shift;
    lower + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_values_and_is_narrow() {
        for value in (0..20_000).chain([1 << 40, (1 << 40) + 12_345, u64::MAX]) {
            let bucket = bucket(value);
            assert!(upper(bucket) >= value);
            assert!(bucket == 0 || upper(bucket - 1) < value);
            assert!(upper(bucket) - value <= value / 64);
        }
    }

    #[test]
    fn quantiles_are_of_what_was_added() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), 0);
        (1..=1000).for_each(|value| histogram.add(value * 1000));
        for (part, expected) in [(0.5, 500_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
            let ratio = histogram.quantile(part) as f64 / expected;
            assert!((1.0..1.02).contains(&ratio), "{part}: {ratio}");
        }
    }
}

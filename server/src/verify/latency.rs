//! How long acknowledgements took: counts by duration, each bucket within 7 % of the next.

use std::time::Duration;

/// Buckets for each doubling.
const PER_DOUBLING: u32 = 16;

/// Durations from a microsecond to an hour and beyond, in little memory.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Latencies {
    pub(super) fn add(&mut self, duration: Duration) {
        let micros = duration.as_micros().clamp(1, 1 << 40) as f64;
        let bucket = (micros.log2() * f64::from(PER_DOUBLING)) as usize;
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
    }

    /// The duration that this share of all does not exceed; `None` without any.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let micros = 2_f64.powf((bucket + 1) as f64 / f64::from(PER_DOUBLING));
        Some(Duration::from_micros(micros as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        (1..=10_000).for_each(|micros| latencies.add(Duration::from_micros(micros)));
        for (share, exact) in [(0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let ratio = latencies.quantile(share).unwrap().as_micros() as f64 / exact;
            assert!((0.99..1.07).contains(&ratio), "{share}: {ratio}");
        }
    }
}

//! How long things took, every one of them.

use std::time::Duration;

use serde_json::{Value, json};

/// Durations in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Spread(Vec<u32>);

impl Spread {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0
            .push(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    /// Several as one.
    fn of_all(spreads: Vec<Self>) -> Self {
        Self(spreads.into_iter().flat_map(|spread| spread.0).collect())
    }

    /// What one in a hundred exceeds, in milliseconds.
    fn p99(&mut self) -> f64 {
        self.0.sort_unstable();
        self.quantile(0.99).unwrap_or(f64::NAN)
    }

    /// The quantiles that are reported, in milliseconds.
    fn figures(&mut self) -> Value {
        self.0.sort_unstable();
        json!({
            "count": self.0.len(),
            "p50": self.quantile(0.5),
            "p99": self.quantile(0.99),
            "max": self.quantile(1.0),
        })
    }

    /// The same of several, one for each second, the seconds' own p99, and the middle one of those: a second in which another
    /// process had the machine does not count for more than one.
    pub(crate) fn figures_of_seconds(mut seconds: Vec<Self>) -> Value {
        let each: Vec<_> = seconds.iter_mut().map(Self::p99).collect();
        let mut sorted = each.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2).copied();
        let mut figures = Self::of_all(seconds).figures();
        figures["p99OfSeconds"] = json!(middle);
        figures["p99BySecond"] = json!(each);
        figures
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        let micros = self.0.get(rank.max(1) - 1)?;
        Some(f64::from(*micros) / 1000.0)
    }
}

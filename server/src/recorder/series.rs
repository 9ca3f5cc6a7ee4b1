//! What the operator's page plots: one sample a second of the last ten minutes.

use std::collections::VecDeque;

/// Samples that are kept: ten minutes of them.
const SAMPLES_KEPT: usize = 600;

/// The names of a sample's numbers, in their order.
pub(crate) const COLUMNS: [&str; 9] = [
    "time",
    "connections",
    "messagesIn",
    "messagesOut",
    "appended",
    "behind",
    "ended",
    "canaryMs",
    "lagMs",
];

/// What was at a moment. Counts are since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sample {
    /// In milliseconds since 1970.
    pub(crate) time: u64,
    /// Open connections.
    pub(crate) connections: u64,
    /// Messages that clients sent.
    pub(crate) messages_in: u64,
    /// Messages that were queued for clients.
    pub(crate) messages_out: u64,
    /// Entries that the log took.
    pub(crate) appended: u64,
    /// Connections that are behind in a log.
    pub(crate) behind: u64,
    /// Connections that ended.
    pub(crate) ended: u64,
    /// How long the canary's last message took to come back, or how long the next is overdue, in milliseconds.
    pub(crate) canary_ms: Option<f64>,
    /// How long the connection that is behind for the longest time has been, in milliseconds.
    pub(crate) lag_ms: u64,
}

/// The samples, of which the first is only there to tell the second's rates.
#[derive(Debug, Default)]
pub(crate) struct Series(VecDeque<Sample>);

impl Series {
    /// Adds the newest.
    pub(crate) fn push(&mut self, sample: Sample) {
        if self.0.len() > SAMPLES_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// The rows behind a time, as [`COLUMNS`] names their numbers: what is counted is shown as so much a second.
    pub(crate) fn rows(&self, since: u64) -> Vec<[serde_json::Value; COLUMNS.len()]> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let newer = pairs.filter(|(_, sample)| sample.time > since);
        newer.map(|(before, sample)| row(before, sample)).collect()
    }
}

fn row(before: &Sample, sample: &Sample) -> [serde_json::Value; COLUMNS.len()] {
    // A clock that was set back tells of no rate.
    let seconds = sample.time.saturating_sub(before.time).max(1) as f64 / 1000.0;
    let rate = |count: fn(&Sample) -> u64| {
        let more = count(sample).saturating_sub(count(before)) as f64;
        ((more / seconds * 10.0).round() / 10.0).into()
    };
    [
        sample.time.into(),
        sample.connections.into(),
        rate(|sample| sample.messages_in),
        rate(|sample| sample.messages_out),
        rate(|sample| sample.appended),
        sample.behind.into(),
        rate(|sample| sample.ended),
        sample.canary_ms.into(),
        sample.lag_ms.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_rates_and_ten_minutes_are_kept() {
        let mut series = Series::default();
        for second in 0..1000 {
            series.push(Sample {
                time: second * 1000,
                connections: second,
                messages_in: second * 50,
                ..Sample::default()
            });
        }
        let rows = series.rows(0);
        assert_eq!(rows.len(), SAMPLES_KEPT);
        assert_eq!(rows[0][0], 400_000);
        let last = &rows[SAMPLES_KEPT - 1];
        assert_eq!((&last[1], &last[2]), (&999.into(), &50.0.into()));
        assert_eq!(series.rows(998_000).len(), 1);
    }
}

//! What was seen of the server every ten seconds, and the straight line that fits its memory best.

use std::fmt;

use anyhow::{Context as _, Result};

/// One look at the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) second: u64,
    pub(super) resident_bytes: u64,
    pub(super) descriptors: u64,
    pub(super) connections: u64,
    /// Clients that have come so far.
    pub(super) begun: u64,
    /// Messages that clients have heard so far.
    pub(super) heard: u64,
    /// What the server holds of its allocator; an earlier run's samples do not have it.
    pub(super) heap_bytes: Option<u64>,
}

impl Sample {
    pub(super) fn minutes(&self) -> f64 {
        self.second as f64 / 60.0
    }

    /// What is in memory, with what the allocator has for later.
    pub(super) fn mebibytes(&self) -> f64 {
        self.resident_bytes as f64 / f64::from(1 << 20)
    }

    /// What is held.
    pub(super) fn held_mebibytes(&self) -> Option<f64> {
        Some(self.heap_bytes? as f64 / f64::from(1 << 20))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split('\t').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self {
            second: next()?,
            resident_bytes: next()?,
            descriptors: next()?,
            connections: next()?,
            begun: next()?,
            heard: next()?,
            heap_bytes: {
                // Between them is the processor's time.
                next();
                next()
            },
        })
    }
}

/// All of them, in the order of time.
#[derive(Debug)]
pub(super) struct Samples(Vec<Sample>);

impl Samples {
    /// Reads lines of numbers with tabs between them. The last one is of a server whose clients have gone.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parse =
            |line| Sample::parse(line).with_context(|| format!("this is no sample: {line}"));
        let mut samples = text.lines().map(parse).collect::<Result<Vec<_>>>()?;
        let most = samples
            .iter()
            .map(|sample| sample.connections)
            .max()
            .unwrap_or(0);
        while samples
            .last()
            .is_some_and(|last| last.connections < most / 2)
        {
            samples.pop();
        }
        Ok(Self(samples))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }

    pub(super) fn minutes(&self) -> f64 {
        self.0.last().map_or(0.0, Sample::minutes)
    }

    fn behind(&self, warm_up_minutes: f64) -> Vec<&Sample> {
        let behind = |sample: &&Sample| sample.minutes() >= warm_up_minutes;
        self.iter().filter(behind).collect()
    }

    /// The first and the last one behind the warm-up.
    pub(super) fn ends(&self, warm_up_minutes: f64) -> Option<(Sample, Sample)> {
        let behind = self.behind(warm_up_minutes);
        Some((**behind.first()?, **behind.last()?))
    }

    /// The line through the resident memory behind the warm-up.
    pub(super) fn slope(&self, warm_up_minutes: f64) -> Option<Slope> {
        self.slope_of(warm_up_minutes, |sample| Some(sample.mebibytes()))
    }

    /// The line through what is held; `None` for samples that do not tell it.
    pub(super) fn held_slope(&self, warm_up_minutes: f64) -> Option<Slope> {
        self.slope_of(warm_up_minutes, Sample::held_mebibytes)
    }

    fn slope_of(
        &self,
        warm_up_minutes: f64,
        figure: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<Slope> {
        let points = self.behind(warm_up_minutes).into_iter();
        let points: Vec<_> = points
            .filter_map(|sample| Some((sample.minutes() / 60.0, figure(sample)?)))
            .collect();
        Slope::of(&points)
    }
}

/// A straight line by least squares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slope {
    /// MiB an hour.
    pub(super) per_hour: f64,
    /// Two standard errors of that.
    pub(super) uncertainty: f64,
    /// MiB at the beginning of time.
    pub(super) at_zero: f64,
}

impl Slope {
    fn of(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < 3 {
            return None;
        }
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
        let sum =
            |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(*x, *y)).sum::<f64>();
        let spread = sum(&|x, _| (x - x_mean).powi(2));
        if spread == 0.0 {
            return None;
        }
        let per_hour = sum(&|x, y| (x - x_mean) * (y - y_mean)) / spread;
        let at_zero = y_mean - per_hour * x_mean;
        let residue = sum(&|x, y| (y - at_zero - per_hour * x).powi(2));
        Some(Self {
            per_hour,
            uncertainty: 2.0 * (residue / (count - 2.0) / spread).sqrt(),
            at_zero,
        })
    }
}

impl fmt::Display for Slope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:+.2} ± {:.2} MiB an hour",
            self.per_hour, self.uncertainty
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(memory: impl Fn(u64) -> u64) -> Samples {
        let line = |second: u64| format!("{second}\t{}\t9\t5\t1\t1\t7\n", memory(second));
        let text: String = (0..100).map(|n| line(n * 60)).collect();
        Samples::parse(&(text + "6000\t5\t9\t0\t1\t1\t7\n")).expect("lines of numbers")
    }

    #[test]
    fn a_straight_line_is_its_slope_and_what_warms_up_is_left_out() {
        let samples = samples(|second| match second {
            0..600 => 0,
            // A mebibyte an hour.
            _ => (10 << 20) + second * (1 << 20) / 3600,
        });
        let slope = samples.slope(10.0).expect("there are points");
        assert_eq!(slope.to_string(), "+1.00 ± 0.00 MiB an hour");
        assert!(samples.slope(0.0).expect("there are points").per_hour > 1.5);
        assert_eq!(
            samples.minutes(),
            99.0,
            "clients that have gone are left out"
        );
    }

    #[test]
    fn noise_is_no_slope_but_an_uncertainty() {
        let slope = samples(|second| (second / 60 % 2) << 20).slope(0.0);
        let slope = slope.expect("there are points");
        assert!(slope.per_hour.abs() < slope.uncertainty, "{slope}");
    }

    #[test]
    fn what_is_held_has_a_slope_of_its_own() {
        let line = |n: u64| format!("{}\t{}\t9\t5\t1\t1\t7\t{}\n", n * 60, 9 << 20, n << 20);
        let text: String = (0..100).map(line).collect();
        let both = Samples::parse(&text).expect("lines of numbers");
        let held = both.held_slope(0.0).expect("there are points");
        assert_eq!(held.to_string(), "+60.00 ± 0.00 MiB an hour");
        let resident = both.slope(0.0).expect("there are points");
        assert_eq!(resident.to_string(), "+0.00 ± 0.00 MiB an hour");
        assert!(samples(|_| 1).held_slope(0.0).is_none(), "an earlier run");
    }

    #[test]
    fn what_is_no_sample_is_told() {
        assert!(Samples::parse("1\t2\tmany\n").is_err());
    }
}

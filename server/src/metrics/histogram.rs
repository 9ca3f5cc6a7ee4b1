//! Durations in fixed buckets, as Prometheus has them: a worker's own, which are plain numbers, and one of a thread that
//! others read. What `bench` and `verify` measure with is finer ([`crate::histogram`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds in nanoseconds, and how they are written in seconds: from what a turn takes to what nobody waits for.
const BOUNDS: [(u64, &str); 16] = [
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (10_000_000_000, "10"),
];

/// The buckets, that without a bound, and the sum.
const NUMBERS: usize = BOUNDS.len() + 2;

const REST: usize = BOUNDS.len();
const SUM: usize = REST + 1;

/// How many durations there were of each size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Buckets([u64; NUMBERS]);

impl Buckets {
    pub(crate) fn add(&mut self, duration: Duration) {
        let nanoseconds = in_nanoseconds(duration);
        self.0[place(nanoseconds)] += 1;
        self.0[SUM] += nanoseconds;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }

    /// Each bound in seconds with how many were not above it, the last without a bound.
    pub(crate) fn cumulated(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let bounds = BOUNDS.iter().map(|(_, bound)| *bound);
        let counts = self.0.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.chain(["+Inf"]).zip(counts)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0[..=REST].iter().sum()
    }

    pub(crate) const fn sum_nanoseconds(&self) -> u64 {
        self.0[SUM]
    }
}

/// The same, for others to read while one thread counts.
#[derive(Debug, Default)]
pub(crate) struct SharedBuckets([AtomicU64; NUMBERS]);

impl SharedBuckets {
    pub(crate) fn add(&self, duration: Duration) {
        let nanoseconds = in_nanoseconds(duration);
        self.0[place(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        self.0[SUM].fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Replaces all numbers.
    pub(crate) fn store(&self, buckets: &Buckets) {
        for (shared, number) in self.0.iter().zip(buckets.0) {
            shared.store(number, Ordering::Relaxed);
        }
    }

    pub(crate) fn load(&self) -> Buckets {
        Buckets(
            self.0
                .each_ref()
                .map(|number| number.load(Ordering::Relaxed)),
        )
    }
}

/// The first bucket whose bound is not exceeded. Each turn asks: what has as many bits has nearly always the same answer.
fn place(nanoseconds: u64) -> usize {
    let mut place = usize::from(PLACES[bits_of(nanoseconds)]);
    while BOUNDS
        .get(place)
        .is_some_and(|(bound, _)| *bound < nanoseconds)
    {
        place += 1;
    }
    place
}

/// The bucket of the least number that has so many bits.
const PLACES: [u8; 65] = {
    let mut places = [0; 65];
    let mut bits = 1;
    while bits < places.len() {
        let (least, mut place) = (1 << (bits - 1), 0);
        while place < BOUNDS.len() && BOUNDS[place].0 < least {
            place += 1;
        }
        places[bits] = place as u8;
        bits += 1;
    }
    places
};

const fn bits_of(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()) as usize
}

fn in_nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_it_does_not_exceed() {
        let (mut buckets, shared) = (Buckets::default(), SharedBuckets::default());
        for nanoseconds in [0, 50_000, 50_001, 10_000_000_000, 10_000_000_001] {
            buckets.add(Duration::from_nanos(nanoseconds));
            shared.add(Duration::from_nanos(nanoseconds));
        }
        assert_eq!(shared.load(), buckets);
        let cumulated: Vec<_> = buckets.cumulated().collect();
        assert_eq!(cumulated[0], ("0.00005", 2));
        assert_eq!(cumulated[1], ("0.0001", 3));
        assert_eq!(cumulated[14], ("2.5", 3));
        assert_eq!(cumulated[15], ("10", 4));
        assert_eq!(cumulated.last(), Some(&("+Inf", 5)));
        assert_eq!(
            (buckets.count(), buckets.sum_nanoseconds()),
            (5, 20_000_100_002)
        );
        let mut twice = buckets;
        twice.merge(&buckets);
        assert_eq!(twice.count(), 10);
    }

    #[test]
    fn the_bucket_of_a_number_is_the_first_whose_bound_it_does_not_exceed() {
        let near = |number: u64| [number.saturating_sub(1), number, number.saturating_add(1)];
        let powers = (0..u64::BITS).map(|bits| 1 << bits);
        let bounds = BOUNDS.iter().map(|(bound, _)| *bound);
        for number in powers.chain(bounds).chain([0, u64::MAX]).flat_map(near) {
            let expected = BOUNDS.partition_point(|(bound, _)| *bound < number);
            assert_eq!(place(number), expected, "{number}");
        }
    }

    #[test]
    fn bounds_rise_and_are_what_they_are_called() {
        assert!(BOUNDS.is_sorted());
        for (nanoseconds, seconds) in BOUNDS {
            let seconds: f64 = seconds.parse().unwrap();
            assert!((seconds * 1e9 - nanoseconds as f64).abs() < 0.5);
        }
    }
}

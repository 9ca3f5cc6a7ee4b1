//! How many connections a second a worker can take: measured when more come than it takes in a turn, with what else it does
//! then. A server that stops sends its clients back at that pace.

use std::time::Instant;

/// What is assumed before so many have come: a fifth of what one core of a small machine does.
const ASSUMED: f64 = 1_000.0;

/// A worker that does less is no worker; one that seems to do more was measured in a lucky moment.
const BOUNDS: (f64, f64) = (100.0, 10_000.0);

/// What a turn counts among those before it.
const WEIGHT: f64 = 1.0 / 8.0;

/// The measure.
#[derive(Debug)]
pub(super) struct Capacity {
    per_second: f64,
    /// When the turn before began, if it took as many as it may, and how many.
    full: Option<(Instant, usize)>,
    /// Such turns in a row. The first says nothing: its connections' handshakes are in the next.
    full_turns: u32,
}

impl Capacity {
    pub(super) const fn new() -> Self {
        Self {
            per_second: ASSUMED,
            full: None,
            full_turns: 0,
        }
    }

    /// Notes that a turn that began at `now` took so many, and whether it would have taken more. A turn behind a full one
    /// begins at once, so that the time between them is what the first has taken.
    pub(super) fn note_turn(&mut self, accepted: usize, is_full: bool, now: Instant) {
        if let Some((since, taken)) = self.full.take()
            && self.full_turns > 1
        {
            let took = now.saturating_duration_since(since).as_secs_f64();
            let rate = taken as f64 / took.max(1e-6);
            let rate = rate.clamp(BOUNDS.0, BOUNDS.1);
            self.per_second += (rate - self.per_second) * WEIGHT;
        }
        if is_full {
            self.full = Some((now, accepted));
            self.full_turns += 1;
        } else {
            self.note_pause();
        }
    }

    /// Notes that nobody waited to be taken.
    pub(super) const fn note_pause(&mut self) {
        self.full = None;
        self.full_turns = 0;
    }

    pub(super) const fn per_second(&self) -> u64 {
        self.per_second as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_what_full_turns_take_and_only_those() {
        let mut capacity = Capacity::new();
        let mut now = Instant::now();
        let mut turn = |capacity: &mut Capacity, is_full, millis| {
            let accepted = if is_full { 64 } else { 3 };
            capacity.note_turn(accepted, is_full, now);
            now += Duration::from_millis(millis);
        };
        for _ in 0..50 {
            turn(&mut capacity, false, 1_000);
            turn(&mut capacity, true, 500);
        }
        assert_eq!(capacity.per_second(), 1_000, "no two full turns in a row");
        (0..100).for_each(|_| turn(&mut capacity, true, 16));
        assert!((3_900..=4_000).contains(&capacity.per_second()));
        (0..100).for_each(|_| turn(&mut capacity, true, 0));
        assert_eq!(capacity.per_second(), 9_999);
        (0..100).for_each(|_| turn(&mut capacity, true, 60_000));
        assert_eq!(capacity.per_second(), 100);
    }
}

//! What happened in each tenth of a second, for the curve over time.

use std::ops::Range;

/// The length of a slot in nanoseconds.
pub(super) const SLOT: u64 = 100_000_000;

/// The most points of a curve: a picture has no room for more.
const POINTS_MAX: usize = 120;

/// What happened in a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// Answers to what was due in it, and answers that came in it.
    pub(super) expected: u64,
    pub(super) received: u64,
    /// Open connections, at the end of it.
    pub(super) open: u64,
}

/// Slots from the begin of what is measured on.
#[derive(Debug, Default)]
pub(super) struct Series {
    slots: Vec<Slot>,
}

impl Series {
    /// The slot of a moment, counted from the begin; none behind the end.
    pub(super) fn at(&mut self, moment: u64, window: &Range<u64>) -> Option<&mut Slot> {
        if !window.contains(&moment) {
            return None;
        }
        let index = ((moment - window.start) / SLOT) as usize;
        if self.slots.len() <= index {
            // Connections stay open also while nobody counts them.
            let open = self.slots.last().map_or(0, |slot| slot.open);
            let more = Slot {
                open,
                ..Slot::default()
            };
            self.slots.resize(index + 1, more);
        }
        self.slots.get_mut(index)
    }

    /// Seconds since the begin, and a figure of the slots up to then: with `rate` a second, else the last.
    pub(super) fn points(
        &self,
        seconds: f64,
        figure: impl Fn(&Slot) -> u64,
        rate: bool,
    ) -> Vec<(f64, f64)> {
        let each = self.slots.len().div_ceil(POINTS_MAX).max(1);
        let slot = SLOT as f64 / 1e9;
        let mut points = Vec::new();
        for (index, slots) in self.slots.chunks(each).enumerate() {
            let begin = (index * each) as f64 * slot;
            // The last slot may be cut by the end.
            let length = (slots.len() as f64 * slot).min(seconds - begin);
            if length < slot / 2.0 {
                continue;
            }
            let value = match rate {
                true => slots.iter().map(&figure).sum::<u64>() as f64 / length,
                false => slots.last().map_or(0, &figure) as f64,
            };
            points.push((begin + length / 2.0, value));
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_by_the_second_however_many_slots_a_point_has() {
        for seconds in [1_u64, 10, 100] {
            let window = 5..5 + seconds * 1_000_000_000;
            let mut series = Series::default();
            for number in 0..seconds * 1000 {
                let moment = 5 + number * 1_000_000;
                series.at(moment, &window).unwrap().received += 1;
            }
            assert!(series.at(window.end, &window).is_none());
            assert!(series.at(4, &window).is_none());
            let points = series.points(seconds as f64, |slot| slot.received, true);
            assert!(points.len() <= POINTS_MAX && points.len() >= 10);
            for (_, rate) in points {
                assert!((rate - 1000.0).abs() < 1.0, "{rate}");
            }
        }
    }
}

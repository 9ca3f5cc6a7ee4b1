//! Random numbers that follow from a seed (SplitMix64).

/// The generator.
#[derive(Debug, Clone)]
pub(in crate::log) struct Dice(u64);

impl Dice {
    pub(in crate::log) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(in crate::log) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub(in crate::log) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True in so many of 100 cases.
    pub(in crate::log) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(in crate::log) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

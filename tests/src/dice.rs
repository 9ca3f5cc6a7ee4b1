//! Numbers that look random and are the same for the same seed, in every version of the tests: what a seed found can be
//! looked at again. Not for keys or secrets.

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of one of many things that have a seed in common, independent of the others'.
    #[must_use]
    pub fn of(seed: u64, number: u64) -> Self {
        let mut dice = Self(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        dice.next();
        dice
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub const fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A number from `first` to `last`.
    pub const fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// Whether something comes true that does once in so many times.
    pub const fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    pub const fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Any bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// A masking key.
    pub const fn key(&mut self) -> [u8; 4] {
        (self.next() as u32).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_gives_its_numbers_again_and_another_one_others() {
        let rolls = |mut dice: Dice| [(); 4].map(|()| dice.next());
        assert_eq!(rolls(Dice::of(1, 2)), rolls(Dice::of(1, 2)));
        assert_ne!(rolls(Dice::of(1, 2)), rolls(Dice::of(1, 3)));
        assert_ne!(rolls(Dice::of(1, 2)), rolls(Dice::of(2, 2)));
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_them() {
        let mut dice = Dice::new(7);
        let rolls: Vec<_> = (0..1000).map(|_| dice.between(3, 6)).collect();
        assert_eq!(rolls.iter().min(), Some(&3));
        assert_eq!(rolls.iter().max(), Some(&6));
    }
}

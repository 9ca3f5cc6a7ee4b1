//! A set of connections, told apart by their places in the table: a sorted list, or where many of all connections are in it, a
//! bit for each place. So who follows what everybody follows costs a bit, and nobody costs more than a list's four bytes.

/// Connections by index, in that order.
#[derive(Debug, Default)]
pub struct ConnSet {
    /// Those of a sparse set, sorted.
    list: Vec<u32>,
    /// Those of a dense one; the last word is not empty.
    bits: Vec<u64>,
    len: usize,
}

/// Up to so many are a list in any case.
const LIST_MIN: usize = 16;

/// A set becomes dense when its bits take no more than a list would, two members a word, and sparse again when they take four
/// times as much: who comes and goes must not make it change each time.
const MEMBERS_PER_WORD: usize = 2;
const WORDS_PER_MEMBER: usize = 2;

impl ConnSet {
    /// Adds a connection; `false` if it is there already.
    pub fn insert(&mut self, index: u32) -> bool {
        let (word, bit) = place_of(index);
        if self.is_dense() && word >= self.bits.len() && word >= WORDS_PER_MEMBER * self.len {
            self.make_sparse();
        }
        let is_new = if self.is_dense() {
            if word >= self.bits.len() {
                self.bits.resize(word + 1, 0);
            }
            let is_new = self.bits[word] & bit == 0;
            self.bits[word] |= bit;
            is_new
        } else {
            let place = self.list.binary_search(&index);
            if let Err(place) = place {
                self.list.insert(place, index);
            }
            place.is_err()
        };
        self.len += usize::from(is_new);
        if !self.is_dense() && self.len > LIST_MIN {
            self.make_dense_if_smaller();
        }
        is_new
    }

    /// Takes a connection out; `false` if it is not there.
    pub fn remove(&mut self, index: u32) -> bool {
        if !self.contains(index) {
            return false;
        }
        self.len -= 1;
        if self.is_dense() {
            let (word, bit) = place_of(index);
            self.bits[word] &= !bit;
            while self.bits.last() == Some(&0) {
                self.bits.pop();
            }
            if self.bits.len() > WORDS_PER_MEMBER * self.len {
                self.make_sparse();
            }
        } else if let Ok(place) = self.list.binary_search(&index) {
            self.list.remove(place);
        }
        if self.list.len() * 4 < self.list.capacity() {
            self.list.shrink_to(self.list.len() * 2);
        }
        true
    }

    /// Whether this connection is among them.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        let (word, bit) = place_of(index);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
            || self.list.binary_search(&index).is_ok()
    }

    /// All of them, the smallest index first.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let words = (0u32..).step_by(64).zip(&self.bits);
        let dense = words.flat_map(|(first, &bits)| Ones { first, bits });
        self.list.iter().copied().chain(dense)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    const fn is_dense(&self) -> bool {
        !self.bits.is_empty()
    }

    fn make_dense_if_smaller(&mut self) {
        let Some(&largest) = self.list.last() else {
            return;
        };
        let words = place_of(largest).0 + 1;
        if words * MEMBERS_PER_WORD <= self.len {
            self.bits = vec![0; words];
            for index in std::mem::take(&mut self.list) {
                let (word, bit) = place_of(index);
                self.bits[word] |= bit;
            }
        }
    }

    fn make_sparse(&mut self) {
        self.list = self.iter().collect();
        self.bits = Vec::new();
    }
}

/// The word of an index, and its bit there.
const fn place_of(index: u32) -> (usize, u64) {
    (index as usize / 64, 1 << (index % 64))
}

/// The indexes of the bits that are set in a word.
struct Ones {
    first: u32,
    bits: u64,
}

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = self.bits.trailing_zeros();
        // Without the lowest of its bits; none is left behind the last.
        self.bits &= self.bits.checked_sub(1)?;
        Some(self.first + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn assert_same(set: &ConnSet, model: &BTreeSet<u32>) {
        assert_eq!(set.len(), model.len());
        assert!(set.iter().eq(model.iter().copied()));
        assert!(set.list.is_empty() || set.bits.is_empty());
        assert!(set.bits.last() != Some(&0));
    }

    #[test]
    fn it_is_the_set_that_it_is_told_to_be() {
        let (mut set, mut model) = (ConnSet::default(), BTreeSet::new());
        let mut random: u32 = 1;
        // From few in a wide range to all in a narrow one, and back.
        for round in 0..40_000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let range = [100_000, 3_000, 300, 90_000][round as usize / 10_000];
            let index = (random >> 8) % range;
            if random >> 30 == 0 {
                assert_eq!(set.remove(index), model.remove(&index));
            } else {
                assert_eq!(set.insert(index), model.insert(index));
            }
            assert_eq!(set.contains(index), model.contains(&index));
            if round % 1000 == 0 {
                assert_same(&set, &model);
            }
        }
        for index in 0..100_000 {
            assert_eq!(set.remove(index), model.remove(&index));
            if index % 1000 == 0 {
                assert_same(&set, &model);
            }
        }
        assert!(set.is_empty() && set.list.capacity() == 0);
    }

    #[test]
    fn who_is_everywhere_costs_a_bit_and_who_is_not_a_number() {
        let mut all = ConnSet::default();
        assert!((0..9000).all(|index| all.insert(index)));
        assert_eq!((all.list.capacity(), all.bits.len()), (0, 141));
        all.insert(u32::MAX);
        assert_eq!((all.list.len(), all.bits.len()), (9001, 0), "far away");
        all.remove(u32::MAX);
        let mut few = ConnSet::default();
        assert!((0..9000).step_by(100).all(|index| few.insert(index)));
        assert_eq!((few.list.len(), few.bits.len()), (90, 0));
    }
}

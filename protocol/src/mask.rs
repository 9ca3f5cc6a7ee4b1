//! Masking (RFC 6455 §5.3): XOR with a 4-byte key, in place, eight bytes at a time, wherever the payload was cut.

/// A masking key, turned so that its first byte belongs to the next byte of payload.
///
/// A payload that arrives in pieces is unmasked piece by piece with the same `Mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    /// The key with its first byte lowest, so that it is turned by a rotation.
    key: u32,
}

impl Mask {
    /// A mask at the start of a payload.
    #[must_use]
    pub const fn new(key: [u8; 4]) -> Self {
        Self {
            key: u32::from_le_bytes(key),
        }
    }

    /// The key as it is due next: after `n` bytes it has turned by `n` modulo 4.
    #[must_use]
    pub const fn key(self) -> [u8; 4] {
        self.key.to_le_bytes()
    }

    /// Masks or unmasks `bytes`, the next ones of the payload.
    ///
    /// "Octet i of the transformed data is the XOR of octet i of the original data with octet at index i modulo 4 of
    /// the masking key" (§5.3), so that doing it twice undoes it.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        if bytes.len() < ALIGNED_BYTES_MIN {
            return self.apply_to_next(bytes);
        }
        let unaligned = bytes.as_ptr().align_offset(VECTOR_BYTES);
        let (before, aligned) = bytes.split_at_mut(unaligned.min(bytes.len()));
        self.apply_to_next(before);
        self.apply_to_next(aligned);
    }

    fn apply_to_next(&mut self, bytes: &mut [u8]) {
        let word = self.word();
        let (blocks, rest) = bytes.as_chunks_mut::<VECTOR_BYTES>();
        for block in blocks {
            apply_to_words(word, block);
        }
        let (half, rest) = apply_to_words(word, rest).as_chunks_mut::<4>();
        for chunk in half {
            *chunk = (u32::from_le_bytes(*chunk) ^ self.key).to_le_bytes();
        }
        // All before was a multiple of four bytes: only these turn the key.
        for byte in rest {
            *byte ^= self.key as u8;
            self.key = self.key.rotate_right(8);
        }
    }

    fn word(self) -> u64 {
        u64::from(self.key) << 32 | u64::from(self.key)
    }
}

/// What a step of the loop over long payloads takes: a known number of words becomes vector instructions.
const VECTOR_BYTES: usize = 32;

/// From here on it pays to begin the vectors where none of them lies across two lines of the cache; behind a frame's header
/// payloads lie anywhere.
const ALIGNED_BYTES_MIN: usize = 1 << 10;

/// How much of a payload is worked on at a time where there is more than one thing to do with it: it stays in the first-level
/// cache of any processor meanwhile.
pub(crate) const CACHED_BYTES: usize = 2 << 10;

/// Returns what is too short for a word.
fn apply_to_words(word: u64, bytes: &mut [u8]) -> &mut [u8] {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_le_bytes(*chunk) ^ word).to_le_bytes();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The slow twin: §5.3, to the letter.
    fn apply_by_the_letter(key: [u8; 4], bytes: &mut [u8]) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
    }

    proptest! {
        #[test]
        fn words_do_what_bytes_do(
            key: [u8; 4], mut bytes in proptest::collection::vec(any::<u8>(), 0..4096), skew in 0usize..9,
        ) {
            let skew = skew.min(bytes.len());
            let mut expected = bytes.clone();
            apply_by_the_letter(key, &mut expected[skew..]);
            Mask::new(key).apply(&mut bytes[skew..]);
            prop_assert_eq!(bytes, expected);
        }

        #[test]
        fn pieces_of_any_size_do_what_the_whole_does(
            key: [u8; 4], mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(0usize..40, 0..30),
        ) {
            let mut expected = bytes.clone();
            apply_by_the_letter(key, &mut expected);
            let (mut mask, mut rest) = (Mask::new(key), &mut bytes[..]);
            for cut in cuts {
                let (piece, behind) = rest.split_at_mut(cut.min(rest.len()));
                mask.apply(piece);
                rest = behind;
            }
            mask.apply(rest);
            prop_assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn masking_twice_gives_the_original() {
        let mut bytes = *b"hello, mask";
        Mask::new([1, 2, 3, 4]).apply(&mut bytes);
        Mask::new([1, 2, 3, 4]).apply(&mut bytes);
        assert_eq!(&bytes, b"hello, mask");
    }
}

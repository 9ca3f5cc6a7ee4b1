//! Masking (RFC 6455 §5.3): XOR with a 4-byte key, in place, eight bytes at a time, wherever the payload was cut.

/// A masking key, turned so that its first byte belongs to the next byte of payload.
///
/// A payload that arrives in pieces is unmasked piece by piece with the same `Mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask([u8; 4]);

impl Mask {
    /// A mask at the start of a payload.
    #[must_use]
    pub const fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// The key as it is due next: after `n` bytes it has turned by `n` modulo 4.
    #[must_use]
    pub const fn key(self) -> [u8; 4] {
        self.0
    }

    /// Masks or unmasks `bytes`, the next ones of the payload.
    ///
    /// "Octet i of the transformed data is the XOR of octet i of the original data with octet at index i modulo 4 of
    /// the masking key" (§5.3), so that doing it twice undoes it.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (blocks, rest) = bytes.as_chunks_mut::<BLOCK_BYTES>();
        for block in blocks {
            apply_to_words(word, block);
        }
        let rest = apply_to_words(word, rest);
        for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
            *byte ^= key;
        }
        // Blocks and words took a multiple of four: only what is behind them turns the key.
        self.0.rotate_left(rest.len() % 4);
    }
}

/// Words in blocks of a known length become vector instructions without a loop around them that counts words.
const BLOCK_BYTES: usize = 64;

/// Returns what is too short for a word.
fn apply_to_words(word: u64, bytes: &mut [u8]) -> &mut [u8] {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
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

//! Incremental UTF-8 (RFC 6455 §8.1): text is checked as it arrives, so that a bad byte fails the connection before the
//! message ends, and each byte is looked at once.
//!
//! Long input goes through `simdutf8`; only a character cut in two by a frame or a read is put together byte by byte.

/// The text is not UTF-8: no continuation could make it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidUtf8;

/// From this length on the vector code pays for its set-up, also where all is ASCII, and where the mask was just taken off: its
/// wide loads have to wait until the narrower stores before them are through.
const SIMD_BYTES_MIN: usize = 128;

/// Whole text: `bytes` as a `str`.
///
/// # Errors
/// The bytes are not UTF-8.
pub fn check(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    if bytes.len() < SIMD_BYTES_MIN {
        str::from_utf8(bytes).map_err(|_| InvalidUtf8)
    } else {
        simdutf8::basic::from_utf8(bytes).map_err(|_| InvalidUtf8)
    }
}

/// Text in pieces: what is complete is appended to a `String`, up to three bytes of a cut character wait here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Utf8Decoder {
    cut: [u8; 4],
    cut_len: u8,
}

impl Utf8Decoder {
    /// Takes the next piece and appends to `text` all characters that are complete.
    ///
    /// # Errors
    /// The text can no longer become valid, whatever follows: this is known at the first byte that breaks it.
    pub fn push(&mut self, piece: &[u8], text: &mut String) -> Result<(), InvalidUtf8> {
        let rest = self.complete_cut(piece, text)?;
        let (whole, cut) = rest.split_at(rest.len() - incomplete_tail_len(rest));
        text.push_str(check(whole)?);
        self.keep_cut(cut)
    }

    /// How many bytes of a cut character wait for the rest: 0 to 3.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        usize::from(self.cut_len)
    }

    /// Ends the text.
    ///
    /// # Errors
    /// The text ends inside a character.
    pub fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.cut_len == 0 {
            Ok(())
        } else {
            Err(InvalidUtf8)
        }
    }

    /// Adds bytes to the cut character until it is complete, and returns those behind it.
    fn complete_cut<'p>(
        &mut self,
        mut piece: &'p [u8],
        text: &mut String,
    ) -> Result<&'p [u8], InvalidUtf8> {
        while self.cut_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                break;
            };
            piece = rest;
            let mut bytes = self.cut;
            // A cut holds three bytes at most, because four make a character or an error.
            let len = usize::from(self.cut_len) + 1;
            let (grown, _) = bytes.split_at_mut(len);
            if let Some(last) = grown.last_mut() {
                *last = byte;
            }
            match str::from_utf8(grown) {
                Ok(character) => {
                    text.push_str(character);
                    self.cut_len = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {
                    self.cut = bytes;
                    self.cut_len += 1;
                }
            }
        }
        Ok(piece)
    }

    /// Keeps the beginning of a character, unless no character begins like that.
    fn keep_cut(&mut self, cut: &[u8]) -> Result<(), InvalidUtf8> {
        if let Err(error) = str::from_utf8(cut) {
            if error.error_len().is_some() {
                return Err(InvalidUtf8);
            }
            let (kept, _) = self.cut.split_at_mut(cut.len());
            kept.copy_from_slice(cut);
            self.cut_len = cut.len() as u8;
        }
        Ok(())
    }
}

/// How many bytes at the end belong to a character that the piece cuts: 0 to 3.
fn incomplete_tail_len(piece: &[u8]) -> usize {
    // The lead byte, if there is one among the last three, says how long its character is.
    for (behind, &byte) in piece.iter().rev().take(3).enumerate() {
        let have = behind + 1;
        match byte {
            0x80..=0xbf => {}
            0xc0..=0xdf => return if have < 2 { have } else { 0 },
            0xe0..=0xef => return if have < 3 { have } else { 0 },
            0xf0..=0xff => return have,
            _ => return 0,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_in_pieces<'p>(
        pieces: impl IntoIterator<Item = &'p [u8]>,
    ) -> Result<String, InvalidUtf8> {
        let (mut decoder, mut text) = (Utf8Decoder::default(), String::new());
        for piece in pieces {
            decoder.push(piece, &mut text)?;
        }
        decoder.finish()?;
        Ok(text)
    }

    /// The length of the shortest prefix that can no longer become valid, by std.
    fn fails_after(bytes: &[u8]) -> Option<usize> {
        (1..=bytes.len())
            .find(|&len| str::from_utf8(&bytes[..len]).is_err_and(|e| e.error_len().is_some()))
    }

    fn some_text() -> impl Strategy<Value = Vec<u8>> {
        let valid = any::<String>().prop_map(String::into_bytes);
        let mixed = proptest::collection::vec(
            prop_oneof![
                any::<u8>(),
                Just(0xf4),
                Just(0x90),
                Just(0xed),
                Just(0xa0),
                Just(0xe0),
                Just(0x80),
                Just(b'a')
            ],
            0..40,
        );
        prop_oneof![valid, mixed]
    }

    proptest! {
        #[test]
        fn any_split_gives_what_std_gives(bytes in some_text(), cut in 0usize..64, other in 0usize..64) {
            let expected = String::from_utf8(bytes.clone()).map_err(|_| InvalidUtf8);
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let (b, c) = b.split_at(other.min(b.len()));
            prop_assert_eq!(decode_in_pieces([a, b, c]), expected.clone());
            prop_assert_eq!(decode_in_pieces(bytes.chunks(1)), expected.clone());
            prop_assert_eq!(check(&bytes).map(str::to_owned), expected);
        }

        #[test]
        fn the_first_bad_byte_fails(bytes in some_text()) {
            let (mut decoder, mut text) = (Utf8Decoder::default(), String::new());
            let failed = bytes.chunks(1).position(|byte| decoder.push(byte, &mut text).is_err());
            prop_assert_eq!(failed.map(|index| index + 1), fails_after(&bytes));
        }

        #[test]
        fn a_piece_that_holds_the_bad_byte_fails(bytes in some_text(), cut in 0usize..64) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let (mut decoder, mut text) = (Utf8Decoder::default(), String::new());
            let failed = decoder.push(first, &mut text).is_err();
            prop_assert_eq!(failed, fails_after(&bytes).is_some_and(|len| len <= first.len()));
            if !failed {
                prop_assert_eq!(decoder.push(second, &mut text).is_err(), fails_after(&bytes).is_some());
            }
        }
    }

    #[test]
    fn long_text_with_a_cut_character_is_put_together() {
        let text = "水".repeat(1000);
        assert_eq!(
            decode_in_pieces(text.as_bytes().chunks(100)).as_deref(),
            Ok(text.as_str())
        );
    }

    #[test]
    fn bytes_of_a_cut_character_are_counted_while_they_wait() {
        let (mut decoder, mut text) = (Utf8Decoder::default(), String::new());
        let mut waiting = |piece: &[u8]| {
            decoder.push(piece, &mut text).unwrap();
            decoder.waiting_bytes()
        };
        let counts = [&b"a\xf0"[..], b"\x9f", b"\x8c", b"\x8ab"].map(&mut waiting);
        assert_eq!(counts, [1, 2, 3, 0]);
        assert_eq!(text, "a🌊b");
    }

    #[test]
    fn text_that_ends_inside_a_character_fails_at_the_end() {
        assert_eq!(decode_in_pieces([&b"a\xe6\xb0"[..]]), Err(InvalidUtf8));
    }
}

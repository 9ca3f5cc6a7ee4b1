//! The parts one by one: frame headers, extension lists, UTF-8, DEFLATE.

use crate::deflate::{Corrupt, Decompression};
use crate::frame::{Decoded, Header, Rules};
use crate::handshake::header::{extensions, is_token};
use crate::utf8::Utf8Decoder;
use crate::{DeflateConfig, Side};

/// A header that decodes encodes to the same bytes, and no prefix of it decodes.
pub fn frame_header(data: &[u8]) {
    let Some((&reserved, bytes)) = data.split_first() else {
        return;
    };
    for sender in [Side::Client, Side::Server] {
        let rules = Rules {
            sender,
            reserved_bits_allowed: reserved & 0x70,
        };
        let Ok(Decoded::Complete { header, used }) = Header::decode(bytes, rules) else {
            continue;
        };
        let (head, _) = bytes.split_at(used);
        let mut encoded = Vec::new();
        header.encode(&mut encoded);
        assert_eq!(encoded, head);
        for len in 0..used {
            assert_eq!(
                Header::decode(head.split_at(len).0, rules),
                Ok(Decoded::Partial)
            );
        }
    }
}

/// What follows the grammar has tokens for names, and an answer that the same settings' client could get.
pub fn extension_header(data: &[u8]) {
    let Ok(value) = str::from_utf8(data) else {
        return;
    };
    let Ok(offers) = extensions(value) else {
        return;
    };
    for offer in &offers {
        assert!(is_token(offer.name));
        assert!(
            offer
                .parameters
                .iter()
                .all(|parameter| is_token(parameter.name))
        );
    }
    if let Some((agreement, answer)) = DeflateConfig::default().accept(&offers) {
        assert!((9..=15).contains(&agreement.server_max_window_bits));
        assert!(extensions(&answer).is_ok());
    }
    let _ = DeflateConfig::default().check_response(&offers);
}

/// The decoder says what std says, at the first byte where that is known.
pub fn utf8(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let (mut decoder, mut text) = (Utf8Decoder::default(), String::new());
    let mut seen = 0;
    for piece in bytes.chunks(usize::from(size) + 1) {
        seen += piece.len();
        let (there, _) = bytes.split_at(seen);
        let hopeless = str::from_utf8(there).is_err_and(|error| error.error_len().is_some());
        assert_eq!(decoder.push(piece, &mut text).is_err(), hopeless);
        if hopeless {
            return;
        }
    }
    assert_eq!(decoder.finish().is_ok(), str::from_utf8(bytes).is_ok());
    if decoder.finish().is_ok() {
        assert_eq!(text.as_bytes(), bytes);
    }
}

/// Anything inflates to the same, or fails the same way, whole and in pieces.
pub fn inflate(data: &[u8]) {
    /// Several steps of inflating, and enough to see a bomb.
    const OUT_BYTES_MAX: usize = 1 << 16;
    struct Failed;
    impl From<Corrupt> for Failed {
        fn from(_: Corrupt) -> Self {
            Self
        }
    }
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let inflated = |size: usize| {
        let mut decompression = Decompression::new(false);
        let mut out = Vec::new();
        let pieces = bytes.len().div_ceil(size).max(1);
        for index in 0..pieces {
            let piece = bytes.chunks(size).nth(index).unwrap_or_default();
            let result = decompression.inflate(piece, index + 1 == pieces, |inflated| {
                out.extend_from_slice(inflated);
                if out.len() > OUT_BYTES_MAX {
                    Err(Failed)
                } else {
                    Ok(())
                }
            });
            if result.is_err() {
                out.truncate(OUT_BYTES_MAX);
                return (out, false);
            }
        }
        (out, true)
    };
    assert_eq!(
        inflated(usize::from(size) + 1),
        inflated(bytes.len().max(1))
    );
}

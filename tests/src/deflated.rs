//! permessage-deflate (RFC 7692) by hand: a message compressed with a window of its own, as a frame with RSV1.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use crate::frame::Frame;

/// The header line that offers it.
pub const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// RSV1, which says that a message is compressed (§6).
pub const RSV1: u8 = 4;

/// The payload of a compressed message: raw deflate, flushed, without the four bytes that §7.2.1 has removed.
///
/// # Panics
///
/// When zlib fails, which it has no reason to.
#[must_use]
pub fn compress(message: &[u8]) -> Vec<u8> {
    let config = DeflateConfig {
        level: 9,
        // Negative: raw, without zlib's header and checksum.
        window_bits: -15,
        ..DeflateConfig::default()
    };
    let mut deflate = Deflate::new_with_config(config);
    let mut output = vec![0; message.len() + message.len() / 100 + 64];
    deflate
        .compress(message, &mut output, DeflateFlush::SyncFlush)
        .expect("zlib takes any bytes");
    output.truncate(usize::try_from(deflate.total_out()).expect("it fits in memory"));
    assert!(
        output.ends_with(&[0, 0, 0xff, 0xff]),
        "a flush ends with an empty block"
    );
    output.truncate(output.len() - 4);
    output
}

/// The message that a payload is the compressed form of; nothing if it is none, or longer than `bytes_max`.
#[must_use]
pub fn inflate(payload: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut inflate = Inflate::new(false, 15);
    let mut output = vec![0; bytes_max + 1];
    let input = [payload, &[0, 0, 0xff, 0xff]].concat();
    inflate
        .decompress(&input, &mut output, InflateFlush::SyncFlush)
        .ok()?;
    let length = usize::try_from(inflate.total_out()).ok()?;
    output.truncate(length);
    (length <= bytes_max).then_some(output)
}

/// A compressed text message.
#[must_use]
pub fn text(message: impl AsRef<[u8]>) -> Frame {
    Frame::text(compress(message.as_ref())).with_rsv(RSV1)
}

/// So many equal bytes as a compressed text message: about a thousandth of them goes over the wire.
#[must_use]
pub fn bomb(bytes: usize) -> Frame {
    text(vec![b'a'; bytes])
}

#[cfg(test)]
mod tests {
    use super::{bomb, compress, inflate};

    // RFC 7692 §7.2.3.1 keeps the codec of the tests honest.
    #[test]
    fn the_hello_of_the_rfc_is_written_byte_for_byte() {
        assert_eq!(
            compress(b"Hello"),
            [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
        );
    }

    #[test]
    fn what_is_compressed_is_inflated_up_to_the_limit() {
        let message = b"Hello, hello, hello";
        assert_eq!(
            inflate(&compress(message), 19).as_deref(),
            Some(&message[..])
        );
        assert_eq!(inflate(&compress(message), 18), None);
    }

    #[test]
    fn a_bomb_is_a_thousandth_of_what_it_becomes() {
        let bytes = 1 << 20;
        assert!(bomb(bytes).payload.len() < bytes / 900);
    }
}

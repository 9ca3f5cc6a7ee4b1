//! The blocks of a pcapng file that a capture has (draft-ietf-opsawg-pcapng): a section, one Ethernet, packets with comments,
//! statistics. Written by hand, since it is four blocks: a library would be longer than they are. Each is whole when it is
//! appended, so that a file that ends between two blocks is a legal one.

/// Types of blocks.
pub(crate) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
pub(crate) const INTERFACE_STATISTICS: u32 = 5;
pub(crate) const ENHANCED_PACKET: u32 = 6;

/// Tells the byte order, which is little-endian here.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const LINK_TYPE_ETHERNET: u16 = 1;

/// The largest packet: the headers of Ethernet, and what IP may have.
pub(crate) const PACKET_BYTES_MAX: u32 = 14 + 65_535;

/// Options.
const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_DESCRIPTION_TEXT: u16 = 3;
const TIME_RESOLUTION: u16 = 9;
const RECEIVED: u16 = 4;
pub(crate) const DROPPED: u16 = 5;

/// 10⁻⁹ s.
const NANOSECONDS: u8 = 9;

/// A comment is cut at this length: names have 128 bytes at most, and an option 65,535.
const COMMENT_BYTES_MAX: usize = 4 << 10;

/// Appends the two blocks that a file begins with.
pub(crate) fn begin(out: &mut Vec<u8>, comment: &str) {
    block(out, SECTION_HEADER, |out| {
        out.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
        // Version 1.0.
        out.extend_from_slice(&[1, 0, 0, 0]);
        // The length of the section is not known: a negative one says so.
        out.extend_from_slice(&(-1_i64).to_le_bytes());
        text_option(out, COMMENT, comment);
        let application = concat!("Tidewire ", env!("CARGO_PKG_VERSION"));
        text_option(out, APPLICATION, application);
        option(out, END_OF_OPTIONS, &[]);
    });
    block(out, INTERFACE_DESCRIPTION, |out| {
        out.extend_from_slice(&LINK_TYPE_ETHERNET.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&PACKET_BYTES_MAX.to_le_bytes());
        text_option(out, INTERFACE_NAME, "tidewire");
        let what = "what the server read and wrote, without TLS; Ethernet, IP and TCP are made up";
        text_option(out, INTERFACE_DESCRIPTION_TEXT, what);
        option(out, TIME_RESOLUTION, &[NANOSECONDS]);
        option(out, END_OF_OPTIONS, &[]);
    });
}

/// Appends a packet.
pub(crate) fn packet<'c>(
    out: &mut Vec<u8>,
    time: u64,
    bytes: &[u8],
    comments: impl IntoIterator<Item = &'c str>,
) {
    block(out, ENHANCED_PACKET, |out| {
        interface_and_time(out, time);
        // No packet is longer than PACKET_BYTES_MAX.
        let length = (bytes.len() as u32).to_le_bytes();
        out.extend_from_slice(&length);
        out.extend_from_slice(&length);
        out.extend_from_slice(bytes);
        pad(out, bytes.len());
        let before = out.len();
        for comment in comments {
            text_option(out, COMMENT, comment);
        }
        if out.len() > before {
            option(out, END_OF_OPTIONS, &[]);
        }
    });
}

/// Appends how much was captured so far and how much was not.
pub(crate) fn statistics(out: &mut Vec<u8>, time: u64, received: u64, dropped: u64, comment: &str) {
    block(out, INTERFACE_STATISTICS, |out| {
        interface_and_time(out, time);
        if !comment.is_empty() {
            text_option(out, COMMENT, comment);
        }
        option(out, RECEIVED, &received.to_le_bytes());
        option(out, DROPPED, &dropped.to_le_bytes());
        option(out, END_OF_OPTIONS, &[]);
    });
}

fn interface_and_time(out: &mut Vec<u8>, time: u64) {
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&((time >> 32) as u32).to_le_bytes());
    out.extend_from_slice(&(time as u32).to_le_bytes());
}

/// Appends a block, whose length stands at both of its ends.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    // What is in a block is bounded by a packet and its comments.
    let length = ((out.len() + 4 - start) as u32).to_le_bytes();
    out.extend_from_slice(&length);
    out[start + 4..start + 8].copy_from_slice(&length);
}

fn text_option(out: &mut Vec<u8>, code: u16, text: &str) {
    let mut end = text.len().min(COMMENT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    option(out, code, &text.as_bytes()[..end]);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

/// Blocks and options are made of 32-bit words.
fn pad(out: &mut Vec<u8>, bytes: usize) {
    out.extend_from_slice(&[0; 3][..bytes.wrapping_neg() % 4]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_its_length_at_both_ends_and_ends_at_a_word() {
        for bytes in 0..9 {
            let mut out = Vec::new();
            begin(&mut out, &"ä".repeat(bytes));
            packet(&mut out, u64::MAX, &vec![1; bytes], ["one", "another"]);
            packet(&mut out, 1, &vec![1; bytes], []);
            statistics(&mut out, 1, 2, 3, "why");
            let mut kinds = Vec::new();
            let mut rest = &out[..];
            while !rest.is_empty() {
                let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
                let length = word(4) as usize;
                assert_eq!((length % 4, word(length - 4) as usize), (0, length));
                kinds.push(word(0));
                rest = &rest[length..];
            }
            assert_eq!(kinds, [SECTION_HEADER, 1, 6, 6, 5]);
        }
    }

    #[test]
    fn a_long_comment_is_cut_between_characters() {
        let mut out = Vec::new();
        text_option(
            &mut out,
            COMMENT,
            &format!("x{}", "ä".repeat(COMMENT_BYTES_MAX)),
        );
        assert_eq!(out[2..4], (COMMENT_BYTES_MAX as u16 - 1).to_le_bytes());
    }
}

//! The frame of the bytes on the disk: a segment's header, a group's header, and the length and checksum around a record.
//!
//! `docs/LOG-FORMAT.md` shows them byte by byte. All numbers are little-endian; varints have seven bits a byte, the lowest
//! first. Every checksum is a CRC-32C that begins with the place it belongs to, so that bytes at a wrong place are wrong.

use std::ops::Range;

/// The version of the layout; another one is not read.
pub(super) const VERSION: u32 = 1;

pub(super) const SEGMENT_HEADER: u64 = 40;
pub(super) const GROUP_HEADER: u64 = 24;

/// The longest record, which is far more than a message may have: what a wrong length can make us read.
pub(super) const RECORD_BYTES_MAX: usize = 64 << 20;

/// The bytes of a record before its body, at most: its checksum and length.
pub(super) const RECORD_HEADER_MAX: usize = 9;

const SEGMENT_MAGIC: [u8; 8] = *b"TWSEGM\xF7\n";

/// No text in UTF-8 has these bytes, so no message can look like the beginning of a group.
pub(super) const GROUP_MAGIC: [u8; 4] = [0xF7, b'T', b'W', 0xFA];

/// A byte of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Location {
    pub(super) segment: u64,
    pub(super) at: u64,
}

impl Location {
    pub(super) const fn new(segment: u64, at: u64) -> Self {
        Self { segment, at }
    }

    /// What a checksum begins with.
    fn seed(self) -> u32 {
        (self.segment as u32).wrapping_mul(0x9E37_79B1) ^ self.at as u32
    }

    fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed(), bytes)
    }
}

/// The name of a segment's file.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:020}.seg")
}

/// The number of a segment from its file's name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let number = digits.parse().ok()?;
    (digits.len() == 20 && number > 0 && number <= u64::from(u32::MAX)).then_some(number)
}

/// What a segment says of itself, and of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    /// The end of what counts in the segment before; what is behind it, or in files between, was never acknowledged.
    /// Number 0 where there was none.
    pub(super) previous: Location,
}

/// Why a header is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged,
    /// It is whole, but of this version.
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn encode(self) -> [u8; SEGMENT_HEADER as usize] {
        let mut bytes = [0; SEGMENT_HEADER as usize];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.previous.segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.previous.at.to_le_bytes());
        let checksum = checksum_without(&bytes, 12..16);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header at the beginning of the segment `number`.
    pub(super) fn decode(bytes: &[u8], number: u64) -> Result<Self, BadHeader> {
        let bytes = bytes
            .get(..SEGMENT_HEADER as usize)
            .ok_or(BadHeader::Damaged)?;
        if bytes[..8] != SEGMENT_MAGIC || checksum_without(bytes, 12..16) != u32_at(bytes, 12) {
            return Err(BadHeader::Damaged);
        }
        match u32_at(bytes, 8) {
            VERSION if u64_at(bytes, 16) == number => Ok(Self {
                number,
                previous: Location::new(u64_at(bytes, 24), u64_at(bytes, 32)),
            }),
            VERSION => Err(BadHeader::Damaged),
            other => Err(BadHeader::Version(other)),
        }
    }
}

/// The beginning of what one commit wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// The bytes of its records.
    pub(super) bytes: u32,
    /// How many records they are.
    pub(super) count: u32,
    /// Counts the groups of the store; for people who look at the bytes.
    pub(super) number: u64,
}

impl GroupHeader {
    pub(super) fn encode(self, location: Location) -> [u8; GROUP_HEADER as usize] {
        let mut bytes = [0; GROUP_HEADER as usize];
        bytes[..4].copy_from_slice(&GROUP_MAGIC);
        bytes[8..12].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        let checksum = location.checksum(&bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header at `location`; `None` if there is none, or a damaged one.
    pub(super) fn decode(bytes: &[u8], location: Location) -> Option<Self> {
        let bytes = bytes.get(..GROUP_HEADER as usize)?;
        if bytes[..4] != GROUP_MAGIC || location.checksum(&bytes[8..]) != u32_at(bytes, 4) {
            return None;
        }
        Some(Self {
            bytes: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            number: u64_at(bytes, 16),
        })
    }
}

/// Appends a record to what is written to `base` on: its checksum, its length and the body that `write_body` appends.
pub(super) fn put_record(
    out: &mut Vec<u8>,
    base: Location,
    body_len: usize,
    write_body: impl FnOnce(&mut Vec<u8>),
) -> Range<usize> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    put_varint(out, body_len as u64);
    let body_at = out.len();
    write_body(out);
    debug_assert_eq!(out.len() - body_at, body_len);
    let location = Location::new(base.segment, base.at + start as u64);
    let checksum = location.checksum(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    start..out.len()
}

/// Where the body of the record at the beginning of `bytes` is, by what the record says; not yet checked.
/// `None` where no record can begin.
pub(super) fn body_range(bytes: &[u8]) -> Option<Range<usize>> {
    let mut rest = bytes.get(4..)?;
    let before = rest.len();
    let length = usize::try_from(take_varint(&mut rest)?).ok()?;
    let start = 4 + before - rest.len();
    (length > 0 && length <= RECORD_BYTES_MAX).then(|| start..start + length)
}

/// Whether the record at `location`, which has all of `bytes`, is as it was written.
pub(super) fn is_intact(bytes: &[u8], location: Location) -> bool {
    bytes.len() > 4 && location.checksum(&bytes[4..]) == u32_at(bytes, 0)
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) const fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Takes a varint from the front; `None` if it does not end, or is more than 64 bits.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7F);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

/// The checksum of a header that is at no particular place, without the bytes of the checksum itself.
pub(super) fn checksum_without(bytes: &[u8], hole: Range<usize>) -> u32 {
    let before = crc32c::crc32c(&bytes[..hole.start]);
    crc32c::crc32c_append(before, &bytes[hole.end..])
}

/// # Panics
/// There are no four bytes at `at`: the caller knows the length.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

/// # Panics
/// There are no eight bytes at `at`: the caller knows the length.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_back_and_no_flipped_bit_goes_unseen() {
        let header = SegmentHeader {
            number: 7,
            previous: Location::new(6, 1234),
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes, 7), Ok(header));
        assert_eq!(SegmentHeader::decode(&bytes, 8), Err(BadHeader::Damaged));
        let here = Location::new(7, 4000);
        let group = GroupHeader {
            bytes: 9,
            count: 1,
            number: 3,
        };
        let group_bytes = group.encode(here);
        assert_eq!(GroupHeader::decode(&group_bytes, here), Some(group));
        assert_eq!(
            GroupHeader::decode(&group_bytes, Location::new(7, 4001)),
            None
        );
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped, 7), Err(BadHeader::Damaged));
        }
        for bit in 0..group_bytes.len() * 8 {
            let mut flipped = group_bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(GroupHeader::decode(&flipped, here), None);
        }
    }

    #[test]
    fn a_record_belongs_to_its_place() {
        let mut out = b"before".to_vec();
        let base = Location::new(2, 100);
        let range = put_record(&mut out, base, 4, |out| out.extend_from_slice(b"body"));
        let record = &out[range.clone()];
        assert_eq!(&record[body_range(record).unwrap()], b"body");
        assert!(is_intact(record, Location::new(2, 106)));
        assert!(!is_intact(record, Location::new(2, 107)));
        assert!(!is_intact(record, Location::new(3, 106)));
    }

    #[test]
    fn varints_are_read_back() {
        for value in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            let mut rest = &out[..];
            assert_eq!(take_varint(&mut rest), Some(value));
            assert!(rest.is_empty());
            assert_eq!(take_varint(&mut &out[..out.len() - 1]), None);
        }
        assert_eq!(take_varint(&mut &[0xFF; 10][..]), None);
    }

    #[test]
    fn segments_are_named_by_their_number() {
        assert_eq!(segment_name(12), "00000000000000000012.seg");
        assert_eq!(segment_number(&segment_name(12)), Some(12));
        for name in [
            "12.seg",
            "00000000000000000000.seg",
            "LOCK",
            "00000000000000000012.bak",
        ] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }
}

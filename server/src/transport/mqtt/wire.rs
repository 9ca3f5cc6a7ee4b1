//! Bytes as MQTT has them (MQTT 5.0 §1.5, §2.1): numbers, texts, and packets that come in pieces. A length is believed only when as
//! many bytes are there, and a packet only up to the largest that is taken.

use bytes::{Buf as _, Bytes, BytesMut};

use super::reason::{Bad, Reason, malformed};

/// "The maximum number of bytes in the Variable Byte Integer field is four" (§1.5.5).
const VARINT_BYTES_MAX: usize = 4;

/// Reads what is in a packet, from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self
            .0
            .split_at_checked(bytes)
            .ok_or(malformed("the packet is shorter than it says"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Bad> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn two(&mut self) -> Result<u16, Bad> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn four(&mut self) -> Result<u32, Bad> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A Variable Byte Integer.
    pub(super) fn varint(&mut self) -> Result<u32, Bad> {
        match varint(self.0)? {
            Some((value, used)) => {
                self.take(used)?;
                Ok(value)
            }
            None => Err(malformed("the packet is shorter than it says")),
        }
    }

    /// Bytes behind their length.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Bad> {
        let length = self.two()?;
        self.take(length.into())
    }

    /// A text. "A UTF-8 Encoded String MUST NOT include an encoding of the null character U+0000" (§1.5.4).
    pub(super) fn text(&mut self) -> Result<&'a str, Bad> {
        let text = str::from_utf8(self.binary()?).map_err(|_| malformed("a text is not UTF-8"))?;
        if text.contains('\0') {
            return Err(malformed("a text has the null character"));
        }
        Ok(text)
    }

    /// What must not be 0.
    pub(super) fn packet_id(&mut self) -> Result<u16, Bad> {
        match self.two()? {
            0 => Err(malformed("a packet identifier is 0")),
            id => Ok(id),
        }
    }

    /// The end.
    pub(super) const fn end(&self) -> Result<(), Bad> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(malformed("the packet is longer than what is in it"))
        }
    }
}

/// A Variable Byte Integer at the front, and its length; `None` if it is not all there.
fn varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, Bad> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            // "The encoded value MUST use the minimum number of bytes necessary to represent the value" (§1.5.5).
            if index > 0 && *byte == 0 {
                return Err(malformed("a length has more bytes than it needs"));
            }
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= VARINT_BYTES_MAX {
        return Err(malformed("a length has more than four bytes"));
    }
    Ok(None)
}

/// A packet: its first byte, and what is behind its length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) first: u8,
    pub(super) body: Bytes,
}

/// Puts packets together. "The Control Packets can be ... spread across multiple WebSocket data frames" (§6).
#[derive(Debug)]
pub(super) struct Frames {
    buffer: BytesMut,
    packet_bytes_max: usize,
}

impl Frames {
    /// Takes packets of so many bytes at most.
    pub(super) fn new(packet_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            packet_bytes_max,
        }
    }

    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The next packet, if it is all there.
    ///
    /// # Errors
    /// Its length is none, or more than is taken.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Bad> {
        let Some((&first, behind)) = self.buffer.split_first() else {
            // An idle connection owns no buffer.
            self.buffer = BytesMut::new();
            return Ok(None);
        };
        let Some((length, used)) = varint(behind)? else {
            return Ok(None);
        };
        let (length, head) = (length as usize, 1 + used);
        if head + length > self.packet_bytes_max {
            return Err(Bad {
                reason: Reason::PacketTooLarge,
                why: "the packet is larger than the server takes",
            });
        }
        if self.buffer.len() < head + length {
            return Ok(None);
        }
        self.buffer.advance(head);
        let body = self.buffer.split_to(length).freeze();
        Ok(Some(Frame { first, body }))
    }
}

/// Appends a Variable Byte Integer; what is longer than one can say is cut to the largest.
pub(super) fn put_varint(value: usize, out: &mut Vec<u8>) {
    let mut rest = value.min(0x0FFF_FFFF);
    loop {
        let byte = (rest & 0x7F) as u8;
        rest >>= 7;
        if rest == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Appends bytes behind their length; what is longer than that can say is cut.
pub(super) fn put_binary(bytes: &[u8], out: &mut Vec<u8>) {
    let bytes = &bytes[..bytes.len().min(u16::MAX.into())];
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The same with a text.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut end = text.len().min(u16::MAX.into());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_back() {
        for value in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            2_097_151,
            2_097_152,
            268_435_455,
        ] {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            assert_eq!(varint(&bytes), Ok(Some((value as u32, bytes.len()))));
            for cut in 0..bytes.len() {
                assert_eq!(varint(&bytes[..cut]), Ok(None), "{value} {cut}");
            }
        }
    }

    #[test]
    fn a_length_that_is_none_is_malformed() {
        for bytes in [&[0x80, 0x80, 0x80, 0x80][..], &[0xFF; 5], &[0x80, 0x00]] {
            assert_eq!(varint(bytes).unwrap_err().reason, Reason::MalformedPacket);
        }
    }

    #[test]
    fn packets_come_in_pieces_of_any_size() {
        let bytes = [0xC0, 0, 0x30, 3, 1, 2, 3, 0xE0, 0];
        for size in 1..=bytes.len() {
            let (mut frames, mut found) = (Frames::new(100), Vec::new());
            for piece in bytes.chunks(size) {
                frames.push(piece);
                while let Some(Frame { first, body }) = frames.next().unwrap() {
                    found.push((first, body.to_vec()));
                }
            }
            let all = [(0xC0, vec![]), (0x30, vec![1, 2, 3]), (0xE0, vec![])];
            assert_eq!((found.as_slice(), frames.len()), (&all[..], 0), "{size}");
        }
    }

    #[test]
    fn a_packet_that_is_too_large_is_refused_before_it_is_there() {
        let mut frames = Frames::new(10);
        frames.push(&[0x30, 8]);
        assert_eq!(frames.next(), Ok(None));
        let mut frames = Frames::new(10);
        frames.push(&[0x30, 9]);
        assert_eq!(frames.next().unwrap_err().reason, Reason::PacketTooLarge);
    }

    #[test]
    fn what_is_not_there_cannot_be_read() {
        let mut reader = Reader::new(&[0, 5, b'a']);
        assert_eq!(reader.text().unwrap_err().reason, Reason::MalformedPacket);
        for text in [&[0, 1, 0][..], &[0, 1, 0xFF]] {
            assert!(Reader::new(text).text().is_err());
        }
        assert!(Reader::new(&[0, 0]).packet_id().is_err());
    }
}

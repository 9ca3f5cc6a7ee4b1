//! What a message of the load says: who sent it, which one it is, and a checksum over that and the rest.

use std::fmt::Write as _;

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The publisher.
    pub publisher: u16,
    /// Its number, from 1.
    pub number: u32,
    /// CRC-32 of the text before it: two messages with the same number but other bytes differ in it.
    pub crc: u32,
}

impl Stamp {
    /// Writes a message of this `run`, filled up to `bytes` bytes.
    #[must_use]
    pub fn write(run: &str, publisher: u16, number: u32, bytes: usize) -> (Self, String) {
        let mut text = format!("{run} {publisher} {number} ");
        let filling = bytes.saturating_sub(text.len() + 9);
        // Another filling for each message, so that a piece of one is seen in another.
        let mut state = number.wrapping_mul(0x9e37_79b9) ^ u32::from(publisher) | 1;
        for _ in 0..filling {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            text.push(char::from(b'a' + (state % 26) as u8));
        }
        let crc = crc32(text.as_bytes());
        // A String takes everything.
        let _ = write!(text, " {crc:08x}");
        let stamp = Self {
            publisher,
            number,
            crc,
        };
        (stamp, text)
    }

    /// Reads a message; `None` if it is none of this `run`, or not as it was written.
    #[must_use]
    pub fn read(run: &str, text: &str) -> Option<Self> {
        let (body, crc) = text.rsplit_once(' ')?;
        let crc = u32::from_str_radix(crc, 16).ok()?;
        if crc != crc32(body.as_bytes()) {
            return None;
        }
        let mut words = body.strip_prefix(run)?.strip_prefix(' ')?.split(' ');
        Some(Self {
            publisher: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok().filter(|number| *number > 0)?,
            crc,
        })
    }
}

/// CRC-32 as in zip and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |crc, byte| {
        TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8)
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (0xedb8_8320 & (value & 1).wrapping_neg());
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_message_is_read_back_and_a_changed_one_is_not() {
        for bytes in [0, 40, 200] {
            let (stamp, text) = Stamp::write("run", 7, 12, bytes);
            assert!(text.len() == bytes || bytes == 0, "{text}");
            assert_eq!(Stamp::read("run", &text), Some(stamp));
            assert_eq!(Stamp::read("other", &text), None);
            for index in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[index] = if changed[index] == b'z' { b'y' } else { b'z' };
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(Stamp::read("run", &changed), None, "{changed}");
            }
        }
    }
}

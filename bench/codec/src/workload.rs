//! The bytes that everybody gets: payloads, and the frames of a client around them by the letter of RFC 6455 §5.2.

/// The masked frames of a number of messages, and how they arrive.
#[derive(Clone)]
pub(crate) struct Incoming {
    /// All frames, one behind the other.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes one read finds.
    pub(crate) arrival: usize,
    /// What a whole message holds.
    pub(crate) message_bytes: usize,
    /// Whether it is text.
    pub(crate) text: bool,
}

/// What arrives at once of large messages: what a loop on sockets reads at a time.
pub(crate) const READ_BYTES: usize = 64 << 10;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// JSON of a chat, cut to `len` bytes: ASCII.
pub(crate) fn ascii(len: usize) -> String {
    let mut text = String::new();
    for number in 1000.. {
        if text.len() >= len {
            break;
        }
        text += &format!(
            r#"{{"id":{number},"from":"alice","room":"lobby","text":"what shall we do with {number} sails?"}}"#
        );
    }
    text.truncate(len);
    text
}

/// Text of one to four bytes a character, of exactly `len` bytes.
pub(crate) fn mixed(len: usize) -> String {
    let mut text = "Grüße aus 東京, 今日は晴れ 🌊 and a little ASCII. ".repeat(len / 60 + 1);
    let mut cut = len;
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    text.truncate(cut);
    text + &".".repeat(len - cut)
}

/// Bytes that look like nothing.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (0..len).map(|_| random.next() as u8).collect()
}

/// `per_read` text messages of `len` bytes in each read.
pub(crate) fn small_text(len: usize, per_read: usize) -> Incoming {
    small(&ascii(len), per_read)
}

/// The same with characters of one to four bytes.
pub(crate) fn small_mixed(len: usize, per_read: usize) -> Incoming {
    small(&mixed(len), per_read)
}

fn small(text: &str, per_read: usize) -> Incoming {
    let mut random = Random(1);
    let mut bytes = Vec::new();
    for _ in 0..32 {
        bytes.extend(frame(FIN | TEXT, text.as_bytes(), &mut random));
    }
    let arrival = bytes.len() / 32 * per_read;
    Incoming {
        bytes,
        arrival,
        message_bytes: text.len(),
        text: true,
    }
}

/// One binary message, in as many reads of `arrival` bytes as it needs.
pub(crate) fn binary(len: usize, arrival: usize) -> Incoming {
    let bytes = frame(FIN | BINARY, &noise(len), &mut Random(2));
    Incoming {
        bytes,
        arrival,
        message_bytes: len,
        text: false,
    }
}

/// One text message, in as many reads of `arrival` bytes as it needs.
pub(crate) fn text(len: usize, arrival: usize) -> Incoming {
    let bytes = frame(FIN | TEXT, mixed(len).as_bytes(), &mut Random(3));
    Incoming {
        bytes,
        arrival,
        message_bytes: len,
        text: true,
    }
}

/// One text message in fragments of `fragment_len` bytes, which cut characters.
pub(crate) fn fragmented(len: usize, fragment_len: usize) -> Incoming {
    let (text, mut random, mut bytes) = (mixed(len), Random(4), Vec::new());
    let fragments: Vec<_> = text.as_bytes().chunks(fragment_len).collect();
    for (index, fragment) in fragments.iter().enumerate() {
        let opcode = if index == 0 { TEXT } else { CONTINUATION };
        let fin = if index + 1 == fragments.len() { FIN } else { 0 };
        bytes.extend(frame(fin | opcode, fragment, &mut random));
    }
    Incoming {
        bytes,
        arrival: READ_BYTES,
        message_bytes: len,
        text: true,
    }
}

/// One text message of `len` bytes, compressed by itself: `deflate` makes the payload.
pub(crate) fn deflated(len: usize, deflate: impl Fn(&[u8]) -> Vec<u8>) -> Incoming {
    let bytes = frame(
        FIN | RSV1 | TEXT,
        &deflate(ascii(len).as_bytes()),
        &mut Random(5),
    );
    Incoming {
        bytes,
        arrival: READ_BYTES,
        message_bytes: len,
        text: true,
    }
}

fn frame(first: u8, payload: &[u8], random: &mut Random) -> Vec<u8> {
    let key = (random.next() as u32).to_ne_bytes();
    let mut bytes = match payload.len() {
        len @ 0..=125 => vec![first, 0x80 | len as u8],
        len @ 126..=0xffff => [&[first, 0x80 | 126][..], &(len as u16).to_be_bytes()].concat(),
        len => [&[first, 0x80 | 127][..], &(len as u64).to_be_bytes()].concat(),
    };
    bytes.extend(key);
    bytes.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// xorshift64*: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}

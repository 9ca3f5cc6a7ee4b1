//! Cuts what a link brings into replies, and parses each. The crate's parser takes a reply of whatever size it is told of and begins
//! some of them over when they come in pieces, so where one ends is found here first, each byte looked at once: it sees whole ones
//! only, of bounded size.

use std::fmt;

use bytes::{Buf as _, BytesMut};
use redis::Value;

/// The largest reply. A page has some bytes of content and at least one message, which is smaller than that by far.
pub const REPLY_BYTES_MAX: usize = 64 << 20;

/// The most values in a reply: each takes some bytes more than were sent. A page has three an entry.
const VALUES_MAX: u64 = 1 << 20;

/// How deep lists are in lists: `CLUSTER SLOTS` has four.
const DEPTH_MAX: usize = 8;

/// The longest line: a length, a status or an error.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Replies as they come. Behind a bad one there is nothing more: the link is to be closed.
pub struct Replies {
    buffer: BytesMut,
    bytes_max: usize,
    scan: Scan,
    parser: redis::Parser,
    bad: Option<BadReply>,
}

/// Why what came is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadReply {
    /// A reply has more bytes than this.
    TooLarge(usize),
    /// It has more values, or is deeper, than anything that was asked for.
    TooMany,
    /// It is not the protocol of Redis.
    NotRedis,
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(max) => write!(f, "sent a reply of more than {max} bytes"),
            Self::TooMany => f.write_str("sent a reply of more values than were asked for"),
            Self::NotRedis => f.write_str("sent what is not the protocol of Redis"),
        }
    }
}

impl std::error::Error for BadReply {}

/// How far a reply was looked at.
#[derive(Debug, Default)]
struct Scan {
    /// Up to here; behind the buffer's end inside of a string.
    at: usize,
    /// Up to here no line ends.
    line: usize,
    /// How many values each open list still wants.
    open: Vec<u64>,
    /// How many there are in all.
    values: u64,
}

impl Default for Replies {
    fn default() -> Self {
        Self::new(REPLY_BYTES_MAX)
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies")
            .field("buffered", &self.buffer.len())
            .field("scan", &self.scan)
            .finish_non_exhaustive()
    }
}

impl Replies {
    /// A link that has brought nothing yet.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            bytes_max,
            scan: Scan::default(),
            parser: redis::Parser::new(),
            bad: None,
        }
    }

    /// Takes what the link has brought. Call [`next`](Self::next) until there is nothing before more is pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.bad.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next reply that is whole.
    ///
    /// # Errors
    /// What came is none; so is all that comes behind it.
    #[expect(
        clippy::should_implement_trait,
        reason = "there may be more after a None"
    )]
    pub fn next(&mut self) -> Result<Option<Value>, BadReply> {
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        let next = self.parse();
        if let Err(bad) = &next {
            self.bad = Some(*bad);
            self.buffer = BytesMut::new();
        }
        next
    }

    fn parse(&mut self) -> Result<Option<Value>, BadReply> {
        let Some(end) = self.scan.end(&self.buffer, self.bytes_max)? else {
            return Ok(None);
        };
        self.scan = Scan::default();
        let reply = self.buffer.get(..end).ok_or(BadReply::NotRedis)?;
        let value = self.parser.parse_value(reply);
        self.buffer.advance(end);
        value.map(Some).map_err(|_| BadReply::NotRedis)
    }
}

impl Scan {
    /// Where the reply ends, if all of it is there.
    fn end(&mut self, buffer: &[u8], bytes_max: usize) -> Result<Option<usize>, BadReply> {
        loop {
            if self.at > bytes_max {
                return Err(BadReply::TooLarge(bytes_max));
            }
            if self.at > buffer.len() {
                return Ok(None);
            }
            if self.values > 0 {
                while self.open.last() == Some(&0) {
                    self.open.pop();
                }
                if self.open.is_empty() {
                    return Ok(Some(self.at));
                }
            }
            let Some(line) = self.line(buffer)? else {
                return Ok(None);
            };
            self.value(line)?;
        }
    }

    /// The line that begins here.
    fn line<'b>(&mut self, buffer: &'b [u8]) -> Result<Option<&'b [u8]>, BadReply> {
        let rest = buffer.get(self.at..).unwrap_or_default();
        let looked = self.line.saturating_sub(self.at);
        let unseen = rest.get(looked..).unwrap_or_default();
        let Some(length) = unseen.windows(2).position(|pair| pair == b"\r\n") else {
            if rest.len() > LINE_BYTES_MAX {
                return Err(BadReply::NotRedis);
            }
            let kind = rest.first().copied();
            if kind.is_some_and(|kind| !KINDS.contains(&kind)) {
                return Err(BadReply::NotRedis);
            }
            // The last byte may be half of an end.
            self.line = self.at + rest.len().saturating_sub(1);
            return Ok(None);
        };
        let line = rest.get(..looked + length).unwrap_or_default();
        self.at += line.len() + 2;
        Ok(Some(line))
    }

    /// A value, or how many it consists of.
    fn value(&mut self, line: &[u8]) -> Result<(), BadReply> {
        let (&kind, rest) = line.split_first().ok_or(BadReply::NotRedis)?;
        self.values += 1;
        if let Some(wanted) = self.open.last_mut() {
            *wanted -= 1;
        }
        let parts = match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => return Ok(()),
            b'$' | b'!' | b'=' => {
                if let Some(bytes) = length(rest, kind == b'$')? {
                    self.at = self.at.saturating_add(bytes).saturating_add(2);
                }
                return Ok(());
            }
            b'*' => length(rest, true)?.unwrap_or(0) as u64,
            b'~' | b'>' => length(rest, false)?.unwrap_or(0) as u64,
            b'%' => (length(rest, false)?.unwrap_or(0) as u64).saturating_mul(2),
            b'|' => (length(rest, false)?.unwrap_or(0) as u64).saturating_mul(2) + 1,
            _ => return Err(BadReply::NotRedis),
        };
        let awaited = self.open.iter().fold(parts, |sum, wanted| sum + wanted);
        if awaited + self.values > VALUES_MAX || self.open.len() >= DEPTH_MAX {
            return Err(BadReply::TooMany);
        }
        self.open.push(parts);
        Ok(())
    }
}

/// What values begin with.
const KINDS: &[u8] = b"+-:_#,($!=*~>%|";

/// A length as Redis writes it; `None` for that of nothing.
fn length(digits: &[u8], may_be_nothing: bool) -> Result<Option<usize>, BadReply> {
    if digits == b"-1" && may_be_nothing {
        return Ok(None);
    }
    // None has more digits than this, and so many are a number.
    let are_digits = (1..=10).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| are_digits);
    let number = text.and_then(|text| text.parse::<usize>().ok());
    number.map(Some).ok_or(BadReply::NotRedis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out of bytes that are pushed in pieces of these sizes, in turn.
    fn read(bytes: &[u8], sizes: &[usize], max: usize) -> (Vec<Value>, Option<BadReply>) {
        let mut replies = Replies::new(max);
        let mut values = Vec::new();
        let mut rest = bytes;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let size = (*sizes.next().unwrap()).clamp(1, rest.len());
            replies.push(&rest[..size]);
            rest = &rest[size..];
            loop {
                match replies.next() {
                    Ok(Some(value)) => values.push(value),
                    Ok(None) => break,
                    Err(bad) => return (values, Some(bad)),
                }
            }
        }
        (values, None)
    }

    const SOME: &[u8] = b"+OK\r\n:42\r\n$5\r\nhel\r\n\r\n$-1\r\n*0\r\n*-1\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n\
        -MOVED 1 127.0.0.1:7000\r\n%1\r\n+a\r\n#t\r\n>2\r\n$4\r\npong\r\n$0\r\n\r\n_\r\n~1\r\n,1.5\r\n(123\r\n=5\r\ntxt:a\r\n!5\r\nERR a\r\n";

    #[test]
    fn replies_are_the_same_wherever_they_are_split() {
        let whole = read(SOME, &[SOME.len()], 1 << 20);
        assert_eq!((whole.0.len(), whole.1), (15, None));
        assert_eq!(whole.0[2], Value::BulkString(b"hel\r\n".to_vec()));
        for size in 1..SOME.len() {
            assert_eq!(read(SOME, &[size], 1 << 20), whole);
            assert_eq!(read(SOME, &[size, SOME.len()], 1 << 20), whole);
        }
    }

    #[test]
    fn a_reply_that_is_too_large_is_refused_by_its_header() {
        for header in [&b"$536870912\r\n"[..], b"*1\r\n$536870912\r\nabc"] {
            let mut replies = Replies::default();
            replies.push(header);
            assert_eq!(replies.next(), Err(BadReply::TooLarge(REPLY_BYTES_MAX)));
            replies.push(b"+OK\r\n");
            assert_eq!(replies.next(), Err(BadReply::TooLarge(REPLY_BYTES_MAX)));
            assert_eq!(replies.buffer.capacity(), 0);
        }
        let (values, bad) = read(b"*3\r\n$3\r\nabc\r\n$3\r\nabc\r\n", &[1], 20);
        assert_eq!((values, bad), (vec![], Some(BadReply::TooLarge(20))));
    }

    #[test]
    fn what_is_no_reply_ends_the_link() {
        for (bytes, bad) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], BadReply::NotRedis),
            (b"\x15\x03\x01", BadReply::NotRedis),
            (b"\r\n", BadReply::NotRedis),
            (b"$\r\n", BadReply::NotRedis),
            (b"$-2\r\n", BadReply::NotRedis),
            (b"$?\r\n", BadReply::NotRedis),
            (b"$+1\r\na\r\n", BadReply::NotRedis),
            (b"%-1\r\n", BadReply::NotRedis),
            (b"=-1\r\n", BadReply::NotRedis),
            (b"$99999999999\r\n", BadReply::NotRedis),
            (b"$1\r\nabc\r\n", BadReply::NotRedis),
            (b":x\r\n", BadReply::NotRedis),
            (b"*9999999999\r\n", BadReply::TooMany),
            (b"*1048576\r\n", BadReply::TooMany),
            (b"|9999999999\r\n", BadReply::TooMany),
        ] {
            assert_eq!(
                read(bytes, &[bytes.len()], 1 << 30).1,
                Some(bad),
                "{bytes:?}"
            );
        }
        let deep = b"*1\r\n".repeat(9);
        assert_eq!(read(&deep, &[3], 1 << 20).1, Some(BadReply::TooMany));
        let endless = vec![b'+'; LINE_BYTES_MAX + 2];
        assert_eq!(read(&endless, &[999], 1 << 20).1, Some(BadReply::NotRedis));
    }

    #[test]
    fn a_large_reply_in_small_pieces_is_looked_at_once() {
        let mut reply = b"*10000\r\n".to_vec();
        for _ in 0..10_000 {
            reply.extend_from_slice(b"$100\r\n");
            reply.extend_from_slice(&[b'x'; 100]);
            reply.extend_from_slice(b"\r\n");
        }
        // Beginning over with each piece would take 10^10 steps.
        let (values, bad) = read(&reply, &[64], 1 << 24);
        assert_eq!((values.len(), bad), (1, None));
    }

    proptest! {
        #[test]
        fn garbage_is_read_the_same_in_pieces_and_never_panics(
            bytes in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(&b"$*+-:_#,(!=~>%|0129\r\n"[..]),
                    any::<u8>(),
                ],
                0..200,
            ),
            sizes in proptest::collection::vec(1_usize..20, 1..8),
        ) {
            let whole = read(&bytes, &[bytes.len().max(1)], 1000);
            let pieces = read(&bytes, &sizes, 1000);
            // The one may know sooner than the other that it is garbage.
            let both = whole.0.len().min(pieces.0.len());
            prop_assert_eq!(
                format!("{:?}", &whole.0[..both]),
                format!("{:?}", &pieces.0[..both])
            );
            prop_assert_eq!(whole.1.is_some(), pieces.1.is_some());
        }

        #[test]
        fn damaged_replies_never_panic(
            at in 0..SOME.len(),
            byte in any::<u8>(),
            sizes in proptest::collection::vec(1_usize..20, 1..8),
        ) {
            let mut bytes = SOME.to_vec();
            bytes[at] = byte;
            let whole = read(&bytes, &[bytes.len()], 1000);
            let pieces = read(&bytes, &sizes, 1000);
            prop_assert_eq!(whole.1.is_some(), pieces.1.is_some());
        }
    }
}

//! The end of an HTTP/1.1 head, found in bytes as they come.
//!
//! Every byte is looked at once, however the head is cut, and a head that breaks a limit is refused when it does, not
//! when it ends. What the lines say is for the parser behind.

use std::borrow::Cow;
use std::fmt;

/// Limits of a head, in bytes and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadLimits {
    /// The longest request line. Default 8 KiB, as nginx and Apache.
    pub start_line_bytes_max: usize,
    /// The longest header line. Default 8 KiB, as nginx and Apache.
    pub header_line_bytes_max: usize,
    /// The longest head, all lines together. Default 16 KiB, as Node.
    pub head_bytes_max: usize,
    /// The most header lines, doubled names included. Default 100, as Apache.
    pub headers_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            start_line_bytes_max: 8 << 10,
            header_line_bytes_max: 8 << 10,
            head_bytes_max: 16 << 10,
            headers_max: HEADERS_MAX,
        }
    }
}

/// The most headers that a parsed head has room for: no limit can be set higher.
pub(crate) const HEADERS_MAX: usize = 100;

/// Why a head was refused before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadError {
    /// Not HTTP/1.1: a line ends without CR, or the first line cannot be one.
    Malformed,
    /// The first line is too long.
    StartLineTooLong,
    /// A header line, or the whole head, is too long.
    TooLarge,
    /// There are too many header lines.
    TooManyHeaders,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed HTTP head",
            Self::StartLineTooLong => "first line of the HTTP head too long",
            Self::TooLarge => "HTTP head too large",
            Self::TooManyHeaders => "too many HTTP headers",
        })
    }
}

impl std::error::Error for HeadError {}

/// Collects one head.
#[derive(Debug, Default)]
pub struct HeadReader {
    limits: HeadLimits,
    /// What earlier reads brought.
    buffer: Vec<u8>,
    scan: Scan,
    /// A head that was refused stays refused.
    failed: Option<HeadError>,
}

/// How far the head was looked at.
#[derive(Debug, Default, Clone, Copy)]
struct Scan {
    position: usize,
    line_start: usize,
    /// Whole lines so far, the first one included.
    lines: usize,
    /// Where the first line begins: behind an empty line, if the peer sent one.
    head_start: usize,
}

impl HeadReader {
    /// A reader with these limits.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        let headers_max = limits.headers_max.min(HEADERS_MAX);
        Self {
            limits: HeadLimits {
                headers_max,
                ..limits
            },
            ..Self::default()
        }
    }

    /// Takes bytes until the head is whole, and returns it; `None` while it is not.
    ///
    /// What is behind the head stays in `input`: frames may follow a request in the same packet. A head that lies whole
    /// in `input` is lent from there. After a head, the reader is ready for the next.
    ///
    /// # Errors
    /// The head cannot become a legal one, or breaks a limit; the same error again for whatever follows.
    pub fn handle_input<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Cow<'b, [u8]>>, HeadError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let read = if self.buffer.is_empty() {
            self.lend(input)
        } else {
            self.collect(input)
        };
        read.inspect_err(|&error| self.failed = Some(error))
    }

    /// Whether part of a head has come.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Nothing is kept from before: a whole head is lent, part of one becomes the buffer.
    fn lend<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Cow<'b, [u8]>>, HeadError> {
        let mut scan = Scan::default();
        let Some(end) = scan.find_end(input, &self.limits)? else {
            self.buffer = std::mem::take(input).to_vec();
            self.scan = scan;
            return Ok(None);
        };
        let (head, rest) = std::mem::take(input).split_at_mut(end);
        *input = rest;
        let (_, head) = head.split_at(scan.head_start);
        Ok(Some(Cow::Borrowed(head)))
    }

    fn collect<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Cow<'b, [u8]>>, HeadError> {
        let kept = self.buffer.len();
        // One byte over the limit is enough to see that it is broken.
        let free = self.limits.head_bytes_max.saturating_add(1) - kept;
        let taken = input.len().min(free);
        let (new, _) = input.split_at(taken);
        self.buffer.extend_from_slice(new);
        let Some(end) = self.scan.find_end(&self.buffer, &self.limits)? else {
            *input = std::mem::take(input).split_at_mut(taken).1;
            return Ok(None);
        };
        *input = std::mem::take(input).split_at_mut(end - kept).1;
        let mut head = std::mem::take(&mut self.buffer);
        head.truncate(end);
        head.drain(..self.scan.head_start);
        self.scan = Scan::default();
        Ok(Some(Cow::Owned(head)))
    }
}

impl Scan {
    /// Goes on to the end of `bytes`, or of the head: then returns where it is.
    ///
    /// The first byte that is wrong decides, however the head is cut: so nothing behind the limit is looked at, and a line
    /// that is too long is that before it is anything else.
    fn find_end(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        self.check_first_byte(bytes)?;
        let looked_at = bytes.len().min(limits.head_bytes_max.saturating_add(1));
        let (bytes, _) = bytes.split_at(looked_at);
        while let Some(length) = bytes
            .split_at(self.position)
            .1
            .iter()
            .position(|&byte| byte == b'\n')
        {
            let line_end = self.position + length;
            let line = bytes.split_at(line_end).0.split_at(self.line_start).1;
            self.check_line(line, limits)?;
            // "A recipient MAY recognize a single LF as a line terminator" (RFC 9112 §2.2): we do not, since proxies
            // differ in it, and where two parsers differ requests are smuggled.
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(HeadError::Malformed);
            };
            self.position = line_end + 1;
            if line.is_empty() && self.lines > 0 {
                return self.check_size(limits).map(|()| Some(self.position));
            }
            self.end_line(line.is_empty(), limits)?;
        }
        self.position = bytes.len();
        self.check_line(bytes.split_at(self.line_start).1, limits)?;
        self.check_size(limits).map(|()| None)
    }

    fn end_line(&mut self, empty: bool, limits: &HeadLimits) -> Result<(), HeadError> {
        self.line_start = self.position;
        if empty {
            // "A server [...] SHOULD ignore at least one empty line (CRLF) received prior to the request-line" (§2.2).
            if self.head_start > 0 {
                return Err(HeadError::Malformed);
            }
            self.head_start = self.position;
            return Ok(());
        }
        self.lines += 1;
        if self.lines > limits.headers_max + 1 {
            Err(HeadError::TooManyHeaders)
        } else {
            Ok(())
        }
    }

    /// A line that has ended, or what there is of one; its CR does not count.
    fn check_line(&self, line: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
        let length = line.strip_suffix(b"\r").unwrap_or(line).len();
        if self.lines == 0 {
            if length > limits.start_line_bytes_max {
                Err(HeadError::StartLineTooLong)
            } else {
                Ok(())
            }
        } else if length > limits.header_line_bytes_max {
            Err(HeadError::TooLarge)
        } else {
            Ok(())
        }
    }

    const fn check_size(&self, limits: &HeadLimits) -> Result<(), HeadError> {
        if self.position > limits.head_bytes_max {
            Err(HeadError::TooLarge)
        } else {
            Ok(())
        }
    }

    /// A TLS hello or a binary protocol is known by its first byte: no need to wait for a line end that never comes.
    fn check_first_byte(&self, bytes: &[u8]) -> Result<(), HeadError> {
        match bytes.first() {
            Some(b'A'..=b'Z' | b'a'..=b'z' | b'\r') | None => Ok(()),
            Some(_) => Err(HeadError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head and what is behind it, or nothing yet.
    type Read = Result<Option<(Vec<u8>, Vec<u8>)>, HeadError>;

    fn read_in_pieces(bytes: &[u8], size: usize) -> Read {
        let mut reader = HeadReader::default();
        let mut bytes = bytes.to_vec();
        let len = bytes.len();
        let mut rest = &mut bytes[..];
        let mut done = 0;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at_mut(size.min(rest.len()));
            let piece_len = piece.len();
            let mut input = piece;
            if let Some(head) = reader.handle_input(&mut input)? {
                let unused = [input, behind].concat();
                assert_eq!(done + piece_len + behind.len(), len);
                return Ok(Some((head.into_owned(), unused)));
            }
            assert!(input.is_empty());
            done += piece_len;
            rest = behind;
        }
        Ok(None)
    }

    fn at_every_size(bytes: &[u8]) -> Read {
        let whole = read_in_pieces(bytes, bytes.len().max(1));
        for size in 1..bytes.len().min(40) {
            assert_eq!(read_in_pieces(bytes, size), whole, "in pieces of {size}");
        }
        whole
    }

    fn with_header_line(length: usize) -> Vec<u8> {
        format!("GET / HTTP/1.1\r\n{}\r\n\r\n", "h".repeat(length)).into_bytes()
    }

    #[test]
    fn a_head_may_be_as_large_as_the_limit_to_the_byte() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let read = |head_bytes_max| {
            let limits = HeadLimits {
                head_bytes_max,
                ..HeadLimits::default()
            };
            let mut head = *head;
            let read = HeadReader::new(limits).handle_input(&mut &mut head[..]);
            read.map(|head| head.is_some())
        };
        assert_eq!(read(head.len()), Ok(true));
        for over in 1..=2 {
            assert_eq!(read(head.len() - over), Err(HeadError::TooLarge));
        }
    }

    #[test]
    fn a_head_has_begun_from_its_first_byte_to_its_last() {
        let mut reader = HeadReader::default();
        let (mut line, mut end) = (*b"GET / HTTP/1.1\r\n", *b"\r\n");
        assert!(!reader.has_begun());
        assert_eq!(reader.handle_input(&mut &mut line[..]), Ok(None));
        assert!(reader.has_begun());
        assert!(reader.handle_input(&mut &mut end[..]).unwrap().is_some());
        assert!(!reader.has_begun());
    }

    #[test]
    fn what_is_behind_the_head_stays() {
        let (head, rest) = at_every_size(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\x81\x80abcd")
            .unwrap()
            .unwrap();
        assert_eq!(
            (&head[..], &rest[..]),
            (
                &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
                &b"\x81\x80abcd"[..]
            )
        );
    }

    #[test]
    fn one_empty_line_in_front_is_skipped_and_two_are_not() {
        let (head, _) = at_every_size(b"\r\nGET / HTTP/1.1\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(head, b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(
            at_every_size(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            Err(HeadError::Malformed)
        );
    }

    #[test]
    fn a_line_end_without_cr_is_malformed() {
        assert_eq!(
            at_every_size(b"GET / HTTP/1.1\nHost: x\n\n"),
            Err(HeadError::Malformed)
        );
        assert_eq!(
            at_every_size(b"GET / HTTP/1.1\r\nHost: x\n\r\n"),
            Err(HeadError::Malformed)
        );
    }

    #[test]
    fn a_tls_hello_is_malformed_at_its_first_byte() {
        assert_eq!(read_in_pieces(b"\x16", 1), Err(HeadError::Malformed));
    }

    #[test]
    fn a_head_without_end_is_partial() {
        assert_eq!(at_every_size(b"GET / HTTP/1.1\r\nHost: x\r\n\r"), Ok(None));
    }

    #[test]
    fn a_long_first_line_is_refused_before_it_ends() {
        let fits = [&b"G"[..], &b"x".repeat(8191), b"\r\n\r\n"].concat();
        assert!(read_in_pieces(&fits, 1000).unwrap().is_some());
        assert_eq!(
            read_in_pieces(&b"G".repeat(8194), 1),
            Err(HeadError::StartLineTooLong)
        );
    }

    #[test]
    fn a_long_header_line_is_refused() {
        for size in [1, 1000, 100_000] {
            assert!(
                read_in_pieces(&with_header_line(8 << 10), size)
                    .unwrap()
                    .is_some()
            );
            assert_eq!(
                read_in_pieces(&with_header_line((8 << 10) + 1), size),
                Err(HeadError::TooLarge)
            );
        }
    }

    #[test]
    fn a_large_head_is_refused() {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        for _ in 0..5 {
            head.extend(b"h".repeat(4000));
            head.extend(b"\r\n");
        }
        for size in [1, 1000, 100_000] {
            assert_eq!(read_in_pieces(&head, size), Err(HeadError::TooLarge));
        }
    }

    #[test]
    fn the_first_byte_that_is_wrong_decides_however_the_head_is_cut() {
        let long_and_without_cr = [&b"G".repeat(8193)[..], b"\n"].concat();
        let large = [b"GET / HTTP/1.1\r\n", &b"h: hhhh\r\n".repeat(2000)[..]].concat();
        let large_then_without_cr = [&large[..], b"h\n"].concat();
        for size in [1, 7, 100_000] {
            assert_eq!(
                read_in_pieces(&long_and_without_cr, size),
                Err(HeadError::StartLineTooLong)
            );
            let mut reader = HeadReader::new(HeadLimits {
                head_bytes_max: 16,
                ..HeadLimits::default()
            });
            let mut bytes = large_then_without_cr.clone();
            let results = bytes
                .chunks_mut(size)
                .map(|mut piece| reader.handle_input(&mut piece).map(|_| ()));
            let failed = results.into_iter().find(Result::is_err);
            assert_eq!(failed, Some(Err(HeadError::TooLarge)));
        }
    }

    #[test]
    fn a_hundred_headers_pass_and_one_more_does_not() {
        let head = |count: usize| {
            format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count)).into_bytes()
        };
        assert!(at_every_size(&head(100)).unwrap().is_some());
        assert_eq!(at_every_size(&head(101)), Err(HeadError::TooManyHeaders));
    }
}

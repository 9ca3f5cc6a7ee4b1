//! The replies of one connection: frames in pieces of any length, compared with what they should be as they come.

use anyhow::{Result, bail, ensure};

use super::requests::Requests;
use crate::deflate;
use crate::frame::{self, HEADER_MAX, Header};

/// Where in its replies a connection is.
#[derive(Default)]
pub(crate) struct Replies {
    /// Messages that have come whole.
    pub(crate) complete: u64,
    /// The beginning of a header.
    part: [u8; HEADER_MAX],
    part_len: usize,
    /// The frame that is coming, and what of its payload is still to come.
    frame: Option<Header>,
    rest: usize,
    /// What of the message has come, in all its frames.
    taken: usize,
    /// The same as bytes, if they are compressed.
    packed: Vec<u8>,
}

impl Replies {
    /// Takes bytes as they came.
    ///
    /// # Errors
    /// They are not what should have come.
    pub(crate) fn take(&mut self, mut bytes: &[u8], requests: &mut Requests) -> Result<()> {
        while !bytes.is_empty() {
            let Some(frame) = self.frame else {
                let Some(used) = self.begin(bytes, requests)? else {
                    return Ok(());
                };
                bytes = &bytes[used..];
                self.end_frame(requests)?;
                continue;
            };
            let (piece, behind) = bytes.split_at(self.rest.min(bytes.len()));
            self.compare(frame, piece, requests)?;
            self.rest -= piece.len();
            bytes = behind;
            self.end_frame(requests)?;
        }
        Ok(())
    }

    /// Begins a frame, and returns how much of `bytes` is its header's; none while that is incomplete.
    fn begin(&mut self, bytes: &[u8], requests: &Requests) -> Result<Option<usize>> {
        let had = self.part_len;
        let header = if had == 0 {
            Header::parse(bytes)?
        } else {
            let more = bytes.len().min(HEADER_MAX - had);
            self.part[had..had + more].copy_from_slice(&bytes[..more]);
            Header::parse(&self.part[..had + more])?
        };
        let Some(header) = header else {
            self.part[had..had + bytes.len()].copy_from_slice(bytes);
            self.part_len += bytes.len();
            return Ok(None);
        };
        self.check(header, requests)?;
        self.part_len = 0;
        self.rest = header.payload;
        self.frame = Some(header);
        Ok(Some(header.len - had))
    }

    fn check(&self, header: Header, requests: &Requests) -> Result<()> {
        let is_first = self.taken == 0 && self.packed.is_empty();
        match header.opcode {
            frame::CONTINUATION => ensure!(!is_first, "a continuation of nothing"),
            opcode if opcode == requests.opcode => {
                ensure!(is_first, "a message within another");
                ensure!(
                    requests.compressed || !header.compressed,
                    "compressed without being asked"
                );
            }
            frame::CLOSE => bail!("the server closes"),
            frame::PING => bail!("a ping: runs are to be shorter than the time until the first"),
            opcode => bail!("a frame with opcode {opcode}"),
        }
        Ok(())
    }

    fn expected<'a>(&self, requests: &'a Requests) -> &'a [u8] {
        let count = requests.replies.len() as u64;
        &requests.replies[(self.complete % count) as usize]
    }

    fn compare(&mut self, frame: Header, piece: &[u8], requests: &Requests) -> Result<()> {
        if frame.compressed || !self.packed.is_empty() {
            self.packed.extend_from_slice(piece);
            return Ok(());
        }
        let expected = self
            .expected(requests)
            .get(self.taken..self.taken + piece.len());
        ensure!(
            expected == Some(piece),
            "reply {} is not what was sent",
            self.complete
        );
        self.taken += piece.len();
        Ok(())
    }

    /// If the frame is complete: it is over; and the message, if that was its last.
    fn end_frame(&mut self, requests: &mut Requests) -> Result<()> {
        let Some(frame) = self.frame.filter(|_| self.rest == 0) else {
            return Ok(());
        };
        self.frame = None;
        if !frame.fin {
            return Ok(());
        }
        let expected = self.expected(requests);
        if self.packed.is_empty() {
            ensure!(
                self.taken == expected.len(),
                "reply {} is cut",
                self.complete
            );
        } else {
            let count = requests.replies.len() as u64;
            let known = &mut requests.known[(self.complete % count) as usize];
            if !known.contains(&self.packed) {
                let expected = &requests.replies[(self.complete % count) as usize];
                let inflated = deflate::inflated(&self.packed, expected.len())?;
                ensure!(
                    inflated == *expected,
                    "reply {} is not what was sent",
                    self.complete
                );
                known.push(self.packed.clone());
            }
            self.packed.clear();
        }
        self.taken = 0;
        self.complete += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Kind;

    /// A server's frame.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ 0..126 => out.push(length as u8),
            length => {
                out.push(126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        [out, payload.to_vec()].concat()
    }

    fn take(stream: &[u8], step: usize, requests: &mut Requests) -> Result<u64> {
        let mut replies = Replies::default();
        for piece in stream.chunks(step) {
            replies.take(piece, requests)?;
        }
        Ok(replies.complete)
    }

    #[test]
    fn replies_in_pieces_and_fragments_are_compared() {
        let mut requests = Requests::new(Kind::Ascii, 300, 1, false, false).unwrap();
        let [first, second] = [requests.replies[0].clone(), requests.replies[1].clone()];
        let stream = [
            frame(0x81, &first),
            frame(0x01, &second[..10]),
            frame(0x80, &second[10..]),
        ]
        .concat();
        for step in 1..stream.len() {
            assert_eq!(take(&stream, step, &mut requests).unwrap(), 2, "{step}");
        }
        // The wrong order, a wrong byte, too short, too long, another opcode.
        let mut wrong = first.clone();
        wrong[299] ^= 1;
        for stream in [
            frame(0x81, &second),
            frame(0x81, &wrong),
            frame(0x81, &first[..299]),
            frame(0x81, &[first.clone(), vec![b' ']].concat()),
            frame(0x82, &first),
            frame(0x80, &first),
            frame(0x88, &[]),
        ] {
            assert!(take(&stream, 7, &mut requests).is_err());
        }
    }

    #[test]
    fn compressed_replies_are_inflated_once_and_known_then() {
        let mut requests = Requests::new(Kind::Json, 1024, 1, true, false).unwrap();
        let packed = deflate::compressed(&requests.replies[0]).unwrap();
        let stream = frame(0xc1, &packed);
        for step in [1, 5, stream.len()] {
            assert_eq!(take(&stream, step, &mut requests).unwrap(), 1);
        }
        assert_eq!(requests.known[0], [packed]);
        let other = deflate::compressed(&requests.replies[1]).unwrap();
        assert!(take(&frame(0xc1, &other), 9, &mut requests).is_err());
    }
}

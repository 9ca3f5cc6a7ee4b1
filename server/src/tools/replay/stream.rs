//! One direction of a TCP connection put together again: in order, each byte once, with a bound on what waits for a gap to fill.

use std::collections::BTreeMap;

use super::file::Segment;

/// What may wait behind a gap.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// A direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// The number of the next byte that is wanted, and how many bytes were before it; none before the first segment.
    next: Option<(u32, u64)>,
    /// Segments behind a gap, by the place of their first byte.
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_bytes: usize,
    /// Where it ends, if that was said.
    end: Option<u64>,
    is_ended: bool,
    is_broken: bool,
}

/// What a segment brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// Nothing that matters to the order.
    On,
    /// The end, now.
    End,
    /// The capture has a hole; nothing follows.
    Hole,
}

impl Half {
    /// Whether no segment of it was seen.
    pub(super) const fn is_new(&self) -> bool {
        self.next.is_none()
    }

    /// Whether all of it was handed on.
    pub(super) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether this opens the direction that was opened by a segment before, and no other.
    pub(super) fn is_opened_by(&self, segment: &Segment<'_>) -> bool {
        self.next.is_some_and(|(next, place)| {
            next.wrapping_sub(place as u32) == segment.number.wrapping_add(1)
        })
    }

    /// Whether something waits for bytes that never came.
    pub(super) fn has_hole(&self) -> bool {
        !self.is_broken && !self.waiting.is_empty()
    }

    /// Takes a segment, and hands on the bytes that are now in order.
    pub(super) fn take(
        &mut self,
        segment: &Segment<'_>,
        mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<Brought> {
        if self.is_broken || self.is_ended {
            return Ok(Brought::On);
        }
        let first = segment.number.wrapping_add(u32::from(segment.syn));
        let (next, place) = *self.next.get_or_insert((first, 0));
        // How far it is ahead: less than half of all numbers, or it is one that came before.
        let ahead = i64::from(first.wrapping_sub(next) as i32);
        let start = place.saturating_add_signed(ahead);
        let known = usize::try_from(ahead.min(0).unsigned_abs()).unwrap_or(usize::MAX);
        let fresh = segment.payload.get(known..).unwrap_or_default();
        if segment.fin {
            let length = segment.payload.len() as u64;
            let end = place as i64 + ahead + length as i64;
            self.end = u64::try_from(end).ok();
        }
        if ahead > 0 {
            self.keep(start, fresh);
        } else if !fresh.is_empty() {
            each(fresh)?;
            self.advance(fresh.len());
            self.hand_on_what_waited(&mut each)?;
        }
        if segment.is_cut || self.waiting_bytes > WAITING_BYTES_MAX {
            self.is_broken = true;
            self.waiting.clear();
            return Ok(Brought::Hole);
        }
        let place = self.next.map_or(0, |(_, place)| place);
        if self.end.is_some_and(|end| end <= place) {
            self.is_ended = true;
            return Ok(Brought::End);
        }
        Ok(Brought::On)
    }

    fn keep(&mut self, start: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let slot = self.waiting.entry(start).or_default();
        if slot.len() < bytes.len() {
            self.waiting_bytes += bytes.len() - slot.len();
            *slot = bytes.to_vec();
        }
    }

    fn hand_on_what_waited(
        &mut self,
        each: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        while let Some(first) = self.waiting.first_entry() {
            let place = self.next.map_or(0, |(_, place)| place);
            let Some(known) = place.checked_sub(*first.key()) else {
                return Ok(());
            };
            let bytes = first.remove();
            self.waiting_bytes -= bytes.len();
            let known = usize::try_from(known).unwrap_or(usize::MAX);
            let fresh = bytes.get(known..).unwrap_or_default();
            if !fresh.is_empty() {
                each(fresh)?;
                self.advance(fresh.len());
            }
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        if let Some((next, place)) = &mut self.next {
            // No packet has 4 GiB.
            *next = next.wrapping_add(bytes as u32);
            *place += bytes as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(number: u32, payload: &[u8]) -> Segment<'_> {
        let address = "127.0.0.1:1".parse().unwrap();
        Segment {
            from: address,
            to: address,
            number,
            syn: false,
            ack: true,
            fin: false,
            rst: false,
            payload,
            is_cut: false,
        }
    }

    fn syn(number: u32) -> Segment<'static> {
        Segment {
            syn: true,
            ..segment(number, &[])
        }
    }

    fn run(segments: &[Segment<'_>]) -> (Vec<u8>, Vec<Brought>) {
        let (mut half, mut bytes) = (Half::default(), Vec::new());
        let brought = segments.iter().map(|segment| {
            let each = |more: &[u8]| {
                bytes.extend_from_slice(more);
                Ok(())
            };
            half.take(segment, each).unwrap()
        });
        let brought = brought.collect();
        (bytes, brought)
    }

    #[test]
    fn an_end_comes_behind_all_bytes() {
        let fin = Segment {
            fin: true,
            ..segment(6, b"f")
        };
        let (bytes, brought) = run(&[syn(0), fin, segment(1, b"abcde"), segment(1, b"x")]);
        assert_eq!(bytes, b"abcdef");
        assert_eq!(
            brought,
            [Brought::On, Brought::On, Brought::End, Brought::On]
        );
    }

    #[test]
    fn a_packet_that_is_cut_is_a_hole() {
        let cut = Segment {
            is_cut: true,
            ..segment(1, b"ab")
        };
        let (bytes, brought) = run(&[syn(0), cut, segment(9, b"later")]);
        assert_eq!((bytes.as_slice(), brought[1]), (&b"ab"[..], Brought::Hole));
    }

    #[test]
    fn what_waits_is_bounded() {
        let far = vec![0; 1 << 20];
        let many: Vec<_> = (1..9).map(|n| segment(1 + n * (1 << 20), &far)).collect();
        let (bytes, brought) = run(&[&[syn(0)], many.as_slice()].concat());
        assert!(bytes.is_empty() && brought.contains(&Brought::Hole));
    }

    proptest! {
        #[test]
        fn whatever_the_order_and_the_overlaps_the_bytes_are_those_that_were_sent(
            begin in any::<u32>(),
            length in 1_usize..200,
            pieces in prop::collection::vec((0_usize..200, 1_usize..40), 0..60),
        ) {
            let sent: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let whole = [(0, length)];
            let ranges = pieces.iter().chain(&whole).map(|&(start, bytes)| {
                let start = start.min(length);
                start..(start + bytes).min(length)
            });
            let first = begin.wrapping_add(1);
            let mut segments = vec![syn(begin)];
            segments.extend(ranges.map(|range| {
                segment(first.wrapping_add(range.start as u32), &sent[range])
            }));
            let (bytes, _) = run(&segments);
            prop_assert_eq!(bytes, sent);
        }
    }
}

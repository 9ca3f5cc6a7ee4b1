//! The known differences: what is meant by each, and what must be true of a sequence for it to be that one. Everything in
//! front of a difference must still be the same.

use tidewire_protocol::{Error, PeerError};

use super::ours::Judged;
use super::outcome::{Answer, End, Event};
use super::peers::Kind;
use super::sequence::{Deflate, Sequence};
use super::walk::{self, Frame};

/// Somebody sees a sequence otherwise than we do.
struct Known {
    who: Kind,
    why: &'static str,
    is_it: fn(&Difference<'_>) -> bool,
}

const KNOWN: [Known; 15] = [
    // "The minimal number of bytes MUST be used to encode the length" (§5.2).
    Known {
        who: Kind::Ws,
        why: "takes lengths that are not in their shortest form",
        is_it: |it| it.is_same_so_far() && it.we_found(PeerError::NonMinimalLength),
    },
    Known {
        who: Kind::Ws,
        why: "calls a length with its top bit set too big (1009), not wrong (1002)",
        is_it: |it| {
            it.has_same_events()
                && it.we_found(PeerError::LengthTopBit)
                && it.they_failed_with(1009)
        },
    },
    // We fail at the first wrong byte, as Autobahn's cases 6.4.* ask.
    Known {
        who: Kind::Ws,
        why: "looks at text when its message is whole, inflates when a frame is whole",
        is_it: |it| {
            let of_message = [
                PeerError::InvalidUtf8.into(),
                PeerError::CorruptDeflate.into(),
            ];
            let too_early = it.our_last_frame().is_some_and(Frame::ends_a_message);
            (it.we_found_one_of(&of_message) || it.we_passed_a_limit())
                && it.has_same_messages_so_far()
                && !too_early
        },
    },
    Known {
        who: Kind::Ws,
        why: "inflates a frame, up to the limit, before it looks at its text",
        is_it: |it| {
            it.has_same_events()
                && it.we_found(PeerError::InvalidUtf8)
                && it.sequence.deflate != Deflate::Off
                && it.they_failed_with(1009)
        },
    },
    // Both are right to wait: nothing is lost, and what is wrong is wrong one byte later too.
    Known {
        who: Kind::Ws,
        why: "looks at a header when it has two bytes of it",
        is_it: |it| {
            let one_byte = |frame: &Frame| it.sequence.bytes.len() == frame.start + 1;
            it.has_same_events() && it.are_open() && it.frames.last().is_some_and(one_byte)
        },
    },
    Known {
        who: Kind::Ws,
        why: "knows from part of a header that the message or the connection cannot take it",
        is_it: |it| {
            it.has_same_events()
                && it.we_are_open()
                && it.frames.last().is_some_and(|frame| frame.len.is_none())
        },
    },
    Known {
        who: Kind::Ws,
        why: "knows from its header that a Close frame of one byte is wrong",
        is_it: |it| {
            let close = |frame: &Frame| frame.opcode() == 8 && frame.len == Some(1);
            it.has_same_events()
                && it.we_are_open()
                && it.they_failed_with(1002)
                && it.frames.last().is_some_and(close)
        },
    },
    // "When any DEFLATE block with the "BFINAL" bit set to 1 doesn't end at a byte boundary, an endpoint MUST add minimal
    // padding bits of 0 [...]. The next DEFLATE block follows the padded data if any" (RFC 7692 §7.2.1).
    Known {
        who: Kind::Ws,
        why: "does not read what is behind a final block of DEFLATE in the same message",
        is_it: |it| it.is_same_before_final_block(),
    },
    Known {
        who: Kind::Wsproto,
        why: "does not read what is behind a final block of DEFLATE, with context takeover for good",
        is_it: |it| it.is_same_before_final_block(),
    },
    Known {
        who: Kind::Wsproto,
        why: "has no limits",
        is_it: |it| it.is_same_so_far() && it.we_passed_a_limit(),
    },
    // Registered with IANA, after RFC 6455.
    Known {
        who: Kind::Wsproto,
        why: "does not know close code 1014",
        is_it: |it| {
            let bad_gateway = |frame: &Frame| frame.payload.starts_with(&1014u16.to_be_bytes());
            let close = it.frames.iter().find(|frame| frame.opcode() == 8);
            let and_reason = it.we_found(PeerError::InvalidUtf8);
            let closed = matches!(it.ours.outcome.end, End::Closed { .. });
            it.has_same_events()
                && (closed || and_reason)
                && close.is_some_and(bad_gateway)
                && it.they_failed_with(1002)
        },
    },
    // The standard decoder of CPython, which can be told to let surrogates pass.
    Known {
        who: Kind::Wsproto,
        why: "knows a surrogate by its third byte, not by its second",
        is_it: |it| {
            it.we_found(PeerError::InvalidUtf8)
                && it.has_same_messages_so_far()
                && (matches!(it.theirs.waiting[..], [0xed, 0xa0..=0xbf])
                    || it.they_failed_with(1007))
        },
    },
    Known {
        who: Kind::Wsproto,
        why: "looks at a header when it is whole, at the order of frames with the first byte of payload",
        is_it: |it| {
            let early = |frame: &Frame| frame.payload.is_empty() && frame.len != Some(0);
            it.has_same_events() && it.are_open() && it.frames.last().is_some_and(early)
        },
    },
    Known {
        who: Kind::Wsproto,
        why: "inflates before it looks at the order of frames (1007 for 1002)",
        is_it: |it| {
            let of_order = [
                PeerError::UnfinishedMessage.into(),
                PeerError::NothingToContinue.into(),
            ];
            it.has_same_events() && it.we_found_one_of(&of_order) && it.they_failed_with(1007)
        },
    },
    // A defect of wsproto 1.3.2: the control frame resets what it knows of the message.
    Known {
        who: Kind::Wsproto,
        why: "forgets at a control frame between fragments that the message is compressed",
        is_it: |it| {
            it.first_control_in_compressed_message()
                .is_some_and(|end| it.is_same_before(end))
        },
    },
];

/// Why `who` sees it otherwise; `None` if nobody knows.
pub(super) fn explain(who: Kind, difference: &Difference<'_>) -> Option<&'static str> {
    let known = KNOWN.iter().filter(|known| known.who == who);
    let mut known = known.filter(|known| (known.is_it)(difference));
    known.next().map(|known| known.why)
}

/// All of them, for a table: one that is not seen any more can go.
pub(super) fn all() -> impl Iterator<Item = (Kind, &'static str)> {
    KNOWN.iter().map(|known| (known.who, known.why))
}

/// A sequence and what two made of it.
pub(super) struct Difference<'a> {
    sequence: &'a Sequence,
    ours: &'a Judged,
    theirs: &'a Answer,
    frames: Vec<Frame>,
}

impl<'a> Difference<'a> {
    pub(super) fn new(sequence: &'a Sequence, ours: &'a Judged, theirs: &'a Answer) -> Self {
        Self {
            sequence,
            ours,
            theirs,
            frames: walk::frames(&sequence.bytes),
        }
    }

    fn has_same_events(&self) -> bool {
        self.theirs.outcome.events == self.ours.outcome.events
    }

    /// They have what we have, and maybe more behind it.
    fn is_same_so_far(&self) -> bool {
        self.theirs
            .outcome
            .events
            .starts_with(&self.ours.outcome.events)
    }

    /// The same, but what is behind it is no message.
    fn has_same_messages_so_far(&self) -> bool {
        let behind = self.theirs.outcome.events.iter().skip(self.ours.seen.len());
        self.is_same_so_far() && behind.clone().all(Event::is_control)
    }

    /// They have all that we have from the first `bytes` bytes.
    fn is_same_before(&self, bytes: usize) -> bool {
        let count = self.ours.seen.iter().take_while(|seen| **seen <= bytes);
        let (before, _) = self.ours.outcome.events.split_at(count.count());
        self.theirs.outcome.events.starts_with(before)
    }

    fn is_same_before_final_block(&self) -> bool {
        let (ours, theirs) = (&self.ours.outcome.events, &self.theirs.outcome.events);
        self.theirs
            .final_block
            .is_some_and(|count| theirs.len() >= count && ours.starts_with(&theirs[..count]))
    }

    fn we_found(&self, wanted: PeerError) -> bool {
        self.we_found_one_of(&[wanted.into()])
    }

    fn we_found_one_of(&self, wanted: &[Error]) -> bool {
        let failure = self.ours.failure;
        failure.is_some_and(|(error, _)| wanted.contains(&error))
    }

    fn we_passed_a_limit(&self) -> bool {
        matches!(self.ours.failure, Some((Error::Limit(_), _)))
    }

    fn we_are_open(&self) -> bool {
        self.ours.outcome.end == End::Open
    }

    fn are_open(&self) -> bool {
        self.theirs.outcome.end == End::Open
    }

    fn they_failed_with(&self, code: u16) -> bool {
        self.theirs.outcome.end == End::Failed(code)
    }

    /// The frame in which we found what is wrong.
    fn our_last_frame(&self) -> Option<&Frame> {
        let (_, seen) = self.ours.failure?;
        self.frames.iter().find(|frame| frame.end >= seen as u64)
    }

    /// Where the first control frame inside a compressed message ends.
    fn first_control_in_compressed_message(&self) -> Option<usize> {
        if self.sequence.deflate == Deflate::Off {
            return None;
        }
        let mut inside = false;
        for frame in &self.frames {
            if frame.is_control() {
                if inside {
                    return usize::try_from(frame.end).ok();
                }
            } else if frame.opcode() == 0 {
                inside &= !frame.is_final();
            } else {
                inside = frame.has_rsv1() && !frame.is_final();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::differential::{ours, outcome::Outcome};

    /// What is said when somebody makes `events` and `end` of the bytes.
    fn said(who: Kind, bytes: &[u8], events: &[Event], end: End) -> Option<&'static str> {
        let sequence = Sequence {
            deflate: Deflate::Off,
            bytes: bytes.to_vec(),
        };
        let ours = ours::judge(&sequence, Instant::now());
        let theirs = Answer {
            outcome: Outcome {
                events: events.to_vec(),
                end,
            },
            final_block: None,
            waiting: Vec::new(),
        };
        explain(who, &Difference::new(&sequence, &ours, &theirs))
    }

    #[test]
    fn a_message_that_is_lost_changed_or_refused_has_no_explanation() {
        let hello = b"\x81\x85\0\0\0\0Hello";
        for who in Kind::ALL {
            assert_eq!(said(who, hello, &[], End::Open), None);
            let changed = [Event::Text(b"Hallo".to_vec())];
            assert_eq!(said(who, hello, &changed, End::Open), None);
            assert_eq!(said(who, hello, &[], End::Failed(1002)), None);
        }
    }

    #[test]
    fn what_one_is_known_for_does_not_excuse_the_other() {
        let long_form = b"\x81\xfe\0\x01\0\0\0\0a";
        let taken = [Event::Text(b"a".to_vec())];
        assert!(said(Kind::Ws, long_form, &taken, End::Open).is_some());
        assert_eq!(said(Kind::Wsproto, long_form, &taken, End::Open), None);
    }

    #[test]
    fn what_is_in_front_of_a_known_difference_must_be_the_same() {
        let message_and_long_form = b"\x81\x81\0\0\0\0a\x81\xfe\0\x01\0\0\0\0b";
        let only_second = [Event::Text(b"b".to_vec())];
        assert_eq!(
            said(Kind::Ws, message_and_long_form, &only_second, End::Open),
            None
        );
    }
}

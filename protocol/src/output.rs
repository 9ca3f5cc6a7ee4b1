//! What a connection owns only while something of it is unsent: it comes from the thread and goes back to it, so that idle
//! connections own nothing and busy ones allocate nothing.

use std::cell::RefCell;

use crate::outbox::Outbox;

/// As many as connections can have something unsent at once before a thread allocates. Beyond that, memory is freed.
const SPARES_MAX: usize = 4 << 10;

/// The most memory that all that are kept have together.
const SPARES_BYTES_MAX: usize = 4 << 20;

/// The most that one keeps: what a single large message needed is not kept.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// After so many are taken, those that nobody has needed meanwhile are given back: a crowd that has left must not keep memory.
/// No fewer than are kept: who has something for each of so many, time after time, takes the last of them in between.
const TAKEN_PER_REVIEW: usize = SPARES_MAX;

thread_local! {
    static SPARES: RefCell<Spares> = const { RefCell::new(Spares::new()) };
}

/// Bytes on their way, and what waits until they are gone.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) outbox: Outbox,
    /// The transport has not taken all it was offered last: the peer does not read as fast as we write.
    pub(crate) blocked: bool,
    /// The newest ping's payload that came while blocked; answered when the peer reads again.
    pub(crate) held_pong: Option<Box<[u8]>>,
}

/// Those that no connection uses.
struct Spares {
    #[expect(
        clippy::vec_box,
        reason = "connections own them as boxes, and these are the same"
    )]
    outputs: Vec<Box<Output>>,
    bytes: usize,
    /// How many were taken since the last review.
    taken: usize,
    /// The fewest that were left meanwhile.
    unused: usize,
}

impl Spares {
    const fn new() -> Self {
        Self {
            outputs: Vec::new(),
            bytes: 0,
            taken: 0,
            unused: 0,
        }
    }

    fn take(&mut self) -> Box<Output> {
        let output = self.outputs.pop().unwrap_or_default();
        self.bytes -= output.outbox.capacity();
        self.unused = self.unused.min(self.outputs.len());
        self.taken += 1;
        if self.taken == TAKEN_PER_REVIEW {
            self.review();
        }
        output
    }

    /// Frees those that were not needed. The list is taken from at its end: they are at its beginning.
    fn review(&mut self) {
        for unused in self.outputs.drain(..self.unused) {
            self.bytes -= unused.outbox.capacity();
        }
        self.outputs.shrink_to(2 * self.outputs.len());
        (self.taken, self.unused) = (0, self.outputs.len());
    }
}

impl Output {
    /// One with nothing in it.
    #[inline(never)]
    pub(crate) fn take() -> Box<Self> {
        SPARES.with_borrow_mut(Spares::take)
    }

    /// Keeps it for the next connection of this thread; nothing is unsent in it.
    pub(crate) fn give(mut self: Box<Self>) {
        self.outbox.trim();
        self.blocked = false;
        let bytes = self.outbox.capacity();
        SPARES.with_borrow_mut(|spares| {
            if bytes <= SPARE_BYTES_MAX
                && spares.bytes + bytes <= SPARES_BYTES_MAX
                && spares.outputs.len() < SPARES_MAX
            {
                spares.bytes += bytes;
                spares.outputs.push(self);
            }
        });
    }

    /// Gives back the memory of a queue of which little is left, if it is much: a peer that does not read must not keep what
    /// others can use.
    pub(crate) fn shrink(&mut self) {
        if let Some(outbox) = self.outbox.split_off_memory() {
            let rest = Self {
                outbox,
                ..Self::default()
            };
            Self::give(Box::new(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (usize, usize) {
        SPARES.with_borrow(|spares| (spares.outputs.len(), spares.bytes))
    }

    /// An output with memory for `bytes` bytes.
    fn grown(bytes: usize) -> Box<Output> {
        let mut output = Box::<Output>::default();
        output.outbox.append(|own| own.resize(bytes, 0));
        output.outbox.sent(bytes);
        output
    }

    #[test]
    fn however_many_come_back_only_so_many_are_kept() {
        (0..2 * SPARES_MAX).for_each(|_| grown(8).give());
        assert_eq!(kept(), (SPARES_MAX, 8 * SPARES_MAX));
        for _ in 0..SPARES_MAX {
            assert_eq!(Output::take().outbox.capacity(), 8);
        }
        assert_eq!((Output::take().outbox.capacity(), kept()), (0, (0, 0)));
    }

    #[test]
    fn what_a_crowd_needed_is_given_back_when_it_has_left() {
        let turn = |crowd: usize| {
            let taken: Vec<_> = (0..crowd).map(|_| Output::take()).collect();
            taken.into_iter().for_each(Output::give);
            kept().0
        };
        assert_eq!(turn(1000), 1000);
        for _ in 0..2 * TAKEN_PER_REVIEW / 1000 {
            assert_eq!(turn(1000), 1000, "all are needed");
        }
        for _ in 0..2 * TAKEN_PER_REVIEW {
            turn(1);
        }
        assert_eq!(kept().0, 1);
    }

    #[test]
    fn large_ones_are_kept_up_to_a_sum() {
        grown(SPARE_BYTES_MAX + 1).give();
        assert_eq!(kept(), (0, 0));
        (0..100).for_each(|_| grown(SPARE_BYTES_MAX).give());
        assert_eq!(kept().1, SPARES_BYTES_MAX);
    }

    #[test]
    fn one_that_comes_back_is_as_a_new_one() {
        let mut output = grown(8);
        output.blocked = true;
        output.give();
        let output = Output::take();
        assert!(output.outbox.is_empty() && !output.blocked && output.held_pong.is_none());
    }
}

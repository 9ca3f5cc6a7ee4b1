//! Bytes on their way out: small frames encoded one behind the other, and shared frames between them, in order.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Up to this many unsent bytes are moved to give their memory to others.
const MOVED_BYTES_MAX: usize = 4 << 10;

/// Memory that a queue may have beside what it needs.
const OWN_BYTES_KEPT: usize = 256;

/// Shared bytes up to this many are copied. A list of tiny frames would own many times the memory that it counts as
/// unsent bytes, and a vectored write would carry next to nothing.
const COPIED_BYTES_MAX: usize = 256;

/// What one write is offered where bytes were queued before messages that are sent from where they lie.
const OFFERED_SLICES_MAX: usize = 64;

/// A list of parts that grew longer than this is not kept for others.
const LIST_PARTS_KEPT_MAX: usize = 64;

/// What was queued and not yet taken by the transport.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Our own frames.
    own: Vec<u8>,
    /// How much of `own` is gone.
    own_sent: usize,
    /// How much of `own` goes before the last of `shared`; without one it means nothing.
    own_placed: usize,
    /// What is shared with other connections, with our own bytes before, between and behind.
    shared: VecDeque<Shared>,
    /// Unsent bytes in `shared`.
    shared_len: usize,
}

#[derive(Debug)]
struct Shared {
    /// Unsent bytes of `own` that go first.
    own_before: usize,
    bytes: Bytes,
}

impl Outbox {
    /// Unsent bytes.
    pub(crate) fn len(&self) -> usize {
        self.own.len() - self.own_sent + self.shared_len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends what `encode` writes.
    pub(crate) fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.own);
    }

    /// Appends shared bytes, without a copy unless they are few.
    pub(crate) fn append_shared(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPIED_BYTES_MAX {
            self.own.extend_from_slice(bytes);
        } else {
            self.share(bytes.clone());
        }
    }

    /// The same for bytes that the caller has no more use for.
    pub(crate) fn append_owned(&mut self, bytes: Bytes) {
        if bytes.len() <= COPIED_BYTES_MAX {
            self.own.extend_from_slice(&bytes);
        } else {
            self.share(bytes);
        }
    }

    fn share(&mut self, bytes: Bytes) {
        let placed = if self.shared.is_empty() {
            self.own_sent
        } else {
            self.own_placed
        };
        self.own_placed = self.own.len();
        self.shared_len += bytes.len();
        self.shared.push_back(Shared {
            own_before: self.own.len() - placed,
            bytes,
        });
    }

    /// Fills `slices` with the next unsent bytes, first in first out; returns how many slices there are.
    /// [6455-5.4-2, 6455-6.1-8]
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (_, mut own) = self.own.split_at(self.own_sent);
        let mut filled = 0;
        let mut free = slices.iter_mut();
        let mut fill = |bytes: &'a [u8]| {
            if !bytes.is_empty()
                && let Some(slice) = free.next()
            {
                *slice = IoSlice::new(bytes);
                filled += 1;
            }
            free.len() > 0
        };
        for shared in &self.shared {
            let (before, behind) = own.split_at(shared.own_before);
            own = behind;
            if !(fill(before) && fill(&shared.bytes)) {
                return filled;
            }
        }
        fill(own);
        filled
    }

    /// Offers `write` what is unsent, and `behind` it what is not queued; returns what it took.
    pub(crate) fn offer(
        &self,
        behind: &[IoSlice<'_>],
        write: impl FnOnce(&[IoSlice<'_>]) -> usize,
    ) -> usize {
        if self.is_empty() {
            return write(behind);
        }
        let mut slices = [IoSlice::new(&[]); OFFERED_SLICES_MAX];
        let mut count = self.slices(&mut slices);
        let (_, free) = slices.split_at_mut(count);
        // Where no slice is left for it, there is so much already that it does not matter where the rest waits.
        for (slice, behind) in free.iter_mut().zip(behind) {
            *slice = IoSlice::new(behind);
            count += 1;
        }
        write(slices.split_at(count).0)
    }

    /// Takes note that the transport took the next `n` bytes.
    pub(crate) fn sent(&mut self, mut n: usize) {
        debug_assert!(n <= self.len(), "more was sent than there was");
        while let Some(shared) = self.shared.front_mut() {
            let own = n.min(shared.own_before);
            shared.own_before -= own;
            self.own_sent += own;
            n -= own;
            let taken = n.min(shared.bytes.len());
            self.shared_len -= taken;
            n -= taken;
            if taken < shared.bytes.len() {
                // Not split_to: a cursor into the same shared bytes is all that is needed.
                bytes::Buf::advance(&mut shared.bytes, taken);
                break;
            }
            self.shared.pop_front();
        }
        self.own_sent = (self.own_sent + n).min(self.own.len());
        self.compact();
    }

    /// Drops what is gone from `own` once it is at least half of it, so that a queue that never empties stays as large as
    /// what is unsent, and each byte is moved once at most for each time that it was sent.
    fn compact(&mut self) {
        if self.own_sent == self.own.len() {
            self.own.clear();
        } else if self.own_sent >= self.own.len() - self.own_sent {
            self.own.drain(..self.own_sent);
        } else {
            return;
        }
        self.own_placed = self.own_placed.saturating_sub(self.own_sent);
        self.own_sent = 0;
    }

    /// Bytes of memory that it owns.
    pub(crate) fn capacity(&self) -> usize {
        self.own.capacity() + self.shared.capacity() * size_of::<Shared>()
    }

    /// Gives back what is larger than the next one is likely to need, of one that is empty.
    pub(crate) fn trim(&mut self) {
        if self.shared.capacity() > LIST_PARTS_KEPT_MAX {
            self.shared = VecDeque::new();
        }
    }

    /// Moves the little that is unsent to memory of its size; returns the other, emptied. `None` where that would not pay.
    pub(crate) fn split_off_memory(&mut self) -> Option<Self> {
        let (_, unsent) = self.own.split_at(self.own_sent);
        if unsent.len() > MOVED_BYTES_MAX || self.own.capacity() < 2 * unsent.len() + OWN_BYTES_KEPT
        {
            return None;
        }
        let kept = unsent.to_vec();
        let mut own = std::mem::replace(&mut self.own, kept);
        own.clear();
        self.own_placed = self.own_placed.saturating_sub(self.own_sent);
        self.own_sent = 0;
        Some(Self {
            own,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unsent(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = outbox.slices(&mut slices);
        slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Own(Vec<u8>),
        Shared(Vec<u8>),
        Sent(usize),
        MoveMemory,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
        let larger = COPIED_BYTES_MAX - 5..COPIED_BYTES_MAX + 5;
        let larger = proptest::collection::vec(any::<u8>(), larger);
        let step = prop_oneof![
            bytes().prop_map(Step::Own),
            bytes().prop_map(Step::Shared),
            larger.prop_map(Step::Shared),
            (0usize..300).prop_map(Step::Sent),
            Just(Step::MoveMemory),
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        /// [6455-5.4-2, 6455-6.1-8]
        #[test]
        fn bytes_leave_in_the_order_they_came(steps in steps()) {
            let (mut outbox, mut expected) = (Outbox::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Own(bytes) => {
                        outbox.append(|out| out.extend_from_slice(&bytes));
                        expected.extend(bytes);
                    }
                    Step::Shared(bytes) => {
                        outbox.append_shared(&Bytes::from(bytes.clone()));
                        expected.extend(bytes);
                    }
                    Step::Sent(n) => {
                        let n = n.min(expected.len());
                        outbox.sent(n);
                        expected.drain(..n);
                    }
                    Step::MoveMemory => {
                        let other = outbox.split_off_memory();
                        prop_assert!(other.is_none_or(|other| other.is_empty()));
                    }
                }
                prop_assert_eq!(outbox.len(), expected.len());
                prop_assert_eq!(unsent(&outbox), &expected[..]);
            }
        }
    }

    #[test]
    fn memory_of_which_little_is_used_is_given_away() {
        let mut outbox = Outbox::default();
        outbox.append(|out| out.resize(10_000, 7));
        outbox.sent(9_000);
        let other = outbox.split_off_memory().unwrap();
        assert!(other.is_empty() && other.capacity() >= 10_000);
        assert_eq!((unsent(&outbox), outbox.capacity()), (vec![7; 1000], 1000));
        assert!(outbox.split_off_memory().is_none(), "it has what it needs");
    }
}

//! Bytes on their way out: small frames encoded one behind the other, and shared frames between them, in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Up to this many unsent bytes are moved to give a lent buffer back.
const RECLAIM_BYTES_MAX: usize = 4 << 10;

/// Shared bytes up to this many are copied. A list of tiny frames would own many times the memory that it counts as
/// unsent bytes, and a vectored write would carry next to nothing.
const COPIED_BYTES_MAX: usize = 256;

/// What one write is offered of the bytes that were queued before a message that is sent from where it lies.
const OFFERED_SLICES_MAX: usize = 8;

/// Empty lists of parts that a thread keeps: as many connections can be sent a shared frame in one turn without an
/// allocation.
const SPARE_LISTS_MAX: usize = 1024;

/// A list that grew longer than this is not kept.
const SPARE_LIST_PARTS_MAX: usize = 16;

thread_local! {
    static SPARE_LISTS: RefCell<Vec<VecDeque<Shared>>> = const { RefCell::new(Vec::new()) };
}

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
        if self.shared.capacity() == 0 {
            let spare = SPARE_LISTS.with_borrow_mut(Vec::pop);
            self.shared = spare.unwrap_or_default();
        }
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
        behind: &[u8],
        write: impl FnOnce(&[IoSlice<'_>]) -> usize,
    ) -> usize {
        let mut slices = [IoSlice::new(&[]); OFFERED_SLICES_MAX];
        let mut count = self.slices(&mut slices);
        // Where no slice is left for it, there is so much already that it does not matter where the rest waits.
        if let Some(last) = slices.get_mut(count).filter(|_| !behind.is_empty()) {
            *last = IoSlice::new(behind);
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

    /// Forgets everything unsent and gives all memory back.
    pub(crate) fn discard(&mut self) {
        *self = Self::default();
    }

    /// Takes `spare` as memory for own frames, unless there is some already.
    pub(crate) fn lend(&mut self, spare: &mut Vec<u8>) {
        if self.own.capacity() == 0 {
            std::mem::swap(&mut self.own, spare);
        }
    }

    /// Gives the memory back through `spare` if nothing is unsent, or so little that moving it pays.
    pub(crate) fn reclaim(&mut self, spare: &mut Vec<u8>) {
        let (_, unsent) = self.own.split_at(self.own_sent);
        if unsent.len() > RECLAIM_BYTES_MAX || self.own.capacity() < 2 * unsent.len() {
            return;
        }
        let kept = unsent.to_vec();
        let mut lent = std::mem::replace(&mut self.own, kept);
        self.own_placed = self.own_placed.saturating_sub(self.own_sent);
        self.own_sent = 0;
        if self.shared.is_empty() && self.shared.capacity() > 0 {
            keep(std::mem::take(&mut self.shared));
        }
        if lent.capacity() > spare.capacity() {
            lent.clear();
            *spare = lent;
        }
    }
}

/// Keeps the memory of a list for the next connection of this thread.
fn keep(list: VecDeque<Shared>) {
    SPARE_LISTS.with_borrow_mut(|lists| {
        if lists.len() < SPARE_LISTS_MAX && list.capacity() <= SPARE_LIST_PARTS_MAX {
            lists.push(list);
        }
    });
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
        LendAndReclaim,
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
            Just(Step::LendAndReclaim),
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        /// [6455-5.4-2, 6455-6.1-8]
        #[test]
        fn bytes_leave_in_the_order_they_came(steps in steps()) {
            let (mut outbox, mut expected, mut spare) = (Outbox::default(), Vec::new(), Vec::with_capacity(64));
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
                    Step::LendAndReclaim => {
                        outbox.reclaim(&mut spare);
                        outbox.lend(&mut spare);
                    }
                }
                prop_assert_eq!(outbox.len(), expected.len());
                prop_assert_eq!(unsent(&outbox), &expected[..]);
            }
        }
    }

    #[test]
    fn reclaimed_memory_goes_back_and_the_outbox_owns_none() {
        let (mut outbox, mut spare) = (Outbox::default(), Vec::with_capacity(1000));
        outbox.lend(&mut spare);
        assert_eq!(spare.capacity(), 0);
        outbox.append(|out| out.extend_from_slice(b"frame"));
        outbox.sent(5);
        outbox.reclaim(&mut spare);
        assert_eq!(spare.capacity(), 1000);
        assert_eq!(outbox.own.capacity() + outbox.shared.capacity(), 0);
    }
}

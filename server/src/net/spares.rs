//! Memory for encoding, lent to connections for a turn: as much as busy turns need, however many connections there are.

/// The most that one buffer keeps: what a single large message needed is not kept.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// The most that all of them keep together.
const BYTES_MAX: usize = 16 << 20;

/// How many are kept: one for each connection that an event can come for in a turn.
const BUFFERS_MAX: usize = 1024;

/// Empty buffers that no connection uses.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spares {
    /// A buffer to lend; one without memory if there is no other.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Keeps an empty buffer for the next, or frees it. They come from more places than they are taken to: a ping that
    /// is due and a room's welcome are encoded into memory that nobody lent.
    pub(super) fn give(&mut self, buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if (1..=BUFFER_BYTES_MAX).contains(&capacity)
            && self.bytes + capacity <= BYTES_MAX
            && self.buffers.len() < BUFFERS_MAX
        {
            self.bytes += capacity;
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_come_back_only_so_many_are_kept() {
        let mut spares = Spares::default();
        for _ in 0..2 * BUFFERS_MAX {
            spares.give(Vec::with_capacity(8));
        }
        assert_eq!(spares.buffers.len(), BUFFERS_MAX);
        for _ in 0..BUFFERS_MAX {
            assert_eq!(spares.take().capacity(), 8);
        }
        assert_eq!((spares.take().capacity(), spares.bytes), (0, 0));
    }

    #[test]
    fn large_ones_are_kept_up_to_a_sum() {
        let mut spares = Spares::default();
        spares.give(Vec::with_capacity(BUFFER_BYTES_MAX + 1));
        spares.give(Vec::new());
        assert_eq!(spares.buffers.len(), 0);
        for _ in 0..100 {
            spares.give(Vec::with_capacity(BUFFER_BYTES_MAX));
        }
        assert_eq!(spares.bytes, BYTES_MAX);
    }
}

//! Bytes that this thread's connections read and wrote: counted where that happens, which is below where counters are.

use std::cell::Cell;

thread_local! {
    static READ: Cell<u64> = const { Cell::new(0) };
    static WRITTEN: Cell<u64> = const { Cell::new(0) };
}

/// Counts bytes that came, and returns how many they are.
pub(super) fn count_read(bytes: usize) -> usize {
    READ.set(READ.get() + bytes as u64);
    bytes
}

/// The same for bytes that the kernel took.
pub(super) fn count_written(bytes: usize) -> usize {
    WRITTEN.set(WRITTEN.get() + bytes as u64);
    bytes
}

/// Bytes read and written since the last call.
pub(super) fn take() -> (u64, u64) {
    (READ.take(), WRITTEN.take())
}

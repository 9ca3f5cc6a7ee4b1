//! An allocator that counts, for each thread by itself, so that tests beside each other do not disturb.

#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part of this"
)]
#![allow(
    unsafe_code,
    reason = "an allocator is an unsafe trait; this one only counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

pub(crate) struct Counting;

thread_local! {
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to `System` as it came; the counters are plain thread-local cells without destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.set(LIVE_BYTES.get() - layout.size() as isize);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn count(bytes: isize) {
    CALLS.set(CALLS.get() + 1);
    LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
    PEAK_BYTES.set(PEAK_BYTES.get().max(LIVE_BYTES.get()));
}

/// What some code did to the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Bytes that it left allocated.
    pub(crate) kept_bytes: isize,
    /// The most that was allocated at once meanwhile, beyond what there was before.
    pub(crate) peak_bytes: isize,
    /// Allocations and reallocations.
    pub(crate) calls: usize,
}

/// Runs `code` and tells what this thread allocated meanwhile.
pub(crate) fn measure<T>(code: impl FnOnce() -> T) -> (T, Measured) {
    let (live, calls) = (LIVE_BYTES.get(), CALLS.get());
    PEAK_BYTES.set(live);
    let value = code();
    let measured = Measured {
        kept_bytes: LIVE_BYTES.get() - live,
        peak_bytes: PEAK_BYTES.get() - live,
        calls: CALLS.get() - calls,
    };
    (value, measured)
}

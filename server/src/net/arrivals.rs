//! In which order requests that may name a session were read, over all workers. Mail does not keep it: what one worker read later
//! may be at the hub before what another read earlier. A number is taken when somebody begins to chat or says `hello`, never
//! for a message.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ids::Arrival;

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Arrivals(AtomicU64);

impl Arrivals {
    /// The number of what is read now. It is higher than that of all that anybody was answered before.
    pub(super) fn next(&self) -> Arrival {
        // All changes of one atomic number have one order; nothing else is published by it.
        Arrival::new(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

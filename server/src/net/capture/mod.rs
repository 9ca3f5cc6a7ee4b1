//! Captures of what passes over this server's connections: taps copy it, a thread a capture writes it. A connection without a
//! tap pays one branch for each read and write; one with a tap never waits: what the thread has no room for is lost to the
//! capture, counted, and said in it.

mod job;
mod outlet;
mod tap;

pub(super) use job::{Bounds, Capture, Captures, StartError};
pub(super) use outlet::{Flow, Sink};
pub(super) use tap::{Seen, Taps};

//! `tidewire bench`: loads a WebSocket server, ours or another, and tells how long its answers took.
//!
//! It is for people who want to know what a server and the way to it bear: it speaks the whole protocol, by the same crate as
//! the server, and works against any address. What compares servers byte by byte and reads their bill from the kernel is
//! another tool, `cargo xtask bench`: that one is to cost less than any server and to share no code with ours.
//!
//! * [`Options`]: the command line; a [`Plan`] is what was understood of it.
//! * [`run`]: one thread with all connections, on a poll of its own.
//! * The rest is pure: when messages are due, what they say, what is counted, and how that is shown.

mod alarm;
mod content;
mod error;
mod live;
mod options;
mod picture;
mod plan;
mod report;
mod run;
mod schedule;
mod series;
mod tally;
mod target;

pub use error::BenchError;
pub use options::{Options, Scenario};
pub use plan::Plan;
pub use run::run;

//! Between [`Command`](super::Command)s and bytes: what a link to Redis sends, and what comes back. Pure: nothing here has a socket or
//! a clock, or knows what an answer is good for.
//!
//! * [`pack`] a command, [`pack_errand`] what a link is set up with: bytes. Commands are scripts, known to Redis by their digest.
//!   [`Appends`] puts several that append into one call.
//! * [`Replies`] cuts what a link brings into replies; the `redis` crate parses each.
//! * [`answer`] reads one as the answer to its command, [`setup`] those to errands, [`heard`] what a subscription brings.
//!
//! Both kinds of links speak RESP 2; what RESP 3 would send is understood, too.

mod answer;
mod appends;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod heard;
mod naming;
mod pack;
mod replies;
mod script;
pub mod setup;
#[cfg(test)]
mod tests;

pub use answer::{answer, failure};
pub use appends::{Appends, answers_of};
pub use heard::{Heard, heard};
pub use naming::{Naming, slot};
pub use pack::{BATCH_MAX, Errand, pack, pack_errand};
pub use replies::{BadReply, REPLY_BYTES_MAX, Replies};
pub use script::Script;

//! `tidewire verify`: proves of a running server that nothing is lost, doubled or out of order.
//!
//! [`Checker`] is pure: it is told what was sent, acknowledged, shown and kept, and tells what is wrong. [`run`] is the load:
//! publishers and followers on one thread, which come back when the server goes.

mod book;
mod checker;
mod error;
mod follower;
mod load;
mod options;
mod report;
mod run;
mod stamp;
mod verdict;

pub use checker::Checker;
pub use error::VerifyError;
pub use options::Options;
pub use run::run;
pub use stamp::Stamp;
pub use verdict::{Findings, Kind, Violation};

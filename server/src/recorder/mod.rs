//! The flight recorder: what is known of a connection, open or ended, why it ended, and what that looks like.
//!
//! Pure: accounts come in from whoever has the sockets, and reports go out. The frames are recorded by the protocol crate
//! ([`tidewire_protocol::Recorder`]), the end is noted where it is decided (`net/worker/recording.rs`); docs/WHY.md says
//! what all of it means to an operator.

mod account;
mod archive;
mod cause;
mod hint;
mod report;
mod series;

pub(crate) use account::{Account, End, Kind, TcpState};
pub(crate) use archive::Archive;
pub(crate) use cause::{EndCause, EndCounts, First};
pub(crate) use report::{Flight, Frame, Report, Reports};
pub(crate) use series::{COLUMNS, Sample, Series};

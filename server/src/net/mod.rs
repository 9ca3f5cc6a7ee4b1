//! The only place with sockets, readiness and signals.

mod conn;
mod dispatch;
mod listener;
mod shutdown;
mod table;
mod worker;

pub use worker::{StartError, Worker};

//! The only place with sockets, readiness and signals.

mod capture;
mod conn;
mod echo;
mod files;
mod inbox;
mod listener;
mod receipt;
mod server;
mod shutdown;
mod table;
mod worker;
mod worklist;

pub use server::{Server, StartError};

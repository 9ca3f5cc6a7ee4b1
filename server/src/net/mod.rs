//! The only place with sockets, readiness and signals.

mod capacity;
mod conn;
mod drain;
mod echo;
mod files;
mod inbox;
mod listener;
mod notify;
mod receipt;
mod reload;
mod server;
mod shutdown;
mod table;
mod worker;
mod worklist;

pub use reload::Read;
pub use server::{Server, StartError};

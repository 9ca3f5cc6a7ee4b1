//! The only place with sockets, readiness and signals.

mod capacity;
mod capture;
mod conn;
mod drain;
mod echo;
mod files;
mod inbox;
mod listener;
mod logs;
mod memory;
mod notify;
mod receipt;
mod reload;
mod server;
mod shutdown;
mod stream;
mod table;
mod tcp_info;
mod tls;
mod traffic;
mod worker;
mod worklist;

pub use reload::Read;
pub use server::{Server, StartError};
pub use tls::{Credentials, TlsError, load as load_tls};

//! TLS: what is read from files at the start and at a reload ([`load`]), and the session of one connection ([`Session`]). The
//! cryptography and the protocol are rustls'; sockets are the caller's.

mod keylog;
mod load;
mod session;

pub use load::{Credentials, TlsError, load};
pub(super) use session::{News, Received, Session};

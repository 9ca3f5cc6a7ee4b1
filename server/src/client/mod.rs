//! A chat client: what `tidewire verify` loads a server with. One thread may have thousands of them, since none of them
//! waits: they are registered with a [`mio::Poll`] and told when their socket is ready and what time it is.
//!
//! * [`Socket`]: one WebSocket, from connecting to its end.
//! * [`Chat`]: a session that outlives its sockets. It reconnects with backoff and jitter, resumes each room behind what it
//!   has seen, and sends again what was not acknowledged, under the same number.

mod address;
mod backoff;
mod chat;
mod message;
mod news;
mod socket;

pub use address::{Address, BadAddress};
pub use backoff::Backoff;
pub use chat::{Chat, Identity};
pub use message::{Content, Entry, Heard};
pub use news::{Cut, News};
pub use socket::{End, Socket};

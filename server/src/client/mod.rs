//! A chat client: what `tidewire chat`, `tail` and `verify` are made of. One thread may have thousands of them, since none of them
//! waits: they are registered with a [`mio::Poll`] and told when their socket is ready and what time it is.
//!
//! * [`Socket`]: one WebSocket, from connecting to its end.
//! * [`Chat`]: a session that outlives its sockets. It reconnects with backoff and jitter, resumes each room behind what it
//!   has seen, and sends again what was not acknowledged, under the same number.
//! * [`Driver`]: the loop of a command that has one such session.
//!
//! Beside them, [`Call`] is one request over HTTP, which blocks: what an operator asks. The server is a client, too, where its logs
//! are elsewhere: it has our sockets and their TLS from here.

mod address;
mod backoff;
mod bearer;
mod call;
mod chat;
mod driver;
mod message;
mod news;
mod rooms;
mod socket;
mod stream;
mod tls;

pub use address::{Address, BadAddress};
pub use backoff::Backoff;
pub use bearer::Bearer;
pub use call::{Answer, Call, CallError, is_pause};
pub use chat::{Chat, Identity};
pub use driver::{Driver, Wake};
pub use message::{Content, Entry, Heard, Log};
pub use news::{Cut, News, is_for_later};
pub use rooms::Begin;
pub use socket::{End, Socket};
pub use stream::Endpoint;
pub(crate) use stream::Stream;
pub use tls::{Authorities, Tls, Trust, TrustError};

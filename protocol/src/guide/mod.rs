//! How to put I/O around a [`Connection`](crate::Connection): what a shell owes it, and what it may leave to it. Only text.
//!
//! A *shell* owns the socket, the clock and the buffers. It does five things, in whatever way its platform waits:
//!
//! 1. It finishes the handshake with [`HeadReader`](crate::handshake::head::HeadReader) or
//!    [`client::Handshake`](crate::handshake::client::Handshake), and keeps what came behind it: those bytes are frames.
//! 2. It hands over what it reads, until [`handle_input`](crate::Connection::handle_input) returns `None`.
//! 3. It writes what [`poll_transmit`](crate::Connection::poll_transmit) has, and stops reading from who does not read.
//! 4. It calls [`handle_timeout`](crate::Connection::handle_timeout) when [`poll_timeout`](crate::Connection::poll_timeout)
//!    has passed.
//! 5. It keeps, half-closes or drops the socket as [`transport`](crate::Connection::transport) says.
//!
//! The pages tell what is worth knowing about each. The folder `examples` of the crate has the same echo server under three
//! shells, on `std::net`, on mio and on tokio.
//!
//! | page | question |
//! |---|---|
//! | [`shells`] | how does the loop look on threads, on readiness, on async? |
//! | [`timers`] | when must I call again, and how for 100,000 connections? |
//! | [`backpressure`] | what if the peer does not read? |
//! | [`closing`] | when may I drop the socket? |
//! | [`memory`] | who owns which buffer? |
//! | [`costs`] | how many bytes and allocations is that? |
//! | [`deflate`] | how is compression agreed on, and when is it worth it? |
//! | [`streaming`] | what about messages larger than memory? |
//! | [`broadcast`] | how do I send one message to many? |
//! | [`errors`] | which mistake becomes which close code? |

#[doc = include_str!("shells.md")]
pub mod shells {}

#[doc = include_str!("timers.md")]
pub mod timers {}

#[doc = include_str!("backpressure.md")]
pub mod backpressure {}

#[doc = include_str!("closing.md")]
pub mod closing {}

#[doc = include_str!("memory.md")]
pub mod memory {}

/// What a connection costs: bytes in each of its states, and allocations a message.
///
/// Measured by the example `costs`; a test of the crate compares it with this page.
///
#[doc = include_str!("costs.md")]
pub mod costs {}

#[doc = include_str!("deflate.md")]
pub mod deflate {}

#[doc = include_str!("streaming.md")]
pub mod streaming {}

#[doc = include_str!("broadcast.md")]
pub mod broadcast {}

#[doc = include_str!("errors.md")]
pub mod errors {}

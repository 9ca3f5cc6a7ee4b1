//! WebSocket (RFC 6455, and permessage-deflate, RFC 7692) without I/O: **you hand it bytes and the time, it hands you events
//! and bytes, and in between it never waits, reads a clock or touches a socket.**
//!
//! * [`handshake`]: HTTP in, the accept key out, for servers and clients.
//! * [`Connection`]: everything after the handshake, for both sides.
//! * [`Prepared`]: a message encoded once for many connections; [`Batch`]: several that go out together.
//! * [`DeflateConfig`]: permessage-deflate: what is offered, accepted and agreed on.
//! * [`frame`], [`mask`], [`utf8`], [`close`]: the parts, for those who build something else with them.
//! * [`guide`]: how to put I/O around it: threads, mio, async; timers, backpressure, memory, costs.
//!
//! # The states of a connection
//!
//! ```text
//!  handshake done
//!       │
//!       ▼
//!   ╔══════╗  close()  ╔═════════╗  their Close, EOF,  ╔══════════╗  they end their half of    ╔══════╗
//!   ║ open ║ ────────▶ ║ closing ║ ──────────────────▶ ║ draining ║ ─────────────────────────▶ ║ done ║
//!   ╚══════╝           ╚═════════╝  their mistake,     ╚══════════╝  the transport,            ╚══════╝
//!       │                           close_timeout           ▲        close_timeout,
//!       │    their Close, EOF, their mistake, no answer     │        linger_bytes_max
//!       └───────────────────────────────────────────────────┘
//!            Event::Closed, once, on the way in
//! ```
//!
//! | | open | closing | draining | done |
//! |---|---|---|---|---|
//! | what is received | becomes events | becomes events | is thrown away | is thrown away |
//! | [`send`](Connection::send) | queues | [`Misuse::Closed`] | [`Misuse::Closed`] | [`Misuse::Closed`] |
//! | our Close frame | | is on its way | is on its way, if one is owed | |
//! | [`transport`](Connection::transport), server | [`Keep`](Transport::Keep) | `Keep` | [`HalfClose`](Transport::HalfClose), after their end [`Drop`](Transport::Drop) | `Drop` |
//! | ... client | `Keep` | `Keep` | `Keep`, after their end `Drop` | `Drop` |
//! | [`poll_timeout`](Connection::poll_timeout) | `ping_interval`, then `pong_wait` | `close_timeout` | `close_timeout` | none |
//!
//! # The loop around a connection
//!
//! 1. Hand what was read to [`Connection::handle_input`], again and again until it returns `None`.
//! 2. Write what [`Connection::poll_transmit`] has, and say how much went with [`Connection::transmitted`].
//! 3. When all is written, do what [`Connection::transport`] says: keep, half-close or drop.
//! 4. When [`Connection::poll_timeout`] passes, call [`Connection::handle_timeout`]; at the end of the transport,
//!    [`Connection::handle_eof`]. Both may leave an event in [`Connection::poll_event`].
//!
//! ```
//! use std::io::{self, Cursor, IoSlice, Read, Write};
//! use std::sync::Arc;
//! use std::time::Instant;
//! use tidewire_protocol::{Config, Connection, Event, Transport};
//!
//! /// Echoes until the end. `now` is an argument, so that a test can be at any time.
//! fn echo(transport: &mut (impl Read + Write), now: impl Fn() -> Instant) -> io::Result<()> {
//!     let mut connection = Connection::server(Arc::new(Config::default()), now());
//!     let mut buffer = vec![0; 64 * 1024];
//!     loop {
//!         let read = transport.read(&mut buffer)?;
//!         if read == 0 {
//!             connection.handle_eof(now());
//!         }
//!         let mut input = &mut buffer[..read];
//!         while let Some(event) = connection.handle_input(&mut input, now()) {
//!             if let Event::Message(message) = event {
//!                 // The peer may have begun to close meanwhile: then there is nobody to echo to.
//!                 let _ = connection.send(&message);
//!             }
//!         }
//!         loop {
//!             let mut slices = [IoSlice::new(&[]); 16];
//!             let filled = connection.poll_transmit(&mut slices);
//!             if filled == 0 {
//!                 break;
//!             }
//!             let written = transport.write_vectored(&slices[..filled])?;
//!             connection.transmitted(written);
//!         }
//!         if connection.transport() != Transport::Keep {
//!             return Ok(());
//!         }
//!     }
//! }
//!
//! // A transport in memory: a masked "Hello" (RFC 6455 §5.7) and a Close.
//! # struct Memory { from_peer: Cursor<Vec<u8>>, to_peer: Vec<u8> }
//! # impl Read for Memory {
//! #     fn read(&mut self, out: &mut [u8]) -> io::Result<usize> { self.from_peer.read(out) }
//! # }
//! # impl Write for Memory {
//! #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.to_peer.write(bytes) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! let from_peer = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\0\0\0\0".to_vec();
//! let mut memory = Memory { from_peer: Cursor::new(from_peer), to_peer: Vec::new() };
//! echo(&mut memory, Instant::now)?;
//! assert_eq!(memory.to_peer, b"\x81\x05Hello\x88\x00");
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # What it holds
//!
//! An idle connection owns no buffer: what it needs to send comes from its thread, and goes back there once it is sent. A message
//! that lies whole in the input is lent from there; one that does not gets one contiguous buffer that grows with what
//! arrived, never with what was announced. Bad input ends the connection, once, with the close code that §7.4 has for it,
//! behind everything that was already owed.
//!
//! # What it costs
//!
#![doc = include_str!("guide/costs.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![warn(clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a panic is how a test fails"
    )
)]

pub mod close;
pub mod deflate;
pub mod frame;
pub mod guide;
pub mod handshake;
pub mod mask;
pub mod utf8;

mod assembly;
mod batch;
mod beginning;
mod config;
mod connection;
mod entropy;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod message;
mod outbox;
mod output;
mod owned;
mod prepared;
mod recorder;
mod send;
mod transport;

pub use batch::Batch;
pub use close::{CloseCode, CloseFrame};
pub use config::{Config, Delivery};
pub use connection::Connection;
pub use deflate::{DeflateAgreement, DeflateConfig};
pub use error::{Error, LimitError, Misuse, PeerError};
pub use event::{Closed, Event, Initiator, Piece};
pub use message::Message;
pub use owned::OwnedMessage;
pub use prepared::Prepared;
pub use recorder::{Direction, RecordedFrame, Recorder, RecorderClock, Traffic};
pub use transport::Transport;

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that was connected to.
    Server,
    /// The one that connected.
    Client,
}

impl std::ops::Not for Side {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// The README's example, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

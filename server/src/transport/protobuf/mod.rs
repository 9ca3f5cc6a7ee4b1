//! The chat as Protobuf: each binary message is a `Request` or an `Event` of docs/tidewire.v1.proto, which says in fields what
//! docs/PROTOCOL.md says in JSON. Nothing is to be known of the connection.
//!
//! An `id` is a number here, and a message's own number (`seq`) a number or a text. A content is the text of a JSON value, or bytes
//! ([`binary`]).

pub mod binary;
mod events;
mod requests;
#[rustfmt::skip]
mod schema;

pub(crate) use events::{entry, event};
pub use requests::parse;

/// The subprotocol.
pub(crate) const PROTOCOL: &str = "tidewire.v1.protobuf";

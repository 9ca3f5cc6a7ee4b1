//! The chat as JSON, which is its own language: each text message is a command or an event of docs/PROTOCOL.md. What they look like is
//! said by [`chat::Request::parse`](crate::chat::Request::parse) and [`chat::Event`](crate::chat::Event).

/// The subprotocol; also spoken when none is asked for.
pub(crate) const PROTOCOL: &str = "tidewire.v1.json";

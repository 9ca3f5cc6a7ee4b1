//! Each crate, driven as well as it can be; where one leaves a duty to its caller, the caller here does it.

pub(crate) mod fastwebsockets;
pub(crate) mod soketto;
pub(crate) mod tidewire;
pub(crate) mod tungstenite;

/// Receives or sends that many messages and returns how many payload bytes went through the caller's hands (received), or
/// how many bytes went to the transport (sent).
pub(crate) type Job = Box<dyn FnMut(u64) -> u64>;

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing {
    /// The payload's length.
    pub(crate) bytes: usize,
    /// Bytes that the application shares, not text that it lends.
    pub(crate) binary: bool,
    /// How many messages are queued before the transport is written to.
    pub(crate) per_write: u64,
    /// Clients mask.
    pub(crate) client: bool,
    /// permessage-deflate without context takeover, level 1.
    pub(crate) deflate: bool,
}

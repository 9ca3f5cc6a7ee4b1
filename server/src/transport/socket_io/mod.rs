//! Socket.IO v5 on Engine.IO v4, so that who has `socket.io-client` chats with everybody else (docs/SOCKETIO.md).
//!
//! `engine` is the session and how it travels: polling, WebSocket, the change from the one to the other, heartbeat. `socket` is what
//! is said in it: packets, acks, attachments, and how that is the chat. `request` reads what an address asks for.

mod app;
mod engine;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod request;
mod socket;

use std::time::Duration;

pub(crate) use app::App;
pub(crate) use engine::{Engine, Probing};
pub(crate) use request::{Entrance, Purpose, response};
pub(in crate::transport) use request::{is_address, route};
pub use socket::{BadEventName, Dictionary, EventName};
pub(crate) use socket::{Chat, ECHO_BYTES_MAX, Echoes};
pub(in crate::transport) use socket::{entry, has_binary};

/// What a session goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Between two pings of the server.
    pub(crate) ping_interval: Duration,
    /// For the answer.
    pub(crate) ping_timeout: Duration,
    /// The largest payload of a POST, or message, attachments included, in bytes.
    pub(crate) payload_bytes_max: u64,
    /// For the client to connect to a namespace.
    pub(crate) connect_time: Duration,
    /// What events are called.
    pub(crate) names: Dictionary,
    /// Whether connections can be recovered.
    pub(crate) recovers: bool,
}

impl Settings {
    /// The same for the echoes, which take larger messages.
    #[must_use]
    pub(crate) const fn for_echoes(self) -> Self {
        Self {
            payload_bytes_max: ECHO_BYTES_MAX as u64,
            ..self
        }
    }
}

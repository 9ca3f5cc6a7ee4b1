//! MQTT 3.1.1 and 5 over WebSocket (OASIS MQTT 3.1.1 §6, 5.0 §6), at `/mqtt`: a topic is a room, a subscription is a cursor into its log,
//! and a retained message is a log's last entry. docs/MQTT.md says what is promised.
//!
//! Bytes come in binary messages that may share or span packets (`wire`); a packet is read by `packet` and written by `encode`.
//! The machine of a connection is `Mqtt`: `connect` lets it in, `publish` is what it sends, `subscribe` and `joins` what it asks for,
//! and `deliver` what it gets. What outlives a connection is a `state::State`, which `store` keeps by user and client id; it outlives the
//! process as an entry of a log (`saved`), which `recall` reads and writes when `keeping` says so.

mod about;
mod connect;
mod deliver;
mod encode;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod joins;
mod keeping;
mod machine;
mod packet;
mod payload;
mod properties;
mod publish;
mod reason;
mod recall;
mod saved;
mod state;
mod store;
mod subscribe;
mod topic;
mod wire;

pub(crate) use deliver::{message_of_3, message_of_5};
pub(crate) use machine::{Limits, Mqtt};
pub(crate) use store::{Kept, Sessions};
pub use store::{Memo, Ticket};

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

#[cfg(test)]
#[path = "kept_tests.rs"]
mod kept_tests;

/// The subprotocol. "MQTT Control Packets MUST be sent in WebSocket binary data frames"; "The WebSocket Subprotocol name ... MUST be
/// mqtt" (MQTT 5.0 §6).
pub(crate) const PROTOCOL: &str = "mqtt";

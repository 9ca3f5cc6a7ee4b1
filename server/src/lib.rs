//! The Tidewire server: chat over WebSocket on a `mio` readiness loop, without an async runtime.
//!
//! Arrows mean "may use": `main → net → transport → {protocol, chat, log, files, auth}`, `chat → {auth, log's positions, ids, limit}`.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm,
        reason = "a panic is how a test fails"
    )
)]

pub mod auth;
mod capture;
pub mod chat;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod files;
mod histogram;
pub mod ids;
pub mod limit;
pub mod load;
pub mod log;
pub mod logging;
mod metrics;
pub mod net;
mod progress;
mod recorder;
mod timer;
pub mod tools;
pub mod transport;
pub mod verify;

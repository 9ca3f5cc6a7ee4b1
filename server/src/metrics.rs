//! Counters of a worker: plain numbers, published once a turn.

use serde::Serialize;

/// What `/health` tells.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Status {
    /// `up`, or `draining` once the server was told to stop.
    pub(crate) status: &'static str,
    pub(crate) version: &'static str,
    /// Open connections of any kind.
    pub(crate) connections: usize,
    /// How many there can be.
    pub(crate) connections_max: usize,
    /// Connections since the start.
    pub(crate) accepted: u64,
    /// Connections turned away because all were taken.
    pub(crate) refused: u64,
    /// Connections closed because they did not read fast enough.
    pub(crate) slow: u64,
    /// Turns of the loop.
    pub(crate) turns: u64,
    /// Turns in which nothing was done: a loop that spins shows here.
    pub(crate) idle_turns: u64,
}

impl Status {
    /// The JSON document.
    pub(crate) fn to_json(&self) -> String {
        // Numbers and plain words have no way to fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

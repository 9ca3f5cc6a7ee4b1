//! Choosing logs by their names, for those who follow all that there are and will be of some kind.

use std::fmt::Debug;

use crate::ids::LogName;

/// Says which logs are wanted.
pub trait Select: Debug + Send + Sync {
    /// Whether this one is.
    fn takes(&self, log: &LogName) -> bool;
}

/// Logs that are found at once at most: nobody follows more.
pub const FOUND_MAX: usize = 2048;

/// Those of `logs` that are wanted, [`FOUND_MAX`] at most; none of the server's own.
pub(super) fn select(which: &dyn Select, logs: impl Iterator<Item = LogName>) -> Vec<LogName> {
    logs.filter(|log| !log.is_own() && which.takes(log))
        .take(FOUND_MAX)
        .collect()
}

//! Waiting for something to become true, by asking again and again until a generous deadline.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen. A loaded machine is slow, not wrong, so this is far
/// longer than anything takes; only a failing test ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
///
/// # Panics
///
/// When it does not within [`PATIENCE`]; `what` says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain until {what}"
        );
        sleep(Duration::from_millis(10));
    }
}

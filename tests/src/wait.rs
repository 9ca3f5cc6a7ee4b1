//! Waiting for something to become true, by asking again and again until a generous deadline.

use std::io::{self, ErrorKind};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen. A loaded machine is slow, not wrong, so this is far
/// longer than anything takes; only a failing test ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The most that one look and the pause behind it count for.
const TURN_MAX: Duration = Duration::from_secs(5);

/// Waits until `condition` holds.
///
/// # Panics
///
/// When it does not within [`PATIENCE`]; `what` says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_within(PATIENCE, what, condition);
}

/// Waits until `condition` holds, for what takes longer than most.
///
/// # Panics
///
/// When it does not within this time; `what` says what was waited for.
#[track_caller]
pub fn wait_within(patience: Duration, what: &str, condition: impl FnMut() -> bool) {
    let holds = holds_within(patience, condition);
    assert!(holds, "waited {patience:?} in vain until {what}");
}

/// Waits until `condition` holds; whether it did within [`PATIENCE`].
#[must_use]
pub fn holds(condition: impl FnMut() -> bool) -> bool {
    holds_within(PATIENCE, condition)
}

/// Waits until `condition` holds; whether it did in this time, which is for what takes longer than most.
#[must_use]
pub fn holds_within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let (mut waited, mut looked_at) = (Duration::ZERO, Instant::now());
    while !condition() {
        // A machine that stood still for a while brings nothing about meanwhile: that counts as one turn.
        waited += looked_at.elapsed().min(TURN_MAX);
        looked_at = Instant::now();
        if waited >= patience {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
    true
}

/// Waits for a socket, and again where that was interrupted: a wait with a timeout is not taken up by the kernel when the machine,
/// or the process, has stood still meanwhile.
///
/// # Errors
///
/// All others of `wait`.
pub fn uninterrupted<T>(mut wait: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match wait() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            ended => return ended,
        }
    }
}

/// A number that the environment can make larger: what takes a second in a check can take ten minutes where it is to prove
/// something.
#[must_use]
#[track_caller]
pub fn number_from(variable: &str, default: usize) -> usize {
    let Ok(value) = std::env::var(variable) else {
        return default;
    };
    value
        .parse()
        .unwrap_or_else(|_| panic!("{variable} is no number: {value}"))
}

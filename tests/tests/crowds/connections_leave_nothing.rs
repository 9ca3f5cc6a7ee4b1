//! Connections that came and went leave nothing behind, however many there were.

use tidewire_tests::{Chatter, Server};

/// Connections in a round.
const CONNECTIONS: usize = 2000;

/// Rounds after which the memory has to stay as it is.
const ROUNDS_MAX: usize = 8;

/// What the allocator may keep for itself: far less than a kilobyte for each connection that is gone.
const GROWTH_BYTES_MAX: u64 = 2 * 1024 * 1024;

#[test]
fn connections_that_came_and_went_leave_no_memory_taken() {
    let server = Server::start();
    // What is answered at once on connecting is some kilobytes.
    let long = "n".repeat(100);
    let rooms: String = (0..20)
        .map(|number| format!("&room={long}{number}"))
        .collect();
    let round = || {
        for _ in 0..CONNECTIONS {
            Chatter::connect(&server, &format!("userId={long}{rooms}"))
                .client
                .close();
        }
        server.usage().resident_bytes
    };
    // What is remembered of those who left has a bound, which is not reached at once. What is not given back grows for ever.
    let mut before = round();
    let mut growths = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let after = round();
        let growth = after.saturating_sub(before);
        if growth < GROWTH_BYTES_MAX {
            return;
        }
        growths.push(growth);
        before = after;
    }
    panic!("each {CONNECTIONS} connections that are gone took more bytes: {growths:?}");
}

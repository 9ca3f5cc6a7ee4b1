//! What the fuzz target `engine_io` calls: any bytes as what a client of Engine.IO and Socket.IO says, as messages of a WebSocket and
//! as payloads. Whatever they are, nothing panics, and what is attached to a packet comes back as it was.

use super::engine;
use super::socket;

/// Reads `data` as a payload, each of its packets as one of Socket.IO, and what follows them as attachments.
///
/// # Panics
/// What must hold does not.
pub fn engine_io(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        engine::fuzz_payload(text);
        socket::fuzz_content(text);
    }
    socket::fuzz_packets(data);
}

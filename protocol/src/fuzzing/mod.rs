//! What the fuzz targets call: arbitrary bytes in, and the properties that must hold whatever they are.

mod parts;
mod streams;

use std::time::Instant;

pub use parts::{
    extension_header, frame_header, handshake_request, handshake_response, inflate, prepared,
    round_trip, utf8,
};
pub use streams::{client_stream, server_stream};

/// A moment: which one does not matter, since time stands still in these.
fn any_time() -> Instant {
    Instant::now()
}

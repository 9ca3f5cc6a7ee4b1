//! What the fuzz targets call: arbitrary bytes in, and the properties that must hold whatever they are.

mod opening;
mod pair;
mod parts;
mod streams;

use std::io::IoSlice;
use std::time::Instant;

pub use opening::{handshake_request, handshake_response};
pub use pair::{prepared, round_trip};
pub use parts::{extension_header, frame_header, inflate, utf8};
pub use streams::{client_stream, server_stream};

use crate::Connection;

/// A moment: which one does not matter, since time in these is what they count themselves.
fn any_time() -> Instant {
    Instant::now()
}

/// The transport takes everything.
fn drain(connection: &mut Connection, sent: &mut Vec<u8>) {
    while transport_takes(connection, usize::MAX, sent) > 0 {}
}

/// The transport takes at most `bytes_max` bytes of what it is offered in one write; returns how many.
fn transport_takes(connection: &mut Connection, bytes_max: usize, sent: &mut Vec<u8>) -> usize {
    let mut slices = [IoSlice::new(&[]); 4];
    let filled = connection.poll_transmit(&mut slices);
    let (filled, _) = slices.split_at(filled);
    let before = sent.len();
    for slice in filled {
        let room = bytes_max - (sent.len() - before);
        sent.extend_from_slice(slice.split_at(room.min(slice.len())).0);
    }
    let taken = sent.len() - before;
    connection.transmitted(taken);
    taken
}

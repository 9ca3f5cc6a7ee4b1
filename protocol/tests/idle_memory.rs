//! An idle connection owns no buffer: after messages in both directions, only the struct itself is there.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "common/allocations.rs"]
mod allocations;
mod common;

use std::sync::Arc;
use std::time::Instant;

use allocations::{Counting, Measured, measure};
use common::{Frame, KEY};
use tidewire_protocol::{Config, Connection, Message, Prepared};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn server(config: &Arc<Config>, now: Instant) -> Connection {
    Connection::server(Arc::clone(config), now)
}

fn receive_all(connection: &mut Connection, pieces: &mut [Vec<u8>], now: Instant) {
    for piece in pieces {
        let mut input = &mut piece[..];
        while connection.handle_input(&mut input, now).is_some() {}
    }
}

fn write_all(connection: &mut Connection) {
    connection.transmitted(connection.unsent_bytes());
}

#[test]
fn a_new_connection_owns_nothing_on_the_heap() {
    let (config, now) = (Arc::new(Config::default()), Instant::now());
    let (_connection, measured) = measure(|| server(&config, now));
    let nothing = Measured {
        kept_bytes: 0,
        peak_bytes: 0,
        calls: 0,
    };
    assert_eq!(measured, nothing);
}

#[test]
fn after_messages_both_ways_nothing_is_left_on_the_heap() {
    let (config, now) = (Arc::new(Config::default()), Instant::now());
    let message = Frame::text("水".repeat(5000)).masked(KEY);
    let prepared = Prepared::new(&Message::text("to many"));
    let exchange = || {
        let mut connection = server(&config, now);
        // Whole, and cut into pieces; fragments; a ping that a read cuts.
        let mut pieces: Vec<Vec<u8>> = message.chunks(700).map(<[u8]>::to_vec).collect();
        pieces.push(message.clone());
        pieces.push(Frame::binary("frag").more().masked(KEY));
        pieces.push(Frame::continuation("ments").masked(KEY));
        pieces.extend(Frame::ping("cut").masked(KEY).chunks(5).map(<[u8]>::to_vec));
        let (_, measured) = measure(|| {
            receive_all(&mut connection, &mut pieces, now);
            connection.send(&Message::text("to one")).unwrap();
            connection.send_prepared(&prepared).unwrap();
            write_all(&mut connection);
        });
        measured.kept_bytes
    };
    // What the thread keeps for the next connection is there after the first.
    exchange();
    assert_eq!(exchange(), 0);
}

#[test]
fn a_message_that_lies_whole_in_the_input_is_echoed_without_an_allocation() {
    let (config, now) = (Arc::new(Config::default()), Instant::now());
    let echo = || {
        let mut connection = server(&config, now);
        let mut bytes = Frame::text("Hello").masked(KEY);
        let (_, measured) = measure(|| {
            let mut input = &mut bytes[..];
            while let Some(tidewire_protocol::Event::Message(message)) =
                connection.handle_input(&mut input, now)
            {
                connection.send(&message).unwrap();
            }
            write_all(&mut connection);
        });
        measured.calls
    };
    echo();
    assert_eq!(echo(), 0);
}

#[test]
fn a_peer_that_does_not_read_keeps_only_what_is_unsent() {
    let (config, now) = (Arc::new(Config::default()), Instant::now());
    let keep = || {
        let mut connection = server(&config, now);
        let (_, measured) = measure(|| {
            for _ in 0..1000 {
                connection.send(&Message::binary(&[7; 1000])).unwrap();
            }
            connection.transmitted(connection.unsent_bytes() - 1000);
        });
        (connection, measured.kept_bytes)
    };
    drop(keep());
    let (connection, kept_bytes) = keep();
    assert_eq!(connection.unsent_bytes(), 1000);
    assert!(kept_bytes <= 1500, "{kept_bytes}");
}

#[test]
fn a_connection_is_a_struct_of_at_most_128_bytes() {
    // Written down so that growth is noticed: a million idle connections are a million of these.
    let size = size_of::<Connection>();
    assert!(size <= 128, "{size} bytes");
}

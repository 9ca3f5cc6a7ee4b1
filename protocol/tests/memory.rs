//! What a connection costs: memory follows what arrived and what is unsent, never what was announced or ever sent.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "common/allocations.rs"]
mod allocations;
mod common;

use std::sync::Arc;
use std::time::Instant;

use allocations::{Counting, measure};
use common::{BINARY, Frame, KEY, TEXT, announcing};
use tidewire_protocol::handshake::head::HeadReader;
use tidewire_protocol::{
    Config, Connection, DeflateAgreement, DeflateConfig, Event, Message, Side,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

const ALONE: DeflateAgreement = DeflateAgreement {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

fn server() -> Connection {
    Connection::server(Arc::new(Config::default()), Instant::now())
}

/// Hands over bytes and expects no more than one message; returns its payload's length and its buffer's size.
fn receive(connection: &mut Connection, bytes: &mut [u8], now: Instant) -> Option<(usize, usize)> {
    let mut input = bytes;
    let mut received = None;
    while let Some(event) = connection.handle_input(&mut input, now) {
        received = match event {
            Event::Message(Message::Text(text)) => {
                let text = text.into_owned();
                Some((text.len(), text.capacity()))
            }
            Event::Message(Message::Binary(bytes)) => {
                let bytes = bytes.into_owned();
                Some((bytes.len(), bytes.capacity()))
            }
            Event::Piece(_) | Event::Ping(_) | Event::Pong(_) | Event::Closed(_) => {
                panic!("{event:?}")
            }
        };
    }
    received
}

/// The transport takes at most `n` bytes.
fn transport_takes(connection: &mut Connection, n: usize) {
    let n = connection.unsent_bytes().min(n);
    connection.transmitted(n);
}

#[test]
fn a_header_that_announces_a_mebibyte_costs_a_few_bytes() {
    let now = Instant::now();
    for first in [0x80 | TEXT, 0x80 | BINARY, TEXT, BINARY] {
        let mut connection = server();
        let mut header = announcing(first, MIB as u64, Side::Client);
        let (_, measured) = measure(|| receive(&mut connection, &mut header, now));
        assert!(measured.peak_bytes <= 256, "{measured:?}");
    }
}

#[test]
fn memory_of_a_message_grows_with_what_arrived() {
    let now = Instant::now();
    for opcode in [TEXT, BINARY] {
        let mut connection = server();
        let mut header = announcing(0x80 | opcode, MIB as u64, Side::Client);
        let (_, measured) = measure(|| {
            receive(&mut connection, &mut header, now);
            for _ in 0..30 {
                // Masked zeros: the key itself. `1000 % 4` is 0, so that the key does not turn.
                receive(&mut connection, &mut KEY.repeat(250), now);
            }
        });
        // 30,000 bytes came, and the buffer doubles.
        assert!(measured.kept_bytes <= 2 * 30_000 + 256, "{measured:?}");
    }
}

#[test]
fn a_large_message_is_moved_but_once_or_twice_and_reserves_sixteen_times_what_arrived() {
    let now = Instant::now();
    for opcode in [TEXT, BINARY] {
        let mut connection = server();
        let mut header = announcing(0x80 | opcode, MIB as u64, Side::Client);
        let (_, measured) = measure(|| {
            receive(&mut connection, &mut header, now);
            receive(&mut connection, &mut KEY.repeat(10_000), now);
        });
        assert!(measured.kept_bytes <= 16 * 40_000 + 256, "{measured:?}");
        let mut rest = KEY.repeat(250_000);
        let (_, measured) = measure(|| {
            for read in rest.chunks_mut(40_000) {
                receive(&mut connection, read, now);
            }
        });
        // The buffer, and for each read a few bytes that say what it cut.
        assert_eq!(measured.calls, 1 + 25, "{measured:?}");
        assert!(measured.kept_bytes <= MIB as isize, "{measured:?}");
    }
}

#[test]
fn a_message_in_tiny_fragments_is_not_copied_for_each() {
    let now = Instant::now();
    for opcode in [TEXT, BINARY] {
        let mut connection = server();
        let mut first = Frame::new(opcode, "x").more().masked(KEY);
        let mut next = vec![Frame::continuation("x").more().masked(KEY); 100_000];
        let (_, measured) = measure(|| {
            receive(&mut connection, &mut first, now);
            for fragment in &mut next {
                receive(&mut connection, fragment, now);
            }
        });
        // The box, the first buffer, and a doubling for each power of two.
        assert!(measured.calls <= 20, "{measured:?}");
        assert!(measured.kept_bytes <= 2 * 100_001, "{measured:?}");
    }
}

#[test]
fn a_text_whose_characters_are_cut_by_reads_gets_a_buffer_of_its_size() {
    let now = Instant::now();
    let text = "水".repeat(100_000);
    let mut bytes = Frame::text(&text).masked(KEY);
    let mut connection = server();
    let mut received = None;
    for piece in bytes.chunks_mut(10_000) {
        received = receive(&mut connection, piece, now).or(received);
    }
    assert_eq!(received, Some((text.len(), text.len())));
}

#[test]
fn an_outbox_that_never_empties_does_not_grow_with_what_was_sent() {
    let mut connection = server();
    let payload = [0; 1000];
    connection.send(&Message::binary(&payload)).unwrap();
    let (_, measured) = measure(|| {
        for _ in 0..10_000 {
            connection.send(&Message::binary(&payload)).unwrap();
            transport_takes(&mut connection, 1004);
        }
    });
    assert_eq!(connection.unsent_bytes(), 1004);
    // 10 MB went through a queue of never more than two frames.
    assert!(measured.peak_bytes <= 64 * 1024, "{measured:?}");
}

#[test]
fn pings_without_end_cost_one_pong_while_the_peer_does_not_read() {
    let now = Instant::now();
    let mut connection = server();
    connection.ping(b"unread").unwrap();
    connection.transmitted(0);
    let mut bytes = Frame::ping([7; 125]).masked(KEY).repeat(1000);
    let (_, measured) = measure(|| {
        let mut input = &mut bytes[..];
        while connection.handle_input(&mut input, now).is_some() {}
    });
    assert!(measured.kept_bytes <= 125, "{measured:?}");
}

#[test]
fn a_head_that_comes_byte_by_byte_is_not_copied_for_each() {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    for _ in 0..16 {
        head.extend(b"name: ");
        head.extend([b'v'; 990]);
        head.extend(b"\r\n");
    }
    let mut reader = HeadReader::default();
    let (_, measured) = measure(|| {
        for byte in head.chunks_mut(1) {
            let mut input = byte;
            assert_eq!(reader.handle_input(&mut input), Ok(None));
        }
    });
    // A doubling for each power of two up to 16 KiB.
    assert!(measured.calls <= 14, "{measured:?}");
    assert!(measured.kept_bytes <= 32 << 10, "{measured:?}");
}

#[test]
fn the_beginning_of_a_message_is_given_back_at_the_end_of_the_connection() {
    let begin_and_close = || {
        let now = Instant::now();
        let mut connection = server();
        let mut begun = Frame::binary([0; 10_000]).more().masked(KEY);
        let mut close = Frame::close_without_code().masked(KEY);
        let (_, measured) = measure(|| {
            receive(&mut connection, &mut begun, now);
            let mut input = &mut close[..];
            while connection.handle_input(&mut input, now).is_some() {}
            connection.transmitted(connection.unsent_bytes());
        });
        measured
    };
    // What the thread keeps for the next connection is there after the first.
    begin_and_close();
    let measured = begin_and_close();
    assert!(measured.peak_bytes >= 10_000, "{measured:?}");
    assert_eq!(measured.kept_bytes, 0);
}

#[test]
fn a_thread_keeps_four_decompressors_however_many_were_used_at_once() {
    let after = |connections: usize| {
        let thread = std::thread::spawn(move || {
            // A compressed message in two frames: in between, its connection has a decompressor.
            let begin = Frame::text(b"\x00\x03\x00\xfc\xffend");
            let begin = begin.more().with_bits(0x40).masked(KEY);
            let end = Frame::continuation(b"\x00").masked(KEY);
            let (mut opened, now) = (Vec::with_capacity(connections), Instant::now());
            for _ in 0..connections {
                let mut connection = server();
                connection.enable_deflate(&DeflateConfig::default(), ALONE);
                opened.push(connection);
            }
            let (_, measured) = measure(|| {
                for input in [&begin, &end] {
                    for connection in &mut opened {
                        receive(connection, &mut input.clone(), now);
                    }
                }
            });
            measured.kept_bytes
        });
        thread.join().unwrap()
    };
    let of_four = after(4);
    assert!(of_four > 4 * 40_000, "{of_four}");
    assert_eq!(after(8), of_four);
}

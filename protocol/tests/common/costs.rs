//! What a connection costs, measured: bytes on the heap in each of its states, and allocations a message. The test `costs`
//! holds the documentation to it, and the example `costs` prints it.
//!
//! Whoever includes this installs the counting allocator and has `allocations` beside it.

#![allow(dead_code, reason = "the test uses all of this and the example a part")]

use std::io::IoSlice;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use tidewire_protocol::{
    CloseCode, Config, Connection, DeflateAgreement, DeflateConfig, Message, Prepared,
};

use super::allocations::measure;

/// A message that is worth compressing.
const SAMPLE: [u8; 1000] = [b'x'; 1000];

/// Messages over which allocations are counted.
const MESSAGES: usize = 100;

// Rows that must stay nothing.
pub(crate) const WHOLE: &str = "received, in one frame that one read brings";
pub(crate) const WHOLE_TEXT: &str = "... text";
pub(crate) const SENT: &str = "sent";
pub(crate) const PREPARED: &str = "prepared, sent to one more connection";
pub(crate) const PREPARED_SMALL: &str = "... so small that it is copied";
pub(crate) const PREPARED_COMPRESSED: &str = "... compressed once for all";
pub(crate) const FRESH: &str = "fresh";
pub(crate) const AFTER_MESSAGES: &str = "open, after messages both ways";
pub(crate) const ALONE: &str = "deflate, each message by itself: fresh";
pub(crate) const ALONE_AFTER_MESSAGES: &str = "... after messages both ways";
pub(crate) const CLOSED: &str = "closed, and the event taken";

static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(Arc::default);

/// The moment of everything: it is not time that is measured here.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What was agreed on about compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deflate {
    Off,
    /// Each message by itself.
    Alone,
    /// With context takeover in both directions.
    Takeover,
}

/// Everything as Markdown.
pub(crate) fn tables() -> String {
    let size = grouped(size_of::<Connection>() as isize);
    let mut text = format!(
        "`size_of::<Connection>()` is {size} bytes. Beside that, the server's end of a connection owns on the heap:\n\n\
         | state | bytes |\n|---|--:|\n"
    );
    for (state, bytes) in states() {
        text += &format!("| {state} | {} |\n", grouped(bytes));
    }
    text += "\nA compressor that keeps its window, in KiB by `window_bits` (down) and `memory_level` (across):\n\n\
         | | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for window_bits in 9..=15 {
        text += &format!("| {window_bits} |");
        for memory_level in 1..=9 {
            let bytes = compressor_bytes(window_bits, memory_level);
            text += &format!(" {:.0} |", bytes as f64 / 1024.0);
        }
        text += "\n";
    }
    text += "\nAllocations that a message takes, once the thread has done a few:\n\n\
         | message | allocations |\n|---|--:|\n";
    for (message, allocations) in allocations_a_message() {
        text += &format!("| {message} | {allocations} |\n");
    }
    text
}

/// With commas between the thousands.
fn grouped(number: isize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

// ---- bytes ----

/// The states of a server's end, and the bytes that it owns in each.
pub(crate) fn states() -> Vec<(&'static str, isize)> {
    use Deflate::{Alone, Off, Takeover};
    // A header of 14 bytes, and so much of the payload.
    let begun = |bytes: usize| heap(|| cut(&Message::binary(&vec![0; 200_000]), 14 + bytes));
    vec![
        (FRESH, heap(|| server(Off))),
        (AFTER_MESSAGES, heap(|| used(Off))),
        (
            "a header that a read cut",
            heap(|| cut(&Message::text("x"), 3)),
        ),
        ("a ping that a read cut", heap(cut_ping)),
        ("a message of which 1 byte has come", begun(1)),
        ("... 10,000 bytes", begun(10_000)),
        ("... 100,000 bytes", begun(100_000)),
        (
            "a message of 1,000 bytes to be written",
            heap(|| unwritten(false)),
        ),
        ("... a prepared one", heap(|| unwritten(true))),
        ("closing: our Close frame is written", heap(closing)),
        (CLOSED, heap(closed)),
        (ALONE, heap(|| server(Alone))),
        (ALONE_AFTER_MESSAGES, heap(|| used(Alone))),
        ("... what all of a thread share", shared_by_the_thread()),
        (
            "deflate with context takeover: fresh",
            heap(|| server(Takeover)),
        ),
        (
            "... after a message was received",
            heap(|| after_input(Takeover)),
        ),
        ("... after messages both ways", heap(|| used(Takeover))),
    ]
}

/// What a connection owns beside itself.
fn heap(connection: impl Fn() -> Connection) -> isize {
    // What the thread keeps is there after the first.
    drop(connection());
    measure(connection).1.kept_bytes
}

/// What a compressor with context takeover owns.
pub(crate) fn compressor_bytes(window_bits: u8, memory_level: u8) -> isize {
    let config = DeflateConfig {
        memory_level,
        ..DeflateConfig::default()
    };
    let connect = || {
        let mut connection = server(Deflate::Off);
        connection.enable_deflate(&config, agreement(Deflate::Takeover, window_bits));
        connection
    };
    let send = || {
        let mut connection = connect();
        turn(&mut connection, |connection| send(connection, &SAMPLE));
        connection
    };
    heap(send) - heap(connect)
}

/// What a thread keeps for all its connections without context takeover.
fn shared_by_the_thread() -> isize {
    let mut input = from_client(Deflate::Alone, &Message::binary(&SAMPLE));
    let fresh_thread = std::thread::spawn(move || {
        let work = || {
            let mut connection = server(Deflate::Alone);
            turn(&mut connection, |connection| {
                receive(connection, &mut input);
                send(connection, &SAMPLE);
            });
        };
        measure(work).1.kept_bytes
    });
    fresh_thread.join().expect("it does not panic")
}

fn used(deflate: Deflate) -> Connection {
    let mut connection = after_input(deflate);
    turn(&mut connection, |connection| send(connection, &SAMPLE));
    connection
}

fn after_input(deflate: Deflate) -> Connection {
    let mut connection = server(deflate);
    let message = Message::binary(&SAMPLE);
    receive(&mut connection, &mut from_client(deflate, &message));
    connection
}

/// After the first `bytes` bytes of the frame of a message.
fn cut(message: &Message<'_>, bytes: usize) -> Connection {
    let mut connection = server(Deflate::Off);
    let mut frame = from_client(Deflate::Off, message);
    receive(&mut connection, frame.split_at_mut(bytes).0);
    connection
}

fn cut_ping() -> Connection {
    let mut client = connect_client(Deflate::Off);
    client.ping(&[0; 100]).expect("it is open");
    let mut connection = server(Deflate::Off);
    receive(&mut connection, written(&mut client).split_at_mut(50).0);
    connection
}

fn unwritten(prepared: bool) -> Connection {
    let mut connection = server(Deflate::Off);
    let message = Message::binary(&SAMPLE);
    if prepared {
        let prepared = Prepared::new(&message);
        connection.send_prepared(&prepared).expect("it is open");
    } else {
        send(&mut connection, &SAMPLE);
    }
    connection
}

fn closing() -> Connection {
    let mut connection = server(Deflate::Off);
    turn(&mut connection, |connection| {
        let closing = connection.close(CloseCode::NORMAL, "", *NOW);
        closing.expect("it is open");
    });
    connection
}

fn closed() -> Connection {
    let mut connection = server(Deflate::Off);
    turn(&mut connection, |connection| {
        connection.handle_eof(*NOW);
        connection.poll_event();
    });
    connection
}

// ---- allocations ----

/// What a message takes, by its way.
pub(crate) fn allocations_a_message() -> Vec<(&'static str, f64)> {
    use Deflate::{Alone, Off, Takeover};
    let (small, large) = (Message::text("Hello"), Message::binary(&SAMPLE));
    let prepared = |message: &Message<'_>, deflate| {
        let prepared = Prepared::new(message);
        outgoing(deflate, move |connection| {
            connection.send_prepared(&prepared).expect("it is open");
        })
    };
    let sent = |deflate| outgoing(deflate, |connection| send(connection, &SAMPLE));
    vec![
        (WHOLE, incoming(Off, &large, usize::MAX)),
        (WHOLE_TEXT, incoming(Off, &small, usize::MAX)),
        (
            "... compressed by itself",
            incoming(Alone, &large, usize::MAX),
        ),
        (
            "... compressed with context takeover",
            incoming(Takeover, &large, usize::MAX),
        ),
        (
            "received, in one frame that two reads bring",
            incoming(Off, &large, 500),
        ),
        (SENT, sent(Off)),
        ("... compressed by itself", sent(Alone)),
        ("... compressed with context takeover", sent(Takeover)),
        ("... by a client, masked", sent_by_client()),
        (PREPARED, prepared(&large, Off)),
        (PREPARED_SMALL, prepared(&small, Off)),
        (PREPARED_COMPRESSED, prepared(&large, Alone)),
    ]
}

/// Allocations of a server that receives `message` in reads of at most `read` bytes.
fn incoming(deflate: Deflate, message: &Message<'_>, read: usize) -> f64 {
    let (mut client, mut connection) = (connect_client(deflate), server(deflate));
    let mut next = || {
        client.send(message).expect("it is open");
        written(&mut client)
    };
    let mut inputs: Vec<_> = (0..2 * MESSAGES).map(|_| next()).collect();
    let (warm_up, measured) = inputs.split_at_mut(MESSAGES);
    let mut receive_all = |inputs: &mut [Vec<u8>]| {
        for input in inputs {
            for part in input.chunks_mut(read) {
                receive(&mut connection, part);
            }
        }
    };
    receive_all(warm_up);
    per_message(measure(|| receive_all(measured)).1.calls)
}

/// Allocations of a server that does `act` in each turn.
fn outgoing(deflate: Deflate, act: impl Fn(&mut Connection)) -> f64 {
    turns(server(deflate), act)
}

fn sent_by_client() -> f64 {
    turns(connect_client(Deflate::Off), |connection| {
        send(connection, &SAMPLE)
    })
}

fn turns(mut connection: Connection, act: impl Fn(&mut Connection)) -> f64 {
    let mut all = || {
        for _ in 0..MESSAGES {
            turn(&mut connection, &act);
        }
    };
    all();
    per_message(measure(all).1.calls)
}

fn per_message(calls: usize) -> f64 {
    calls as f64 / MESSAGES as f64
}

// ---- connections and what is done with them ----

fn server(deflate: Deflate) -> Connection {
    enable(Connection::server(Arc::clone(&CONFIG), *NOW), deflate)
}

fn connect_client(deflate: Deflate) -> Connection {
    let keys = || [1, 2, 3, 4];
    let client = Connection::client_with_keys(Arc::clone(&CONFIG), *NOW, keys);
    enable(client, deflate)
}

fn enable(mut connection: Connection, deflate: Deflate) -> Connection {
    if deflate != Deflate::Off {
        connection.enable_deflate(&DeflateConfig::default(), agreement(deflate, 15));
    }
    connection
}

fn agreement(deflate: Deflate, window_bits: u8) -> DeflateAgreement {
    DeflateAgreement {
        server_no_context_takeover: deflate != Deflate::Takeover,
        client_no_context_takeover: deflate != Deflate::Takeover,
        server_max_window_bits: window_bits,
        client_max_window_bits: window_bits,
    }
}

/// The bytes with which a client sends `message`.
fn from_client(deflate: Deflate, message: &Message<'_>) -> Vec<u8> {
    let mut client = connect_client(deflate);
    client.send(message).expect("it is open");
    written(&mut client)
}

fn send(connection: &mut Connection, payload: &[u8]) {
    let sent = connection.send(&Message::binary(payload));
    sent.expect("it is open");
}

fn receive(connection: &mut Connection, mut input: &mut [u8]) {
    while connection.handle_input(&mut input, *NOW).is_some() {}
    assert!(connection.is_open(), "what a client of ours sends is legal");
}

/// A turn of the loop: something is done, and everything is written.
fn turn(connection: &mut Connection, act: impl FnOnce(&mut Connection)) {
    act(connection);
    connection.transmitted(connection.unsent_bytes());
}

/// Everything that the connection has to write.
fn written(connection: &mut Connection) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 16];
    let filled = connection.poll_transmit(&mut slices);
    let bytes = slices[..filled]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect::<Vec<u8>>();
    connection.transmitted(bytes.len());
    bytes
}

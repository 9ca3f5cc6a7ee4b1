//! What the parts of the crate cost, by themselves: `cargo bench -p tidewire-protocol`. Beside other crates, and in
//! instructions: `cargo xtask bench codec`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a program that is only run"
)]

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use divan::Bencher;
use divan::counter::BytesCount;
use tidewire_protocol::frame::{Header, Opcode, Rules};
use tidewire_protocol::mask::Mask;
use tidewire_protocol::{
    Config, Connection, DeflateAgreement, DeflateConfig, Event, Message, Prepared, Side, utf8,
};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Sizes of payloads.
const SIZES: [usize; 3] = [125, 16 << 10, 1 << 20];

fn main() {
    divan::main();
}

#[divan::bench(args = [125, 1000, 100_000])]
fn header_decode(bencher: Bencher<'_, '_>, length: usize) {
    let mut bytes = Vec::new();
    header(length).encode(&mut bytes);
    let rules = Rules {
        sender: Side::Client,
        reserved_bits_allowed: 0,
    };
    bencher.bench(|| Header::decode(black_box(&bytes), rules));
}

#[divan::bench(args = [125, 1000, 100_000])]
fn header_encode(bencher: Bencher<'_, '_>, length: usize) {
    let mut out = Vec::with_capacity(16);
    bencher.bench_local(|| {
        out.clear();
        black_box(header(length)).encode(&mut out);
        black_box(&out).len()
    });
}

#[divan::bench(args = SIZES)]
fn mask(bencher: Bencher<'_, '_>, size: usize) {
    let mut bytes = vec![7; size];
    let bencher = bencher.counter(BytesCount::new(size));
    bencher.bench_local(|| Mask::new(KEY).apply(black_box(&mut bytes)));
}

#[divan::bench(args = SIZES)]
fn utf8_ascii(bencher: Bencher<'_, '_>, size: usize) {
    let text = "a".repeat(size);
    let bencher = bencher.counter(BytesCount::new(size));
    bencher.bench(|| utf8::check(black_box(text.as_bytes())).is_ok());
}

#[divan::bench(args = SIZES)]
fn utf8_mixed(bencher: Bencher<'_, '_>, size: usize) {
    let text = "früh 水 🌊 ".repeat(size / 17);
    let bencher = bencher.counter(BytesCount::new(text.len()));
    bencher.bench(|| utf8::check(black_box(text.as_bytes())).is_ok());
}

#[divan::bench(args = [1, 32])]
fn receive_small_text(bencher: Bencher<'_, '_>, per_read: usize) {
    receive(
        bencher,
        server(),
        &frame(0x81, &[b'a'; 125]).repeat(per_read),
    );
}

#[divan::bench(args = SIZES)]
fn receive_binary(bencher: Bencher<'_, '_>, size: usize) {
    receive(bencher, server(), &frame(0x82, &vec![7; size]));
}

#[divan::bench(args = [2, 16, 256])]
fn receive_fragments_of_64_bytes(bencher: Bencher<'_, '_>, count: usize) {
    let between = frame(0x00, &[b'a'; 64]).repeat(count - 2);
    let ends = [frame(0x01, &[b'a'; 64]), frame(0x80, &[b'a'; 64])];
    let bytes = [&ends[0][..], &between, &ends[1]].concat();
    receive(bencher, server(), &bytes);
}

#[divan::bench(args = [false, true])]
fn receive_deflated_1_kib(bencher: Bencher<'_, '_>, context_takeover: bool) {
    // Compressed without looking back, which both kinds of receiver read.
    let mut client = Connection::client(Arc::default(), Instant::now());
    client.enable_deflate(&eager(), agreement(false));
    client.send(&Message::text(&chat(1 << 10))).unwrap();
    let mut connection = server();
    connection.enable_deflate(&eager(), agreement(context_takeover));
    receive(bencher, connection, &take(&mut client));
}

#[divan::bench(args = SIZES)]
fn send_text(bencher: Bencher<'_, '_>, size: usize) {
    send(bencher, server(), &chat(size));
}

#[divan::bench(args = SIZES)]
fn send_masked_text(bencher: Bencher<'_, '_>, size: usize) {
    let client = Connection::client(Arc::default(), Instant::now());
    send(bencher, client, &chat(size));
}

#[divan::bench(args = [false, true])]
fn send_deflated_1_kib(bencher: Bencher<'_, '_>, context_takeover: bool) {
    let mut connection = server();
    connection.enable_deflate(&eager(), agreement(context_takeover));
    send(bencher, connection, &chat(1 << 10));
}

#[divan::bench(args = SIZES)]
fn send_prepared(bencher: Bencher<'_, '_>, size: usize) {
    let prepared = Prepared::new(&Message::text(&chat(size)));
    let mut connection = server();
    bencher.bench_local(|| {
        connection.send_prepared(black_box(&prepared)).unwrap();
        transmit(&mut connection)
    });
}

#[divan::bench(args = SIZES)]
fn send_owned(bencher: Bencher<'_, '_>, size: usize) {
    let mut connection = server();
    let text = chat(size);
    let bencher = bencher.with_inputs(|| text.clone());
    bencher.bench_local_values(|text| {
        connection.send_owned(text).unwrap();
        transmit(&mut connection)
    });
}

// ---- what they share ----

fn receive(bencher: Bencher<'_, '_>, mut connection: Connection, bytes: &[u8]) {
    let now = Instant::now();
    let mut buffer = bytes.to_vec();
    let bencher = bencher.counter(BytesCount::new(bytes.len()));
    bencher.bench_local(|| {
        // The mask is taken off in place: every time anew, as a read would bring it.
        buffer.copy_from_slice(bytes);
        let mut input = &mut buffer[..];
        while let Some(event) = connection.handle_input(&mut input, now) {
            assert!(matches!(black_box(event), Event::Message(_)));
        }
    });
}

fn send(bencher: Bencher<'_, '_>, mut connection: Connection, text: &str) {
    let bencher = bencher.counter(BytesCount::new(text.len()));
    bencher.bench_local(|| {
        let sent = connection.send(&Message::text(black_box(text)));
        sent.unwrap();
        transmit(&mut connection)
    });
}

/// The transport takes everything and looks at nothing.
fn transmit(connection: &mut Connection) -> usize {
    let mut slices = [IoSlice::new(&[]); 4];
    let filled = connection.poll_transmit(&mut slices);
    let bytes = black_box(&slices[..filled]).iter().map(|slice| slice.len());
    let bytes = bytes.sum();
    connection.transmitted(bytes);
    bytes
}

fn take(connection: &mut Connection) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[])];
    connection.poll_transmit(&mut slices);
    slices[0].to_vec()
}

fn server() -> Connection {
    let config = Config {
        message_bytes_max: 2 << 20,
        ..Config::default()
    };
    Connection::server(Arc::new(config), Instant::now())
}

fn eager() -> DeflateConfig {
    DeflateConfig {
        compress_bytes_min: 0,
        ..DeflateConfig::default()
    }
}

const fn agreement(context_takeover: bool) -> DeflateAgreement {
    DeflateAgreement {
        server_no_context_takeover: !context_takeover,
        client_no_context_takeover: !context_takeover,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    }
}

fn header(length: usize) -> Header {
    Header {
        mask: Some(KEY),
        ..Header::unmasked(Opcode::Binary, length)
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    header(payload.len()).encode(&mut bytes);
    bytes[0] = first;
    let at = bytes.len();
    bytes.extend_from_slice(payload);
    Mask::new(KEY).apply(&mut bytes[at..]);
    bytes
}

fn chat(size: usize) -> String {
    let lines = (0..).map(|n| format!(r#"{{"id":{n},"from":"alice","text":"what shall we do?"}}"#));
    let mut text: String = lines.take(size / 40 + 1).collect();
    text.truncate(size);
    text
}

//! Tidewire: read into the loop's one buffer, hand it over, write what there is.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tidewire_protocol::mask::Mask;
use tidewire_protocol::{
    Config, Connection, DeflateAgreement, DeflateConfig, Event, Message, Prepared,
};

use super::{Job, Outgoing, masking, sending};
use crate::transport::Transport;
use crate::workload::{self, Incoming, READ_BYTES};

/// Compressed as soketto does: each message by itself, with zlib's fastest level.
const DEFLATE: DeflateConfig = DeflateConfig {
    level: 1,
    memory_level: 8,
    compress_bytes_min: 0,
    server_context_takeover: false,
    client_context_takeover: false,
    server_window_bits: 15,
    client_window_bits: 15,
};

const ALONE: DeflateAgreement = DeflateAgreement {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

fn config() -> Arc<Config> {
    Arc::new(Config {
        ping_interval: None,
        ..Config::default()
    })
}

/// Receives as a server.
pub(crate) fn receive(incoming: Incoming, deflate: bool) -> Job {
    let now = Instant::now();
    let mut connection = Connection::server(config(), now);
    if deflate {
        connection.enable_deflate(&DEFLATE, ALONE);
    }
    // One buffer serves all connections of a loop: it is made for the largest read.
    let mut buffer = vec![0; incoming.arrival.max(READ_BYTES)];
    let mut transport = Transport::repeating(incoming.bytes, incoming.arrival);
    Box::new(move |messages| {
        let (mut seen, mut bytes) = (0, 0);
        while seen < messages {
            let read = transport.read(&mut buffer);
            let mut input = &mut buffer[..read];
            while let Some(event) = connection.handle_input(&mut input, now) {
                let Event::Message(message) = event else {
                    panic!("{event:?} is no message");
                };
                bytes += black_box(message.payload()).len() as u64;
                seen += 1;
            }
        }
        bytes
    })
}

/// Sends: text that its caller keeps, binary messages with their memory.
pub(crate) fn send(outgoing: Outgoing) -> Job {
    let text = workload::ascii(outgoing.bytes);
    let shared = Bytes::from(text.clone());
    let mut connection = if outgoing.client {
        Connection::client(config(), Instant::now())
    } else {
        Connection::server(config(), Instant::now())
    };
    if outgoing.deflate {
        connection.enable_deflate(&DEFLATE, ALONE);
    }
    let mut transport = Transport::write_only();
    let written = transport.written();
    sending(
        move || written.get(),
        move |messages| {
            for _ in 0..messages / outgoing.per_write {
                for left in (0..outgoing.per_write).rev() {
                    let sent = if outgoing.binary {
                        connection.send_owned(black_box(&shared).clone())
                    } else if left == 0 {
                        // The last one takes with it all that waits.
                        let message = Message::text(black_box(&text));
                        connection.send_through(&message, |slices| transport.write_vectored(slices))
                    } else {
                        connection.send(&Message::text(black_box(&text)))
                    };
                    sent.expect("it is open");
                }
                transmit(&mut connection, &mut transport);
            }
        },
    )
}

/// Sends one message to each of `followers` connections.
pub(crate) fn broadcast(bytes: usize, followers: u64) -> Job {
    let (text, config) = (workload::ascii(bytes), config());
    let connection = |_| Connection::server(Arc::clone(&config), Instant::now());
    let mut connections: Vec<_> = (0..followers).map(connection).collect();
    let mut transport = Transport::write_only();
    let written = transport.written();
    sending(
        move || written.get(),
        move |deliveries| {
            for _ in 0..deliveries / followers {
                let prepared = Prepared::new(&Message::text(black_box(&text)));
                for connection in &mut connections {
                    connection.send_prepared(&prepared).expect("it is open");
                    transmit(connection, &mut transport);
                }
            }
        },
    )
}

fn transmit(connection: &mut Connection, transport: &mut Transport) {
    while connection.unsent_bytes() > 0 {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = connection.poll_transmit(&mut slices);
        let written = transport.write_vectored(&slices[..filled]);
        connection.transmitted(written);
    }
}

/// Masks a buffer in place.
pub(crate) fn mask(len: usize) -> Job {
    masking(len, |bytes, key| Mask::new(key).apply(bytes))
}

/// A payload as it is on the wire, compressed by itself.
pub(crate) fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut connection = Connection::server(config(), Instant::now());
    connection.enable_deflate(&DEFLATE, ALONE);
    let text = std::str::from_utf8(payload).expect("it is text");
    connection.send(&Message::text(text)).expect("it is open");
    let mut slices = [IoSlice::new(&[])];
    connection.poll_transmit(&mut slices);
    let header_len = if slices[0].len() - 2 <= 125 { 2 } else { 4 };
    slices[0][header_len..].to_vec()
}

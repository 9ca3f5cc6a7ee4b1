//! Whole streams: what one end does with whatever the other sends, however it is cut.

use std::sync::Arc;

use super::any_time;
use crate::{Config, Connection, DeflateAgreement, DeflateConfig, Event, Side, Transport};

/// A server that reads the bytes whole and one that reads them in pieces see the same and answer the same.
///
/// The first eight bytes choose the limits, whether messages may be compressed, and the sizes of the pieces; the rest is
/// what the client sends.
pub fn server_stream(data: &[u8]) {
    stream(Side::Server, data);
}

/// The same for a client, and what a server sends.
pub fn client_stream(data: &[u8]) {
    stream(Side::Client, data);
}

fn stream(side: Side, data: &[u8]) {
    let Some((seed, bytes)) = data.split_first_chunk::<8>() else {
        return;
    };
    let [limit, fragments, sizes @ ..] = *seed;
    let config = Arc::new(Config {
        frame_bytes_max: 16 << (limit & 0xf),
        message_bytes_max: 16 << (limit >> 4),
        fragments_max: u32::from(fragments & 0x3f) + 1,
        ..Config::default()
    });
    let deflate = match fragments >> 6 {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    let connect = || connect(side, Arc::clone(&config), deflate);
    let whole = observe(connect(), bytes, &[bytes.len().max(1)]);
    let sizes = sizes.map(|size| usize::from(size) + 1);
    assert_eq!(observe(connect(), bytes, &sizes), whole);
}

/// A connection, with permessage-deflate if `context_takeover` says how.
fn connect(side: Side, config: Arc<Config>, context_takeover: Option<bool>) -> Connection {
    let now = any_time();
    let mut connection = match side {
        Side::Server => Connection::server(config, now),
        Side::Client => Connection::client_with_keys(config, now, || [1, 2, 3, 4]),
    };
    if let Some(takeover) = context_takeover {
        let agreement = DeflateAgreement {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        connection.enable_deflate(&DeflateConfig::default(), agreement);
    }
    connection
}

/// The events, the bytes sent, and what is to become of the transport.
fn observe(
    mut connection: Connection,
    bytes: &[u8],
    sizes: &[usize],
) -> (Vec<Event<'static>>, Vec<u8>, Transport) {
    let now = any_time();
    let mut bytes = bytes.to_vec();
    let (mut rest, mut events, mut sent) = (&mut bytes[..], Vec::new(), Vec::new());
    for &size in sizes.iter().cycle() {
        let (piece, behind) = rest.split_at_mut(size.min(rest.len()));
        let mut input = piece;
        while let Some(event) = connection.handle_input(&mut input, now) {
            if let Event::Message(message) = &event {
                // Refused once the client has begun to close, which is right.
                let _ = connection.send(message);
            }
            events.push(event.into_owned());
        }
        assert!(input.is_empty(), "the connection left input behind");
        drain(&mut connection, &mut sent);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    connection.handle_eof(now);
    events.extend(connection.poll_event());
    drain(&mut connection, &mut sent);
    let ends = events
        .iter()
        .filter(|event| matches!(event, Event::Closed(_)))
        .count();
    assert_eq!(ends, 1, "a connection ends once");
    (events, sent, connection.transport())
}

pub(super) fn drain(connection: &mut Connection, sent: &mut Vec<u8>) {
    loop {
        let mut slices = [std::io::IoSlice::new(&[]); 4];
        let filled = connection.poll_transmit(&mut slices);
        let (filled, _) = slices.split_at(filled);
        let before = sent.len();
        filled
            .iter()
            .for_each(|slice| sent.extend_from_slice(slice));
        if sent.len() == before {
            return;
        }
        connection.transmitted(sent.len() - before);
    }
}

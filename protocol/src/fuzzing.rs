//! What the fuzz targets call: arbitrary bytes in, and the properties that must hold whatever they are.

use std::sync::Arc;
use std::time::Instant;

use crate::frame::{Decoded, Header, Rules};
use crate::{Config, Connection, Event, Side, Transport};

/// A header that decodes encodes to the same bytes, and no prefix of it decodes.
pub fn frame_header(data: &[u8]) {
    let Some((&reserved, bytes)) = data.split_first() else {
        return;
    };
    for sender in [Side::Client, Side::Server] {
        let rules = Rules {
            sender,
            reserved_bits_allowed: reserved & 0x70,
        };
        let Ok(Decoded::Complete { header, used }) = Header::decode(bytes, rules) else {
            continue;
        };
        let (head, _) = bytes.split_at(used);
        let mut encoded = Vec::new();
        header.encode(&mut encoded);
        assert_eq!(encoded, head);
        for len in 0..used {
            assert_eq!(
                Header::decode(head.split_at(len).0, rules),
                Ok(Decoded::Partial)
            );
        }
    }
}

/// A server that reads the bytes whole and one that reads them in pieces see the same and answer the same.
///
/// The first eight bytes choose the limits and the sizes of the pieces; the rest is what the client sends.
pub fn server_stream(data: &[u8]) {
    let Some((seed, bytes)) = data.split_first_chunk::<8>() else {
        return;
    };
    let [limit, fragments, sizes @ ..] = *seed;
    let config = Arc::new(Config {
        frame_bytes_max: 16 << (limit & 0xf),
        message_bytes_max: 16 << (limit >> 4),
        fragments_max: u32::from(fragments) + 1,
        ..Config::default()
    });
    let whole = observe(&config, bytes, &[bytes.len().max(1)]);
    let sizes = sizes.map(|size| usize::from(size) + 1);
    assert_eq!(observe(&config, bytes, &sizes), whole);
}

/// The events, the bytes sent, and what is to become of the transport.
fn observe(
    config: &Arc<Config>,
    bytes: &[u8],
    sizes: &[usize],
) -> (Vec<Event<'static>>, Vec<u8>, Transport) {
    let now = Instant::now();
    let mut connection = Connection::server(Arc::clone(config), now);
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
            events.push(into_owned(event));
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

fn drain(connection: &mut Connection, sent: &mut Vec<u8>) {
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

fn into_owned(event: Event<'_>) -> Event<'static> {
    use crate::Message;
    use std::borrow::Cow;
    match event {
        Event::Message(Message::Text(text)) => {
            Event::Message(Message::Text(Cow::Owned(text.into_owned())))
        }
        Event::Message(Message::Binary(bytes)) => {
            Event::Message(Message::Binary(Cow::Owned(bytes.into_owned())))
        }
        Event::Ping(payload) => Event::Ping(Cow::Owned(payload.into_owned())),
        Event::Pong(payload) => Event::Pong(Cow::Owned(payload.into_owned())),
        Event::Closed(closed) => Event::Closed(closed),
    }
}

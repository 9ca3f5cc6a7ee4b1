//! What the fuzz target `mqtt_packets` calls: any bytes as what a client sends, in pieces of any size. Whatever they are, nothing
//! panics, pieces are read as the whole is, what waits is bounded, and a payload comes back as it was.

use super::about::{About, split};
use super::encode::{Head, publish};
use super::packet::{Packet, QoS, Version, decode};
use super::payload::{content_of, payload_of};
use super::topic::{check, is_plain, log_of, matches};
use super::wire::Frames;

/// The largest packet that is taken here.
const PACKET_BYTES_MAX: usize = 4096;

/// Reads `data` as packets: the first byte is the size of the pieces less one, and its lowest bit the version.
///
/// # Panics
/// What must hold does not.
pub fn mqtt_packets(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let version = if size & 1 == 0 {
        Version::Three
    } else {
        Version::Five
    };
    let pieces = read(bytes, usize::from(size) + 1, version);
    let whole = read(bytes, bytes.len().max(1), version);
    assert_eq!(pieces, whole);
    assert_eq!(&*payload_of(&content_of(bytes, None)), bytes);
}

/// All packets up to one that is none, as text.
fn read(bytes: &[u8], size: usize, version: Version) -> Vec<String> {
    let mut frames = Frames::new(PACKET_BYTES_MAX);
    let mut found = Vec::new();
    for piece in bytes.chunks(size) {
        frames.push(piece);
        loop {
            match frames.next() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    let packet = decode(&frame, version);
                    if let Ok(packet) = &packet {
                        believe(packet, version);
                    }
                    found.push(format!("{packet:?}"));
                }
                Err(bad) => {
                    found.push(format!("{bad:?}"));
                    return found;
                }
            }
        }
        assert!(frames.len() < PACKET_BYTES_MAX);
    }
    found
}

/// What is taken for a topic, a filter or a message is one.
fn believe(packet: &Packet<'_>, version: Version) {
    match packet {
        Packet::Publish(said) => {
            if let Some(log) = log_of(said.topic) {
                assert_eq!(log.as_str(), said.topic);
                assert!(matches(said.topic, said.topic));
            }
            let head = Head {
                qos: said.qos,
                dup: said.dup,
                id: said.id,
                ..Head::plain(version)
            };
            assert!(said.id > 0 || said.qos == QoS::AtMostOnce);
            let said_of_it = About::of(&said.properties);
            let content = content_of(said.payload, said_of_it.clone());
            let (about, inside) = split(&content);
            let payload = payload_of(inside);
            let mut frames = Frames::new(2 * PACKET_BYTES_MAX);
            frames.push(&publish(&head, &about, said.topic, &payload));
            let frame = frames.next().ok().flatten().expect("it is a packet");
            let Ok(Packet::Publish(again)) = decode(&frame, version) else {
                panic!("a message that was written cannot be read")
            };
            assert_eq!((again.topic, again.id), (said.topic, said.id));
            assert_eq!((again.qos, again.payload), (said.qos, said.payload));
            assert_eq!(About::of(&again.properties), said_of_it);
        }
        Packet::Subscribe(said) => {
            for (filter, _) in &said.filters {
                if check(filter).is_ok() && is_plain(filter) {
                    assert!(matches(filter, filter));
                }
            }
        }
        Packet::Connect(_)
        | Packet::Acknowledged(_)
        | Packet::Unsubscribe(_)
        | Packet::Ping
        | Packet::Disconnect(_)
        | Packet::Authenticate => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&[u8]; 13] = [
        b"\x30\x14\0\x01a\x0e\x01\x01\x03\0\x01t\x26\0\x01k\0\x01vhi",
        b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a",
        b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01a",
        b"\x30\x05\0\x01ahi",
        b"\x32\x07\0\x01a\0\x01hi",
        b"\x35\x08\0\x01a\0\x02\0hi",
        b"\x40\x02\0\x01",
        b"\x62\x02\0\x01",
        b"\x82\x06\0\x01\0\x01#\x01",
        b"\x82\x07\0\x01\0\0\x01+\x01",
        b"\xa2\x05\0\x01\0\x01a",
        b"\xc0\0",
        b"\xe0\0",
    ];

    proptest! {
        #[test]
        fn whatever_a_client_sends_is_read_or_refused(
            size in any::<u8>(),
            words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..8),
            garbage in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut data = vec![size];
            data.extend(words.concat());
            data.extend(garbage);
            mqtt_packets(&data);
        }
    }
}

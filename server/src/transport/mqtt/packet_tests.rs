//! Packets by tables: what is one, and why what is none is refused.

use bytes::Bytes;

use super::*;

fn frame(bytes: &[u8]) -> Frame {
    Frame {
        first: bytes[0],
        body: Bytes::copy_from_slice(&bytes[1..]),
    }
}

#[test]
fn a_connect_says_who_comes() {
    let frame = frame(b"\x10\0\x04MQTT\x04\xee\0\x3c\0\x01c\0\x01w\0\x02hi\0\x01u\0\x02pw");
    let Ok(Packet::Connect(connect)) = decode(&frame, Version::Three) else {
        panic!()
    };
    let expected = Connect {
        version: Version::Three,
        clean: true,
        keep_alive: 60,
        properties: Properties::default(),
        client: "c",
        will: Some(Will {
            topic: "w",
            payload: b"hi",
            properties: Properties::default(),
        }),
        user: Some("u"),
        password: Some(b"pw"),
    };
    assert_eq!(connect, expected);
}

#[test]
fn a_packet_that_is_none_is_refused() {
    let (three, five) = (Version::Three, Version::Five);
    let table: [(&[u8], Version, Reason); 24] = [
        (b"\x00", five, Reason::MalformedPacket),
        (
            b"\x11\0\x04MQTT\x04\x02\0\0\0\0",
            five,
            Reason::MalformedPacket,
        ),
        (
            b"\x10\0\x04MQTT\x06\x02\0\0\0\0",
            five,
            Reason::UnsupportedProtocolVersion,
        ),
        (
            b"\x10\0\x04MQTX\x04\x02\0\0\0\0",
            five,
            Reason::UnsupportedProtocolVersion,
        ),
        (
            b"\x10\0\x04MQTT\x04\x1a\0\0\0\0",
            five,
            Reason::MalformedPacket,
        ),
        (
            b"\x10\0\x04MQTT\x04\x22\0\0\0\0",
            five,
            Reason::MalformedPacket,
        ),
        (
            b"\x10\0\x04MQTT\x04\x42\0\0\0\0\0\x01p",
            five,
            Reason::MalformedPacket,
        ),
        (b"\x20\0\0", five, Reason::MalformedPacket),
        (b"\x36\0\x01a\0\x01", three, Reason::MalformedPacket),
        (b"\x38\0\x01a", three, Reason::MalformedPacket),
        (b"\x32\0\x01a\0\0", three, Reason::MalformedPacket),
        (b"\x30\0\x05a", three, Reason::MalformedPacket),
        (b"\x30\0\x01\0", three, Reason::MalformedPacket),
        (b"\x30\0\x01\xff", three, Reason::MalformedPacket),
        (b"\x60\0\x01", three, Reason::MalformedPacket),
        (b"\x40\0\x01\0", three, Reason::MalformedPacket),
        (b"\x82\0\x01", three, Reason::ProtocolError),
        (b"\x82\0\x01\0\x01a\x03", three, Reason::MalformedPacket),
        (b"\x82\0\x01\0\x01a\x04", three, Reason::MalformedPacket),
        (b"\x82\0\x01\0\0\x01a\x31", five, Reason::ProtocolError),
        (b"\x82\0\x01\0\0\x01a\x40", five, Reason::MalformedPacket),
        (b"\xa2\0\x01\0", five, Reason::ProtocolError),
        (b"\xc0\0", five, Reason::MalformedPacket),
        (b"\xf0", three, Reason::MalformedPacket),
    ];
    for (bytes, version, reason) in table {
        let refused = decode(&frame(bytes), version).map(|packet| format!("{packet:?}"));
        assert_eq!(refused.map_err(|bad| bad.reason), Err(reason), "{bytes:x?}");
    }
}

#[test]
fn a_packet_that_is_cut_is_refused_wherever_it_is_cut() {
    let packets: [&[u8]; 5] = [
        b"\x10\0\x04MQTT\x05\xee\0\x3c\x03\x21\0\x01\0\x01c\x05\x18\0\0\0\x01\0\x01w\0\x02hi\0\x01u\0\x02pw",
        b"\x32\0\x01a\0\x01\x02\x01\x01",
        b"\x82\0\x01\x02\x0b\x01\0\x01a\x01",
        b"\xa2\0\x01\0\0\x01a",
        b"\xe0\0\x05\x11\0\0\0\x01",
    ];
    for packet in packets {
        assert!(decode(&frame(packet), Version::Five).is_ok(), "{packet:x?}");
    }
    for packet in &packets[..1] {
        for end in 1..packet.len() {
            assert!(
                decode(&frame(&packet[..end]), Version::Five).is_err(),
                "{end}"
            );
        }
    }
}

#[test]
fn so_many_filters_come_at_once() {
    let mut bytes = b"\xa2\0\x01\0".to_vec();
    for _ in 0..=FILTERS_MAX {
        bytes.extend_from_slice(b"\0\x01a");
    }
    let refused = decode(&frame(&bytes), Version::Five).unwrap_err();
    assert_eq!(refused.reason, Reason::PacketTooLarge);
    bytes.truncate(bytes.len() - 3);
    assert!(decode(&frame(&bytes), Version::Five).is_ok());
}

#[test]
fn an_answer_may_leave_out_its_reason() {
    for (bytes, failed) in [
        (&b"\x50\0\x01"[..], false),
        (b"\x50\0\x01\0", false),
        (b"\x50\0\x01\x97", true),
        (b"\x50\0\x01\x97\0", true),
    ] {
        let expected = Acknowledged {
            answer: Answer::Received,
            id: 1,
            failed,
        };
        assert_eq!(
            decode(&frame(bytes), Version::Five),
            Ok(Packet::Acknowledged(expected))
        );
    }
}

//! Pings and pongs (RFC 6455 §5.5.2, §5.5.3): each is answered, in order, and a peer that does not read costs one.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Frame, Pair, Scenario, ping, pong, stream};
use tidewire_protocol::{Config, Message, Misuse, Prepared, Side};

fn pings(count: u8) -> Vec<u8> {
    (0..count)
        .flat_map(|n| Frame::ping([n]).by(Side::Client))
        .collect()
}

/// A server whose transport takes nothing, with eight unsent bytes.
fn blocked() -> Scenario {
    let mut server = Scenario::server();
    server.connection.send(&Message::text("unread")).unwrap();
    server.transport_takes(0);
    server
}

/// [6455-5.5.2-1, 6455-6.2-2]
#[test]
fn every_ping_is_answered_in_order() {
    for side in [Side::Server, Side::Client] {
        let mut scenario = Scenario::new(side, Config::default());
        let frames: Vec<Frame> = (0..100u8).map(|n| Frame::ping([n])).collect();
        let events = scenario.receive(stream(!side, &frames));
        let expected: Vec<_> = (0..100u8).map(|n| ping(&[n])).collect();
        assert_eq!(events, expected);
        let pongs: Vec<Frame> = (0..100u8).map(|n| Frame::pong([n])).collect();
        assert_eq!(scenario.flush_frames(), pongs);
    }
}

#[test]
fn a_pong_has_the_payload_of_its_ping() {
    let every_byte: Vec<u8> = (0..=255).collect();
    for payload in [
        &b""[..],
        &every_byte[..125],
        &every_byte[131..],
        b"\xff\xfe",
    ] {
        let mut server = Scenario::server();
        server.receive(Frame::ping(payload).by(Side::Client));
        assert_eq!(server.flush_frames(), [Frame::pong(payload)]);
    }
}

/// [6455-5.4-4, 6455-5.5.2-2]
#[test]
fn pings_inside_a_fragmented_message_are_answered_before_its_end() {
    let mut server = Scenario::server();
    server.receive(Frame::text("a").more().by(Side::Client));
    server.receive(Frame::ping("now").by(Side::Client));
    assert_eq!(server.flush_frames(), [Frame::pong("now")]);
}

/// [6455-5.4-2]
#[test]
fn a_pong_waits_behind_what_was_queued_before() {
    let mut server = Scenario::server();
    server.connection.send(&Message::text("first")).unwrap();
    server.receive(Frame::ping("second").by(Side::Client));
    server.connection.send(&Message::text("third")).unwrap();
    assert_eq!(
        server.flush_frames(),
        [
            Frame::text("first"),
            Frame::pong("second"),
            Frame::text("third")
        ]
    );
}

#[test]
fn while_the_peer_does_not_read_only_the_newest_ping_is_kept() {
    let mut server = blocked();
    let events = server.receive(pings(200));
    assert_eq!(events.len(), 200, "each is still told");
    assert_eq!(server.connection.unsent_bytes(), 8);
    assert_eq!(
        server.flush_frames(),
        [Frame::text("unread"), Frame::pong([199])]
    );
}

/// [6455-5.5.2-2]
#[test]
fn a_held_pong_is_sent_as_soon_as_the_backlog_is_gone() {
    let mut server = blocked();
    server.receive(Frame::ping("held").by(Side::Client));
    assert_eq!(server.transport_takes(7).len(), 7);
    assert_eq!(server.connection.unsent_bytes(), 1);
    assert_eq!(server.transport_takes(7).len(), 1);
    assert_eq!(server.flush_frames(), [Frame::pong("held")]);
    assert_eq!(server.flush_frames(), [], "once");
}

#[test]
fn after_the_backlog_pings_are_answered_one_by_one_again() {
    let mut server = blocked();
    server.receive(pings(3));
    server.flush();
    server.receive(pings(3));
    assert_eq!(
        server.flush_frames(),
        [Frame::pong([0]), Frame::pong([1]), Frame::pong([2])]
    );
}

#[test]
fn a_partial_write_of_a_shared_frame_blocks_too() {
    let mut server = Scenario::server();
    let prepared = Prepared::new(&Message::text("shared"));
    server.connection.send_prepared(&prepared).unwrap();
    let start = server.transport_takes(3);
    server.receive(pings(5));
    let sent = [start, server.flush()].concat();
    assert_eq!(
        common::frames_in(&sent),
        [Frame::text("shared"), Frame::pong([4])]
    );
}

/// [6455-6.2-2]
#[test]
fn a_pong_is_told_asked_for_or_not_and_not_answered() {
    let mut server = Scenario::server();
    server.connection.ping(b"asked").unwrap();
    assert_eq!(server.flush_frames(), [Frame::ping("asked")]);
    let frames = [
        Frame::pong("asked"),
        Frame::pong("asked"),
        Frame::pong("unasked"),
        Frame::pong(""),
    ];
    assert_eq!(
        server.receive(stream(Side::Client, &frames)),
        [pong(b"asked"), pong(b"asked"), pong(b"unasked"), pong(b"")]
    );
    assert_eq!(server.flush_frames(), []);
}

/// [6455-5.5-1]
#[test]
fn a_ping_of_125_bytes_can_be_sent_and_one_of_126_cannot() {
    let mut server = Scenario::server();
    assert_eq!(server.connection.ping(&[1; 125]), Ok(()));
    assert_eq!(
        server.connection.ping(&[1; 126]),
        Err(Misuse::ControlTooLong)
    );
    assert_eq!(server.flush_frames(), [Frame::ping([1; 125])]);
}

#[test]
fn a_ping_comes_back_as_a_pong() {
    let mut pair = Pair::new(&Config::default());
    pair.client.connection.ping(b"to server").unwrap();
    pair.server.connection.ping(b"to client").unwrap();
    pair.drive();
    assert_eq!(pair.server_events, [ping(b"to server"), pong(b"to client")]);
    assert_eq!(pair.client_events, [ping(b"to client"), pong(b"to server")]);
}

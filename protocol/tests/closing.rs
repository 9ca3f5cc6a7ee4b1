//! The closing handshake (RFC 6455 §5.5.1, §7.1): who closes, what is answered, how long is waited, what becomes of the
//! transport.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::time::Duration;

use common::{
    CUT_OFF, Frame, Pair, Scenario, announcing, close_frame, closed_by_peer, closed_by_us, failed,
    ping, text,
};
use tidewire_protocol::{
    CloseCode, CloseFrame, Closed, Config, Error, Event, Initiator, Message, Misuse, PeerError,
    Prepared, Side, Transport,
};

const SIDES: [Side; 2] = [Side::Server, Side::Client];
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(1);

/// The bytes of the peer of `side`.
fn from_peer(side: Side, frame: &Frame) -> Vec<u8> {
    frame.by(!side)
}

fn open(side: Side) -> Scenario {
    Scenario::new(side, Config::default())
}

/// A connection that sent its Close frame and waits for the peer's.
fn closing(side: Side) -> Scenario {
    let mut scenario = open(side);
    let now = scenario.now;
    scenario
        .connection
        .close(CloseCode::NORMAL, "bye", now)
        .unwrap();
    assert_eq!(scenario.flush_frames(), [Frame::close(1000, "bye")]);
    scenario
}

fn drained(side: Side) -> Scenario {
    let mut scenario = open(side);
    scenario.receive(from_peer(side, &Frame::close(1000, "")));
    scenario.flush();
    scenario
}

// ---- the peer closes ----

/// [6455-5.5.1-1, 6455-5.5.1-4]
#[test]
fn a_close_is_echoed_with_its_code_and_told_as_the_peers() {
    for side in SIDES {
        for code in [1000, 1001, 1003, 1007, 1014, 3000, 3999, 4000, 4999] {
            let mut scenario = open(side);
            let events = scenario.receive(from_peer(side, &Frame::close(code, "früh")));
            assert_eq!(events, [closed_by_peer(close_frame(code, "früh"))]);
            assert_eq!(scenario.flush_frames(), [Frame::close(code, "")]);
        }
    }
}

#[test]
fn a_close_without_code_is_answered_without_code() {
    for side in SIDES {
        let mut scenario = open(side);
        let events = scenario.receive(from_peer(side, &Frame::close_without_code()));
        assert_eq!(events, [closed_by_peer(CloseFrame::default())]);
        assert_eq!(scenario.flush_frames(), [Frame::close_without_code()]);
    }
}

#[test]
fn a_server_answers_1010_with_1000_because_the_code_is_the_clients() {
    let mut scenario = Scenario::server();
    let events = scenario.receive(from_peer(Side::Server, &Frame::close(1010, "")));
    let expected = Event::Closed(Closed {
        initiator: Initiator::Peer,
        sent: Some(close_frame(1000, "")),
        received: Some(close_frame(1010, "")),
        error: None,
    });
    assert_eq!(events, [expected]);
    assert_eq!(scenario.flush_frames(), [Frame::close(1000, "")]);
}

#[test]
fn a_reason_of_123_bytes_is_taken_whole() {
    let reason = "r".repeat(123);
    let mut scenario = Scenario::server();
    let events = scenario.receive(Frame::close(1000, &reason).by(Side::Client));
    assert_eq!(events, [closed_by_peer(close_frame(1000, &reason))]);
}

/// [6455-5.5.1-5]
#[test]
fn what_was_queued_before_goes_out_before_the_echo() {
    let mut scenario = Scenario::server();
    scenario.connection.send(&Message::text("owed")).unwrap();
    scenario.receive(Frame::close(1000, "").by(Side::Client));
    assert_eq!(
        scenario.flush_frames(),
        [Frame::text("owed"), Frame::close(1000, "")]
    );
}

/// [6455-5.5.1-4, 6455-5.5.1-5]
#[test]
fn a_close_inside_a_fragmented_message_ends_the_connection_without_the_message() {
    for side in SIDES {
        let mut scenario = open(side);
        let bytes = [
            from_peer(side, &Frame::text("half a").more()),
            from_peer(side, &Frame::close(1001, "")),
        ]
        .concat();
        assert_eq!(
            scenario.receive(bytes),
            [closed_by_peer(close_frame(1001, ""))]
        );
        assert_eq!(scenario.flush_frames(), [Frame::close(1001, "")]);
    }
}

/// [6455-7.1.1-1]
#[test]
fn data_after_a_close_is_ignored() {
    for side in SIDES {
        let mut scenario = open(side);
        let bytes = [
            from_peer(side, &Frame::close(1000, "")),
            from_peer(side, &Frame::text("late")),
            from_peer(side, &Frame::ping("late")),
            from_peer(side, &Frame::close(1002, "")),
            b"\xff\xff no frame at all".to_vec(),
        ]
        .concat();
        assert_eq!(
            scenario.receive(bytes),
            [closed_by_peer(close_frame(1000, ""))]
        );
        assert_eq!(scenario.flush_frames(), [Frame::close(1000, "")]);
    }
}

// ---- a Close frame that breaks a rule ----

/// [6455-5.5.1-1]
#[test]
fn a_close_payload_of_one_byte_fails() {
    for side in SIDES {
        let mut scenario = open(side);
        let events = scenario.receive(from_peer(side, &Frame::new(common::CLOSE, [3])));
        assert_eq!(events, [failed(PeerError::TruncatedCloseCode)]);
        assert_eq!(
            scenario.flush_frames(),
            [Frame::close(1002, "close payload of one byte")]
        );
    }
}

/// [6455-7.4.1-1, 6455-7.4.1-2, 6455-7.4.1-4]
#[test]
fn a_code_that_must_not_be_sent_fails() {
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        let mut scenario = Scenario::server();
        let events = scenario.receive(Frame::close(code, "").by(Side::Client));
        assert_eq!(events, [failed(PeerError::InvalidCloseCode(code))]);
        let reason = format!("close code {code} must not be sent");
        assert_eq!(scenario.flush_frames(), [Frame::close(1002, reason)]);
    }
}

/// [6455-8.1-1]
#[test]
fn a_reason_that_is_not_utf8_fails_with_1007() {
    for reason in [&b"\xff"[..], b"cut \xe6\xb0", b"\xed\xa0\x80", b"\xc0\x80"] {
        let mut scenario = Scenario::server();
        let events = scenario.receive(Frame::close(1000, reason).by(Side::Client));
        assert_eq!(events, [failed(PeerError::InvalidUtf8)]);
        assert_eq!(
            scenario.flush_frames(),
            [Frame::close(1007, "invalid UTF-8")]
        );
    }
}

// ---- we close ----

/// [6455-7.1.2-1]
#[test]
fn our_close_waits_for_the_peers_and_is_told_as_ours() {
    for side in SIDES {
        let mut scenario = closing(side);
        assert!(!scenario.connection.is_open());
        assert_eq!(scenario.transport(), Transport::Keep);
        let events = scenario.receive(from_peer(side, &Frame::close(1000, "")));
        let expected = closed_by_us(close_frame(1000, "bye"), Some(close_frame(1000, "")));
        assert_eq!(events, [expected]);
        assert_eq!(
            scenario.flush_frames(),
            [],
            "one Close frame from each side is enough"
        );
    }
}

#[test]
fn messages_that_the_peer_sent_before_its_close_still_come() {
    let mut scenario = closing(Side::Server);
    let bytes = [
        Frame::text("on its way").by(Side::Client),
        Frame::close(1000, "").by(Side::Client),
    ]
    .concat();
    let expected = closed_by_us(close_frame(1000, "bye"), Some(close_frame(1000, "")));
    assert_eq!(scenario.receive(bytes), [text("on its way"), expected]);
}

#[test]
fn closes_that_cross_end_both_sides_once() {
    let mut pair = Pair::new(&Config::default());
    let now = pair.client.now;
    let (client, server) = (&mut pair.client.connection, &mut pair.server.connection);
    client.close(CloseCode::NORMAL, "client", now).unwrap();
    server.close(CloseCode::GOING_AWAY, "server", now).unwrap();
    pair.drive();
    let (by_client, by_server) = (close_frame(1000, "client"), close_frame(1001, "server"));
    assert_eq!(
        pair.client_events,
        [closed_by_us(by_client.clone(), Some(by_server.clone()))]
    );
    assert_eq!(
        pair.server_events,
        [closed_by_us(by_server, Some(by_client))]
    );
    assert_eq!(pair.client.transport(), Transport::Drop);
    assert_eq!(pair.server.transport(), Transport::Drop);
}

/// [6455-5.5.1-3, 6455-6.1-2]
#[test]
fn after_our_close_the_application_sends_nothing_more() {
    for side in SIDES {
        let mut scenario = closing(side);
        let now = scenario.now;
        let connection = &mut scenario.connection;
        let prepared = Prepared::new(&Message::text("x"));
        assert_eq!(connection.send(&Message::text("x")), Err(Misuse::Closed));
        assert_eq!(connection.send_prepared(&prepared), Err(Misuse::Closed));
        assert_eq!(connection.ping(b""), Err(Misuse::Closed));
        assert_eq!(
            connection.close(CloseCode::NORMAL, "", now),
            Err(Misuse::Closed)
        );
        assert_eq!(connection.unsent_bytes(), 0);
    }
}

/// "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already received a Close
/// frame" (§5.5.2): that we sent one does not matter. [6455-5.5.2-1]
#[test]
fn a_ping_after_our_close_is_answered_until_the_peer_closes() {
    let mut scenario = closing(Side::Server);
    let bytes = [
        Frame::ping("before").by(Side::Client),
        Frame::close(1000, "").by(Side::Client),
        Frame::ping("after").by(Side::Client),
    ]
    .concat();
    let expected = closed_by_us(close_frame(1000, "bye"), Some(close_frame(1000, "")));
    assert_eq!(scenario.receive(bytes), [ping(b"before"), expected]);
    assert_eq!(scenario.flush_frames(), [Frame::pong("before")]);
}

#[test]
fn a_pong_held_back_goes_out_before_our_close() {
    let mut scenario = Scenario::server();
    scenario.connection.send(&Message::text("unread")).unwrap();
    scenario.transport_takes(0);
    scenario.receive(Frame::ping("held").by(Side::Client));
    let now = scenario.now;
    scenario
        .connection
        .close(CloseCode::NORMAL, "", now)
        .unwrap();
    assert_eq!(
        scenario.flush_frames(),
        [
            Frame::text("unread"),
            Frame::pong("held"),
            Frame::close(1000, "")
        ]
    );
}

#[test]
fn a_pong_held_back_goes_out_before_the_close_of_a_failure() {
    let mut scenario = Scenario::server();
    scenario.connection.send(&Message::text("unread")).unwrap();
    scenario.transport_takes(0);
    scenario.receive(Frame::ping("held").by(Side::Client));
    scenario.receive(Frame::text(b"\xff").by(Side::Client));
    assert_eq!(
        scenario.flush_frames(),
        [
            Frame::text("unread"),
            Frame::pong("held"),
            Frame::close(1007, "invalid UTF-8")
        ]
    );
}

#[test]
fn a_pong_held_back_behind_our_close_is_dropped_once_the_peer_closed() {
    let mut scenario = Scenario::server();
    let now = scenario.now;
    scenario
        .connection
        .close(CloseCode::NORMAL, "", now)
        .unwrap();
    scenario.transport_takes(0);
    scenario.receive(Frame::ping("held").by(Side::Client));
    scenario.receive(Frame::close(1000, "").by(Side::Client));
    assert_eq!(scenario.flush_frames(), [Frame::close(1000, "")]);
}

#[test]
fn misuse_of_close_sends_nothing_and_leaves_the_connection_open() {
    let mut scenario = Scenario::server();
    let now = scenario.now;
    let connection = &mut scenario.connection;
    let too_long = "r".repeat(124);
    assert_eq!(
        connection.close(CloseCode::NORMAL, &too_long, now),
        Err(Misuse::ControlTooLong)
    );
    assert_eq!(
        connection.close(CloseCode::MANDATORY_EXTENSION, "", now),
        Err(Misuse::CloseCodeNotSendable(CloseCode::MANDATORY_EXTENSION))
    );
    assert_eq!(connection.unsent_bytes(), 0);
    assert!(connection.is_open());
}

// ---- waiting ----

#[test]
fn a_peer_that_does_not_answer_our_close_is_given_up_after_close_timeout() {
    for side in SIDES {
        let mut scenario = closing(side);
        assert_eq!(scenario.due_in(), Some(CLOSE_TIMEOUT));
        assert_eq!(scenario.wait(CLOSE_TIMEOUT - MOMENT), []);
        let expected = closed_by_us(close_frame(1000, "bye"), None);
        assert_eq!(scenario.wait(MOMENT), [expected]);
        assert_eq!(scenario.flush_frames(), []);
    }
}

#[test]
fn messages_do_not_prolong_the_wait_for_a_close() {
    let mut scenario = closing(Side::Server);
    scenario.wait(Duration::from_secs(4));
    scenario.receive(Frame::text("still talking").by(Side::Client));
    assert_eq!(scenario.due_in(), Some(Duration::from_secs(1)));
}

#[test]
fn the_end_of_the_transport_is_awaited_for_close_timeout_too() {
    let mut scenario = drained(Side::Server);
    assert_eq!(scenario.transport(), Transport::HalfClose);
    assert_eq!(scenario.due_in(), Some(CLOSE_TIMEOUT));
    assert_eq!(scenario.wait(CLOSE_TIMEOUT - MOMENT), []);
    assert_eq!(scenario.transport(), Transport::HalfClose);
    assert_eq!(scenario.wait(MOMENT), []);
    assert_eq!(scenario.transport(), Transport::Drop);
    assert_eq!(scenario.due_in(), None);
}

#[test]
fn what_a_peer_never_reads_is_dropped_with_the_transport() {
    let mut scenario = Scenario::server();
    scenario.connection.send(&Message::text("unread")).unwrap();
    scenario.transport_takes(0);
    scenario.receive(Frame::close(1000, "").by(Side::Client));
    assert_eq!(scenario.connection.unsent_bytes(), 8 + 4);
    scenario.wait(CLOSE_TIMEOUT);
    assert_eq!(scenario.connection.unsent_bytes(), 0);
    assert_eq!(scenario.transport(), Transport::Drop);
}

#[test]
fn a_peer_that_goes_on_sending_is_dropped_after_linger_bytes_max() {
    let config = Config {
        linger_bytes_max: 1000,
        ..Config::default()
    };
    let mut scenario = Scenario::new(Side::Server, config);
    scenario.receive(Frame::close(1000, "").by(Side::Client));
    scenario.flush();
    assert_eq!(scenario.receive(vec![0; 1000]), []);
    assert_eq!(scenario.transport(), Transport::HalfClose);
    assert_eq!(scenario.receive([0]), []);
    assert_eq!(scenario.transport(), Transport::Drop);
    assert_eq!(scenario.receive(vec![0; 1000]), []);
}

#[test]
fn bytes_behind_the_mistake_in_the_same_read_count_for_the_linger_limit() {
    let config = Config {
        linger_bytes_max: 9,
        ..Config::default()
    };
    let mut scenario = Scenario::new(Side::Server, config);
    let bytes = [&b"\x83\x80"[..], &[0; 10]].concat();
    assert_eq!(
        scenario.receive(bytes),
        [failed(PeerError::ReservedOpcode(3))]
    );
    assert_eq!(scenario.transport(), Transport::Drop);
}

// ---- the end of the transport ----

/// [6455-7.2.1-2]
#[test]
fn the_end_of_the_transport_while_open_is_a_close_without_frames() {
    for side in SIDES {
        let mut scenario = open(side);
        assert_eq!(scenario.eof(), [CUT_OFF]);
        assert_eq!(scenario.flush_frames(), []);
        assert_eq!(scenario.transport(), Transport::Drop);
    }
}

#[test]
fn the_end_of_the_transport_inside_a_message_is_the_same() {
    let mut scenario = Scenario::server();
    scenario.receive(&Frame::text("cut").by(Side::Client)[..7]);
    assert_eq!(scenario.eof(), [CUT_OFF]);
}

#[test]
fn the_end_of_the_transport_after_our_close_ends_the_wait() {
    for side in SIDES {
        let mut scenario = closing(side);
        let expected = closed_by_us(close_frame(1000, "bye"), None);
        assert_eq!(scenario.eof(), [expected]);
        assert_eq!(scenario.transport(), Transport::Drop);
    }
}

#[test]
fn the_end_of_the_transport_after_the_closing_handshake_drops_it() {
    for side in SIDES {
        let mut scenario = drained(side);
        assert_eq!(scenario.eof(), []);
        assert_eq!(scenario.transport(), Transport::Drop);
        assert_eq!(scenario.eof(), [], "once told is told");
    }
}

#[test]
fn after_the_end_of_the_transport_what_is_owed_can_still_be_written() {
    let mut scenario = Scenario::server();
    scenario.connection.send(&Message::text("owed")).unwrap();
    assert_eq!(scenario.eof(), [CUT_OFF]);
    assert_eq!(scenario.flush_frames(), [Frame::text("owed")]);
}

#[test]
fn after_the_end_nothing_is_due_and_nothing_happens() {
    let mut scenario = drained(Side::Server);
    scenario.wait(CLOSE_TIMEOUT);
    assert_eq!(scenario.wait(Duration::from_secs(3600)), []);
    assert_eq!(scenario.receive(Frame::text("late").by(Side::Client)), []);
    assert_eq!(scenario.eof(), []);
    assert_eq!(scenario.flush_frames(), []);
    assert_eq!(scenario.transport(), Transport::Drop);
}

// ---- what becomes of the transport ----

/// [6455-5.5.1-6, 6455-5.5.1-7, 6455-7.1.1-2, 6455-7.1.1-3]
#[test]
fn a_server_half_closes_after_the_closing_handshake_and_drops_at_the_end() {
    let mut scenario = Scenario::server();
    assert_eq!(scenario.transport(), Transport::Keep);
    scenario.receive(Frame::close(1000, "").by(Side::Client));
    assert_eq!(scenario.transport(), Transport::HalfClose);
    scenario.eof();
    assert_eq!(scenario.transport(), Transport::Drop);
}

/// "when a client is instructed to do the same, it SHOULD wait for a TCP Close from the server" (§7.1.1).
/// [6455-5.5.1-8, 6455-7.1.1-2, 6455-7.1.1-4]
#[test]
fn a_client_waits_for_the_server_to_end_the_transport() {
    let mut scenario = drained(Side::Client);
    assert_eq!(scenario.transport(), Transport::Keep);
    scenario.eof();
    assert_eq!(scenario.transport(), Transport::Drop);
}

/// [6455-5.5.1-6, 6455-5.5.1-8]
#[test]
fn a_client_whose_server_does_not_end_the_transport_drops_it_after_close_timeout() {
    let mut scenario = drained(Side::Client);
    scenario.wait(CLOSE_TIMEOUT);
    assert_eq!(scenario.transport(), Transport::Drop);
}

/// [6455-7.1.1-1, 6455-7.1.2-2]
#[test]
fn a_pair_closes_cleanly_whoever_begins() {
    for side in SIDES {
        let mut pair = Pair::new(&Config::default());
        let now = pair.client.now;
        let first = match side {
            Side::Server => &mut pair.server,
            Side::Client => &mut pair.client,
        };
        first
            .connection
            .close(CloseCode::GOING_AWAY, "over", now)
            .unwrap();
        pair.drive();
        let begun = closed_by_us(close_frame(1001, "over"), Some(close_frame(1001, "")));
        let answered = closed_by_peer(close_frame(1001, "over"));
        let (by_server, by_client) = match side {
            Side::Server => (begun, answered),
            Side::Client => (answered, begun),
        };
        assert_eq!(pair.server_events, [by_server]);
        assert_eq!(pair.client_events, [by_client]);
        assert_eq!(pair.server.transport(), Transport::Drop);
        assert_eq!(pair.client.transport(), Transport::Drop);
    }
}

// ---- failing ----

/// [6455-7.1.7-2, 6455-7.1.7-5]
#[test]
fn failing_is_once_and_for_good() {
    let mut scenario = Scenario::server();
    let bad = b"\x83\x80\0\0\0\0";
    assert_eq!(
        scenario.receive(bad),
        [failed(PeerError::ReservedOpcode(3))]
    );
    assert_eq!(scenario.receive(bad), []);
    assert_eq!(
        scenario.receive(Frame::text("good again").by(Side::Client)),
        []
    );
    assert_eq!(
        scenario.flush_frames(),
        [Frame::close(1002, "reserved opcode 3")]
    );
    assert_eq!(scenario.transport(), Transport::HalfClose);
}

/// [6455-7.1.7-1, 6455-7.1.1-4]
#[test]
fn a_client_that_fails_waits_for_the_server_and_drops_the_transport() {
    let mut scenario = Scenario::client();
    let masked = Frame::text("x").by(Side::Client);
    assert_eq!(scenario.receive(masked), [failed(PeerError::MaskedFrame)]);
    assert_eq!(
        scenario.flush_frames(),
        [Frame::close(1002, "frame from a server is masked")]
    );
    assert_eq!(scenario.transport(), Transport::Keep);
    assert_eq!(scenario.wait(CLOSE_TIMEOUT), []);
    assert_eq!(scenario.transport(), Transport::Drop);
}

#[test]
fn failing_after_our_close_sends_no_second_one() {
    for side in SIDES {
        let mut scenario = closing(side);
        let events = scenario.receive(from_peer(side, &Frame::text(b"\xff")));
        let expected = Event::Closed(Closed {
            initiator: Initiator::Local,
            sent: Some(close_frame(1000, "bye")),
            received: None,
            error: Some(Error::Peer(PeerError::InvalidUtf8)),
        });
        assert_eq!(events, [expected]);
        assert_eq!(scenario.flush_frames(), []);
    }
}

#[test]
fn messages_before_the_mistake_are_delivered_and_answered_before_the_close() {
    let mut scenario = Scenario::server();
    let mut bytes = [Frame::text("good").by(Side::Client), b"\x83\x80".to_vec()].concat();
    let mut input = &mut bytes[..];
    let now = scenario.now;
    let first = scenario
        .connection
        .handle_input(&mut input, now)
        .map(Event::into_owned);
    assert_eq!(first, Some(text("good")));
    scenario.connection.send(&Message::text("answer")).unwrap();
    let second = scenario
        .connection
        .handle_input(&mut input, now)
        .map(Event::into_owned);
    assert_eq!(second, Some(failed(PeerError::ReservedOpcode(3))));
    assert_eq!(
        scenario.flush_frames(),
        [
            Frame::text("answer"),
            Frame::close(1002, "reserved opcode 3")
        ]
    );
}

/// [6455-7.1.7-4, 6455-10.7-1, 6455-10.7-2]
#[test]
fn every_mistake_has_its_code() {
    let cases: [(Vec<u8>, u16); 6] = [
        (b"\xc1\x80".to_vec(), 1002),
        (b"\x81\x05".to_vec(), 1002),
        (Frame::continuation("").by(Side::Client), 1002),
        (Frame::text(b"\xc0").by(Side::Client), 1007),
        (announcing(0x82, (1 << 20) + 1, Side::Client), 1009),
        (announcing(0x82, (1 << 63) - 1, Side::Client), 1009),
    ];
    for (bytes, code) in cases {
        let mut scenario = Scenario::server();
        scenario.receive(&bytes);
        let sent = scenario.flush_frames();
        assert_eq!(sent.len(), 1, "{bytes:x?}");
        assert_eq!(sent[0].payload[..2], code.to_be_bytes(), "{bytes:x?}");
    }
}

// ---- what the event tells ----

#[test]
fn the_code_of_a_connection_is_what_the_peer_said() {
    let code_after = |frame: Option<Frame>| {
        let mut scenario = Scenario::server();
        let events = match frame {
            Some(frame) => scenario.receive(frame.by(Side::Client)),
            None => scenario.eof(),
        };
        match &events[..] {
            [Event::Closed(closed)] => (closed.code(), closed.is_clean()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code_after(Some(Frame::close(4000, "x"))), (4000, true));
    assert_eq!(code_after(Some(Frame::close_without_code())), (1005, true));
    assert_eq!(code_after(None), (1006, false));
    assert_eq!(code_after(Some(Frame::close(1005, ""))), (1006, false));
}

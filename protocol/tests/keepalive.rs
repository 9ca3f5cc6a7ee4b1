//! Pings after silence, and the end of a peer that does not answer (RFC 6455 §5.5.2); all on virtual time.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::time::{Duration, Instant};

use common::{CUT_OFF, Frame, Pair, Scenario, failed, pong};
use tidewire_protocol::{CloseCode, Config, Connection, Error, Message, Side, Transport};

const INTERVAL: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn after_ping_interval_of_silence_one_ping_is_sent() {
    for side in [Side::Server, Side::Client] {
        let mut scenario = Scenario::new(side, Config::default());
        assert_eq!(scenario.due_in(), Some(INTERVAL));
        scenario.wait(INTERVAL - MOMENT);
        assert_eq!(scenario.flush_frames(), []);
        scenario.wait(MOMENT);
        assert_eq!(scenario.flush_frames(), [Frame::ping("")]);
        assert_eq!(scenario.due_in(), Some(WAIT));
    }
}

#[test]
fn a_pong_in_time_begins_the_silence_anew() {
    let mut scenario = Scenario::server();
    scenario.wait(INTERVAL + WAIT - MOMENT);
    assert_eq!(
        scenario.receive(Frame::pong("").by(Side::Client)),
        [pong(b"")]
    );
    assert_eq!(scenario.due_in(), Some(INTERVAL));
}

#[test]
fn any_byte_counts_as_life() {
    let mut scenario = Scenario::server();
    let message = Frame::text("slow").by(Side::Client);
    for byte in message.chunks(1) {
        scenario.wait(INTERVAL - MOMENT);
        scenario.receive(byte);
        assert_eq!(scenario.due_in(), Some(INTERVAL));
    }
    assert_eq!(scenario.flush_frames(), [], "no ping was due");
}

#[test]
fn any_byte_answers_a_ping() {
    let mut scenario = Scenario::server();
    scenario.wait(INTERVAL);
    scenario.receive(&Frame::text("x").by(Side::Client)[..1]);
    assert_eq!(scenario.due_in(), Some(INTERVAL));
}

#[test]
fn no_bytes_are_no_life() {
    let mut scenario = Scenario::server();
    scenario.wait(INTERVAL - MOMENT);
    scenario.receive([]);
    assert_eq!(scenario.due_in(), Some(MOMENT));
}

#[test]
fn what_we_send_is_no_life() {
    let mut scenario = Scenario::server();
    scenario.wait(INTERVAL - MOMENT);
    scenario
        .connection
        .send(&Message::text("anybody?"))
        .unwrap();
    scenario.flush();
    assert_eq!(scenario.due_in(), Some(MOMENT));
}

#[test]
fn a_peer_that_answers_nothing_is_failed_with_the_configured_code() {
    let codes = [
        CloseCode::INTERNAL_ERROR,
        CloseCode::new(4009).unwrap(),
        CloseCode::POLICY_VIOLATION,
    ];
    for code in codes {
        let config = Config {
            pong_timeout_code: code,
            ..Config::default()
        };
        let mut scenario = Scenario::new(Side::Server, config);
        scenario.wait(INTERVAL);
        scenario.flush();
        assert_eq!(scenario.wait(WAIT - MOMENT), []);
        assert_eq!(scenario.wait(MOMENT), [failed(Error::PongTimeout(code))]);
        assert_eq!(
            scenario.flush_frames(),
            [Frame::close(code.get(), "no answer to a ping")]
        );
        assert_eq!(scenario.transport(), Transport::HalfClose);
    }
}

#[test]
fn a_peer_that_is_gone_is_dropped_at_last() {
    let mut scenario = Scenario::server();
    scenario.wait(INTERVAL + WAIT + Config::default().close_timeout);
    assert_eq!(scenario.transport(), Transport::Drop);
    assert_eq!(scenario.due_in(), None);
}

/// [6455-7.1.7-6, 6455-7.2.1-3, 6455-7.3-1]
#[test]
fn without_an_interval_nothing_is_ever_due() {
    for side in [Side::Server, Side::Client] {
        let config = Config {
            ping_interval: None,
            ..Config::default()
        };
        let mut scenario = Scenario::new(side, config);
        assert_eq!(scenario.due_in(), None);
        let now = scenario.now + Duration::from_secs(1_000_000);
        scenario.connection.handle_timeout(now);
        assert_eq!(scenario.flush_frames(), []);
        assert!(scenario.connection.is_open());
    }
}

#[test]
fn a_timeout_handled_too_early_does_nothing() {
    let mut scenario = Scenario::server();
    let early = scenario.now + INTERVAL - MOMENT;
    scenario.connection.handle_timeout(early);
    assert_eq!(scenario.flush_frames(), []);
    scenario.wait(INTERVAL);
    assert_eq!(scenario.flush_frames(), [Frame::ping("")]);
    let early = scenario.now + WAIT - MOMENT;
    scenario.connection.handle_timeout(early);
    assert!(scenario.connection.is_open());
}

#[test]
fn a_timeout_handled_late_sends_one_ping_and_not_several() {
    let mut scenario = Scenario::server();
    let late = scenario.now + 10 * INTERVAL;
    scenario.connection.handle_timeout(late);
    assert_eq!(scenario.flush_frames(), [Frame::ping("")]);
}

#[test]
fn a_ping_of_the_application_does_not_fail_a_peer() {
    let config = Config {
        ping_interval: None,
        ..Config::default()
    };
    let mut scenario = Scenario::new(Side::Server, config);
    scenario.connection.ping(b"mine").unwrap();
    assert_eq!(scenario.flush_frames(), [Frame::ping("mine")]);
    assert_eq!(scenario.due_in(), None);
}

#[test]
fn waits_without_end_never_come_and_never_overflow() {
    let config = Config {
        ping_interval: Some(Duration::MAX),
        pong_wait: Duration::MAX,
        close_timeout: Duration::MAX,
        ..Config::default()
    };
    let mut scenario = Scenario::new(Side::Server, config);
    assert_eq!(scenario.due_in(), None);
    let now = scenario.now;
    scenario
        .connection
        .close(CloseCode::NORMAL, "", now)
        .unwrap();
    assert_eq!(scenario.due_in(), None);
    scenario.receive(Frame::close(1000, "").by(Side::Client));
    assert_eq!(scenario.due_in(), None);
    assert_eq!(scenario.transport(), Transport::HalfClose);
}

/// [6455-7.3-1]
#[test]
fn two_idle_ends_keep_each_other_alive() {
    let mut pair = Pair::new(&Config::default());
    for _ in 0..20 {
        pair.client.wait(INTERVAL);
        pair.server.wait(INTERVAL);
        pair.drive();
    }
    assert!(pair.client.connection.is_open());
    assert!(pair.server.connection.is_open());
    pair.server.eof();
    assert_eq!(pair.client.eof(), [CUT_OFF]);
}

#[test]
fn room_in_a_full_transport_is_a_sign_of_life() {
    let mut scenario = Scenario::server();
    scenario.wait(INTERVAL + WAIT - MOMENT);
    // The pong waits behind what we do not read, but the peer acknowledged some of what we sent.
    scenario.connection.handle_progress(scenario.now);
    assert_eq!(scenario.due_in(), Some(INTERVAL));
    assert_eq!(scenario.wait(INTERVAL), []);
}

/// Who sets a timer once and sets it anew only where it is told so is never late, whatever happens and however long waits are.
#[test]
fn a_time_that_came_nearer_is_told() {
    let waits = [1, 5, 60].map(Duration::from_secs);
    for (interval, wait, close) in waits
        .into_iter()
        .flat_map(|a| waits.map(|b| (a, b)))
        .flat_map(|(a, b)| waits.map(|c| (a, b, c)))
    {
        let config = |ping_interval| Config {
            ping_interval: Some(ping_interval),
            pong_wait: wait,
            close_timeout: close,
            ..Config::default()
        };
        let mut now = Instant::now();
        let mut connection = Connection::server(config(interval).into(), now);
        let mut timer = None;
        let mut check = |connection: &mut Connection| {
            if connection.take_sooner() {
                timer = connection.poll_timeout();
            } else {
                assert!(
                    connection
                        .poll_timeout()
                        .is_none_or(|due| Some(due) >= timer)
                );
            }
        };
        check(&mut connection);
        for _ in 0..2 {
            // Silence, a ping, and its answer.
            now += interval;
            connection.handle_timeout(now);
            check(&mut connection);
            now += MOMENT;
            let mut pong = Frame::pong("").by(Side::Client);
            connection.handle_input(&mut &mut pong[..], now);
            check(&mut connection);
        }
        connection.reconfigure(config(MOMENT).into());
        check(&mut connection);
        connection.close(CloseCode::NORMAL, "", now).unwrap();
        check(&mut connection);
        now += close;
        connection.handle_timeout(now);
        check(&mut connection);
        now += close;
        connection.handle_timeout(now);
        check(&mut connection);
    }
}

//! Masking (RFC 6455 §5.3): a client masks each frame with a fresh key, a server none.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use common::{Frame, Scenario, Sent, read_frames};
use tidewire_protocol::{CloseCode, Config, Connection, Message, Prepared, Side};

/// One frame of every kind that a connection sends.
fn send_one_of_each(scenario: &mut Scenario) -> Vec<Sent> {
    let (connection, now) = (&mut scenario.connection, scenario.now);
    connection.send(&Message::text("text")).unwrap();
    connection.send(&Message::binary(b"binary")).unwrap();
    connection
        .send_prepared(&Prepared::new(&Message::text("prepared")))
        .unwrap();
    connection.ping(b"ping").unwrap();
    connection.close(CloseCode::NORMAL, "close", now).unwrap();
    read_frames(&scenario.flush())
}

fn one_of_each() -> Vec<Frame> {
    vec![
        Frame::text("text"),
        Frame::binary("binary"),
        Frame::text("prepared"),
        Frame::ping("ping"),
        Frame::close(1000, "close"),
    ]
}

/// [6455-5.1-1, 6455-5.3-1, 6455-5.3-2, 6455-6.1-7, 6455-10.3-1]
#[test]
fn a_client_masks_each_frame_with_the_next_key() {
    let mut scenario = Scenario::client();
    let mut next = 0u8;
    let keys = move || {
        next += 1;
        [next, 0xa0, 0xb1, 0xc2]
    };
    let config = Arc::new(Config::default());
    scenario.connection = Connection::client_with_keys(config, scenario.now, keys);
    let expected: Vec<Sent> = (1u8..)
        .zip(one_of_each())
        .map(|(number, frame)| Sent {
            frame,
            key: Some([number, 0xa0, 0xb1, 0xc2]),
        })
        .collect();
    assert_eq!(send_one_of_each(&mut scenario), expected);
}

/// [6455-5.1-1]
#[test]
fn a_client_masks_pongs_too() {
    let mut client = Scenario::client();
    client.receive(Frame::ping("x").by(Side::Server));
    let expected = Sent {
        frame: Frame::pong("x"),
        key: Some(common::KEY),
    };
    assert_eq!(read_frames(&client.flush()), [expected]);
}

/// [6455-5.1-3]
#[test]
fn a_server_masks_nothing() {
    let sent = send_one_of_each(&mut Scenario::server());
    let expected: Vec<Sent> = one_of_each()
        .into_iter()
        .map(|frame| Sent { frame, key: None })
        .collect();
    assert_eq!(sent, expected);
}

/// "The masking key needs to be unpredictable" (§5.3): at least they do not repeat.
/// [6455-5.3-2, 6455-5.3-3, 6455-5.3-4, 6455-10.3-1]
#[test]
fn keys_of_a_client_do_not_repeat() {
    let mut scenario = Scenario::client();
    scenario.connection = Connection::client(Arc::new(Config::default()), Instant::now());
    for _ in 0..1000 {
        scenario.connection.send(&Message::text("same")).unwrap();
    }
    let sent = read_frames(&scenario.flush());
    assert!(sent.iter().all(|sent| sent.frame == Frame::text("same")));
    let keys: HashSet<_> = sent.iter().map(|sent| sent.key.unwrap()).collect();
    // Of 1000 random keys two are the same once in 8,600 runs; three pairs never.
    assert!(keys.len() >= 997, "{} different keys", keys.len());
}

/// [6455-6.2-5]
#[test]
fn any_key_is_undone_at_the_other_end() {
    for key in [[0; 4], [0xff; 4], [1, 2, 3, 4], [0, 0, 0, 1]] {
        for length in [0, 1, 3, 4, 7, 8, 9, 125, 126, 1000] {
            let payload: Vec<u8> = (0..=255).cycle().take(length).collect();
            let events = Scenario::server().receive(Frame::binary(&payload).masked(key));
            assert_eq!(events, [common::binary(&payload)]);
        }
    }
}

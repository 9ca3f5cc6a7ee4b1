//! `/relay` passes text and binary messages unchanged to the others in a room.

use std::thread;

use tidewire_tests::wire::Wire;
use tidewire_tests::{Client, Frame, Server};

/// What the process may grow by while messages pass through it.
const GROWTH_BYTES_MAX: u64 = 32 * 1024 * 1024;

#[test]
fn text_and_binary_reach_the_others_unchanged() {
    let server = Server::start();
    let mut sender = open(&server, "/relay?room=r");
    let mut receivers = [
        open(&server, "/relay?room=r"),
        open(&server, "/relay?room=r"),
    ];
    sender.send_text("not JSON at all");
    sender.send_text("");
    sender.send_binary(&[0, 255, 128, 7]);
    sender.send(&Frame::binary("in ").unfinished());
    sender.send(&Frame::continuation("pieces"));
    for receiver in &mut receivers {
        assert_eq!(receiver.expect_text(), "not JSON at all");
        assert_eq!(receiver.expect_text(), "");
        assert_eq!(receiver.expect_binary(), [0, 255, 128, 7]);
        assert_eq!(receiver.expect_binary(), b"in pieces");
    }
}

#[test]
fn the_sender_gets_its_own_message_only_when_it_asks_for_it() {
    let server = Server::start();
    let mut quiet = open(&server, "/relay?room=r");
    let mut echoing = open(&server, "/relay?room=r&self=true");
    quiet.send_text("from the quiet one");
    assert_eq!(echoing.expect_text(), "from the quiet one");
    echoing.send_text("from the echoing one");
    assert_eq!(echoing.expect_text(), "from the echoing one");
    assert_eq!(
        quiet.expect_text(),
        "from the echoing one",
        "its own message did not come before"
    );
}

#[test]
fn rooms_of_the_relay_are_apart_and_the_one_without_name_is_default() {
    let server = Server::start();
    let mut unnamed = open(&server, "/relay");
    let mut named = open(&server, "/relay?room=default");
    let mut elsewhere = open(&server, "/relay?room=elsewhere");
    let mut elsewhere_too = open(&server, "/relay?room=elsewhere");
    unnamed.send_text("to default");
    assert_eq!(named.expect_text(), "to default");
    elsewhere.send_text("to elsewhere");
    assert_eq!(
        elsewhere_too.expect_text(),
        "to elsewhere",
        "nothing of the other room came before"
    );
}

#[test]
fn the_relay_stores_nothing() {
    let server = Server::start();
    let mut early = open(&server, "/relay?room=r&self=true");
    early.send_text("before");
    assert_eq!(early.expect_text(), "before");
    let mut late = open(&server, "/relay?room=r");
    early.send_text("after");
    assert_eq!(late.expect_text(), "after");
}

#[test]
fn messages_of_one_sender_keep_their_order() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut sender = open(&server, "/relay?room=r");
    let mut receiver = open(&server, "/relay?room=r");
    for number in 0..1000 {
        sender.send_text(&format!("{number}"));
    }
    for number in 0..1000 {
        assert_eq!(receiver.expect_text(), format!("{number}"));
    }
}

#[test]
fn the_largest_message_reaches_a_reader_with_a_small_window() {
    const LARGEST: usize = 1024 * 1024;
    let server = Server::start();
    let mut sender = open(&server, "/relay?room=r");
    let wire = Wire::open_narrow(server.address());
    let mut receiver = Client::open_over(wire, "/relay?room=r");
    receiver.expect_alive();
    sender.send_binary(&vec![7; LARGEST]);
    assert_eq!(receiver.expect_binary().len(), LARGEST);
    receiver.expect_alive();
}

#[test]
fn a_flood_of_tiny_messages_does_not_pile_up_before_a_reader() {
    const ROUNDS: usize = 100;
    const FRAMES: usize = 20_000;
    /// An empty message without a mask.
    const FRAME_BYTES: usize = 2;
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut receiver = open(&server, "/relay?room=r");
    let mut sender = open(&server, "/relay?room=r");
    let before = server.usage().resident_bytes;
    let flood = Frame::binary("").encode().repeat(FRAMES);
    let mut most = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                sender.wire.send(&flood);
            }
        });
        let mut missing = ROUNDS * FRAMES * FRAME_BYTES;
        while missing > 0 {
            let received = receiver.wire.receive().expect("some of the flood");
            receiver.wire.take(received);
            missing -= received;
            most = most.max(server.usage().resident_bytes);
        }
    });
    let growth = most.saturating_sub(before);
    assert!(
        growth < GROWTH_BYTES_MAX,
        "tiny messages made the server grow by {growth} bytes"
    );
    receiver.expect_alive();
}

/// Opens a relay connection that the server has certainly put into its room: it has answered a ping.
#[track_caller]
fn open(server: &Server, target: &str) -> Client {
    let mut client = Client::open(server.address(), target);
    client.expect_alive();
    client
}

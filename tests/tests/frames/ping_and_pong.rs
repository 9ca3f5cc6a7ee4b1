//! Liveness: the server pings a quiet peer, keeps the one that answers, and closes the one that does not.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use tidewire_tests::frame::{Frame, opcode};
use tidewire_tests::{Chatter, Client, Message, Server};

/// Short times, so that the test is.
const SHORT: &[&str] = &[
    "--heartbeat",
    "1s",
    "--pong-wait",
    "1s",
    "--close-timeout",
    "1s",
];

/// For peers that stay: a test that is held up for seconds is no silent peer.
const PATIENT: &[&str] = &["--heartbeat", "1s", "--pong-wait", "5s"];

#[test]
fn a_quiet_peer_is_pinged_and_stays_as_long_as_it_answers() {
    let server = Server::start_with(PATIENT);
    let mut client = Client::open(server.address(), "/echo");
    // Eight intervals: without its pongs it would have been closed after six.
    for _ in 0..8 {
        let ping = client.expect_frame();
        assert_eq!(ping.opcode, opcode::PING, "{ping:?}");
        client.send(&Frame::pong(ping.payload));
    }
    client.send_text("still here");
    assert_eq!(client.expect_text(), "still here");
}

#[test]
fn a_peer_that_does_not_answer_is_closed_with_4009() {
    let server = Server::start_with(SHORT);
    let targets = ["/echo", "/relay", "/ws?userId=alice"];
    let mut silent = targets.map(|target| Client::open(server.address(), target));
    for (target, client) in targets.iter().zip(&mut silent) {
        client.answers_pings = false;
        let code = loop {
            match client.read_message() {
                Message::Text(_) | Message::Binary(_) => {}
                Message::Close(code, _) => break code,
                Message::End(end) => {
                    panic!("{target}: the connection ended ({end:?}) without a close frame")
                }
            }
        };
        assert_eq!(code, Some(4009), "{target}");
    }
    for client in &mut silent {
        // They never answer the close frame either.
        client.expect_end();
    }
}

#[test]
fn what_is_sent_to_a_silent_peer_does_not_count_as_its_life() {
    let server = Server::start_with(PATIENT);
    let mut silent = Chatter::enter(&server, "silent", "lobby");
    silent.client.answers_pings = false;
    let mut speaker = Chatter::enter(&server, "speaker", "lobby");
    // It reads all of it and is written to all the time; Bandit's timer was reset by that (#577).
    for seq in 1..=600 {
        speaker.send(
            &json!({"type": "room_msg", "roomId": "lobby", "content": "anyone?", "seq": seq}),
        );
        sleep(Duration::from_millis(50));
        if heard_leave(&mut speaker) {
            assert_eq!(silent.hear_close(), Some(4009));
            return;
        }
    }
    panic!("a peer that was silent for half a minute is still a member");
}

#[test]
fn any_bytes_count_as_life() {
    let server = Server::start_with(PATIENT);
    let mut client = Client::open(server.address(), "/echo");
    client.answers_pings = false;
    // Half a frame at a time, one byte every 250 ms, for ten seconds, and never a pong.
    let frame = Frame::text("x".repeat(34)).encode();
    for byte in frame {
        client.wire.send(&[byte]);
        sleep(Duration::from_millis(250));
    }
    assert_eq!(client.expect_text(), "x".repeat(34));
}

#[test]
fn every_ping_is_answered_with_its_payload_in_order() {
    let server = Server::start();
    let mut client = Client::open(server.address(), "/ws?userId=alice");
    assert!(
        matches!(client.read_message(), Message::Text(_)),
        "the welcome"
    );
    for payload in [vec![], b"x".to_vec(), vec![0, 255, 128], vec![b'p'; 125]] {
        client.send(&Frame::ping(payload.clone()));
        assert_eq!(client.expect_frame(), Frame::pong(payload).unmasked());
    }
    // In a peer that reads, the newest does not replace the older ones.
    let burst: Vec<u8> = (0..50)
        .flat_map(|number: u32| Frame::ping(number.to_string()).encode())
        .collect();
    client.wire.send(&burst);
    for number in 0..50 {
        assert_eq!(
            client.expect_frame(),
            Frame::pong(number.to_string()).unmasked()
        );
    }
}

#[test]
fn pongs_that_nobody_asked_for_are_ignored() {
    let server = Server::start();
    let mut client = Client::open(server.address(), "/echo");
    let burst = Frame::pong("unasked").encode().repeat(10_000);
    client.wire.send(&burst);
    client.send_text("after");
    assert_eq!(client.expect_text(), "after");
}

#[test]
fn a_server_that_stood_still_does_not_blame_its_clients() {
    let server = Server::start_with(PATIENT);
    let mut alice = Client::open(server.address(), "/echo");
    let ping = alice.expect_frame();
    assert_eq!(ping.opcode, opcode::PING);
    server.hold_still();
    alice.send(&Frame::pong(ping.payload));
    // Longer than interval and wait together.
    sleep(Duration::from_secs(7));
    server.signal("CONT");
    // The pong was there in time; only the server was not. Input comes before deadlines.
    alice.expect_alive();
}

/// Whether someone has left, by all that has arrived so far.
fn heard_leave(chatter: &mut Chatter) -> bool {
    let heard: Vec<Value> = chatter.everything_until_heartbeat();
    heard.iter().any(|message| message["event"] == "leave")
}

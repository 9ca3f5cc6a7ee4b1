//! B: fragments and control frames: many small things that cost more than they weigh.

use tidewire_tests::frame::opcode;
use tidewire_tests::{Chatter, Client, Frame, Launch, wait_until};

use crate::{growth, under_attack, under_attack_as};

/// The fragments that a message of the chat may have.
const FRAGMENTS_MAX: usize = 1024;

/// [B2]
#[test]
fn messages_held_open_in_a_thousand_pieces_cost_little_more_than_their_bytes() {
    const CONNECTIONS: usize = 500;
    // A buffer grows by doubling, and a connection has its own costs.
    const BYTES_EACH_MAX: u64 = 2 * FRAGMENTS_MAX as u64 + 4096;
    let piece = Frame::continuation(" ").unfinished().encode();
    let begun = [
        Frame::text(" ").unfinished().encode(),
        piece.repeat(FRAGMENTS_MAX - 1),
    ]
    .concat();
    under_attack(|server| {
        let before = server.usage().resident_bytes;
        let mut held: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let mut chatter = Chatter::connect(server, "");
                chatter.client.wire.send(&begun);
                // It is answered between fragments, so they have all been read.
                chatter.client.expect_alive();
                chatter
            })
            .collect();
        let grown = growth(server, before);
        assert!(
            grown < CONNECTIONS as u64 * BYTES_EACH_MAX + (2 << 20),
            "{grown}"
        );
        for chatter in &mut held {
            chatter.client.wire.send(&piece);
            assert_eq!(chatter.hear_close(), Some(1008));
        }
    });
}

/// [B5]
#[test]
fn messages_in_segments_of_one_byte_cost_their_bytes() {
    const CONNECTIONS: usize = 20;
    let message = format!(r#"{{"type":"heartbeat","id":"{}"}}"#, "x".repeat(2000));
    let frame = Frame::text(message).encode();
    under_attack(|server| {
        let before = server.usage().resident_bytes;
        let mut all: Vec<_> = (0..CONNECTIONS)
            .map(|_| Chatter::connect(server, ""))
            .collect();
        for at in 0..frame.len() {
            for chatter in &mut all {
                chatter.client.wire.send(&frame[at..=at]);
            }
        }
        assert!(growth(server, before) < 4 << 20);
        for mut chatter in all {
            chatter.expect("heartbeat");
        }
    });
}

/// [B6] [B7]
#[test]
fn a_million_pongs_and_two_for_each_ping_are_passed_over() {
    let launch = Launch::default().arguments(&["--heartbeat", "1s", "--pong-wait", "60s"]);
    under_attack_as(&launch, |server| {
        let mut client = Client::open(server.address(), "/echo");
        for _ in 0..2 {
            let ping = client.expect_frame();
            assert_eq!(ping.opcode, opcode::PING);
            let pong = Frame::pong(ping.payload).encode();
            client.wire.send(&pong.repeat(2));
        }
        let before = server.usage().resident_bytes;
        let pongs = Frame::pong("O").encode().repeat(10_000);
        for _ in 0..100 {
            client.wire.send(&pongs);
        }
        client.expect_alive();
        assert!(growth(server, before) < 4 << 20);
    });
}

/// [B8]
#[test]
fn a_hundred_peers_that_ping_and_never_read_cost_no_more_than_a_full_outbox_each() {
    under_attack(|server| {
        let before = server.usage().resident_bytes;
        let pings = Frame::ping([b'p'; 125]).encode().repeat(20_000);
        let silent: Vec<_> = (0..100)
            .map(|_| {
                let client = Client::open(server.address(), "/echo");
                client
                    .wire
                    .stream()
                    .set_nonblocking(true)
                    .expect("a socket can be");
                client
            })
            .collect();
        for client in &silent {
            // As much as the server takes before it stops reading.
            let mut stream = client.wire.stream();
            let _ = std::io::Write::write(&mut stream, &pings);
        }
        let grown = growth(server, before);
        assert!(grown < 100 * (256 << 10), "{grown}");
        drop(silent);
        wait_until("they are gone", || server.health().connections <= 5);
    });
}

//! Five thousand connections at once: opened, pinged, closed, and nothing of them left.

use std::net::Ipv4Addr;

use tidewire_tests::wire::Wire;
use tidewire_tests::{Client, Frame, Server, wait_until};

const CONNECTIONS: usize = 5000;

/// Descriptors that this process and the server each need beside their ends of the connections.
const SPARE: u64 = 200;

#[test]
fn five_thousand_connections_are_opened_and_pinged_and_closed() {
    let limit = rlimit::increase_nofile_limit(u64::MAX).expect("the limit of descriptors");
    let needed = CONNECTIONS as u64 + SPARE;
    assert!(
        limit >= needed,
        "this test needs {needed} file descriptors but may have {limit}: raise the hard limit (`ulimit -Hn`)"
    );

    // The server inherits our limit. Its own pings would only come between ours.
    let server = Server::start_with(&["--heartbeat", "10m"]);
    let before = server.usage();
    let mut clients: Vec<Client> = (0..CONNECTIONS)
        .map(|number| open(&server, number))
        .collect();
    let held = server.usage();
    assert_eq!(
        held.descriptors,
        before.descriptors + CONNECTIONS,
        "one descriptor a connection"
    );

    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&Frame::ping(number.to_string()));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(
            client.expect_frame(),
            Frame::pong(number.to_string()).unmasked()
        );
    }
    let growth = held.resident_bytes.saturating_sub(before.resident_bytes);
    let per_connection = growth / CONNECTIONS as u64;
    assert!(
        per_connection < 16 * 1024,
        "an idle connection owns {per_connection} bytes"
    );

    for client in &mut clients {
        client.send(&Frame::close(1000, "done"));
    }
    for client in &mut clients {
        client.expect_close(1000);
        client.expect_end();
    }
    drop(clients);
    wait_until("all descriptors are free again", || {
        server.usage().descriptors <= before.descriptors
    });
    wait_until("only the one that asks is counted", || {
        server.health().connections <= 1
    });
}

/// Opens a connection; each thousand comes from a loopback address of its own, so that source ports suffice.
#[track_caller]
fn open(server: &Server, number: usize) -> Client {
    let host = 2 + u8::try_from(number / 1000).expect("a few thousand connections");
    let wire = Wire::open_from(Ipv4Addr::new(127, 0, 0, host), server.address());
    let wire = wire.unwrap_or_else(|error| panic!("connection {number} of {CONNECTIONS}: {error}"));
    Client::open_over(wire, "/echo")
}

//! Slowloris: clients that send their request head a byte at a time. The whole handshake has one deadline, so
//! they get 408 and are closed, and meanwhile everyone else is served.

use std::thread::sleep;
use std::time::Duration;

use tidewire_tests::http::{HttpConnection, get};
use tidewire_tests::wire::End;
use tidewire_tests::{Chatter, Client, Server, wait_until};

const SLOW_CLIENTS: usize = 200;

#[test]
fn slow_header_senders_get_408_while_good_clients_are_served() {
    let server = Server::start_with(&["--handshake-timeout", "6s"]);
    let before = server.usage();
    let mut slow: Vec<HttpConnection> = (0..SLOW_CLIENTS)
        .map(|_| HttpConnection::open(server.address()))
        .collect();
    for connection in &mut slow {
        connection
            .wire
            .send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    }
    // One byte every 50 ms keeps any timer running that starts anew with each byte; the deadline is over all.
    // Five times the deadline is generous, and bounded.
    let mut open = SLOW_CLIENTS;
    for _ in 0..600 {
        open = slow
            .iter_mut()
            .filter_map(|connection| connection.wire.try_send(b"x").ok())
            .count();
        Client::open(server.address(), "/echo").close();
        assert_eq!(get(server.address(), "/health").status, 200);
        if open == 0 {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    assert_eq!(
        open, 0,
        "slow clients are closed however steadily they send"
    );
    wait_until("their descriptors are free", || {
        server.usage().descriptors <= before.descriptors
    });
}

#[test]
fn the_408_says_what_it_is_and_closes() {
    let server = Server::start_with(&["--handshake-timeout", "1s"]);
    for begun in [
        "G",
        "GET /ws HTTP/1.1\r\n",
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n",
    ] {
        let mut connection = HttpConnection::open(server.address());
        connection.wire.send(begun.as_bytes());
        let response = connection.response();
        assert_eq!(response.status, 408, "{response:?}");
        assert!(response.announces_close(), "{response:?}");
        assert!(
            response.text().trim_end().ends_with('.'),
            "one sentence: {response:?}"
        );
        assert_eq!(connection.expect_end(), End::Closed);
    }
}

#[test]
fn a_connection_that_says_nothing_at_all_is_closed_too() {
    let server = Server::start_with(&["--handshake-timeout", "1s", "--keep-alive", "1s"]);
    let mut silent = HttpConnection::open(server.address());
    // Nothing was asked, so a 408 is allowed and not needed.
    if let Ok(response) = silent.response_if_any() {
        assert_eq!(response.status, 408, "{response:?}");
    }
    silent.expect_end();
}

#[test]
fn a_slow_second_request_gets_408_as_well() {
    let server = Server::start_with(&["--handshake-timeout", "1s"]);
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", "/health", "");
    assert_eq!(connection.response().status, 200);
    connection.wire.send(b"GET /ws HT");
    assert_eq!(connection.response().status, 408);
    connection.expect_end();
}

#[test]
fn the_handshake_deadline_does_not_follow_a_connection_into_the_websocket() {
    let server = Server::start_with(&["--handshake-timeout", "1s"]);
    let mut alice = Chatter::connect(&server, "userId=alice");
    // Another connection's timeout is the clock that tells us that the deadline has passed.
    let mut slow = HttpConnection::open(server.address());
    slow.wire.send(b"G");
    assert_eq!(slow.response().status, 408);
    alice.client.expect_alive();
}

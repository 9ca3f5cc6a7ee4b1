//! Out of file descriptors: the server neither spins nor stalls, its connections live on, and it accepts again as
//! soon as descriptors are free.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use tidewire_tests::http::HttpConnection;
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::{Client, Launch, Server, wait_until};

#[test]
fn a_server_started_under_a_low_limit_says_503_and_recovers() {
    let server = Launch::default().descriptors_max(128).start();
    let mut held = fill(&server);
    assert!(
        held.len() >= 16,
        "64 of 128 descriptors are in reserve, so {} connections are too few",
        held.len()
    );
    assert!(
        held.len() < 128,
        "{} connections cannot have 128 descriptors",
        held.len()
    );
    assert_calm_and_serving(&server, &mut held);
    // Twenty times over: what is given back is given out again.
    for _ in 0..20 {
        held.drain(..8).for_each(Client::close);
        wait_until("the freed places are given away", || {
            held.extend(Client::try_open(server.address(), "/echo"));
            held.len().is_multiple_of(8)
        });
    }
    assert_calm_and_serving(&server, &mut held);
}

#[test]
fn a_server_that_meets_emfile_goes_on_when_descriptors_are_free() {
    let server = Server::start();
    let mut held: Vec<Client> = (0..40)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    // Take the descriptors away under the running server: `accept` itself fails from here on.
    let limit = server.usage().descriptors;
    limit_descriptors(&server, limit);

    let mut waiting: Vec<HttpConnection> = (0..20)
        .map(|_| HttpConnection::open(server.address()))
        .collect();
    for connection in &mut waiting {
        // Those that the server turns away by its reserve descriptor may be closed by now.
        let _ = connection
            .wire
            .try_send(handshake_request("/echo", "").as_bytes());
    }
    assert_calm_and_serving(&server, &mut held);

    // Room for all, and not one more connection attempt that would wake the listener.
    held.drain(..30).for_each(Client::close);
    for connection in &mut waiting {
        // Served late, or turned away at once: never left hanging.
        if let Ok(response) = connection.response_if_any() {
            assert!(matches!(response.status, 101 | 503), "{response:?}");
        }
    }
    drop(waiting);
    wait_until("new connections are accepted", || {
        try_open(&server).is_some()
    });
    assert_calm_and_serving(&server, &mut held);
    // A queue that cannot be served is looked at now and then, and not all the time.
    let health = server.health();
    assert!(
        health.idle_turns < 100,
        "turns that did nothing: {health:?}"
    );
}

#[test]
fn emfile_over_and_over_leaks_nothing() {
    let server = Server::start();
    let mut neighbour = Client::open(server.address(), "/echo");
    let before = server.usage().descriptors;
    for _ in 0..20 {
        limit_descriptors(&server, before);
        let waiting: Vec<HttpConnection> = (0..10)
            .map(|_| HttpConnection::open(server.address()))
            .collect();
        neighbour.expect_alive();
        drop(waiting);
        limit_descriptors(&server, 1024);
        wait_until("a new connection is accepted", || {
            try_open(&server).is_some()
        });
    }
    wait_until("all descriptors are free again", || {
        server.usage().descriptors <= before
    });
    neighbour.expect_alive();
}

/// Opens connections until the server refuses one.
#[track_caller]
fn fill(server: &Server) -> Vec<Client> {
    let mut held = Vec::new();
    while held.len() < 1000 {
        let Some(client) = try_open(server) else {
            return held;
        };
        held.push(client);
    }
    panic!("the server took 1000 connections under a limit of 128 descriptors");
}

/// Opens a connection, unless the server refuses it with 503 or by closing it.
#[track_caller]
fn try_open(server: &Server) -> Option<Client> {
    let mut connection = HttpConnection::open(server.address());
    connection
        .wire
        .try_send(handshake_request("/echo", "").as_bytes())
        .ok()?;
    let response = connection.response_if_any().ok()?;
    match response.status {
        101 => Some(Client::upgraded(connection.wire)),
        503 => None,
        _ => panic!("{response:?}"),
    }
}

/// Asserts that the server does not spin while it is out of descriptors, and that its connections live.
#[track_caller]
fn assert_calm_and_serving(server: &Server, held: &mut [Client]) {
    for client in &mut *held {
        client.expect_alive();
    }
    let before = server.usage().cpu;
    // This is the one thing that can only be seen by letting time pass: nothing happens in it.
    sleep(Duration::from_secs(1));
    let used = server.usage().cpu - before;
    assert!(
        used < Duration::from_millis(200),
        "out of descriptors and idle, the server used {used:?} of one second"
    );
    for client in &mut *held {
        client.expect_alive();
    }
}

/// Changes the limit of the running server.
#[track_caller]
fn limit_descriptors(server: &Server, count: usize) {
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--pid={}", server.pid()))
        .arg(format!("--nofile={count}:"));
    assert!(
        command
            .status()
            .expect("the command `prlimit`, of util-linux")
            .success(),
        "{command:?}"
    );
}

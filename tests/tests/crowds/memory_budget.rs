//! The memory budget: above 85 % of it new connections are turned away, above 95 % those that hold the most are closed, and
//! who holds nothing is let alone.

use tidewire_tests::http::get;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Frame, Server, wait_until};

const BUDGET: &str = "192MiB";
const BUDGET_BYTES: u64 = 192 << 20;

/// Peers, and what each makes the server hold: more than twice the budget.
const PEERS: usize = 300;
const HELD_BYTES: usize = 3 << 19;

/// A peer that begins a message of 64 MiB and never ends it.
fn begin_a_message(server: &Server, bytes: usize) -> Client {
    let mut client = Client::open_over(Wire::open(server.address()), "/echo");
    let frame = Frame::binary(vec![7; bytes]).unfinished().encode();
    // It may be closed before all is written.
    let _ = client.wire.try_send(&frame);
    client
}

#[test]
fn peers_that_hold_most_are_closed_and_the_others_feel_nothing() {
    // Nobody here answers pings while it waits.
    let server = Server::start_with(&["--memory-max", BUDGET, "--heartbeat", "600s"]);
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut most = 0;
    let mut peers = Vec::new();
    for number in 0..PEERS {
        let wire = Wire::open(server.address());
        let Ok(client) = try_begin(wire) else {
            // It is turned away while memory is short, which is the point.
            server.wait_for_count("memory_refused", 1);
            continue;
        };
        peers.push(client);
        let content = format!("message {number}");
        alice.say_acked("lobby", &content, number as u64);
        assert_eq!(bob.hear_of("room_msg")["content"], content.as_str());
        most = most.max(server.usage().resident_bytes);
    }
    server.wait_for_count("memory_short", 1);
    // Those that are in go on sending: what they had was not enough to be closed for.
    for client in &mut peers {
        let frame = Frame::continuation(vec![7; 2 << 20]).unfinished().encode();
        let _ = client.wire.try_send(&frame);
    }
    server.wait_for_count("shed", 1);
    wait_until("there is enough memory again", || {
        Client::try_open(server.address(), "/echo").is_ok()
    });
    assert!(
        most < BUDGET_BYTES + BUDGET_BYTES / 4,
        "the server had {most} bytes"
    );
    alice.say_acked("lobby", "still here", 10_000);
    bob.client.expect_alive();
}

fn try_begin(wire: Wire) -> Result<Client, ()> {
    let mut connection = tidewire_tests::http::HttpConnection { wire };
    let request = tidewire_tests::websocket::handshake_request("/echo", "");
    connection.wire.send(request.as_bytes());
    let response = connection.response_if_any().map_err(drop)?;
    if response.status != 101 {
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.header("retry-after").is_some(), "{response:?}");
        return Err(());
    }
    let mut client = Client::upgraded(connection.wire);
    let frame = Frame::binary(vec![7; HELD_BYTES]).unfinished().encode();
    // It may be closed before all is written.
    let _ = client.wire.try_send(&frame);
    Ok(client)
}

#[test]
fn while_memory_is_short_new_connections_hear_503_and_health_is_still_told() {
    let server = Server::start_with(&["--memory-max", "64MiB"]);
    let mut peers = Vec::new();
    // Little by little, so that it is short and not yet out.
    wait_until("memory is short", || {
        if let Ok(client) = Client::try_open(server.address(), "/echo") {
            drop(client);
            peers.push(begin_a_message(&server, 600 << 10));
        }
        server.count("memory_short") > 0
    });
    let refused = Client::try_open(server.address(), "/ws").expect_err("it is turned away");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let page = get(server.address(), "/");
    assert_eq!(page.status, 503, "{page:?}");
    assert_eq!(get(server.address(), "/health").status, 200);
    let ready = get(server.address(), "/ready");
    assert_eq!(ready.status, 503, "{ready:?}");
    assert_eq!(ready.json()["reason"], "memory_short", "{ready:?}");
    wait_until("the log says so", || {
        server.log().contains("reason=memory_short")
    });
    drop(peers);
    wait_until("what they held is free", || {
        Client::try_open(server.address(), "/ws").is_ok()
    });
    server.wait_until_ready();
}

#[test]
fn a_server_that_can_free_nothing_does_not_fill_its_log() {
    // It has more than that before anybody comes.
    let server = Server::start_with(&["--memory-max", "1MiB"]);
    server.wait_for_count("memory_short", 1);
    // Measured ten times a second from then on.
    std::thread::sleep(std::time::Duration::from_secs(1));
    wait_until("the log says so", || {
        server.log().contains("event=memory_critical")
    });
    let log = server.log();
    assert!(!log.contains("event=shed"), "{log}");
}

//! What one address may have: connections, new ones, messages. Loopback is not limited, so that the clients here stand behind
//! a proxy that is trusted, which is the test.

use serde_json::{Value, json};
use tidewire_tests::http::{HttpConnection, Response};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Server, wait_until};

const ONE: &str = "203.0.113.7";
const OTHER: &str = "203.0.113.8";

/// A server that believes who connects from loopback.
fn server(arguments: &[&str]) -> Server {
    Server::start_with(&[&["--trusted-proxy", "127.0.0.1"], arguments].concat())
}

fn forwarded(ip: &str) -> String {
    format!("X-Forwarded-For: {ip}\r\n")
}

/// Opens a WebSocket for a client behind the proxy.
#[track_caller]
fn open(server: &Server, target: &str, headers: &str) -> Result<Client, Response> {
    let mut wire = Wire::open(server.address());
    wire.send(handshake_request(target, headers).as_bytes());
    let mut connection = HttpConnection { wire };
    let response = connection.response();
    match response.status {
        101 => Ok(Client::upgraded(connection.wire)),
        _ => Err(response),
    }
}

/// Asserts that a response says 429, why, and when to try again.
#[track_caller]
fn assert_too_many(response: &Response, code: &str) {
    assert_eq!(response.status, 429, "{response:?}");
    let seconds = response.header("retry-after").map(str::parse::<u64>);
    assert!(matches!(seconds, Some(Ok(1..))), "{response:?}");
    assert_eq!(response.json()["error"]["code"], code, "{response:?}");
}

#[test]
fn an_address_has_so_many_connections_and_a_place_is_free_when_one_ends() {
    let server = server(&["--address-connections", "2"]);
    let first = open(&server, "/ws", &forwarded(ONE)).expect("the first");
    let mut second = open(&server, "/echo", &forwarded(ONE)).expect("the second");
    let refused = open(&server, "/ws", &forwarded(ONE)).expect_err("the third");
    assert_too_many(&refused, "too_many_connections");
    open(&server, "/ws", &forwarded(OTHER)).expect("another address");
    second.expect_alive();
    server.wait_for_count("address_full", 1);
    drop(first);
    wait_until("the place is free", || {
        open(&server, "/ws", &forwarded(ONE)).is_ok()
    });
}

#[test]
fn an_address_connects_only_so_fast() {
    let server = server(&["--address-connections-per-second", "1"]);
    // Twice as many at once, and one more for each second that this is held up.
    let mut held = Vec::new();
    let refused = loop {
        match open(&server, "/ws", &forwarded(ONE)) {
            Ok(client) => held.push(client),
            Err(refused) => break refused,
        }
        assert!(held.len() < 50, "it is never too fast");
    };
    assert!(held.len() >= 2, "{} within the rate", held.len());
    assert_too_many(&refused, "rate_limited");
    open(&server, "/ws", &forwarded(OTHER)).expect("another address");
    server.wait_for_count("address_too_fast", 1);
    wait_until("it may connect again", || {
        open(&server, "/ws", &forwarded(ONE)).is_ok()
    });
}

#[test]
fn what_connections_of_an_address_say_is_counted_together() {
    let server = server(&["--address-messages-per-second", "5"]);
    let enter = |user: &str, ip: &str| {
        let target = format!("/ws?userId={user}&room=lobby");
        let mut chatter = Chatter::over(open(&server, &target, &forwarded(ip)).expect("101"));
        chatter.hear_of("joined");
        chatter
    };
    let (mut alice, mut bob) = (enter("alice", ONE), enter("bob", ONE));
    let mut carol = enter("carol", OTHER);
    let mut refused = None;
    for seq in 1..=100 {
        let speaker = if seq % 2 == 0 { &mut alice } else { &mut bob };
        speaker.send(&json!({"type": "room_msg", "roomId": "lobby", "content": 1, "seq": seq}));
        let answer = answer_to(speaker, seq);
        if answer["type"] == "error" {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("five a second are less than a hundred at once");
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    assert!(refused["retryAfter"].as_u64() > Some(0), "{refused}");
    carol.say_acked("lobby", "from elsewhere", 1);
    // Over HTTP it is the same address.
    wait_until("a publication is refused, too", || {
        let mut connection = HttpConnection::open(server.address());
        let headers = forwarded(ONE) + "Content-Type: application/json\r\n";
        connection.request_with_body(
            "POST",
            "/api/rooms/lobby/messages",
            &headers,
            b"{\"content\":1}",
        );
        let response = connection.response();
        if response.status == 429 {
            assert_too_many(&response, "rate_limited");
        }
        response.status == 429
    });
    server.wait_for_count("address_limited", 2);
}

/// Reads until the ack or error of a message.
#[track_caller]
fn answer_to(chatter: &mut Chatter, seq: u64) -> Value {
    loop {
        let message = chatter.hear();
        if message["seq"] == seq {
            return message;
        }
    }
}

#[test]
fn requests_of_several_clients_over_one_connection_of_a_proxy_count_for_each() {
    let server = server(&["--address-connections", "1"]);
    let _held = open(&server, "/ws", &forwarded(ONE)).expect("101");
    let mut connection = HttpConnection::open(server.address());
    for (ip, status) in [
        (OTHER, 200),
        (OTHER, 200),
        ("198.51.100.1", 200),
        (ONE, 429),
    ] {
        connection.request("GET", "/health", &forwarded(ip));
        let response = connection.response();
        assert_eq!(response.status, status, "{ip}: {response:?}");
    }
    // Both have left it.
    let mut connections = Vec::new();
    for ip in [OTHER, "2001:db8::1"] {
        connections.push(open(&server, "/ws", &forwarded(ip)).expect("a place"));
    }
    // A network of 64 bits is one address.
    let refused = open(&server, "/ws", &forwarded("2001:db8::2")).expect_err("the same network");
    assert_too_many(&refused, "too_many_connections");
}

#[test]
fn what_a_client_writes_into_the_header_itself_is_not_believed() {
    let limit = ["--address-connections", "1"];
    let server = server(&limit);
    let _held = open(&server, "/ws", &forwarded(ONE)).expect("101");
    // The proxy adds the address that it sees behind what the client wrote.
    let forged = forwarded(&format!("{OTHER}, 127.0.0.1, {ONE}"));
    open(&server, "/ws", &forged).expect_err("the same client");
    let split = forwarded(OTHER) + &forwarded(ONE);
    open(&server, "/ws", &split).expect_err("the same client");
    // The other header is whatever the client likes, too.
    let forged = format!("Forwarded: for={OTHER}\r\n{}", forwarded(ONE));
    open(&server, "/ws", &forged).expect_err("the same client");

    // Who is no proxy is believed nothing: without one all are loopback, which has no limit.
    let server = Server::start_with(&limit);
    let held = [0; 3].map(|_| open(&server, "/ws", &forwarded(ONE)).expect("101"));
    assert_eq!(held.len(), 3);
}

#[test]
fn the_header_of_rfc_7239_is_read_where_the_proxy_writes_that() {
    let server = server(&[
        "--address-connections",
        "1",
        "--forwarded-header",
        "forwarded",
    ]);
    let header = |ip: &str| format!("Forwarded: for={ip};proto=https\r\n");
    let _held = open(&server, "/ws", &header("\"[2001:db8::1]:4711\"")).expect("101");
    let same = header(OTHER).replace('\r', ",for=\"[2001:db8::1]\"\r");
    open(&server, "/ws", &same).expect_err("the same client");
    open(&server, "/ws", &header(OTHER)).expect("another");
}

//! The PROXY protocol: a trusted proxy says in the first bytes whose a connection is. One that says something else, or nothing,
//! is closed; who is no proxy just speaks HTTP.

use std::net::Ipv4Addr;

use tidewire_tests::http::{HttpConnection, get};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Client, Server, wait_until};

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n";

fn server(arguments: &[&str]) -> Server {
    let proxy = ["--trusted-proxy", "127.0.0.2", "--proxy-protocol"];
    Server::start_with(&[&proxy, arguments].concat())
}

fn v2(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13".to_vec();
    header.extend(client);
    header.extend([192, 0, 2, 1, 0xdb, 0xfc, 1, 0xbb]);
    // A note, as load balancers add them: its kind, its length, four bytes.
    header.extend([4, 0, 4, 1, 2, 3, 4]);
    header
}

/// What a WebSocket gets as the first answer behind a header.
#[track_caller]
fn open(server: &Server, header: &[u8]) -> (u16, HttpConnection) {
    let mut wire = Wire::open_from(PROXY, server.address()).expect("a connection");
    wire.send(&[header, handshake_request("/echo", "").as_bytes()].concat());
    let mut connection = HttpConnection { wire };
    (connection.response().status, connection)
}

#[test]
fn the_client_that_the_header_names_is_the_one_that_is_limited() {
    let server = server(&["--address-connections", "1"]);
    let (status, connection) = open(&server, V1);
    assert_eq!(status, 101);
    let mut client = Client::upgraded(connection.wire);
    client.expect_alive();
    let (status, _) = open(&server, &v2([203, 0, 113, 7]));
    assert_eq!(status, 429, "the same client");
    let (status, _held) = open(&server, &v2([203, 0, 113, 8]));
    assert_eq!(status, 101, "another one");
    // A proxy that speaks for itself has no limit.
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let both = [&local[..], b"PROXY UNKNOWN\r\n"].map(|header| open(&server, header));
    assert_eq!(both.map(|(status, _)| status), [101, 101]);
}

#[test]
fn a_header_that_comes_byte_by_byte_is_read() {
    let server = server(&[]);
    for header in [V1.to_vec(), v2([203, 0, 113, 7])] {
        let mut wire = Wire::open_from(PROXY, server.address()).expect("a connection");
        let request = [&header[..], handshake_request("/echo", "").as_bytes()].concat();
        for byte in request {
            wire.send(&[byte]);
        }
        let mut connection = HttpConnection { wire };
        assert_eq!(connection.response().status, 101);
        Client::upgraded(connection.wire).expect_alive();
    }
}

#[test]
fn a_proxy_that_does_not_begin_with_a_header_is_closed() {
    let server = server(&["--handshake-timeout", "1s"]);
    for garbage in [
        &b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 99999\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ] {
        let mut wire = Wire::open_from(PROXY, server.address()).expect("a connection");
        wire.send(garbage);
        wire.receive_to_end();
        assert_eq!(wire.inbox, b"", "not a word: nobody knows who listens");
    }
    server.wait_for_count("not_proxied", 4);
    // One that says a part of it, or nothing, has the time of a request head.
    for begun in [&V1[..20], b""] {
        let mut wire = Wire::open_from(PROXY, server.address()).expect("a connection");
        wire.send(begun);
        wire.receive_to_end();
    }
    // One that ends in the middle of it is gone at once.
    let before = server.usage().descriptors;
    let mut wire = Wire::open_from(PROXY, server.address()).expect("a connection");
    wire.send(&V1[..20]);
    drop(wire);
    wait_until("its descriptor is free", || {
        server.usage().descriptors <= before
    });
}

#[test]
fn who_is_no_proxy_says_none() {
    let server = server(&[]);
    assert_eq!(get(server.address(), "/health").status, 200);
    let mut stranger = HttpConnection::open(server.address());
    stranger.wire.send(V1);
    stranger.request("GET", "/health", "");
    assert_eq!(stranger.response().status, 400, "it is no proxy of ours");
}

#[test]
fn a_health_check_without_a_header_does_not_fill_the_log() {
    const CHECKS: u64 = 100;
    let server = server(&[]);
    for _ in 0..CHECKS {
        let mut wire = Wire::open_from(PROXY, server.address()).expect("a connection");
        wire.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        wire.receive_to_end();
    }
    server.wait_for_count("not_proxied", CHECKS);
    wait_until("it is told", || server.log().contains("event=not_proxied"));
    let told = server.log().matches("event=not_proxied").count();
    assert!(told < 50, "{told} lines");
}

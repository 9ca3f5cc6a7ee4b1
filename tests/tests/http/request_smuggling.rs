//! Requests that two parsers might read differently: refused, the connection closed, and whatever was hidden
//! behind them never answered.

use tidewire_tests::Server;
use tidewire_tests::http::HttpConnection;
use tidewire_tests::websocket::handshake_request;

/// What would be smuggled.
const HIDDEN: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Each is a header block (after the request line) that frames its message ambiguously or illegally.
const AMBIGUOUS: &[(&str, &str)] = &[
    (
        "a plus sign in Content-Length",
        "Host: localhost\r\nContent-Length: +5\r\n",
    ),
    (
        "a minus sign in Content-Length",
        "Host: localhost\r\nContent-Length: -5\r\n",
    ),
    (
        "a list in Content-Length",
        "Host: localhost\r\nContent-Length: 5,5\r\n",
    ),
    (
        "hexadecimal Content-Length",
        "Host: localhost\r\nContent-Length: 0x5\r\n",
    ),
    (
        "an empty Content-Length",
        "Host: localhost\r\nContent-Length:\r\n",
    ),
    (
        "a Content-Length over 64 bits",
        "Host: localhost\r\nContent-Length: 18446744073709551616\r\n",
    ),
    (
        "two different Content-Lengths",
        "Host: localhost\r\nContent-Length: 0\r\nContent-Length: 44\r\n",
    ),
    (
        "Content-Length and Transfer-Encoding",
        "Host: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "an unknown Transfer-Encoding",
        "Host: localhost\r\nTransfer-Encoding: xchunked\r\n",
    ),
    (
        "two Transfer-Encodings",
        "Host: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ),
    (
        "a folded line",
        "Host: localhost\r\nTransfer-Encoding:\r\n chunked\r\n",
    ),
    ("a folded header", "Host: localhost\r\nX-A: b\r\n c\r\n"),
    ("a space before the first header", " Host: localhost\r\n"),
    (
        "a space before a colon",
        "Host: localhost\r\nContent-Length : 5\r\n",
    ),
    ("NUL in a value", "Host: localhost\r\nX-A: b\0c\r\n"),
    ("CR in a value", "Host: localhost\r\nX-A: b\rc\r\n"),
    (
        "a bare LF as the end of a line",
        "Host: localhost\nX-A: b\r\n",
    ),
    ("two Hosts", "Host: localhost\r\nHost: elsewhere\r\n"),
    ("no Host", "X-A: b\r\n"),
];

#[test]
fn an_ambiguous_request_is_400_and_what_is_behind_it_is_not_answered() {
    let server = Server::start();
    for (name, headers) in AMBIGUOUS {
        println!("{name}");
        expect_only_a_refusal(
            &server,
            &format!("GET /health HTTP/1.1\r\n{headers}\r\n"),
            &[400],
            name,
        );
        // The same in a handshake, which must not become a tunnel either.
        let handshake = handshake_request("/echo", "").replace("Host: localhost\r\n", headers);
        expect_only_a_refusal(&server, &handshake, &[400], name);
    }
}

#[test]
fn transfer_encoding_with_http_1_0_is_400() {
    let server = Server::start();
    let request = "GET /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect_only_a_refusal(&server, request, &[400], "Transfer-Encoding in HTTP/1.0");
}

#[test]
fn an_absolute_target_on_another_host_is_400() {
    let server = Server::start();
    let request = "GET http://elsewhere.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    expect_only_a_refusal(&server, request, &[400], "two different hosts");
}

/// [6455-7.2.2-1]
#[test]
fn a_refused_handshake_ends_the_connection_so_that_no_proxy_takes_it_for_a_tunnel() {
    let server = Server::start();
    let wrong_version = handshake_request("/ws", "").replace("Version: 13", "Version: 1337");
    let wrong_key =
        handshake_request("/ws", "").replace("Sec-WebSocket-Key: d", "Sec-WebSocket-Key: ");
    expect_only_a_refusal(&server, &wrong_version, &[426], "another version");
    expect_only_a_refusal(&server, &wrong_key, &[400], "a bad key");
    expect_only_a_refusal(
        &server,
        &handshake_request("/nowhere", ""),
        &[404],
        "an unknown path",
    );
    let post = handshake_request("/ws", "").replacen("GET", "POST", 1);
    expect_only_a_refusal(&server, &post, &[405], "another method");
}

#[test]
fn an_upgrade_where_no_websocket_lives_is_never_101() {
    let server = Server::start();
    for request in [
        handshake_request("/health", ""),
        handshake_request("/api/rooms", ""),
        handshake_request("/api/rooms/r/messages", "Content-Length: 0\r\n")
            .replacen("GET", "POST", 1),
        handshake_request("/client.js", ""),
    ] {
        let mut connection = HttpConnection::open(server.address());
        connection.wire.send(request.as_bytes());
        let response = connection.response();
        assert_ne!(response.status, 101, "{request}");
    }
}

#[test]
fn an_upgrade_to_http_2_is_not_taken() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    let headers = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    connection.request("GET", "/health", headers);
    assert_eq!(
        connection.response().status,
        200,
        "Upgrade is an offer that a server may ignore (RFC 9110 §7.8)"
    );
    // The preface of HTTP/2 over plain TCP is no request of ours either.
    let mut connection = HttpConnection::open(server.address());
    connection.wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let response = connection.response();
    assert!(matches!(response.status, 400 | 505), "{response:?}");
    connection.expect_end();
}

/// Sends `request` with [`HIDDEN`] in the same segment, and expects one refusal and the end.
#[track_caller]
fn expect_only_a_refusal(server: &Server, request: &str, statuses: &[u16], name: &str) {
    let mut connection = HttpConnection::open(server.address());
    connection
        .wire
        .send(format!("{request}{HIDDEN}").as_bytes());
    let response = connection.response();
    assert!(statuses.contains(&response.status), "{name}: {response:?}");
    assert!(response.announces_close(), "{name}: {response:?}");
    connection.expect_end();
}

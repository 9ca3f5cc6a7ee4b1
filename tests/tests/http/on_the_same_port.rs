//! Plain HTTP beside the WebSocket: keep-alive, HEAD, pipelining, and requests that arrive in odd pieces.

use tidewire_tests::http::{HttpConnection, get};
use tidewire_tests::websocket::{assert_agrees, handshake_request};
use tidewire_tests::wire::End;
use tidewire_tests::{Chatter, Client, Frame, Server};

#[test]
fn the_page_and_what_it_needs_are_served() {
    let server = Server::start();
    let page = get(server.address(), "/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let html = page.text();
    assert!(
        html.trim_start()
            .to_ascii_lowercase()
            .starts_with("<!doctype html>"),
        "{html}"
    );
    let assets = references(html);
    assert!(
        !assets.is_empty(),
        "the page has a style sheet and a script"
    );
    for asset in assets {
        assert!(
            !asset.contains("//"),
            "no asset comes from outside: {asset}"
        );
        let target = format!(
            "/{}",
            asset.trim_start_matches("./").trim_start_matches('/')
        );
        let response = get(server.address(), &target);
        assert_eq!(response.status, 200, "{target}");
        assert!(!response.body.is_empty(), "{target}");
        let kind = response
            .header("content-type")
            .expect("an asset has a type")
            .to_owned();
        let expected = match target.rsplit('.').next() {
            Some("js" | "mjs") => "text/javascript",
            Some("css") => "text/css",
            Some("svg") => "image/svg+xml",
            _ => "",
        };
        assert!(kind.starts_with(expected), "{target} is {kind}");
    }
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    for target in ["/health", "/nowhere", "/", "/health"] {
        connection.request("GET", target, "");
        let response = connection.response();
        assert!(!response.announces_close(), "{target}: {response:?}");
        assert!(
            response.header("content-length").is_some(),
            "the next response begins where this one ends"
        );
    }
}

#[test]
fn a_connection_ends_when_the_client_asks_for_it() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", "/health", "Connection: close\r\n");
    assert!(connection.response().announces_close());
    assert_eq!(connection.expect_end(), End::Closed);
}

#[test]
fn a_client_that_speaks_http_1_0_gets_one_answer() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    connection.wire.send(b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(connection.response().status, 200);
    assert_eq!(connection.expect_end(), End::Closed);
}

#[test]
fn a_client_that_has_sent_all_it_wanted_still_gets_its_answer() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", "/health", "");
    connection.wire.finish_sending();
    assert_eq!(connection.response().status, 200);
    connection.expect_end();
}

#[test]
fn head_has_the_head_of_get_and_no_body() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    for target in ["/", "/health", "/nowhere"] {
        connection.request("GET", target, "");
        let whole = connection.response();
        connection.request("HEAD", target, "");
        let head = connection.response_to_head();
        assert_eq!(head.status, whole.status, "{target}");
        assert_eq!(
            head.header("content-type"),
            whole.header("content-type"),
            "{target}"
        );
        if target != "/health" {
            // The counters of /health may have grown by a digit meanwhile.
            assert_eq!(
                head.header("content-length"),
                whole.header("content-length"),
                "{target}"
            );
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    let one = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let burst: String = (0..50).map(|_| one("/health") + &one("/nowhere")).collect();
    connection.wire.send(burst.as_bytes());
    for _ in 0..50 {
        assert_eq!(connection.response().status, 200);
        assert_eq!(connection.response().status, 404);
    }
}

#[test]
fn a_client_that_pipelines_and_does_not_read_costs_no_memory() {
    let server = Server::start();
    let before = server.usage().resident_bytes;
    let connection = HttpConnection::open(server.address());
    let burst = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    // Ends when the server takes no more, which is what it should do.
    for _ in 0..1000 {
        if connection.wire.send_until_it_stalls(burst.as_bytes()) < burst.len() {
            break;
        }
    }
    let grown = server.usage().resident_bytes.saturating_sub(before);
    assert!(
        grown < 8 * 1024 * 1024,
        "the server keeps {grown} bytes for one client that does not read"
    );
    assert_eq!(get(server.address(), "/health").status, 200);
}

#[test]
fn frames_in_the_same_packet_as_the_request_are_not_lost() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    let mut packet = handshake_request("/echo", "").into_bytes();
    packet.extend(Frame::text("early").encode());
    packet.extend(Frame::ping("bird").encode());
    // Half a frame, too.
    let late = Frame::text("late").encode();
    packet.extend(&late[..7]);
    connection.wire.send(&packet);
    assert_agrees(&connection.response());
    let mut client = Client::upgraded(connection.wire);
    assert_eq!(client.expect_frame(), Frame::text("early").unmasked());
    assert_eq!(client.expect_frame(), Frame::pong("bird").unmasked());
    client.wire.send(&late[7..]);
    assert_eq!(client.expect_frame(), Frame::text("late").unmasked());
}

#[test]
fn a_handshake_may_follow_other_requests_on_the_same_connection() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    let mut packet = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    packet.extend(handshake_request("/echo", "").into_bytes());
    packet.extend(Frame::text("hello").encode());
    connection.wire.send(&packet);
    assert_eq!(connection.response().status, 200);
    assert_agrees(&connection.response());
    assert_eq!(Client::upgraded(connection.wire).expect_text(), "hello");
}

#[test]
fn a_request_and_frames_may_come_one_byte_at_a_time() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    for byte in handshake_request("/echo", "X-Padding: 0123456789\r\n").into_bytes() {
        connection.wire.send(&[byte]);
    }
    assert_agrees(&connection.response());
    let mut client = Client::upgraded(connection.wire);
    for byte in Frame::text("bytewise, é too").encode() {
        client.wire.send(&[byte]);
    }
    assert_eq!(client.expect_text(), "bytewise, é too");
}

#[test]
fn an_idle_connection_is_closed_after_the_keep_alive_time() {
    let server = Server::start_with(&["--keep-alive", "1s", "--handshake-timeout", "1s"]);
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", "/health", "");
    assert_eq!(connection.response().status, 200);
    assert_eq!(connection.wire.receive_to_end(), End::Closed);
    // A WebSocket is not idle HTTP.
    let mut chatter = Chatter::connect(&server, "userId=alice");
    let mut idle = HttpConnection::open(server.address());
    idle.request("GET", "/health", "");
    idle.response();
    idle.wire.receive_to_end();
    chatter.client.expect_alive();
}

/// What `href` and `src` attributes name.
fn references(html: &str) -> Vec<String> {
    let after = |attribute: &str| -> Vec<String> {
        html.split(attribute)
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
            .collect()
    };
    let mut found = [after("href=\""), after("src=\"")].concat();
    found.retain(|reference| {
        !reference.starts_with('#') && !reference.starts_with("data:") && reference != "/"
    });
    found
}

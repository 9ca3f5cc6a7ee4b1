//! Requests that get no WebSocket: each its own status, the headers that help, and one sentence of text.

use std::net::SocketAddr;

use tidewire_tests::http::{HttpConnection, Response, exchange, get};
use tidewire_tests::websocket::{NONCE, handshake_request};
use tidewire_tests::{Client, Server, wait_until};

/// The addresses where nothing but a WebSocket lives.
const WEBSOCKET_ONLY: &[&str] = &["/ws", "/chat", "/echo", "/relay", "/relay?room=r"];

#[test]
fn a_malformed_request_is_400() {
    let server = Server::start();
    let malformed = [
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /ws\r\n\r\n",
        "GET /ws HTTP/1.1 twice\r\nHost: localhost\r\n\r\n",
        "GET  /ws HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /w s HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET ws HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /ws HTTP/x.y\r\nHost: localhost\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nno colon here\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: localhost\r\n: no name\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nbad(name): value\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n",
    ];
    for request in malformed {
        println!("{request:?}");
        let mut connection = HttpConnection::open(server.address());
        connection.wire.send(request.as_bytes());
        let response = connection.response();
        assert_refusal(&response, 400);
        assert!(
            response.announces_close(),
            "nobody knows where the next request would begin: {response:?}"
        );
        connection.expect_end();
    }
}

#[test]
fn another_method_is_405_and_says_which_is_allowed() {
    let server = Server::start();
    for target in WEBSOCKET_ONLY.iter().chain(&["/", "/health"]) {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let headers = "Content-Length: 0\r\n";
            let response = request(
                server.address(),
                &format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"),
            );
            assert_refusal(&response, 405);
            let allow = response.header("allow").expect("405 comes with Allow");
            assert!(
                allow.split(',').any(|method| method.trim() == "GET"),
                "{method} {target}: {allow}"
            );
        }
    }
    // A handshake by another method is no handshake: "The method of the request MUST be GET" (RFC 6455 §4.1).
    let response = request(
        server.address(),
        &handshake_request("/ws", "").replacen("GET", "POST", 1),
    );
    assert_refusal(&response, 405);
}

#[test]
fn no_upgrade_or_another_one_is_426_and_asks_for_websocket() {
    let server = Server::start();
    for target in WEBSOCKET_ONLY {
        let plain = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let upgrade_to = |protocol: &str| {
            handshake_request(target, "")
                .replace("Upgrade: websocket", &format!("Upgrade: {protocol}"))
        };
        for text in [
            plain,
            upgrade_to("h2c"),
            upgrade_to("TLS/1.2"),
            upgrade_to("websockets"),
            upgrade_to(""),
        ] {
            let response = request(server.address(), &text);
            assert_refusal(&response, 426);
            assert_eq!(response.header("upgrade"), Some("websocket"), "{text}");
        }
    }
}

#[test]
fn a_handshake_needs_connection_upgrade() {
    let server = Server::start();
    for connection in [
        "",
        "Connection: keep-alive\r\n",
        "Connection: close\r\n",
        "Connection: upgraded\r\n",
    ] {
        let text = handshake_request("/ws", "").replace("Connection: Upgrade\r\n", connection);
        let response = request(server.address(), &text);
        assert!(
            matches!(response.status, 400 | 426),
            "{text} got {response:?}"
        );
        assert_one_sentence(&response);
    }
}

#[test]
fn a_handshake_needs_http_1_1() {
    let server = Server::start();
    let response = request(
        server.address(),
        &handshake_request("/ws", "").replace("HTTP/1.1", "HTTP/1.0"),
    );
    assert!(matches!(response.status, 400 | 426 | 505), "{response:?}");
    assert_one_sentence(&response);
}

/// [6455-4.2.2-4, 6455-4.4-1]
#[test]
fn another_version_is_426_and_names_ours() {
    let server = Server::start();
    let good = "Sec-WebSocket-Version: 13\r\n";
    let bad = [
        "",
        "Sec-WebSocket-Version: 8\r\n",
        "Sec-WebSocket-Version: 0\r\n",
        "Sec-WebSocket-Version: 14\r\n",
        "Sec-WebSocket-Version: 1337\r\n",
        "Sec-WebSocket-Version: 013\r\n",
        "Sec-WebSocket-Version: +13\r\n",
        "Sec-WebSocket-Version: 13, 8\r\n",
        "Sec-WebSocket-Version:\r\n",
    ];
    for target in ["/", "/ws", "/echo"] {
        for version in bad {
            let response = request(
                server.address(),
                &handshake_request(target, "").replace(good, version),
            );
            assert_refusal(&response, 426);
            assert_eq!(
                response.header("sec-websocket-version"),
                Some("13"),
                "{target} with {version:?}"
            );
        }
    }
}

#[test]
fn a_key_that_is_missing_or_doubled_or_not_16_bytes_in_base64_is_400() {
    let server = Server::start();
    let good = format!("Sec-WebSocket-Key: {NONCE}\r\n");
    let doubled = format!("{good}{good}");
    let two_keys = format!("{good}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");
    let bad = [
        "",
        doubled.as_str(),
        two_keys.as_str(),
        "Sec-WebSocket-Key:\r\n",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n", // 15 bytes
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n", // 17 bytes
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", // no padding
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n", // half of it
        "Sec-WebSocket-Key: not base64 at all, no!==\r\n",
        "Sec-WebSocket-Key: __________________8_8-==\r\n", // the URL's alphabet
    ];
    for key in bad {
        let response = request(
            server.address(),
            &handshake_request("/ws", "").replace(&good, key),
        );
        assert_refusal(&response, 400);
        assert!(
            !response.text().contains("AAAA"),
            "a refusal does not repeat what was sent: {response:?}"
        );
    }
}

#[test]
fn a_request_line_over_8_kib_is_414() {
    let server = Server::start();
    let fits = format!("/nowhere?{}", "q".repeat(7000));
    assert_refusal(
        &request(
            server.address(),
            &format!("GET {fits} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ),
        404,
    );
    let too_long = format!("/echo?{}", "q".repeat(8 * 1024));
    let response = request(server.address(), &handshake_request(&too_long, ""));
    assert_refusal(&response, 414);
    assert!(response.announces_close(), "{response:?}");
}

#[test]
fn a_request_line_that_never_ends_is_414_without_waiting_for_its_end() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    connection
        .wire
        .send(format!("GET /{}", "a".repeat(10 * 1024)).as_bytes());
    assert_refusal(&connection.response(), 414);
    connection.expect_end();
}

#[test]
fn a_header_over_8_kib_is_431() {
    let server = Server::start();
    let header =
        |length: usize| format!("X-Long: {}\r\n", "v".repeat(length - "X-Long: \r\n".len()));
    let fits = exchange(
        server.address(),
        handshake_request("/echo", &header(8 * 1024 - 16)).as_bytes(),
    );
    assert_eq!(fits.status, 101, "{fits:?}");
    assert_refusal(
        &request(
            server.address(),
            &handshake_request("/echo", &header(8 * 1024 + 16)),
        ),
        431,
    );
}

#[test]
fn a_head_over_16_kib_is_431() {
    let server = Server::start();
    let headers = |count: usize| -> String {
        (0..count)
            .map(|n| format!("X-{n}: {}\r\n", "v".repeat(1000)))
            .collect()
    };
    let fits = exchange(
        server.address(),
        handshake_request("/echo", &headers(15)).as_bytes(),
    );
    assert_eq!(fits.status, 101, "{fits:?}");
    assert_refusal(
        &request(server.address(), &handshake_request("/echo", &headers(17))),
        431,
    );
}

#[test]
fn over_100_headers_are_431_however_they_are_called() {
    let server = Server::start();
    // The handshake itself has five headers.
    let distinct =
        |count: usize| -> String { (5..count).map(|n| format!("X-{n}: v\r\n")).collect() };
    let same = |count: usize| "X: v\r\n".repeat(count - 5);
    for headers in [distinct(100), same(100)] {
        let response = exchange(
            server.address(),
            handshake_request("/echo", &headers).as_bytes(),
        );
        assert_eq!(response.status, 101, "{response:?}");
    }
    for headers in [distinct(101), same(101), same(2000)] {
        assert_refusal(
            &request(server.address(), &handshake_request("/echo", &headers)),
            431,
        );
    }
}

#[test]
fn a_head_of_20_megabytes_is_431_after_the_first_few() {
    let server = Server::start();
    let before = server.usage();
    let mut connection = HttpConnection::open(server.address());
    connection
        .wire
        .send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Long: ");
    let chunk = [b'v'; 64 * 1024];
    let mut sent = 0;
    while sent < 20_000_000 && connection.wire.try_send(&chunk).is_ok() {
        sent += chunk.len();
    }
    // Whether the response survives the reset that follows 20 MB of unread data is the kernel's choice; that
    // the server neither kept nor parsed them is ours. tungstenite took minutes for this (CVE-2023-43669).
    let after = server.usage();
    assert!(
        after.resident_bytes < before.resident_bytes + 4 * 1024 * 1024,
        "{before:?} {after:?}"
    );
    assert!(
        (after.cpu - before.cpu).as_secs() < 2,
        "{before:?} {after:?}"
    );
    assert_eq!(get(server.address(), "/health").status, 200);
}

#[test]
fn a_body_where_none_belongs_is_413_or_400() {
    let server = Server::start();
    for target in ["/health", "/", "/ws"] {
        for (headers, body) in [
            ("Content-Length: 5\r\n", "hello"),
            ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ] {
            let mut connection = HttpConnection::open(server.address());
            connection.request("GET", target, headers);
            // The server may have refused by now.
            let _ = connection.wire.try_send(body.as_bytes());
            let response = connection.response();
            assert!(
                matches!(response.status, 400 | 413),
                "GET {target} with {headers:?}: {response:?}"
            );
            assert_one_sentence(&response);
            assert!(
                response.announces_close(),
                "the body is not read, so the connection ends: {response:?}"
            );
            connection.expect_end();
        }
    }
    let response = request(
        server.address(),
        &handshake_request("/ws", "Content-Length: 5\r\n"),
    );
    assert!(matches!(response.status, 400 | 413), "{response:?}");
    assert_one_sentence(&response);
    // No bytes are no body.
    let response = exchange(
        server.address(),
        handshake_request("/echo", "Content-Length: 0\r\n").as_bytes(),
    );
    assert_eq!(response.status, 101, "{response:?}");
}

/// [6455-4.2.2-5]
#[test]
fn an_unknown_path_is_404() {
    let server = Server::start();
    for target in [
        "/nowhere",
        "/ws/",
        "/ws/x",
        "/WS",
        "/echo.html",
        "//ws",
        "/../ws",
        "/%2e%2e/etc/passwd",
        "/%77s%00",
    ] {
        for text in [
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            handshake_request(target, ""),
        ] {
            let response = request(server.address(), &text);
            assert!(
                matches!(response.status, 400 | 404),
                "{target}: {response:?}"
            );
            assert_one_sentence(&response);
        }
    }
    assert_refusal(
        &request(
            server.address(),
            "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        404,
    );
    assert_refusal(
        &request(server.address(), &handshake_request("/nowhere", "")),
        404,
    );
}

/// [6455-4.2.2-3]
#[test]
fn out_of_connections_is_503_with_retry_after() {
    let server = Server::start_with(&["--connections-max", "3", "--workers", "1"]);
    let mut held: Vec<Client> = (0..3)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();
    for text in [
        handshake_request("/echo", ""),
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
    ] {
        let mut connection = HttpConnection::open(server.address());
        // The refusal may come before the request.
        let _ = connection.wire.try_send(text.as_bytes());
        let response = connection.response();
        assert_refusal(&response, 503);
        let seconds = response
            .header("retry-after")
            .expect("503 comes with Retry-After");
        assert!(
            seconds.parse::<u32>().is_ok_and(|seconds| seconds >= 1),
            "Retry-After in seconds: {seconds}"
        );
        connection.expect_end();
    }
    for client in &mut held {
        client.expect_alive();
    }
    held.pop().expect("three clients").close();
    wait_until("the freed place is given away", || {
        Client::try_open(server.address(), "/echo").is_ok()
    });
}

#[test]
fn what_a_good_client_may_vary_is_accepted() {
    let server = Server::start();
    let request = handshake_request("/echo", "");
    let variations = [
        request.replace("Upgrade: websocket", "Upgrade: WebSocket"),
        request.replace("Upgrade: websocket", "uPGRADE:websocket"),
        request.replace("Upgrade: websocket", "Upgrade: websocket, h2c"),
        request.replace("Upgrade: websocket", "Upgrade: h2c, websocket"),
        request.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        request.replace("Connection: Upgrade", "CONNECTION: upgrade"),
        request.replace("Sec-WebSocket-Version: 13", "sec-websocket-version:   13  "),
        request.replace("\r\n\r\n", "\r\nX-Forwarded-For:\r\n\r\n"),
        request.replace(
            "\r\n\r\n",
            "\r\nOrigin: http://localhost\r\nCookie: a=b\r\n\r\n",
        ),
        request.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: soap, wamp\r\n\r\n"),
        request.replace(
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
        ),
        request.replace(
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: x; a=\"quo\\ted\"; b, y\r\n\r\n",
        ),
        request.replace(
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b\r\n\r\n",
        ),
        request.replace("/echo", "/echo?a=b&c=%20"),
        request.replace("/echo", "http://localhost/echo"),
    ];
    for text in variations {
        let response = exchange(server.address(), text.as_bytes());
        assert_eq!(response.status, 101, "{text} got {response:?}");
        let deflate = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(
            response.header("sec-websocket-extensions"),
            text.contains("permessage-deflate").then_some(deflate),
            "the one extension that is spoken, if it was offered: {text}"
        );
        assert_eq!(
            response.header("sec-websocket-protocol"),
            None,
            "we speak none of those protocols"
        );
    }
}

#[test]
fn headers_made_to_hurt_cost_no_time() {
    let server = Server::start();
    let spaces = " ".repeat(8000);
    let many = "permessage-deflate,".repeat(400);
    let hurtful = [
        format!("Sec-WebSocket-Protocol: b{spaces}x\r\n"),
        format!("Sec-WebSocket-Extensions: {many}permessage-deflate\r\n"),
        "Sec-WebSocket-Extensions: a; b=\"never ends\r\n".to_owned(),
        "Sec-WebSocket-Extensions: constructor, __proto__\r\n".to_owned(),
        "Sec-WebSocket-Extensions: ,;=\"\r\n".to_owned(),
    ];
    let before = server.usage().cpu;
    for _ in 0..20 {
        for headers in &hurtful {
            let response = exchange(
                server.address(),
                handshake_request("/echo", headers).as_bytes(),
            );
            assert!(
                matches!(response.status, 101 | 400),
                "{headers} got {response:?}"
            );
            let answered = response.header("sec-websocket-extensions");
            assert_eq!(
                answered.map_or(0, |answer| answer.matches("permessage-deflate").count()),
                usize::from(headers.contains("permessage-deflate")),
                "one answer, to however many offers: {response:?}"
            );
        }
    }
    assert!(
        (server.usage().cpu - before).as_millis() < 1000,
        "100 handshakes take no second of processor time"
    );
}

#[test]
fn the_subprotocol_of_the_chat_is_chosen_when_it_is_asked_for() {
    let server = Server::start();
    for asked in [
        "tidewire.v1.json",
        "soap, tidewire.v1.json",
        "tidewire.v1.json, soap",
    ] {
        let headers = format!("Sec-WebSocket-Protocol: {asked}\r\n");
        let response = exchange(
            server.address(),
            handshake_request("/ws?userId=alice", &headers).as_bytes(),
        );
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(
            response.header("sec-websocket-protocol"),
            Some("tidewire.v1.json"),
            "asked: {asked}"
        );
    }
    let response = exchange(
        server.address(),
        handshake_request("/ws?userId=alice", "").as_bytes(),
    );
    assert_eq!(
        response.header("sec-websocket-protocol"),
        None,
        "what was not asked for is not chosen"
    );
}

#[test]
fn a_client_that_goes_away_during_the_handshake_leaves_nothing_behind() {
    let server = Server::start();
    let before = server.usage().descriptors;
    for _ in 0..200 {
        let mut connection = HttpConnection::open(server.address());
        connection
            .wire
            .send(handshake_request("/ws", "").as_bytes());
        // Gone before the response is read: the server's write may meet a reset.
        drop(connection);
    }
    wait_until("all descriptors are free again", || {
        server.usage().descriptors <= before
    });
    let mut client = Client::open(server.address(), "/echo");
    client.expect_alive();
}

/// Sends a request over a connection of its own.
#[track_caller]
fn request(address: SocketAddr, text: &str) -> Response {
    println!("{}", text.chars().take(300).collect::<String>());
    exchange(address, text.as_bytes())
}

#[track_caller]
fn assert_refusal(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{response:?}");
    assert_one_sentence(response);
}

/// Asserts that the body is one sentence of plain text.
#[track_caller]
fn assert_one_sentence(response: &Response) {
    let kind = response.header("content-type").unwrap_or_default();
    assert!(
        kind.starts_with("text/plain"),
        "a refusal is plain text: {response:?}"
    );
    let text = response.text().trim_end_matches('\n');
    let is_sentence = text.contains(' ') && text.ends_with('.') && !text.contains('\n');
    assert!(is_sentence, "a refusal says one sentence: {text:?}");
    assert!(
        text.chars()
            .next()
            .is_some_and(|first| !first.is_lowercase()),
        "a sentence begins with a capital: {text:?}"
    );
}

//! The API's manners: what lists whom, errors in JSON, methods, dates, and which pages of other origins are let in.

use tidewire_tests::http::{HttpConnection, Response, assert_problem, get, send};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::{Chatter, Client, Server};

#[test]
fn rooms_and_who_is_in_them_are_told() {
    let server = Server::start();
    let empty = get(server.address(), "/api/rooms");
    assert_eq!(empty.text().trim_end(), r#"{"rooms":[]}"#);
    let _alice = Chatter::enter(&server, "alice", "a/b ü");
    let mut bob = Chatter::enter(&server, "bob", "a/b ü");
    let mut bob_again = Chatter::enter(&server, "bob", "a/b ü");
    bob.join("small");
    let rooms = get(server.address(), "/api/rooms").json();
    let expected = serde_json::json!({"rooms": [
        {"roomId": "a/b ü", "members": 2},
        {"roomId": "small", "members": 1},
    ]});
    assert_eq!(rooms, expected, "the largest first, each user once");
    let presence = |room: &str| get(server.address(), &format!("/api/rooms/{room}/presence"));
    let expected = serde_json::json!({"roomId": "a/b ü", "members": ["alice", "bob"]});
    assert_eq!(presence("a%2Fb%20%C3%BC").json(), expected);
    let nobody = serde_json::json!({"roomId": "a+b", "members": []});
    assert_eq!(presence("a+b").json(), nobody);
    assert_problem(&presence("%40bob"), 400, "bad_name");
    assert_problem(&presence(&"x".repeat(129)), 400, "bad_name");
    assert_problem(&presence("%ff"), 400, "bad_address");
    bob_again.client.expect_alive();
}

#[test]
fn errors_under_the_api_are_json_and_others_are_text() {
    let server = Server::start();
    for target in [
        "/api",
        "/api/",
        "/api/nowhere",
        "/api/rooms/",
        "/api/rooms/a/b/presence",
        "/files",
    ] {
        assert_problem(&get(server.address(), target), 404, "not_found");
    }
    for target in ["/nowhere", "/apiary", "/filesystem"] {
        let response = get(server.address(), target);
        assert_eq!(response.status, 404);
        let kind = response.header("content-type").expect("a type");
        assert!(kind.starts_with("text/plain"), "{target}: {kind}");
    }
    let body = send(server.address(), "GET", "/api/rooms", "", b"hello");
    assert_problem(&body, 413, "too_large");
    let upgrade = handshake_request("/api/rooms", "");
    let response = tidewire_tests::http::exchange(server.address(), upgrade.as_bytes());
    assert_eq!(
        response.status, 200,
        "Upgrade may be ignored (RFC 9110 §7.8)"
    );
    assert!(response.announces_close(), "{response:?}");
}

#[test]
fn out_of_connections_is_503_in_json_there() {
    let server = Server::start_with(&["--connections-max", "1", "--workers", "1"]);
    let mut held = Client::open(server.address(), "/echo");
    let response = get(server.address(), "/api/rooms");
    assert_problem(&response, 503, "overloaded");
    assert!(response.header("retry-after").is_some());
    held.expect_alive();
}

#[test]
fn another_method_is_405_and_options_says_which_there_are() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    for (target, methods) in [
        ("/api/rooms", "GET, HEAD, OPTIONS"),
        ("/api/rooms/r/presence", "GET, HEAD, OPTIONS"),
        ("/api/files", "POST, OPTIONS"),
        ("/files/x", "GET, HEAD, OPTIONS"),
    ] {
        for method in ["DELETE", "PUT", "PATCH", "TRACE", "get", "HEADER"] {
            connection.request(method, target, "");
            let response = connection.response();
            assert_problem(&response, 405, "method_not_allowed");
            assert_eq!(response.header("allow"), Some(methods), "{method} {target}");
        }
        connection.request("OPTIONS", target, "");
        let response = connection.response();
        assert_eq!(response.status, 204, "{response:?}");
        assert_eq!(response.header("allow"), Some(methods));
        assert_eq!(response.header("content-length"), None, "RFC 9110 §8.6");
    }
    connection.request("HEAD", "/api/rooms", "");
    let head = connection.response_to_head();
    assert_eq!(head.status, 200);
    connection.request("GET", "/api/rooms", "");
    let whole = connection.response();
    assert_eq!(
        head.header("content-length"),
        whole.header("content-length")
    );
}

#[test]
fn every_response_has_a_date() {
    let server = Server::start();
    for target in [
        "/",
        "/health",
        "/nowhere",
        "/api/rooms",
        "/api/nowhere",
        "/ws",
    ] {
        let response = get(server.address(), target);
        let date = response.header("date").expect("a date");
        assert_eq!(date.len(), 29, "{date}");
        assert!(
            date.ends_with(" GMT") && date[3..].starts_with(", "),
            "{date}"
        );
    }
}

fn allowed(response: &Response) -> Option<&str> {
    response.header("access-control-allow-origin")
}

#[test]
fn pages_of_other_origins_are_let_in_by_a_list() {
    let server = Server::start_with(&[
        "--cors-origin",
        "https://a.example",
        "--cors-origin",
        "http://localhost:3000",
    ]);
    let mut connection = HttpConnection::open(server.address());
    let mut ask = |method: &str, target: &str, headers: &str| {
        connection.request(method, target, headers);
        connection.response()
    };
    for origin in ["https://a.example", "http://localhost:3000"] {
        let line = format!("Origin: {origin}\r\n");
        for target in ["/api/rooms", "/api/nowhere", "/files/x"] {
            let response = ask("GET", target, &line);
            assert_eq!(allowed(&response), Some(origin), "{target}: {response:?}");
            assert_eq!(response.header("vary"), Some("Origin"), "{target}");
        }
        let preflight = format!("{line}Access-Control-Request-Method: POST\r\n");
        let response = ask("OPTIONS", "/api/files", &preflight);
        assert_eq!(response.status, 204);
        assert_eq!(allowed(&response), Some(origin));
        let methods = response.header("access-control-allow-methods");
        assert!(
            methods.is_some_and(|methods| methods.contains("POST")),
            "{response:?}"
        );
        let headers = response.header("access-control-allow-headers");
        assert!(
            headers.is_some_and(|headers| headers.contains("Content-Type")),
            "{response:?}"
        );
        assert!(response.header("access-control-max-age").is_some());
    }
    for origin in ["https://b.example", "http://a.example", "null"] {
        let response = ask("GET", "/api/rooms", &format!("Origin: {origin}\r\n"));
        assert_eq!(
            (response.status, allowed(&response)),
            (200, None),
            "{origin}"
        );
        assert_eq!(response.header("vary"), Some("Origin"), "a cache must know");
    }
    let page = ask("GET", "/health", "Origin: https://a.example\r\n");
    assert_eq!(allowed(&page), None, "only the API");
}

#[test]
fn without_a_list_no_other_page_is_let_in() {
    let server = Server::start();
    let origin = "Origin: https://evil.example\r\n";
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", "/api/rooms", origin);
    let response = connection.response();
    assert_eq!(allowed(&response), None);
    let preflight = format!("{origin}Access-Control-Request-Method: POST\r\n");
    connection.request("OPTIONS", "/api/files", &preflight);
    assert_eq!(allowed(&connection.response()), None);
    // A browser asks nobody before it sends this one.
    let response = send(server.address(), "POST", "/api/files", origin, b"x");
    assert_problem(&response, 403, "origin_not_allowed");
    assert!(
        response.announces_close(),
        "the body was not read: {response:?}"
    );
    let response = send(
        server.address(),
        "POST",
        "/api/files",
        &format!("Origin: {}\r\n", server.origin()),
        b"x",
    );
    assert_eq!(response.status, 201, "our own page: {response:?}");
}

#[test]
fn everybody_can_be_let_in() {
    let server = Server::start_with(&["--cors-origin", "*"]);
    let origin = "Origin: https://any.example\r\n";
    let response = send(server.address(), "POST", "/api/files", origin, b"x");
    assert_eq!((response.status, allowed(&response)), (201, Some("*")));
}

#[test]
fn what_is_no_origin_is_refused_at_the_start() {
    for bad in ["a.example", "https://a.example/path", ""] {
        let arguments = ["--cors-origin", bad];
        let output = tidewire_tests::Launch::default()
            .arguments(&arguments)
            .command()
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{bad:?}: {output:?}");
    }
}

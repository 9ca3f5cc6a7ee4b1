//! Pages of other origins: a browser lets any page open a WebSocket or post a form to any server, and names the page's origin. Only
//! our own pages and listed ones get through (cross-site WebSocket hijacking, CWE-1385).

use tidewire_tests::http::{self, HttpConnection, Response};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::{Identity, Launch, Server};

fn ask(server: &Server, target: &str, headers: &str) -> Response {
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", target, headers);
    connection.response_to_head()
}

fn shake(server: &Server, target: &str, headers: &str) -> u16 {
    let request = handshake_request(target, headers);
    http::exchange(server.address(), request.as_bytes()).status
}

const WEBSOCKETS: [&str; 5] = ["/", "/ws", "/chat", "/relay", "/echo"];

const FOLLOWED: [&str; 4] = [
    "/sse?room=r",
    "/sse?room=r&session=s",
    "/poll?room=r&since=&timeout=1",
    "/poll?room=r&session=s&timeout=1",
];

/// Who is somebody else than `localhost`, as the tests call the server.
const STRANGERS: [&str; 8] = [
    "http://evil.example",
    "null",
    "",
    "http://localhost:81",
    "http://localhost.evil.example",
    "http://evil.example/localhost",
    "https://b.example",
    "http://a.example",
];

#[test]
fn a_page_of_a_stranger_opens_nothing() {
    let server = Server::start_with(&["--allowed-origin", "https://a.example"]);
    for stranger in STRANGERS {
        let headers = format!("Origin: {stranger}\r\n");
        for target in WEBSOCKETS {
            assert_eq!(shake(&server, target, &headers), 403, "{stranger} {target}");
        }
        for target in FOLLOWED {
            assert_eq!(
                ask(&server, target, &headers).status,
                403,
                "{stranger} {target}"
            );
        }
    }
    let ours = format!("Origin: {}\r\n", server.origin());
    for page in ["", &ours, "Origin: https://a.example\r\n"] {
        for target in WEBSOCKETS {
            assert_eq!(shake(&server, target, page), 101, "{page} {target}");
        }
        for target in FOLLOWED {
            assert_eq!(ask(&server, target, page).status, 200, "{page} {target}");
        }
    }
    let two = format!("{ours}{ours}");
    assert_eq!(shake(&server, "/ws", &two), 403, "one page has one origin");
}

#[test]
fn a_page_that_came_without_tls_opens_nothing_where_there_is_tls() {
    let plain = "Origin: http://localhost\r\n";
    let encrypted = "Origin: https://localhost\r\n";
    let server = Launch::default().tls(&Identity::shared()).start();
    for target in WEBSOCKETS {
        assert_eq!(shake(&server, target, plain), 403, "{target}");
        assert_eq!(shake(&server, target, encrypted), 101, "{target}");
    }
    for target in FOLLOWED {
        assert_eq!(ask(&server, target, plain).status, 403, "{target}");
        assert_eq!(ask(&server, target, encrypted).status, 200, "{target}");
    }
    // The same where a proxy has the TLS.
    let server = Launch::default().plain().start();
    let proxied = "X-Forwarded-Proto: https\r\n";
    for target in WEBSOCKETS {
        let shaken = |page: &str| shake(&server, target, &format!("{page}{proxied}"));
        assert_eq!((shaken(plain), shaken(encrypted)), (403, 101), "{target}");
    }
}

#[test]
fn all_pages_are_let_in_where_the_operator_says_so() {
    let server = Server::start_with(&["--cors-origin", "*"]);
    for stranger in STRANGERS
        .into_iter()
        .filter(|stranger| !stranger.is_empty())
    {
        let headers = format!("Origin: {stranger}\r\n");
        assert_eq!(shake(&server, "/ws", &headers), 101, "{stranger}");
    }
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let server = Launch::default().plain().start();
    for target in [
        "/",
        "/client.js",
        "/health",
        "/api/rooms",
        "/nothing",
        "/api/nothing",
        "/ws",
    ] {
        let response = http::get(server.address(), target);
        assert_eq!(
            response.header("x-content-type-options"),
            Some("nosniff"),
            "{target}"
        );
        assert_eq!(
            response.header("referrer-policy"),
            Some("no-referrer"),
            "{target}"
        );
        let policy = response
            .header("content-security-policy")
            .expect("a policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{target}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        // Who speaks plain HTTP cannot promise TLS.
        assert_eq!(response.header("strict-transport-security"), None);
    }
    let page = http::get(server.address(), "/");
    let policy = page.header("content-security-policy").expect("a policy");
    for part in [
        "script-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(page.header("permissions-policy").is_some());
}

//! C: the opening handshake and HTTP/1.1 around it.

use tidewire_tests::http::{HttpConnection, exchange, get};
use tidewire_tests::websocket::handshake_request;

use crate::under_attack;

/// [A5]
#[test]
fn drafts_of_before_the_rfc_are_refused() {
    let hixie = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\
                 Origin: http://localhost\r\n\r\n^n:ds[4U";
    let hybi = handshake_request("/ws", "").replace("Version: 13", "Version: 8");
    under_attack(|server| {
        for (request, statuses) in [(hixie, [400, 426]), (&hybi, [426, 426])] {
            let mut connection = HttpConnection::open(server.address());
            connection.wire.send(request.as_bytes());
            let response = connection.response();
            assert!(statuses.contains(&response.status), "{response:?}");
            connection.expect_end();
        }
    });
}

/// [C8]
#[test]
fn headers_of_proxies_that_are_empty_or_nonsense_hurt_nobody() {
    under_attack(|server| {
        for headers in [
            "X-Forwarded-For:\r\n",
            "X-Forwarded-For: ,,,\r\nX-Forwarded-For:\r\n",
            "X-Forwarded-For: 999.1.1.1, [::1, unknown, _hidden\r\n",
            "Forwarded: for=\"[::1\";;=;by\r\nX-Forwarded-Proto: \u{1f30a}\r\n",
            "X-Real-IP: ::ffff:1.2.3.4%eth0\r\n",
        ] {
            let request = handshake_request("/ws", headers);
            assert_eq!(
                exchange(server.address(), request.as_bytes()).status,
                101,
                "{headers}"
            );
        }
    });
}

/// [C9]
#[test]
fn addresses_of_other_servers_are_not_found() {
    under_attack(|server| {
        for target in [
            "/cable",
            "/sockjs/000/0/websocket",
            "/engine.io/?transport=polling&sid=__proto__",
            "/connection/websocket",
            "/live/websocket",
            "/.well-known/mercure?topic=*",
            "/cgi-bin/.%2e/.%2e/bin/sh",
            "/actuator/heapdump",
            "/debug/pprof/heap",
            "/server-status",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/files/..%2f..%2fetc%2fpasswd",
            "/api/../health",
        ] {
            for request in [
                handshake_request(target, ""),
                format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ] {
                let response = exchange(server.address(), request.as_bytes());
                assert!(
                    matches!(response.status, 400 | 404),
                    "{target}: {response:?}"
                );
            }
        }
    });
}

/// [C10]
#[test]
fn who_asked_for_another_protocol_is_let_go_whatever_it_sends_behind_that() {
    let behind = handshake_request("/echo", "") + "\u{1}\u{2}frames";
    under_attack(|server| {
        for protocol in ["h2c", "TLS/1.0", "websocket2", "raw", "\"websocket\"", "\t"] {
            let request =
                handshake_request("/echo", "").replace("websocket\r\n", &format!("{protocol}\r\n"));
            let mut connection = HttpConnection::open(server.address());
            connection.wire.send((request + &behind).as_bytes());
            assert_eq!(connection.response().status, 426, "{protocol}");
            connection.expect_end();
        }
    });
}

/// [C15]
#[test]
fn a_refusal_repeats_nothing_that_was_sent() {
    const CANARY: &str = "canary7391";
    let with = |headers: &str| handshake_request("/ws", headers);
    let requests = [
        handshake_request(&format!("/{CANARY}"), ""),
        handshake_request(&format!("/ws?userId={CANARY}{}", "x".repeat(200)), ""),
        handshake_request(&format!("/ws?{CANARY}={}", "x".repeat(9000)), ""),
        with("").replace("dGhlIHNhbXBsZSBub25jZQ==", CANARY),
        with("").replace("Version: 13", &format!("Version: {CANARY}")),
        with("").replace("Upgrade: websocket", &format!("Upgrade: {CANARY}")),
        with("").replacen("GET", CANARY, 1),
        with(&format!("{CANARY}: {}\r\n", "x".repeat(9000))),
        with(&format!("Content-Length: {CANARY}\r\n")),
        with(&format!("{CANARY}\r\n")),
        format!("{CANARY} HTTP/1.1 200 OK\r\n\r\n"),
    ];
    under_attack(|server| {
        for request in &requests {
            let response = exchange(server.address(), request.as_bytes());
            assert!((400..500).contains(&response.status), "{response:?}");
            assert!(!format!("{response:?}").contains(CANARY), "{response:?}");
            assert!(!response.text().contains(CANARY), "{response:?}");
        }
        let page = get(server.address(), &format!("/api/{CANARY}"));
        assert!(!page.text().contains(CANARY), "{page:?}");
    });
}

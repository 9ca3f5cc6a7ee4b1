//! What clients keep secret is not in the server's log, at any level and wherever they put it; every line of the log is one event
//! whatever bytes they send; and who is turned away by the thousand fills no disk.

use serde_json::{Value, json};
use tidewire_tests::http::{HttpConnection, get, send};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Frame, Issuer, Launch, Server, wait_until};

/// In everything that a client keeps to itself, so that one search finds all.
const SECRET: &str = "TOPSECRET";

fn secret(place: &str) -> String {
    format!("{SECRET}-{place}")
}

/// Each line, as the JSON that it is.
#[track_caller]
fn events(log: &str) -> Vec<Value> {
    let parse = |line: &str| {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["time", "level", "message"] {
            assert!(event[field].is_string(), "{field}: {line}");
        }
        event
    };
    log.lines().map(parse).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect()
}

/// Puts secrets wherever a client can put something over a WebSocket.
fn tell_secrets_over_web_sockets(server: &Server) {
    let token = secret("query-token");
    let query = format!(
        "/ws?token={token}&userId=ada&room=lobby&session={}",
        secret("session")
    );
    let headers = format!(
        "Authorization: Bearer {}\r\nCookie: id={}\r\nSec-WebSocket-Protocol: tidewire.v1.json, {}\r\n\
         User-Agent: {}\r\nX-Api-Key: {}\r\n",
        secret("bearer"),
        secret("cookie"),
        secret("subprotocol"),
        secret("agent"),
        secret("key")
    );
    let mut connection = HttpConnection::open(server.address());
    connection
        .wire
        .send(handshake_request(&query, &headers).as_bytes());
    // Whatever it is answered, nothing of it is logged.
    connection.response();
    let mut chatter = Chatter::enter(server, "ada", "lobby");
    chatter.send(&json!({"type": "hello", "user": "ada", "token": secret("hello"), "session": secret("session")}));
    chatter.send(
        &json!({"type": "room_msg", "roomId": "lobby", "content": secret("message"), "seq": 1}),
    );
    chatter.send(&json!({"type": "private_msg", "toUser": "bob", "content": {"x": secret("private")}, "seq": 2}));
    chatter.send(&json!({"type": secret("type"), "token": secret("unknown")}));
    chatter.client.send_text(&secret("not-json"));
    chatter.everything_until_heartbeat();
    let mut bad = Client::open(server.address(), "/echo");
    bad.send(&Frame::close(1008, &secret("reason")));
    bad.expect_close(1008);
    let mut bad = Client::open(server.address(), "/ws?userId=eve");
    bad.send_binary(secret("binary").as_bytes());
    let mut bad = Client::open(server.address(), "/relay?room=r&self=true");
    bad.send_text(&secret("relay"));
    bad.expect_text();
    bad.wire.send(&[0xff; 30]);
}

/// The same over HTTP, and in what is no HTTP.
fn tell_secrets_over_http(server: &Server) {
    let address = server.address();
    let headers = format!(
        "Authorization: Bearer {}\r\nCookie: {}\r\n",
        secret("bearer"),
        secret("cookie")
    );
    let mut connection = HttpConnection::open(address);
    for target in [
        format!("/{}", secret("path")),
        format!("/api/{}?token={}", secret("api"), secret("query")),
        format!("/api/rooms/lobby/messages?since={}", secret("since")),
        format!("/files/{}", secret("file")),
        format!("/metrics?token={}", secret("scrape")),
    ] {
        connection.request("GET", &target, &headers);
        connection.response();
    }
    let body =
        json!({"content": secret("published"), "from": "ada", "session": secret("s"), "seq": 1})
            .to_string();
    let published = send(
        address,
        "POST",
        "/api/rooms/lobby/messages",
        &headers,
        body.as_bytes(),
    );
    assert_eq!(published.status, 200, "{published:?}");
    for body in [secret("no json"), format!("{{\"{}\":1}}", secret("key"))] {
        let refused = send(
            address,
            "POST",
            "/api/rooms/lobby/messages",
            &headers,
            body.as_bytes(),
        );
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    let kept = send(
        address,
        "POST",
        &format!("/api/files?name={}", secret("name")),
        "",
        secret("upload").as_bytes(),
    );
    assert_eq!(kept.status, 201, "{kept:?}");
    for head in [
        format!("GET /{} HTTP/9.9\r\n\r\n", secret("version")),
        format!("{}\r\n\r\n", secret("no http")),
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\n{}\x1b[31m: 1\r\n\r\n",
            secret("header name")
        ),
        format!(
            "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: {}\r\nConnection: upgrade\r\n\r\n",
            secret("upgrade")
        ),
        handshake_request(
            "/ws",
            &format!("Origin: https://{}.example\r\n", secret("origin")),
        ),
        handshake_request(&format!("/ws?userId={}%0a", secret("bad name")), ""),
    ] {
        let mut wire = Wire::open(address);
        wire.send(head.as_bytes());
        wire.finish_sending();
        wire.receive_to_end();
    }
}

#[test]
fn secrets_are_nowhere_in_the_log() {
    let mut server = Server::start_with(&["--log-format", "json", "--log-level", "trace"]);
    tell_secrets_over_web_sockets(&server);
    tell_secrets_over_http(&server);
    server.signal("TERM");
    server.wait_for_exit();
    wait_until("the log is whole", || {
        server.log().contains("\"event\":\"end\"")
    });
    let log = server.log();
    let leaks: Vec<&str> = log
        .lines()
        .filter(|line| line.to_uppercase().contains(SECRET))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    let events = events(&log);
    let names = names(&events);
    assert_eq!(names.len(), events.len(), "each has a name: {log}");
    for event in [
        "start",
        "listen",
        "connection_opened",
        "websocket_opened",
        "connection_closed",
        "stop",
        "drain",
        "end",
    ] {
        assert!(names.contains(&event), "{event}: {names:?}");
    }
}

/// A token in each of the four ways: the header, the address, a subprotocol and a `hello`.
fn show_everywhere(server: &Server, token: &str) {
    let address = server.address();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let offer = format!("Sec-WebSocket-Protocol: tidewire.v1.json, tidewire.token.{token}\r\n");
    let query = format!("?token={token}");
    for (query, headers) in [("", bearer.as_str()), ("", &offer), (&query, "")] {
        for target in ["/ws", "/echo", "/relay"] {
            let mut connection = HttpConnection::open(address);
            let head = handshake_request(&format!("{target}{query}"), headers);
            connection.wire.send(head.as_bytes());
            connection.response();
        }
        get_with(server, &format!("/api/rooms{query}"), headers);
    }
    let mut later = Client::open(address, "/ws");
    later.expect_text();
    later.send_text(&json!({"type": "hello", "token": token}).to_string());
    later.expect_text();
    later.send_text(&json!({"type": "hello", "token": token}).to_string());
    // It hears again, or is closed.
    let _ = later.read_frame();
}

fn get_with(server: &Server, target: &str, headers: &str) {
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", target, headers);
    connection.response();
}

#[test]
fn no_token_is_in_the_log_good_or_bad() {
    let issuer = Issuer::new();
    let mut server = issuer.server(&["--log-format", "json", "--log-level", "debug"]);
    let good = issuer.token("ada", &[]);
    let expired = issuer.token("bob", &["--expires", "1s"]);
    let tampered = format!("{}A{}", &good[..30], &good[31..]);
    for token in [&good, &tampered, &secret("no.jwt"), &expired] {
        show_everywhere(&server, token);
    }
    wait_until("it has expired", || {
        get(server.address(), &format!("/api/rooms?token={expired}")).status == 401
    });
    show_everywhere(&server, &expired);
    server.signal("TERM");
    server.wait_for_exit();
    wait_until("the log is whole", || {
        server.log().contains("\"event\":\"end\"")
    });
    let log = server.log();
    let events = events(&log);
    let refused = events
        .iter()
        .filter(|event| event["event"] == "token_refused");
    assert!(refused.count() >= 3 * 4 * 2, "{log}");
    // A part of one would do who finds it: each of the three, and the signature above all.
    for token in [&good, &tampered, &expired] {
        for part in token.split('.') {
            let piece = &part[..part.len().min(16)];
            assert!(!log.contains(piece), "{piece}: {log}");
        }
    }
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn who_shows_bad_tokens_by_the_thousand_fills_no_disk() {
    let issuer = Issuer::new();
    let server = issuer.server(&["--canary", "1h"]);
    let mut connection = HttpConnection::open(server.address());
    let before = server.log().len();
    for _ in 0..1000 {
        connection.request("GET", "/api/rooms", "Authorization: Bearer a.b.c\r\n");
        assert_eq!(connection.response().status, 401);
    }
    server.wait_for_count("unauthorized", 1000);
    let told = server.log().len() - before;
    assert!(told < 1000, "{told} bytes: {}", server.log());
}

#[test]
fn who_is_turned_away_by_the_thousand_fills_no_disk() {
    let server = Launch::default()
        .arguments(&[
            "--connections-max",
            "1",
            "--log-format",
            "json",
            "--canary",
            "1h",
        ])
        .start();
    let _only = Client::open(server.address(), "/echo");
    for _ in 0..1000 {
        assert_eq!(get(server.address(), "/health").status, 503);
    }
    let log = server.log();
    let events = events(&log);
    let refused = events.iter().filter(|event| event["event"] == "refused");
    let refused: Vec<_> = refused.collect();
    // Ten at once, and then one a second.
    assert!((10..200).contains(&refused.len()), "{log}");
    let told: u64 = refused
        .iter()
        .filter_map(|event| event["suppressed"].as_u64())
        .sum();
    assert!(told <= 1000 - refused.len() as u64, "{told}");
    assert_eq!(refused[0]["level"], "WARN");
}

#[test]
fn the_log_is_text_for_people_unless_told_otherwise() {
    let server = Server::start();
    wait_until("it says where it listens", || {
        server.log().contains("event=listen")
    });
    let expected = format!(
        "INFO connections are accepted event=listen address={}",
        server.address()
    );
    assert!(server.log().contains(&expected), "{}", server.log());
    assert!(
        !server.log().contains("connection_opened"),
        "that is for debugging"
    );
}

//! Bodies of requests: how long they may be and take, what is told before they are sent, and what is behind them.

use std::process::Command;

use serde_json::json;
use tidewire_tests::http::{HttpConnection, assert_problem, get, send};
use tidewire_tests::{Chatter, Directory, Server};

const MESSAGES: &str = "/api/rooms/r/messages";

#[test]
fn a_message_can_be_published_over_http() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "r");
    let body = json!({"content": {"n": 1}, "from": "alice", "session": "s", "seq": 7}).to_string();
    let first = send(server.address(), "POST", MESSAGES, "", body.as_bytes());
    assert_eq!(first.status, 200, "{first:?}");
    let first = first.json();
    assert_eq!(
        (&first["roomId"], &first["dup"]),
        (&json!("r"), &json!(false))
    );
    let heard = bob.hear_of("room_msg");
    assert_eq!(heard["content"], json!({"n": 1}));
    assert_eq!(heard["from"], "alice");
    assert_eq!(
        (&heard["offset"], &heard["epoch"]),
        (&first["offset"], &first["epoch"])
    );
    let again = send(server.address(), "POST", MESSAGES, "", body.as_bytes()).json();
    assert_eq!(
        (&again["offset"], &again["dup"]),
        (&first["offset"], &json!(true))
    );
}

#[test]
fn a_body_that_is_no_message_is_400_and_the_connection_goes_on() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    for (target, body, code) in [
        (MESSAGES, "", "bad_json"),
        (MESSAGES, "nonsense", "bad_json"),
        (MESSAGES, "\u{0}", "bad_json"),
        (MESSAGES, "[]", "bad_field"),
        (MESSAGES, "{}", "missing_field"),
        (MESSAGES, r#"{"content":1,"from":""}"#, "bad_name"),
        ("/api/rooms/%40bob/messages", "{}", "bad_name"),
    ] {
        connection.request_with_body("POST", target, "", body.as_bytes());
        let response = connection.response();
        assert_problem(&response, 400, code);
        assert!(
            !response.announces_close(),
            "the body was read: {response:?}"
        );
    }
}

#[test]
fn a_json_body_has_its_limit() {
    let server = Server::start();
    let content = |length: usize| format!(r#"{{"content":"{}"}}"#, "x".repeat(length));
    let largest = send(
        server.address(),
        "POST",
        MESSAGES,
        "",
        content(64 << 10).as_bytes(),
    );
    assert_eq!(largest.status, 200, "{largest:?}");
    let mut connection = HttpConnection::open(server.address());
    connection.request("POST", MESSAGES, "Content-Length: 70000\r\n");
    let response = connection.response();
    assert_problem(&response, 413, "too_large");
    assert!(
        response.text().contains("66560"),
        "it says how many: {response:?}"
    );
    connection.expect_end();
}

#[test]
fn a_body_without_a_length_is_411_and_what_is_behind_it_is_not_answered() {
    let server = Server::start();
    for target in [MESSAGES, "/api/files"] {
        for headers in ["Transfer-Encoding: chunked\r\n", ""] {
            let mut connection = HttpConnection::open(server.address());
            let hidden = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let request = format!(
                "POST {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n0\r\n\r\n{hidden}"
            );
            connection.wire.send(request.as_bytes());
            let response = connection.response();
            assert_problem(&response, 411, "length_required");
            assert!(response.announces_close(), "{response:?}");
            connection.expect_end();
        }
    }
}

#[test]
fn a_length_that_is_not_certain_is_400_and_what_is_behind_it_is_not_answered() {
    let server = Server::start();
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
    ] {
        for target in [MESSAGES, "/api/files"] {
            let mut connection = HttpConnection::open(server.address());
            connection.request("POST", target, headers);
            // The server may have refused by now.
            let hidden = b"helloGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let _ = connection.wire.try_send(hidden);
            assert_problem(&connection.response(), 400, "bad_request");
            connection.expect_end();
        }
    }
}

#[test]
fn a_body_that_takes_too_long_is_408() {
    let server = Server::start_with(&["--handshake-timeout", "1s"]);
    let mut connection = HttpConnection::open(server.address());
    connection.request("POST", MESSAGES, "Content-Length: 1000\r\n");
    connection.wire.send(b"{");
    let response = connection.response();
    assert_problem(&response, 408, "timeout");
    assert!(response.announces_close(), "{response:?}");
    connection.expect_end();
}

#[test]
fn a_body_may_come_in_any_pieces_with_the_next_request_behind_it() {
    let server = Server::start();
    let body = r#"{"content":"x"}"#;
    let request = format!(
        "POST {MESSAGES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}\
         GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        body.len()
    );
    for size in [1, 7, request.len() - 40, request.len()] {
        let mut connection = HttpConnection::open(server.address());
        for piece in request.as_bytes().chunks(size) {
            connection.wire.send(piece);
        }
        assert_eq!(
            connection.response().json()["roomId"],
            "r",
            "pieces of {size}"
        );
        assert_eq!(
            connection.response().json()["status"],
            "up",
            "pieces of {size}"
        );
    }
}

#[test]
fn answers_that_come_later_keep_the_order_of_their_requests() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    let mut burst = Vec::new();
    for n in 0..20 {
        let file = vec![n; 1000];
        burst.extend(b"POST /api/files HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        burst.extend(file);
        burst.extend(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        burst.extend(b"GET /files/00000000000000000000000000000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    connection.wire.send(&burst);
    connection.wire.finish_sending();
    let mut addresses = Vec::new();
    for _ in 0..20 {
        let json = connection.response().json();
        addresses.push(json["url"].as_str().expect("an address").to_owned());
        assert_eq!(connection.response().json()["status"], "up");
        assert_eq!(connection.response().status, 404);
    }
    connection.expect_end();
    for (n, address) in addresses.iter().enumerate() {
        assert_eq!(get(server.address(), address).body, vec![n as u8; 1000]);
    }
}

#[test]
fn a_client_that_goes_away_while_its_answer_is_made_is_forgotten() {
    let server = Server::start();
    let before = server.usage().descriptors;
    for _ in 0..200 {
        let mut connection = HttpConnection::open(server.address());
        connection.request_with_body("POST", "/api/files", "", b"x");
    }
    tidewire_tests::wait_until("all descriptors are free again", || {
        server.usage().descriptors <= before
    });
    tidewire_tests::wait_until("only ours is counted, which asks", || {
        server.health().connections == 1
    });
}

#[test]
fn a_server_that_is_told_to_stop_answers_what_was_asked() {
    let mut server = Server::start();
    let mut connections: Vec<_> = (0..20)
        .map(|_| HttpConnection::open(server.address()))
        .collect();
    for connection in &mut connections {
        connection.request("POST", "/api/files", "Content-Length: 100000\r\n");
        connection.wire.send(&[1; 50_000]);
    }
    // All heads were read when so much was.
    server.wait_for_count("bytes_received", 20 * 50_000);
    server.signal("TERM");
    for connection in &mut connections {
        connection.wire.send(&[2; 50_000]);
    }
    for connection in &mut connections {
        let response = connection.response();
        assert_eq!(response.status, 201, "{response:?}");
        assert!(response.announces_close(), "{response:?}");
    }
    assert!(server.wait_for_exit().success());
}

#[test]
fn curl_waits_for_100_continue_and_gets_it() {
    let server = Server::start();
    let directory = Directory::new();
    let file = directory.path().join("file");
    std::fs::write(&file, vec![b'x'; 2_000_000]).expect("a file to send");
    let url = format!("http://{}/api/files", server.address());
    let curl = |data: &str, expect_timeout: &str| {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--verbose", "--max-time", "30"])
            .args(["--expect100-timeout", expect_timeout])
            .args([
                "-H",
                "Expect: 100-continue",
                "-H",
                "Content-Type: image/png",
            ])
            .args(["--data-binary", data, &url])
            .output()
            .expect("curl is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    };
    // It would wait longer for it than it may take in all.
    let (answer, talk) = curl(&format!("@{}", file.display()), "60");
    assert!(talk.contains("< HTTP/1.1 100 Continue"), "{talk}");
    assert!(talk.contains("< HTTP/1.1 201 Created"), "{talk}");
    assert!(answer.contains("\"size\":2000000"), "{answer}");
    // And it sends nothing of what is refused.
    std::fs::write(&file, vec![b'x'; (16 << 20) + 1]).expect("a file to send");
    let (answer, talk) = curl(&format!("@{}", file.display()), "60");
    assert!(!talk.contains("100 Continue"), "{talk}");
    assert!(talk.contains("< HTTP/1.1 413"), "{talk}");
    assert!(answer.contains("too_large"), "{answer}");
}

//! Tokens over the wire: where they may stand, what a server that asks for them refuses, and how one is shown after the handshake.
//! What each right is good for is in `rights`, what happens when a token ends in `expiry`.

use serde_json::{Value, json};
use tidewire_tests::command::run;
use tidewire_tests::http::{self, HttpConnection, Response, assert_problem};
use tidewire_tests::websocket::{ACCEPT, Client, handshake_request};
use tidewire_tests::{Chatter, Issuer, PollChatter, Server, StreamChatter, wait_until};

/// What a WebSocket handshake with these headers is answered.
fn shake(server: &Server, target: &str, headers: &str) -> Response {
    http::exchange(
        server.address(),
        handshake_request(target, headers).as_bytes(),
    )
}

fn get_with(server: &Server, target: &str, headers: &str) -> Response {
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", target, headers);
    connection.response()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn a_token_may_stand_in_a_header_the_address_a_subprotocol_or_a_hello() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token("ada", &[]);

    let by_header = shake(&server, "/ws", &bearer(&token));
    assert_eq!(by_header.header("sec-websocket-accept"), Some(ACCEPT));

    let offers = format!("Sec-WebSocket-Protocol: tidewire.v1.json, tidewire.token.{token}\r\n");
    let by_protocol = shake(&server, "/ws", &offers);
    assert_eq!(by_protocol.status, 101);
    let agreed = by_protocol.header("sec-websocket-protocol");
    assert_eq!(agreed, Some("tidewire.v1.json"), "and not the token");

    let by_address = Chatter::connect(&server, &format!("token={token}"));
    assert_eq!(by_address.welcome["user"], "ada");

    let mut later = Client::open(server.address(), "/ws?room=r");
    let asked: Value = serde_json::from_str(&later.expect_text()).expect("JSON");
    assert_eq!(
        (&asked["type"], &asked["code"]),
        (&json!("error"), &json!("unauthorized"))
    );
    later.send_text(r#"{"type":"room_msg","roomId":"r","content":1,"seq":7}"#);
    let refused: Value = serde_json::from_str(&later.expect_text()).expect("JSON");
    assert_eq!(
        (&refused["code"], &refused["seq"]),
        (&json!("unauthorized"), &json!(7))
    );
    later.send_text(&json!({"type": "hello", "token": token}).to_string());
    let mut later = Chatter::over(later);
    assert_eq!(later.welcome["user"], "ada");
    assert_eq!(
        later.hear_of("joined")["roomId"],
        "r",
        "as the address asked"
    );
    later.say_acked("r", "hello", 1);
}

#[test]
fn who_has_no_good_token_is_let_in_nowhere() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let good = issuer.token("ada", &[]);
    let tampered = format!("{}A{}", &good[..30], &good[31..]);
    let foreign = Issuer::new();
    std::fs::write(
        foreign.secret(),
        "another secret, of which our server has not heard",
    )
    .expect("our file");
    let foreign = foreign.token("ada", &[]);
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJleHAiOjk5OTk5OTk5OTl9.";
    for (token, challenge) in [
        ("", "Bearer realm=\"tidewire\""),
        (
            &tampered,
            "Bearer realm=\"tidewire\", error=\"invalid_token\"",
        ),
        (
            &foreign,
            "Bearer realm=\"tidewire\", error=\"invalid_token\"",
        ),
        (
            unsigned,
            "Bearer realm=\"tidewire\", error=\"invalid_token\"",
        ),
    ] {
        let headers = if token.is_empty() {
            String::new()
        } else {
            bearer(token)
        };
        for target in ["/ws", "/", "/chat", "/relay?room=r", "/echo"] {
            let is_chat = !target.starts_with("/relay") && target != "/echo";
            // A hello may bring one, but not a better one.
            if is_chat && token.is_empty() {
                continue;
            }
            let response = shake(&server, target, &headers);
            assert_eq!(response.status, 401, "{target} {response:?}");
            assert_eq!(response.header("www-authenticate"), Some(challenge));
            assert!(response.announces_close(), "nothing that follows is read");
        }
        for target in [
            "/sse?room=r",
            "/sse?room=r&session=s",
            "/poll?room=r",
            "/poll?room=r&session=s",
            "/api/rooms",
            "/api/rooms/r/messages",
            "/api/rooms/r/presence",
            "/api/users/ada/messages?userId=ada",
            "/api/broadcast",
        ] {
            let response = get_with(&server, target, &headers);
            assert_problem(&response, 401, "unauthorized");
            assert_eq!(
                response.header("www-authenticate"),
                Some(challenge),
                "{target}"
            );
        }
        for target in [
            "/api/rooms/r/messages",
            "/api/rooms/r/typing",
            "/api/users/ada/messages",
            "/api/broadcast",
            "/api/files",
        ] {
            let response = http::send(
                server.address(),
                "POST",
                target,
                &headers,
                b"{\"content\":1}",
            );
            assert_problem(&response, 401, "unauthorized");
        }
    }
    for open in ["/", "/client.js", "/health", "/api/openapi.json"] {
        assert_eq!(http::get(server.address(), open).status, 200, "{open}");
    }
    // Workers say what they have counted at the end of a turn.
    wait_until("all of that is counted", || {
        let health = http::get(server.address(), "/health").json();
        health["unauthorized"] == 3 * 5 + 2 + 4 * 14
    });
}

#[test]
fn a_hello_with_a_bad_token_ends_the_connection_and_so_does_waiting_for_one() {
    let issuer = Issuer::new();
    let server = issuer.server(&["--handshake-timeout", "5s"]);
    let mut bad = Client::open(server.address(), "/ws");
    bad.expect_text();
    bad.send_text(r#"{"type":"hello","token":"a.b.c"}"#);
    let refused: Value = serde_json::from_str(&bad.expect_text()).expect("JSON");
    assert_eq!(refused["code"], "unauthorized", "{refused}");
    bad.expect_close(1008);

    let mut silent = Client::open(server.address(), "/ws");
    silent.expect_text();
    assert_eq!(silent.expect_close(1008), "no token came in time");
}

#[test]
fn a_token_is_for_its_user_and_nobody_else() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let (ada, back) = (
        issuer.token("ada", &[]),
        issuer.token("back", &["--server"]),
    );
    assert_eq!(
        shake(&server, &format!("/ws?userId=bob&token={ada}"), "").status,
        403
    );
    assert_eq!(
        shake(&server, &format!("/ws?userId=ada&token={ada}"), "").status,
        101
    );
    for target in [
        "/sse?room=r&session=s&userId=bob",
        "/poll?room=r&session=s&userId=bob",
        "/api/users/bob/messages?userId=bob",
    ] {
        let response = get_with(&server, target, &bearer(&ada));
        assert_problem(&response, 403, "forbidden");
    }
    let post = |token: &str, target: &str, body: &str| {
        http::send(
            server.address(),
            "POST",
            target,
            &bearer(token),
            body.as_bytes(),
        )
    };
    let room = "/api/rooms/r/messages";
    assert_problem(
        &post(&ada, room, r#"{"content":1,"from":"bob"}"#),
        403,
        "forbidden",
    );
    assert_eq!(
        post(&ada, room, r#"{"content":2,"from":"ada"}"#).status,
        200
    );
    assert_eq!(post(&ada, room, r#"{"content":3}"#).status, 200);
    assert_eq!(
        post(&back, room, r#"{"content":4,"from":"bob"}"#).status,
        200
    );
    assert_eq!(post(&back, room, r#"{"content":5}"#).status, 200);
    assert_problem(
        &post(&ada, "/api/broadcast", r#"{"content":1}"#),
        403,
        "forbidden",
    );
    assert_eq!(
        post(&back, "/api/broadcast", r#"{"content":1}"#).status,
        200
    );
    let history = get_with(&server, room, &bearer(&ada)).json();
    let said: Vec<_> = history["messages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|message| (message["from"].as_str(), message["content"].as_u64()))
        .collect();
    let expected = [("ada", 2), ("ada", 3), ("bob", 4), ("back", 5)];
    assert_eq!(
        said,
        expected.map(|(from, content)| (Some(from), Some(content)))
    );

    // In the chat, too.
    let mut chatter = Chatter::connect(&server, &format!("token={ada}"));
    let named = chatter.provoke(r#"{"type":"hello","user":"bob"}"#);
    assert_eq!(named["code"], "forbidden");
    let everybody = chatter.provoke(r#"{"type":"broadcast","content":1}"#);
    assert_eq!(everybody["code"], "forbidden");
    let fresh = json!({"type": "hello", "token": back}).to_string();
    assert_eq!(chatter.provoke(&fresh)["code"], "forbidden");
    assert_eq!(
        chatter.provoke(r#"{"type":"hello","token":"x"}"#)["code"],
        "unauthorized"
    );
    chatter.send(&json!({"type": "private_msg", "toUser": "bob", "content": "psst", "seq": 1}));
    assert_eq!(
        chatter.hear_of("ack")["roomId"],
        "@bob",
        "the connection goes on"
    );
}

#[test]
fn the_chat_without_a_websocket_goes_by_tokens_too() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token("ada", &[]);
    let stream = StreamChatter::connect(&server, &format!("room=r&session=s1&token={token}"));
    assert_eq!(stream.welcome["user"], "ada");
    let mut poll = PollChatter::new(&server, &format!("room=r&session=s2&token={token}"));
    assert_eq!(poll.poll()[0]["user"], "ada");
}

#[test]
fn the_terminal_shows_a_token() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let (url, token) = (server.address().to_string(), issuer.token("ada", &[]));
    let words = ["chat", &url, "--room", "r", "--once", "--patience", "5s"];
    let (code, _, problem) = run(&[&words[..], &["--token", &token]].concat(), b"hello\n");
    assert_eq!(code, Some(0), "{problem}");
    let (code, _, problem) = run(&[&words[..], &["--token", "a.b.c"]].concat(), b"hello\n");
    assert_eq!(code, Some(1));
    assert!(
        problem.contains("401") || problem.contains("token"),
        "{problem}"
    );
}

#[test]
fn a_server_that_asks_for_no_token_serves_this_machine_alone() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let (code, _, problem) = run(&["serve", "--listen", listen, "--data", "memory"], b"");
        assert_eq!(code, Some(2), "{problem}");
        for word in ["--auth-key", "127.0.0.1", "--insecure-no-auth"] {
            assert!(problem.contains(word), "{problem}");
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_is_told_before_anybody_is_served() {
    let issuer = Issuer::new();
    let path = issuer.secret();
    let file = path.to_str().expect("a path in UTF-8");
    for (text, told) in [
        ("short", "shorter than 32 bytes"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "private key",
        ),
        ("{\"keys\":[]}", "--auth-jwks"),
    ] {
        std::fs::write(&path, text).expect("a file of our own");
        let words = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            "memory",
            "--auth-key",
            file,
        ];
        let (code, _, problem) = run(&words, b"");
        assert_eq!(code, Some(1), "{problem}");
        assert!(
            problem.contains(told) && problem.contains(file),
            "{problem}"
        );
    }
}

#[test]
fn new_keys_hold_for_tokens_that_come_and_nobody_is_dropped() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let old = issuer.token("ada", &[]);
    let mut ada = Chatter::connect(&server, &format!("token={old}&room=r"));
    let status = |token: &str| shake(&server, "/ws", &bearer(token)).status;
    assert_eq!(status(&old), 101);

    let secret = "what is signed with from today on: 32 bytes and more";
    std::fs::write(issuer.secret(), secret).expect("our file");
    let new = issuer.token("grace", &[]);
    assert_eq!(status(&new), 401, "a file by itself changes nothing");
    server.signal("HUP");
    wait_until("the new key holds", || status(&new) == 101);
    assert_eq!(status(&old), 401);
    ada.say_acked("r", "still here", 1);
}

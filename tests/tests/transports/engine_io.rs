//! Engine.IO v4 over raw connections: handshake, payloads, heartbeat, upgrade, and how a session ends. The server echoes here, as the official
//! suite wants it (`--protocols conformance`); each of that suite's behaviours has a test.

use serde_json::{Value, json};
use tidewire_tests::http::{self, HttpConnection, Response};
use tidewire_tests::websocket::Message;
use tidewire_tests::{Client, Frame, Launch, Server, wait_until};

/// A heartbeat that is not noticed by tests of something else.
const CALM: [&str; 4] = ["--protocols", "conformance", "--heartbeat", "30s"];

const POLLING: &str = "/engine.io/?EIO=4&transport=polling";
const WEB_SOCKET: &str = "/engine.io/?EIO=4&transport=websocket";

/// What the official suites expect of a server: its heart beats quickly.
const QUICK: [&str; 6] = [
    "--protocols",
    "conformance",
    "--heartbeat",
    "300ms",
    "--pong-wait",
    "200ms",
];

fn echo(options: &[&str]) -> Server {
    Launch::default().arguments(options).start()
}

fn get(server: &Server, target: &str) -> Response {
    http::get(server.address(), target)
}

fn post(server: &Server, target: &str, body: &str) -> Response {
    http::send(server.address(), "POST", target, "", body.as_bytes())
}

/// The first packet of a session.
fn opened(text: &str) -> Value {
    let open = text.strip_prefix('0').expect("an open packet");
    serde_json::from_str(open).expect("JSON")
}

/// Begins a session that is polled; where it is.
fn open_polling(server: &Server) -> String {
    let response = get(server, POLLING);
    assert_eq!(response.status, 200);
    let open = opened(response.text());
    format!("{POLLING}&sid={}", open["sid"].as_str().expect("a sid"))
}

fn web_socket_of(polling: &str) -> String {
    polling.replace("polling", "websocket")
}

fn assert_refused(response: &Response, status: u16, code: u64) {
    assert_eq!(response.status, status, "{response:?}");
    let problem = response.json();
    assert_eq!(problem["code"], json!(code), "{problem}");
    assert!(problem["message"].is_string());
}

fn assert_over(server: &Server, session: &str) {
    assert_refused(&get(server, session), 400, 1);
}

/// A poll on a connection of its own, whose answer is read later.
fn begin_poll(server: &Server, session: &str) -> HttpConnection {
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", session, "");
    connection
}

/// Reads up to the end; whatever else comes before it.
fn expect_over(client: &mut Client) {
    while !matches!(client.read_message(), Message::Close(..) | Message::End(_)) {}
}

#[test]
fn a_session_opens_by_either_transport_and_tells_its_terms() {
    let server = echo(&QUICK);
    let by_polling = opened(get(&server, POLLING).text());
    let mut client = Client::open(server.address(), WEB_SOCKET);
    let by_web_socket = opened(&client.expect_text());
    for (open, upgrades) in [
        (by_polling, json!(["websocket"])),
        (by_web_socket, json!([])),
    ] {
        let sid = open["sid"].clone();
        assert!(sid.as_str().is_some_and(|sid| sid.len() >= 16));
        let expected = json!({
            "sid": sid, "upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000,
        });
        assert_eq!(open, expected);
    }
}

#[test]
fn what_is_not_spoken_is_refused_with_its_number() {
    let server = echo(&CALM);
    for (query, code) in [
        ("", 5),
        ("?EIO=abc&transport=polling", 5),
        ("?EIO=3&transport=polling", 5),
        ("?transport=polling", 5),
        ("?EIO=4", 0),
        ("?EIO=4&transport=abc", 0),
        ("?EIO=4&transport=polling&j=0", 3),
        ("?EIO=4&transport=websocket", 3),
        ("?EIO=4&transport=polling&sid=abc", 1),
        (
            "?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            1,
        ),
        (
            "?EIO=4&transport=polling&sid=AAAAPwAAAAAAAAAAAAAAAAAAAAAAAAAA",
            1,
        ),
    ] {
        assert_refused(&get(&server, &format!("/engine.io/{query}")), 400, code);
    }
    for method in ["POST", "PUT"] {
        let response = http::send(server.address(), method, POLLING, "", b"");
        assert_refused(&response, 400, 2);
    }
    for target in [
        "/engine.io/?transport=websocket",
        "/engine.io/?EIO=4",
        "/engine.io/?EIO=4&transport=abc",
    ] {
        let refused = Client::try_open(server.address(), target);
        assert_eq!(
            refused.err().map(|response| response.status),
            Some(400),
            "{target}"
        );
    }
    let foreign = "Origin: https://elsewhere.example\r\n";
    let response = http::send(server.address(), "GET", POLLING, foreign, b"");
    assert_refused(&response, 403, 4);
}

#[test]
fn it_is_not_there_where_it_is_not_named() {
    let server = echo(&["--protocols", "json"]);
    for path in ["/engine.io/", "/socket.io/"] {
        let target = format!("{path}?EIO=4&transport=polling");
        assert_eq!(get(&server, &target).status, 404, "{path}");
    }
}

#[test]
fn packets_come_back_in_payloads() {
    let server = echo(&CALM);
    let session = open_polling(&server);
    for payload in [
        "4hello",
        "4test1\x1e4test2\x1e4test3",
        "4hello\x1ebAQIDBA==",
        "4\x1e4ü€",
    ] {
        let response = post(&server, &session, payload);
        assert_eq!((response.status, response.text()), (200, "ok"));
        assert_eq!(get(&server, &session).text(), payload);
    }
    // A poll that was there before there was something.
    let mut poll = begin_poll(&server, &session);
    post(&server, &session, "4late");
    assert_eq!(poll.response().text(), "4late");
}

#[test]
fn messages_come_back_over_a_web_socket() {
    let server = echo(&CALM);
    let mut client = Client::open(server.address(), WEB_SOCKET);
    client.expect_text();
    client.send_text("4hello");
    assert_eq!(client.expect_text(), "4hello");
    client.send_binary(&[1, 2, 3, 4]);
    assert_eq!(client.expect_binary(), [1, 2, 3, 4]);
    client.send_text("bAQIDBA==");
    assert_eq!(client.expect_binary(), [1, 2, 3, 4]);
}

#[test]
fn what_is_no_packet_ends_a_session() {
    let server = echo(&CALM);
    for payload in ["abc", "", "4a\x1e", "b!", "2", "2probe"] {
        let session = open_polling(&server);
        assert_refused(&post(&server, &session, payload), 400, 3);
        assert_over(&server, &session);
    }
    let session = open_polling(&server);
    let not_utf8 = http::send(server.address(), "POST", &session, "", b"4\xff");
    assert_refused(&not_utf8, 400, 3);
    for text in ["abc", "", "b!", "2"] {
        let mut client = Client::open(server.address(), WEB_SOCKET);
        client.expect_text();
        client.send_text(text);
        expect_over(&mut client);
    }
}

#[test]
fn a_payload_has_a_limit() {
    let server = echo(&CALM);
    let session = open_polling(&server);
    let largest = format!("4{}", "x".repeat(999_999));
    assert_eq!(post(&server, &session, &largest).status, 200);
    assert_eq!(get(&server, &session).text(), largest);
    let response = post(&server, &session, &format!("{largest}x"));
    assert_refused(&response, 413, 3);
}

#[test]
fn two_polls_at_once_end_a_session() {
    let server = echo(&CALM);
    let session = open_polling(&server);
    let mut first = begin_poll(&server, &session);
    let mut second = begin_poll(&server, &session);
    // Nobody says which of two connections is read first: one of them is told of the end, and the other refused.
    let (mut answers, mut refused) = (Vec::new(), 0);
    for response in [first.response(), second.response()] {
        if response.status == 200 {
            answers.push(response.text().to_owned());
        } else {
            assert_refused(&response, 400, 3);
            refused += 1;
        }
    }
    assert_eq!((answers, refused), (vec!["1".to_owned()], 1));
    assert_over(&server, &session);
}

#[test]
fn a_poll_that_is_given_up_ends_a_session() {
    let server = echo(&CALM);
    let session = open_polling(&server);
    drop(begin_poll(&server, &session));
    wait_until("the session ends", || {
        let mut probe = HttpConnection::open(server.address());
        // Whoever comes before the end is known is one that waits, or the second: either ends it, too.
        probe.request_with_body("POST", &session, "", b"3");
        probe.response().status == 400
    });
    assert_over(&server, &session);
}

#[test]
fn a_client_closes_by_either_transport() {
    let server = echo(&CALM);
    let session = open_polling(&server);
    let mut poll = begin_poll(&server, &session);
    // The poll is there before the goodbye: both go one way.
    post(&server, &session, "4x");
    assert_eq!(poll.response().text(), "4x");
    poll.request("GET", &session, "");
    let response = post(&server, &session, "1");
    assert_eq!((response.status, response.text()), (200, "ok"));
    let last = poll.response();
    // The noop, or that there is no session any more, if the goodbye was faster.
    assert!(last.status == 400 || last.text() == "6", "{last:?}");
    assert_over(&server, &session);

    let mut client = Client::open(server.address(), WEB_SOCKET);
    client.expect_text();
    client.send_text("1");
    expect_over(&mut client);
}

#[test]
fn the_server_pings_and_goes_on_while_it_is_answered() {
    let server = echo(&[
        "--protocols",
        "conformance",
        "--heartbeat",
        "300ms",
        "--pong-wait",
        "20s",
    ]);
    let session = open_polling(&server);
    let mut client = Client::open(server.address(), WEB_SOCKET);
    client.expect_text();
    for _ in 0..3 {
        assert_eq!(get(&server, &session).text(), "2");
        assert_eq!(post(&server, &session, "3").text(), "ok");
        assert_eq!(client.expect_text(), "2");
        client.send_text("3");
    }
}

#[test]
fn who_answers_no_ping_is_gone() {
    let server = echo(&QUICK);
    let mut client = Client::open(server.address(), WEB_SOCKET);
    let session = open_polling(&server);
    expect_over(&mut client);
    wait_until("the session ends", || {
        // Who says something that is no pong is not alive by that.
        post(&server, &session, "6").status == 400
    });
}

#[test]
fn a_web_socket_takes_a_session_over() {
    let server = echo(&CALM);
    let session = open_polling(&server);
    let mut poll = begin_poll(&server, &session);
    let mut client = Client::open(server.address(), &web_socket_of(&session));
    client.send_text("2probe");
    assert_eq!(client.expect_text(), "3probe");
    // So that the client's poll ends, and it says nothing by two ways.
    let first = poll.response();
    assert!(first.status == 200 && first.text() == "6", "{first:?}");
    assert_eq!(get(&server, &session).text(), "6");
    // What is said by polling before the end of the upgrade comes behind it.
    assert_eq!(post(&server, &session, "4before").status, 200);
    client.send_text("5");
    client.send_text("4hello");
    assert_eq!(client.expect_text(), "4before");
    assert_eq!(client.expect_text(), "4hello");
    assert_refused(&get(&server, &session), 400, 3);
    assert_refused(&post(&server, &session, "4x"), 400, 3);
    let mut other = Client::open(server.address(), &web_socket_of(&session));
    expect_over(&mut other);
    client.send_text("4still there");
    assert_eq!(client.expect_text(), "4still there");
}

#[test]
fn what_comes_with_the_upgrade_in_one_piece_is_not_lost() {
    let server = echo(&CALM);
    let session = open_polling(&server);
    let mut client = Client::open(server.address(), &web_socket_of(&session));
    client.send_text("2probe");
    assert_eq!(client.expect_text(), "3probe");
    let mut bytes = Vec::new();
    for text in ["5", "4one", "4two"] {
        bytes.extend(Frame::text(text).with_key([1, 2, 3, 4]).encode());
    }
    client.wire.send(&bytes);
    assert_eq!(client.expect_text(), "4one");
    assert_eq!(client.expect_text(), "4two");
}

#[test]
fn a_web_socket_that_does_not_go_on_leaves_the_session_as_it_was() {
    let server = echo(&CALM);
    let session = open_polling(&server);
    for text in ["4hello", "5", "2"] {
        let mut client = Client::open(server.address(), &web_socket_of(&session));
        client.send_text(text);
        expect_over(&mut client);
    }
    let mut client = Client::open(server.address(), &web_socket_of(&session));
    client.send_text("2probe");
    assert_eq!(client.expect_text(), "3probe");
    client.close();
    post(&server, &session, "4by polling");
    assert_eq!(get(&server, &session).text(), "4by polling");
    let mut nowhere = Client::open(
        server.address(),
        &format!("{WEB_SOCKET}&sid={}", "A".repeat(32)),
    );
    expect_over(&mut nowhere);
}

#[test]
fn requests_of_a_session_may_come_to_any_worker() {
    let server = echo(&[&CALM[..], &["--workers", "4"]].concat());
    // The kernel deals connections out as it likes: with so many, each worker has some.
    for round in 0..20 {
        let session = open_polling(&server);
        let message = format!("4{round}");
        assert_eq!(post(&server, &session, &message).text(), "ok");
        assert_eq!(get(&server, &session).text(), message);
        let mut client = Client::open(server.address(), &web_socket_of(&session));
        client.send_text("2probe");
        assert_eq!(client.expect_text(), "3probe");
        client.send_text("5");
        client.send_text(&message);
        assert_eq!(client.expect_text(), message);
        assert_refused(&get(&server, &session), 400, 3);
    }
}

#[test]
fn sessions_that_have_ended_leave_nothing() {
    let server = echo(&CALM);
    for _ in 0..20 {
        let session = open_polling(&server);
        post(&server, &session, "1");
        assert_over(&server, &session);
    }
    wait_until("nobody is connected", || {
        let health = get(&server, "/health").json();
        // The one that asks.
        health["connections"] == json!(1)
    });
}

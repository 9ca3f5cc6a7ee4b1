//! Every way for a connection to end that can be provoked from outside: the server names the right cause, and who was first.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::SockRef;
use tidewire_tests::event_stream::EventStream;
use tidewire_tests::http::{HttpConnection, assert_problem, get, send};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::wire::Wire;
use tidewire_tests::{
    Chatter, Client, Frame, Identity, Issuer, Launch, Server, command, wait_until,
};

/// What the server says of a user, a connection or an address.
fn why(server: &Server, query: &str) -> Vec<Value> {
    let response = get(server.address(), &format!("/api/admin/why?{query}"));
    assert_eq!(response.status, 200, "{response:?}");
    let answer = response.json();
    let connections = answer["connections"].as_array();
    connections.expect("a list").clone()
}

/// The one connection that has ended; waits for that.
#[track_caller]
fn ended(server: &Server, query: &str) -> Value {
    let mut found = Vec::new();
    wait_until("the connection has ended", || {
        found = why(server, query);
        found.iter().all(|report| report["cause"].is_string()) && !found.is_empty()
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[track_caller]
fn assert_ended(report: &Value, cause: &str, first: &str) {
    let told = (&report["cause"], &report["closedFirst"]);
    assert_eq!(told, (&cause.into(), &first.into()), "{report:#}");
}

fn local(wire: &Wire) -> SocketAddr {
    wire.stream().local_addr().expect("a local address")
}

/// The query for who is at the other end of this.
fn from(wire: &Wire) -> String {
    format!("address={}", local(wire))
}

fn frames(report: &Value) -> Vec<(bool, String, u64)> {
    let frames = report["flight"]["frames"].as_array().expect("frames");
    let read = |frame: &Value| {
        let opcode = frame["opcode"].as_str()?.to_owned();
        Some((frame["sent"].as_bool()?, opcode, frame["length"].as_u64()?))
    };
    frames.iter().filter_map(read).collect()
}

// ---- the client ends it ----

#[test]
fn a_client_that_closes_is_told_from_one_that_vanishes() {
    let server = Server::start();
    let mut polite = Chatter::enter(&server, "polite", "room-a");
    let mut gone = Chatter::enter(&server, "gone", "room-b");
    let reset = Chatter::enter(&server, "reset", "room-c");
    gone.client.wire.finish_sending();
    gone.client.wire.receive_to_end();
    SockRef::from(reset.client.wire.stream())
        .set_linger(Some(Duration::ZERO))
        .expect("a socket that resets");
    drop(reset);
    polite.client.send(&Frame::close(1001, "").with_key([1; 4]));
    polite.client.expect_close(1001);

    let report = ended(&server, "user=polite");
    assert_ended(&report, "client_close", "client");
    assert_eq!(report["closeReceived"]["code"], 1001);
    assert!(report["hint"].as_str().expect("a hint").contains("page"));
    let frames = frames(&report);
    let (first, last) = (&frames[0], &frames[frames.len() - 1]);
    assert_eq!((first.0, first.1.as_str()), (true, "text"), "the welcome");
    assert_eq!((last.0, last.1.as_str()), (true, "close"), "our answer");
    assert_eq!(report["rooms"], 1);

    let report = ended(&server, "user=gone");
    assert_ended(&report, "client_eof", "client");
    assert!(report["tcp"]["rttUs"].as_u64().is_some(), "{report:#}");

    let report = ended(&server, "user=reset");
    assert_ended(&report, "client_reset", "client");
    assert!(
        report["error"]
            .as_str()
            .expect("an error")
            .contains("reset")
    );
}

#[test]
fn an_event_stream_that_is_left_has_ended_as_its_client_wanted() {
    let server = Server::start();
    let wire = Wire::open(server.address());
    let query = from(&wire);
    let mut stream = EventStream::open_over(wire, "/sse?room=lobby&userId=ada&session=s", "");
    let _ = stream.event();
    let open = why(&server, "user=ada");
    assert_eq!(open[0]["kind"], "stream", "{open:#?}");
    stream.wire.finish_sending();
    stream.wire.receive_to_end();
    let report = ended(&server, &query);
    assert_ended(&report, "client_eof", "client");
    assert_eq!(
        (&report["kind"], &report["user"]),
        (&"stream".into(), &"ada".into())
    );
}

// ---- the server ends it ----

#[test]
fn a_client_that_answers_no_ping_has_lost_its_heartbeat() {
    let server = Server::start_with(&[
        "--heartbeat",
        "200ms",
        "--pong-wait",
        "200ms",
        "--close-timeout",
        "200ms",
    ]);
    let silent = Chatter::connect(&server, "userId=silent");
    let report = ended(&server, "user=silent");
    assert_ended(&report, "heartbeat_lost", "server");
    assert_eq!(report["closeSent"]["code"], 4009);
    let frames = frames(&report);
    let sent: Vec<_> = frames
        .iter()
        .map(|(_, opcode, _)| opcode.as_str())
        .collect();
    assert!(sent.ends_with(&["ping", "close"]), "{frames:?}");
    assert!(
        report["flight"]["unansweredMs"].as_u64() >= Some(200),
        "{report:#}"
    );
    let hint = report["hint"].as_str().expect("a hint");
    assert!(hint.contains("suspended"), "its kernel is there: {hint}");
    drop(silent);
}

#[test]
fn a_reader_that_stops_reading_was_slow() {
    let server = Server::start_with(&["--close-timeout", "200ms"]);
    let narrow = Wire::open_narrow(server.address());
    let query = from(&narrow);
    let _deaf = Client::open_over(narrow, "/relay?room=r");
    let mut speaker = Client::open(server.address(), "/relay?room=r");
    for _ in 0..8 {
        speaker.send_binary(&vec![7; 500_000]);
    }
    let report = ended(&server, &query);
    assert_ended(&report, "slow", "server");
    assert_eq!(
        (&report["kind"], &report["closeSent"]["code"]),
        (&"relay".into(), &4008.into())
    );
    assert!(report["unsentBytes"].as_u64() > Some(1 << 20), "{report:#}");
    assert!(
        report["hint"]
            .as_str()
            .expect("a hint")
            .contains("does not read")
    );
}

#[test]
fn a_broken_rule_is_named() {
    let server = Server::start_with(&["--close-timeout", "200ms"]);
    let broken = |user: &str, bytes: &[u8]| {
        let mut chatter = Chatter::connect(&server, &format!("userId={user}"));
        chatter.client.wire.send(bytes);
        chatter.client.wire.receive_to_end();
        drop(chatter);
        ended(&server, &format!("user={user}"))
    };
    let report = broken("unmasked", &[0x81, 1, b'x']);
    assert_ended(&report, "protocol_error", "server");
    assert_eq!(report["error"], "frame from a client is not masked");
    let announced = [0x82, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 1, 2, 3, 4];
    let report = broken("large", &announced);
    assert_ended(&report, "message_too_big", "server");
    let came = (false, "binary".to_owned(), 2 << 20);
    assert!(frames(&report).contains(&came), "{report:#}");
    assert!(report["hint"].as_str().expect("a hint").contains("2097152"));
    let nonsense = Frame::text("nonsense").with_key([9; 4]).encode().repeat(10);
    let report = broken("babbler", &nonsense);
    assert_ended(&report, "bad_messages", "server");
    assert_eq!(report["closeSent"]["code"], 1008);
}

#[test]
fn a_session_that_is_elsewhere_was_replaced() {
    let server = Server::start();
    let mut older = Chatter::connect(&server, "userId=ada&session=s");
    let name = older.welcome["connection"]
        .as_str()
        .expect("a name")
        .to_owned();
    let newer = Chatter::connect(&server, "userId=ada&session=s");
    assert_eq!(older.hear_close(), Some(4003));
    drop(older);
    let report = ended(&server, &format!("connection={name}"));
    assert_ended(&report, "replaced", "server");
    assert_eq!(report["user"], "ada", "whose it was is remembered");
    let both = why(&server, "user=ada");
    let newer = &newer.welcome["connection"];
    assert_eq!(
        (both.len(), &both[0]["connection"]),
        (2, newer),
        "the open one first"
    );
}

#[test]
fn an_operator_disconnects_a_user() {
    let server = Server::start();
    let mut twice = [(); 2].map(|()| Chatter::enter(&server, "nuisance", "lobby"));
    let other = Chatter::enter(&server, "other", "lobby");
    let response = send(
        server.address(),
        "POST",
        "/api/admin/users/nuisance/disconnect",
        "",
        b"",
    );
    assert_eq!(
        (response.status, &response.json()["disconnected"]),
        (200, &2.into())
    );
    for chatter in &mut twice {
        assert_eq!(chatter.hear_close(), Some(1008));
    }
    drop(twice);
    wait_until("both are gone", || {
        let reports = why(&server, "user=nuisance");
        reports.len() == 2 && reports.iter().all(|report| report["cause"] == "kicked")
    });
    assert_eq!(why(&server, "user=other")[0]["cause"], Value::Null);
    drop(other);
}

#[test]
fn an_operator_stops_the_server() {
    let mut server = Server::start();
    let mut chatter = Chatter::enter(&server, "ada", "lobby");
    let response = send(server.address(), "POST", "/api/admin/drain", "", b"");
    assert_eq!(
        (response.status, &response.json()["status"]),
        (200, &"draining".into())
    );
    assert_eq!(chatter.hear_close(), Some(1012));
    drop(chatter);
    assert!(server.wait_for_exit().success());
}

// ---- before there was a WebSocket ----

#[test]
fn who_sends_no_request_is_told_from_one_that_is_refused() {
    let server = Server::start_with(&["--handshake-timeout", "3s", "--close-timeout", "1s"]);
    let ends = |bytes: &[u8]| {
        let mut wire = Wire::open(server.address());
        wire.send(bytes);
        let query = from(&wire);
        wire.receive_to_end();
        drop(wire);
        ended(&server, &query)
    };
    let report = ends(b"GET /ws HTTP/1.1\r\nHo");
    assert_ended(&report, "handshake_timeout", "server");
    assert_eq!(report["status"], 408);
    let report = ends(b"");
    assert_ended(&report, "handshake_timeout", "server");
    let report = ends(b"\x16\x03\x01\r\n\r\n");
    assert_ended(&report, "handshake_refused", "server");
    assert_eq!(report["status"], 400);
    let wrong = handshake_request("/nowhere", "");
    let report = ends(wrong.as_bytes());
    assert_ended(&report, "handshake_refused", "server");
    assert_eq!(report["status"], 404);
}

#[test]
fn one_too_many_was_an_overload() {
    let server = Server::start_with(&["--connections-max", "2", "--workers", "1"]);
    let held = [(); 2].map(|()| Client::open(server.address(), "/echo"));
    let mut refused = HttpConnection::open(server.address());
    let query = from(&refused.wire);
    refused.request("GET", "/health", "");
    assert_eq!(refused.response().status, 503);
    drop((refused, held));
    wait_until("there is room to ask", || {
        get(server.address(), "/health").status == 200
    });
    let report = ended(&server, &query);
    assert_ended(&report, "overload", "server");
}

#[test]
fn an_address_that_has_too_many_is_told_from_a_user_that_has() {
    // Loopback is not limited: these come through a proxy that is trusted.
    let proxy = ["--trusted-proxy", "127.0.0.1", "--address-connections", "1"];
    let server = Server::start_with(&[&proxy[..], &["--user-connections", "1"]].concat());
    let ada = Chatter::connect(&server, "userId=ada");
    let second = Wire::open(server.address());
    let query = from(&second);
    let mut second = Client::open_over(second, "/ws?userId=ada");
    second.expect_text();
    second.expect_close(1013);
    drop(second);
    assert_ended(&ended(&server, &query), "user_full", "server");

    let shake = || {
        let request = handshake_request("/echo", "X-Forwarded-For: 203.0.113.7\r\n");
        let mut connection = HttpConnection::open(server.address());
        connection.wire.send(request.as_bytes());
        let status = connection.response().status;
        // Who is not let in is known by the proxy's address.
        let query = from(&connection.wire);
        (status, connection, query)
    };
    let (status, held, _) = shake();
    assert_eq!(status, 101);
    let (status, refused, query) = shake();
    assert_eq!(status, 429);
    drop(refused);
    let report = ended(&server, &query);
    assert_ended(&report, "rate_limited", "server");
    assert_eq!(report["status"], 429);
    assert!(
        report["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("--address-connections"))
    );
    drop((ada, held));
}

#[test]
fn tls_that_fails_and_tokens_that_end_are_named() {
    let server = Launch::default().tls(&Identity::shared()).start();
    let mut socket = TcpStream::connect(server.address()).expect("a connection");
    let query = format!("address={}", socket.local_addr().expect("an address"));
    // The record of a handshake, with nonsense in it.
    let record = [0x16, 3, 1, 0, 4, 0xff, 0, 0, 0];
    socket.write_all(&record).expect("it is read");
    // An alert, and the end, or a reset.
    let _ = socket.read_to_end(&mut Vec::new());
    drop(socket);
    let report = ended(&server, &query);
    assert_ended(&report, "tls_failed", "server");
    assert!(report["error"].is_string(), "{report:#}");

    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token("ada", &["--expires", "6s"]);
    let mut ada = Chatter::connect(&server, &format!("token={token}"));
    assert_eq!(ada.hear_close(), Some(4001));
    drop(ada);
    let admin = issuer.token("operator", &["--admin"]);
    let mut report = Value::Null;
    wait_until("the connection has ended", || {
        let target = format!("/api/admin/why?user=ada&token={admin}");
        report = get(server.address(), &target).json()["connections"][0].clone();
        report["cause"].is_string()
    });
    assert_ended(&report, "token_expired", "server");
}

#[test]
fn http_that_has_its_answers_is_counted_and_not_kept() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    let query = from(&connection.wire);
    connection.request("GET", "/health", "");
    assert_eq!(connection.response().status, 200);
    drop(connection);
    let done = || {
        let overview = get(server.address(), "/api/admin/overview").json();
        let ended = overview["ended"].as_array().expect("causes").clone();
        let done = ended.iter().find(|ended| ended["cause"] == "http_done");
        done.and_then(|done| done["count"].as_u64())
    };
    wait_until("it is counted", || done() >= Some(1));
    wait_until("it is not kept", || why(&server, &query).is_empty());
}

// ---- asking ----

#[test]
fn what_is_open_is_told_too_and_without_a_recorder_nothing_else() {
    let server = Server::start();
    let mut ada = Chatter::enter(&server, "ada", "lobby");
    ada.say_acked("lobby", "hello", 1);
    let reports = why(&server, "user=ada");
    let [report] = &reports[..] else {
        panic!("{reports:#?}")
    };
    assert_eq!(
        (&report["kind"], &report["cause"]),
        (&"chat".into(), &Value::Null)
    );
    assert_eq!(report["connection"], ada.welcome["connection"]);
    assert!(frames(report).len() >= 4, "{report:#}");
    let listed = get(server.address(), "/api/admin/connections?search=AD").json();
    assert_eq!(listed["connections"][0]["user"], "ada", "{listed:#}");
    assert_eq!(frames(&listed["connections"][0]), [], "a list is short");
    let rooms = get(server.address(), "/api/admin/rooms?search=lob").json();
    assert_eq!(rooms["rooms"][0]["roomId"], "lobby");
    let users = get(server.address(), "/api/admin/users").json();
    assert_eq!(users["users"][0]["connections"], 1);

    let off = Server::start_with(&["--recorder", "off"]);
    let ada = Chatter::enter(&off, "ada", "lobby");
    let reports = why(&off, "user=ada");
    assert_eq!(reports[0]["flight"], Value::Null);
    drop(ada);
    wait_until("nothing is known of who is gone", || {
        why(&off, "user=ada").is_empty()
    });
}

#[test]
fn numbers_are_sampled() {
    let server = Server::start();
    let mut ada = Chatter::enter(&server, "ada", "lobby");
    let mut rows = Vec::new();
    wait_until("something was counted", || {
        ada.say("lobby", "hello");
        let overview = get(server.address(), "/api/admin/overview").json();
        let columns = overview["columns"].as_array().expect("columns").clone();
        let place = |name: &str| columns.iter().position(|column| column == name);
        let (received, connections) = (place("messagesIn"), place("connections"));
        let (canary, lag) = (place("canaryMs"), place("lagMs"));
        rows = overview["samples"].as_array().expect("samples").clone();
        rows.iter().any(|row| {
            let number = |place: Option<usize>| row[place.expect("a column")].as_f64();
            let is_delay_known = number(canary) > Some(0.0) && number(lag).is_some();
            number(received) > Some(0.0) && number(connections) >= Some(1.0) && is_delay_known
        })
    });
    let last = rows.last().expect("a sample")[0].as_u64().expect("a time");
    let overview = get(
        server.address(),
        &format!("/api/admin/overview?since={last}"),
    )
    .json();
    let newer = overview["samples"].as_array().expect("samples");
    assert!(
        newer.iter().all(|row| row[0].as_u64() > Some(last)),
        "{newer:?}"
    );
}

#[test]
fn only_who_sits_at_the_machine_may_ask() {
    let server = Server::start_with(&["--cors-origin", "*"]);
    let refused = |headers: &str| {
        let request = format!("GET /api/admin/overview HTTP/1.1\r\n{headers}\r\n");
        let response = tidewire_tests::http::exchange(server.address(), request.as_bytes());
        assert_problem(&response, 403, "not_an_operator");
    };
    refused("Host: rebound.example\r\n");
    refused("Host: localhost\r\nOrigin: https://evil.example\r\n");
    refused("Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n");
    let headers = "Origin: https://evil.example\r\n";
    let response = send(server.address(), "POST", "/api/admin/drain", headers, b"");
    assert_problem(&response, 403, "not_an_operator");
    assert_eq!(get(server.address(), "/api/admin/overview").status, 200);
    for query in ["", "?user=a&address=::1", "?connection=5", "?address=here"] {
        let response = get(server.address(), &format!("/api/admin/why{query}"));
        assert_problem(&response, 400, "bad_field");
    }
}

#[test]
fn the_command_tells_people_and_programs() {
    let server = Server::start();
    let url = format!("http://{}", server.address());
    let mut ada = Chatter::enter(&server, "ada", "lobby");
    ada.client
        .send(&Frame::close(1001, "bye\u{1b}[31m").with_key([1; 4]));
    ada.client.expect_close(1001);
    drop(ada);
    let _ = ended(&server, "user=ada");
    let ask =
        |words: &[&str]| command::run(&[&["why", "--url", url.as_str()], words].concat(), b"");
    let (code, told, _) = ask(&["ada"]);
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "chat of ada from 127.0.0.1:",
        "client_close",
        "ended by the client",
        "< close",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    assert!(!told.contains('\u{1b}'), "{told:?}");
    let (code, json, _) = ask(&["--json", "ada"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (code, &json["connections"][0]["user"]),
        (Some(0), &"ada".into())
    );
    let (code, _, error) = ask(&["nobody"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("nothing is known of \"nobody\""), "{error}");
    assert_eq!(ask(&[""]).0, Some(2));
    let (code, _, error) = command::run(&["why", "--url", "http://127.0.0.1:1", "ada"], b"");
    assert_eq!(code, Some(1));
    assert!(error.contains("is a server running there?"), "{error}");
}

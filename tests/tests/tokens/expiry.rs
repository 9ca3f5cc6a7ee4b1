//! The end of a token: it is told before it comes, it closes with 4001 whatever the connection is for, and a fresh token moves it.

use serde_json::json;
use tidewire_tests::http::{self, assert_problem};
use tidewire_tests::http_chat::code_and_reason;
use tidewire_tests::wire::Wire;
use tidewire_tests::{
    Chatter, Client, EventStream, Issuer, PollChatter, StreamChatter, wait_until,
};

/// Long enough to connect with on a busy machine, and short enough to wait for.
const SOON: &str = "6s";

#[test]
fn a_token_that_ends_closes_every_transport_with_4001() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token("ada", &["--expires", SOON]);
    let mut chat = Chatter::connect(&server, &format!("room=r&token={token}"));
    let mut relay = Client::open(server.address(), &format!("/relay?room=r&token={token}"));
    let mut echo = Client::open(server.address(), &format!("/echo?token={token}"));
    let query = format!("room=r&session=stream&token={token}");
    let mut stream = StreamChatter::connect(&server, &query);
    let target = format!("/sse?room=r&token={token}");
    let mut reader = EventStream::open(server.address(), &target, "");
    let mut poll = PollChatter::new(&server, &format!("room=r&session=poll&token={token}"));
    poll.poll();

    let notice = chat.hear_of("token_expiring");
    assert!(
        notice["seconds"]
            .as_u64()
            .is_some_and(|seconds| seconds <= 1),
        "{notice}"
    );
    assert_eq!(chat.hear_close(), Some(4001));
    stream.hear_of("token_expiring");
    assert_eq!(
        stream.hear_close(),
        (4001, "the token has expired".to_owned())
    );
    let (_, close) = reader.message();
    assert_eq!(
        (&close["type"], &close["code"]),
        (&json!("close"), &json!(4001))
    );
    relay.expect_close(4001);
    echo.expect_close(4001);
    // The poll is refused, whenever it comes next.
    poll.ask(1);
    assert_problem(&poll.http.response(), 401, "unauthorized");
    let late = http::get(server.address(), &format!("/api/rooms?token={token}"));
    assert_problem(&late, 401, "unauthorized");
    wait_until("all of that is counted", || {
        http::get(server.address(), "/health").json()["tokens_expired"] == 5
    });
}

#[test]
fn a_poll_that_waits_when_its_token_ends_is_answered() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token("ada", &["--expires", SOON]);
    let mut poll = PollChatter::new(&server, &format!("room=r&session=poll&token={token}"));
    poll.poll();
    poll.ask(60);
    // Nobody says anything: what ends it is the notice, behind which comes the end itself if the machine stood still meanwhile.
    let answer = poll.answer();
    let mut told = answer.iter().filter(|message| message["code"] != 4001);
    let last = told.next_back().expect("a message");
    assert_eq!(last["type"], "token_expiring", "{answer:?}");
}

#[test]
fn a_fresh_token_on_the_living_connection_moves_the_end() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let short = issuer.token("ada", &["--expires", SOON]);
    let long = issuer.token("ada", &[]);
    let mut renewed = Chatter::connect(&server, &format!("room=r&token={short}"));
    let mut other = Chatter::connect(&server, &format!("room=r&token={short}"));
    renewed.send(&json!({"type": "hello", "token": long}));
    renewed.hear_of("welcome");
    assert_eq!(other.hear_close(), Some(4001));
    renewed.say_acked("r", "still here", 1);
    wait_until("the end of the other is counted", || {
        http::get(server.address(), "/health").json()["tokens_expired"] == 1
    });
}

#[test]
fn a_capture_ends_with_its_token() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token("root", &["--admin", "--expires", SOON]);
    let mut wire = Wire::open(server.address());
    let target = format!("/api/admin/capture?seconds=3600&token={token}");
    wire.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    // It ends by itself: who asks again is refused.
    wait_until("the capture has ended", || wire.receive().is_err());
    let head = String::from_utf8_lossy(&wire.take(15)).into_owned();
    assert_eq!(head, "HTTP/1.1 200 OK");
    let late = http::get(server.address(), &target);
    assert_problem(&late, 401, "unauthorized");
}

#[test]
fn a_token_of_a_poll_that_was_replaced_ends_nothing_later() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let short = issuer.token("ada", &["--expires", SOON]);
    let mut poll = PollChatter::new(&server, &format!("room=r&session=s&token={short}"));
    poll.poll();
    poll.ask(60);
    wait_until("it polls", || {
        http::get(server.address(), "/health").json()["polls"] == 1
    });
    let long = issuer.token("ada", &[]);
    let _newer = StreamChatter::connect(&server, &format!("room=r&session=s&token={long}"));
    let (code, _) = code_and_reason(poll.answer().last().expect("a message"));
    assert_eq!(code, 4003);
    wait_until("its token has ended", || {
        let target = format!("/api/rooms?token={short}");
        http::get(server.address(), &target).status == 401
    });
    // The connection is still there, and asks for something else.
    let headers = format!("Authorization: Bearer {long}\r\n");
    poll.http.request("GET", "/api/rooms", &headers);
    assert_eq!(poll.http.response().status, 200);
    let health = http::get(server.address(), "/health").json();
    assert_eq!(health["tokens_expired"], 0, "{health}");
}

#[test]
fn a_token_counts_for_the_leeway_longer() {
    let issuer = Issuer::new();
    let server = issuer.server(&["--auth-leeway", "10m"]);
    let token = issuer.token("ada", &["--expires", "1s"]);
    // It has ended when the second one is asked for: the server of the first one says when.
    let strict = issuer.server(&[]);
    let mut first = Chatter::connect(
        &strict,
        &format!("token={}", issuer.token("ada", &["--expires", SOON])),
    );
    assert_eq!(first.hear_close(), Some(4001));
    let listed = http::get(server.address(), &format!("/api/rooms?token={token}"));
    assert_eq!(listed.status, 200, "{listed:?}");
    let refused = http::get(strict.address(), &format!("/api/rooms?token={token}"));
    assert_problem(&refused, 401, "unauthorized");
}

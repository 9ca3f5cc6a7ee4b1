//! Rooms over HTTP: publishing, history, event streams and long-poll see the same messages at the same places as WebSockets.

use serde_json::{Value, json};
use tidewire_tests::http::{HttpConnection, assert_problem, get, send};
use tidewire_tests::{Chatter, EventStream, Server};

#[track_caller]
fn publish(server: &Server, room: &str, body: &Value) -> Value {
    let target = format!("/api/rooms/{room}/messages");
    let response = send(
        server.address(),
        "POST",
        &target,
        "",
        body.to_string().as_bytes(),
    );
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

#[track_caller]
fn history(server: &Server, room: &str, query: &str) -> Value {
    let response = get(
        server.address(),
        &format!("/api/rooms/{room}/messages?{query}"),
    );
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

fn offsets(messages: &Value) -> Vec<u64> {
    let messages = messages.as_array().expect("a list");
    let offset = |message: &Value| message["offset"].as_u64();
    messages.iter().filter_map(offset).collect()
}

#[test]
fn what_one_transport_sends_all_get_at_the_same_place() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "a");
    let mut stream = EventStream::open(server.address(), "/sse?room=a", "");
    let (start, nothing) = stream.event();
    assert_eq!(nothing, None);
    let position = start.expect("a stream says where it begins");

    let ack = alice.say_acked("a", "by websocket", 1);
    let published = publish(&server, "a", &json!({"content": "by http", "from": "bob"}));
    assert_eq!(
        (&published["roomId"], &published["dup"]),
        (&json!("a"), &json!(false))
    );
    assert_eq!(alice.hear_of("room_msg")["offset"], published["offset"]);
    let (_, first) = stream.message();
    let (id, second) = stream.message();
    assert_eq!(
        (&first["content"], &first["offset"]),
        (&json!("by websocket"), &ack["offset"])
    );
    assert_eq!(
        (&second["from"], &second["offset"]),
        (&json!("bob"), &published["offset"])
    );
    let epoch = published["epoch"].as_str().expect("an epoch");
    assert_eq!(id, Some(format!("{epoch}-2")));

    let polled = get(server.address(), &format!("/poll?room=a&since={position}")).json();
    assert_eq!(polled["messages"], json!([first, second]));
    assert_eq!(polled["position"], format!("{epoch}-2"));
    let kept = history(&server, "a", "");
    assert_eq!(kept["messages"], json!([first, second]));
    assert_eq!(
        (&kept["more"], &kept["position"]),
        (&json!(false), &polled["position"])
    );
}

#[test]
fn a_stream_resumes_behind_the_last_event_id() {
    let server = Server::start();
    for number in 1..=5 {
        publish(&server, "a", &json!({"content": number}));
    }
    let mut stream = EventStream::open(server.address(), "/sse?room=a&since=", "");
    let ids: Vec<String> = (1..=5)
        .map(|number| {
            let (id, message) = stream.message();
            assert_eq!(message["content"], number);
            id.expect("each message has an id")
        })
        .collect();
    let last = format!("Last-Event-ID: {}\r\n", ids[2]);
    // The address still says where it began; what came last knows better.
    let mut again = EventStream::open(server.address(), "/sse?room=a&since=", &last);
    for number in [4, 5] {
        assert_eq!(again.message().1["content"], number);
    }
    publish(&server, "a", &json!({"content": 6}));
    assert_eq!(again.message().1["content"], 6);
    let unknown = "Last-Event-ID: 00000000-3\r\n";
    let mut gap = EventStream::open(server.address(), "/sse?room=a", unknown);
    let (_, told) = gap.message();
    assert_eq!(
        (&told["type"], &told["from"]),
        (&json!("gap"), &json!("00000000-3"))
    );
    assert_eq!(gap.message().1["content"], 1);
}

#[test]
fn a_stream_of_several_rooms_has_ids_that_name_them() {
    let server = Server::start();
    publish(&server, "a", &json!({"content": "a1"}));
    let mut stream = EventStream::open(server.address(), "/sse?room=a&room=b%2C&since=", "");
    let mut heard = vec![stream.message().1];
    publish(&server, "b%2C", &json!({"content": "b1"}));
    let (id, message) = stream.message();
    heard.push(message);
    let contents: Vec<&Value> = heard.iter().map(|message| &message["content"]).collect();
    assert_eq!(contents, ["a1", "b1"]);
    let id = id.expect("an id");
    assert!(id.starts_with("a:") && id.contains(",b%2C:"), "{id}");
    publish(&server, "a", &json!({"content": "a2"}));
    let resumed = format!("Last-Event-ID: {id}\r\n");
    let mut again = EventStream::open(server.address(), "/sse?room=a&room=b%2C&since=", &resumed);
    assert_eq!(again.message().1["content"], "a2");
    publish(&server, "b%2C", &json!({"content": "b2"}));
    assert_eq!(again.message().1["content"], "b2");
}

#[test]
fn a_stream_of_many_messages_comes_in_pages_without_a_hole() {
    const MESSAGES: u64 = 600;
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut alice = Chatter::enter(&server, "alice", "a");
    let content = "x".repeat(4000);
    for seq in 1..=MESSAGES {
        alice.say("a", &content);
        if seq % 50 == 0 {
            alice.say_acked("a", &content, seq);
        }
    }
    let sent = MESSAGES + MESSAGES / 50;
    let mut stream = EventStream::open(server.address(), "/sse?room=a&since=", "");
    for offset in 1..=sent {
        assert_eq!(stream.message().1["offset"], offset);
    }
    alice.say("a", "live");
    assert_eq!(stream.message().1["content"], "live");
}

#[test]
fn a_poll_waits_for_the_next_message_but_not_longer_than_asked() {
    let server = Server::start();
    publish(&server, "a", &json!({"content": 1}));
    let empty = get(server.address(), "/poll?room=a&timeout=1").json();
    assert_eq!(empty["messages"], json!([]));
    let position = empty["position"].as_str().expect("a position").to_owned();
    let mut waiting = HttpConnection::open(server.address());
    waiting.request(
        "GET",
        &format!("/poll?room=a&since={position}&timeout=60"),
        "",
    );
    // It goes on to wait while others are served.
    assert_eq!(history(&server, "a", "")["messages"][0]["content"], 1);
    publish(&server, "a", &json!({"content": 2}));
    let answer = waiting.response().json();
    assert_eq!(offsets(&answer["messages"]), [2]);
    // The connection is as any other, and can ask again.
    let next = answer["position"].as_str().expect("a position");
    waiting.request("GET", &format!("/poll?room=a&since={next}&timeout=60"), "");
    publish(&server, "a", &json!({"content": 3}));
    assert_eq!(offsets(&waiting.response().json()["messages"]), [3]);
}

#[test]
fn polling_on_and_on_misses_nothing_and_gets_nothing_twice() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut alice = Chatter::enter(&server, "alice", "a");
    let mut poller = HttpConnection::open(server.address());
    let mut position = String::new();
    let mut heard = Vec::new();
    for seq in 1..=500_u64 {
        alice.say("a", "x");
        if seq % 7 == 0 || seq == 500 {
            poller.request(
                "GET",
                &format!("/poll?room=a&since={position}&timeout=5"),
                "",
            );
            let answer = poller.response().json();
            heard.extend(offsets(&answer["messages"]));
            position = answer["position"].as_str().expect("a position").to_owned();
        }
    }
    while heard.len() < 500 {
        poller.request(
            "GET",
            &format!("/poll?room=a&since={position}&timeout=5"),
            "",
        );
        let answer = poller.response().json();
        assert_ne!(answer["messages"], json!([]), "after {}", heard.len());
        heard.extend(offsets(&answer["messages"]));
        position = answer["position"].as_str().expect("a position").to_owned();
    }
    assert_eq!(heard, (1..=500).collect::<Vec<_>>());
}

#[test]
fn a_publication_that_is_sent_again_is_stored_once() {
    let server = Server::start();
    let body = json!({"content": 1, "from": "bob", "session": "s", "seq": 7});
    let first = publish(&server, "a", &body);
    let again = publish(&server, "a", &body);
    assert_eq!(
        (&first["dup"], &again["dup"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&first["offset"], &first["epoch"]),
        (&again["offset"], &again["epoch"])
    );
    // The same message over WebSocket is the same message.
    let mut bob = Chatter::connect(&server, "userId=bob&session=s&room=a");
    let ack = bob.say_acked("a", "1", 7);
    assert_eq!(
        (&ack["dup"], &ack["offset"]),
        (&json!(true), &first["offset"])
    );
    assert_eq!(offsets(&history(&server, "a", "")["messages"]), [1]);
    // Who names no session is always in the same one.
    let bare = json!({"content": 2, "from": "bob", "seq": 1});
    assert_eq!(publish(&server, "a", &bare)["dup"], false);
    assert_eq!(publish(&server, "a", &bare)["dup"], true);
}

#[test]
fn users_and_everyone_are_reached_over_http() {
    let server = Server::start();
    let mut bob = Chatter::connect(&server, "userId=bob");
    let body = json!({"content": "hi", "from": "robot"}).to_string();
    let private = send(
        server.address(),
        "POST",
        "/api/users/bob/messages",
        "",
        body.as_bytes(),
    );
    assert_eq!(private.json()["roomId"], "@bob");
    let heard = bob.hear_of("private_msg");
    assert_eq!(
        (&heard["from"], &heard["content"]),
        (&json!("robot"), &json!("hi"))
    );
    let all = send(
        server.address(),
        "POST",
        "/api/broadcast",
        "",
        body.as_bytes(),
    );
    assert_eq!(all.json()["roomId"], "*");
    assert_eq!(bob.hear_of("broadcast")["content"], "hi");
}

#[test]
fn history_is_paged_in_both_directions() {
    let server = Server::start();
    for number in 1..=10 {
        publish(&server, "a", &json!({"content": number}));
    }
    let newest = history(&server, "a", "limit=3");
    assert_eq!(offsets(&newest["messages"]), [8, 9, 10]);
    assert_eq!(newest["more"], true);
    let epoch = newest["messages"][0]["epoch"].as_str().expect("an epoch");
    let older = history(&server, "a", &format!("before={epoch}-8&limit=100"));
    assert_eq!(offsets(&older["messages"]), (1..=7).collect::<Vec<_>>());
    assert_eq!(older["more"], false);
    let mut position = String::new();
    let mut all = Vec::new();
    loop {
        let page = history(&server, "a", &format!("since={position}&limit=4"));
        all.extend(offsets(&page["messages"]));
        position = page["position"].as_str().expect("a position").to_owned();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(all, (1..=10).collect::<Vec<_>>());
    assert_eq!(history(&server, "nobody", "")["messages"], json!([]));
}

#[test]
fn what_makes_no_sense_is_told() {
    let server = Server::start();
    let problem =
        |target: &str, code: &str| assert_problem(&get(server.address(), target), 400, code);
    problem("/sse", "missing_field");
    problem("/poll", "missing_field");
    problem("/sse?room=%40bob", "bad_name");
    problem("/poll?room=a&timeout=0", "bad_field");
    problem("/poll?room=a&timeout=61", "bad_field");
    problem("/api/rooms/a/messages?limit=0", "bad_field");
    problem("/api/rooms/a/messages?since=x", "bad_position");
    problem(
        "/api/rooms/a/messages?since=&before=00000000-1",
        "bad_field",
    );
    problem("/api/rooms/%40bob/messages", "bad_name");
    let gap = get(server.address(), "/poll?room=a&since=nonsense").json();
    assert_eq!(gap["gaps"][0]["from"], "nonsense");
}

#[test]
fn readers_that_go_away_leave_nothing_behind() {
    let server = Server::start();
    let before = server.usage().descriptors;
    for _ in 0..50 {
        let stream = EventStream::open(server.address(), "/sse?room=a&room=b", "");
        let mut poll = HttpConnection::open(server.address());
        poll.request("GET", "/poll?room=a&timeout=60", "");
        drop((stream, poll));
    }
    tidewire_tests::wait_until("all their descriptors are free", || {
        server.usage().descriptors <= before
    });
    assert_eq!(publish(&server, "a", &json!({"content": 1}))["offset"], 1);
}

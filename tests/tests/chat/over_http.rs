//! The chat without a WebSocket: an event stream or polls, and POST. Who chats so is in the rooms as others are, hears all that
//! they hear, and stays there between two polls.

use serde_json::{Value, json};
use tidewire_tests::chat::members;
use tidewire_tests::http::{HttpConnection, assert_problem, get, send};
use tidewire_tests::http_chat::{code_and_reason, kinds};
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, PollChatter, Server, StreamChatter, wait_until};

const ADA: &str = "userId=ada&session=s";

#[track_caller]
fn post(server: &Server, target: &str, body: &Value) {
    let body = body.to_string();
    let response = send(server.address(), "POST", target, "", body.as_bytes());
    assert!(matches!(response.status, 200 | 204), "{response:?}");
}

#[track_caller]
fn present(server: &Server, room: &str) -> Value {
    let target = format!("/api/rooms/{room}/presence");
    get(server.address(), &target).json()["members"].clone()
}

/// What is the same in all messages of the same kind.
fn gist(message: &Value) -> Value {
    let mut gist = message.clone();
    for field in ["time", "offset", "epoch"] {
        gist.as_object_mut().expect("an object").remove(field);
    }
    gist
}

/// Bob says and does all that others can hear of, and what they then hear.
fn bob_does_everything(server: &Server, bob: &mut Chatter) -> [Value; 6] {
    let mut carol = Chatter::enter(server, "carol", "lobby");
    bob.send(&json!({"type": "typing", "roomId": "lobby"}));
    bob.say_acked("lobby", "hello", 1);
    bob.send(&json!({"type": "private_msg", "toUser": "ada", "content": "psst", "seq": 2}));
    bob.hear_of("ack");
    bob.send(&json!({"type": "broadcast", "content": "all", "seq": 3}));
    bob.hear_of("ack");
    carol.send(&json!({"type": "leave_room", "roomId": "lobby"}));
    carol.hear_of("left");
    [
        json!({"type": "system", "roomId": "lobby", "event": "join", "user": "carol", "content": "carol joined."}),
        json!({"type": "typing", "roomId": "lobby", "user": "bob"}),
        json!({"type": "room_msg", "roomId": "lobby", "from": "bob", "content": "hello"}),
        json!({"type": "private_msg", "from": "bob", "content": "psst"}),
        json!({"type": "broadcast", "from": "bob", "content": "all"}),
        json!({"type": "system", "roomId": "lobby", "event": "leave", "user": "carol", "content": "carol left."}),
    ]
}

// ---- event streams ----

#[test]
fn a_stream_hears_all_that_a_websocket_hears() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut ada = StreamChatter::connect(&server, &format!("{ADA}&room=lobby"));
    let who = (&ada.welcome["user"], &ada.welcome["session"]);
    assert_eq!(who, (&json!("ada"), &json!("s")));
    let joined = ada.hear_of("joined");
    assert_eq!(members(&joined), ["ada", "bob"], "{joined}");
    assert_eq!(bob.hear_of("system")["user"], "ada");
    // What is in no log has no place among what is: with several workers it takes another way.
    let mut expected = bob_does_everything(&server, &mut bob);
    let mut heard = [(); 6].map(|()| gist(&ada.hear()));
    for list in [&mut heard, &mut expected] {
        list.sort_by_key(Value::to_string);
    }
    assert_eq!(heard, expected);
    assert_eq!(present(&server, "lobby"), json!(["ada", "bob"]));
    // What it says itself comes by POST, and to it as to the others.
    let mine = json!({"content": "me, too", "from": "ada", "session": "s", "seq": 1});
    post(&server, "/api/rooms/lobby/messages", &mine);
    for heard in [ada.hear(), bob.hear_of("room_msg")] {
        let who = (&heard["from"], &heard["content"]);
        assert_eq!(who, (&json!("ada"), &json!("me, too")));
    }
    drop(ada);
    let left = loop {
        let system = bob.hear_of("system");
        if system["user"] == "ada" {
            break system;
        }
    };
    assert_eq!(left["event"], "leave", "{left}");
}

#[test]
fn a_stream_without_rooms_or_name_is_a_guest_that_can_be_written_to() {
    let server = Server::start();
    let mut guest = StreamChatter::connect(&server, "session=s");
    let name = guest.welcome["user"].as_str().expect("a name").to_owned();
    let target = format!("/api/users/{name}/messages");
    // It may not follow its messages yet, but then they wait for it.
    post(&server, &target, &json!({"content": "hi", "from": "bob"}));
    assert_eq!(guest.hear()["content"], "hi");
}

#[test]
fn a_stream_goes_on_behind_what_it_had_or_is_told_of_a_gap() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let first = bob.say_acked("lobby", "1", 1);
    bob.say_acked("lobby", "2", 2);
    let epoch = first["epoch"].as_str().expect("an epoch");
    let query = format!("{ADA}&room=lobby&since=lobby:{epoch}-1");
    let mut ada = StreamChatter::connect(&server, &query);
    assert_eq!(ada.hear()["content"], "2");
    assert_eq!(ada.hear_of("joined")["recovered"], true);
    let query = format!("{ADA}&room=lobby&since=lobby:00000000-1");
    let mut ada = StreamChatter::connect(&server, &query);
    assert_eq!(ada.hear()["reason"], "epoch_changed");
    assert_eq!(
        (ada.hear()["content"].take(), ada.hear()["content"].take()),
        ("1".into(), "2".into())
    );
    assert_eq!(ada.hear_of("joined")["recovered"], false);
}

#[test]
fn a_stream_that_is_not_read_is_closed_as_slow_and_told_where_to_go_on() {
    const MESSAGES: u64 = 2048;
    // The close must wait for the reader to come back, so the wait for it is long here.
    let server = Server::start_with(&[
        "--messages-per-second",
        "0",
        "--close-timeout",
        "60s",
        "--lag-max",
        "1s",
    ]);
    let wire = Wire::open_narrow(server.address());
    let mut stalled = StreamChatter::connect_over(wire, &format!("{ADA}&room=lobby"));
    let mut speaker = Chatter::enter(&server, "speaker", "lobby");
    let content = "x".repeat(32 * 1024);
    let before = server.usage().resident_bytes;
    for seq in 1..=MESSAGES {
        speaker.say_acked("lobby", &content, seq);
        if seq % 32 == 0 && server.health().slow == 1 {
            break;
        }
    }
    wait_until("it is noted as slow", || server.health().slow == 1);
    wait_until("it is in the room no more", || {
        present(&server, "lobby") == json!(["speaker"])
    });
    let growth = server.usage().resident_bytes.saturating_sub(before);
    // The log in memory has up to 64 MiB of it; what the reader costs is small beside that.
    assert!(
        growth < (64 + 16) << 20,
        "the server grew by {growth} bytes"
    );
    let mut last = 0;
    let close = loop {
        let message = stalled.hear();
        match message["type"].as_str() {
            Some("room_msg") => {
                last += 1;
                assert_eq!(message["offset"], last, "no hole before the close");
            }
            Some("joined" | "system") => {}
            _ => break message,
        }
    };
    let (code, reason) = code_and_reason(&close);
    assert_eq!(code, 4008, "{close}");
    assert!(
        reason.ends_with(&format!("-{last}")),
        "{reason}, not {last}"
    );
}

// ---- polls ----

#[test]
fn a_first_poll_is_answered_at_once_and_the_next_one_hears_all_that_a_websocket_hears() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut ada = PollChatter::new(&server, &format!("{ADA}&room=lobby"));
    let first = ada.poll();
    assert_eq!(kinds(&first), ["welcome", "joined"]);
    assert_eq!(members(&first[1]), ["ada", "bob"]);
    assert_eq!(bob.hear_of("system")["user"], "ada");
    // What is kept in a log comes in the next polls, what is not only if one waits.
    let expected = bob_does_everything(&server, &mut bob);
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let messages = ada.poll();
        assert_eq!(messages[0]["type"], "welcome");
        heard.extend(
            messages
                .into_iter()
                .filter(|message| !message["offset"].is_null()),
        );
    }
    heard.sort_by_key(|message| message["type"].as_str().map(str::to_owned));
    let heard: Vec<Value> = heard.iter().map(gist).collect();
    let kept = [&expected[4], &expected[3], &expected[2]].map(Value::clone);
    assert_eq!(heard, kept, "each once");
    ada.ask(60);
    post(&server, "/api/rooms/lobby/typing", &json!({"from": "bob"}));
    bob.say_acked("lobby", "again", 9);
    let messages = ada.answer();
    // Whichever came first is the answer, or both.
    let is_it = |message: &Value| message["type"] == "typing" || message["content"] == "again";
    assert!(messages.iter().any(is_it), "{messages:?}");
}

#[test]
fn a_poll_that_goes_on_is_not_answered_for_being_welcomed_and_joined() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let query = format!("{ADA}&room=lobby");
    let mut ada = PollChatter::new(&server, &query);
    ada.poll();
    // The end of the stream shows that the hub has heard of the poll.
    let mut stream = StreamChatter::connect(&server, &query);
    ada.ask(60);
    assert_eq!(stream.hear_close().0, 4003);
    bob.say_acked("lobby", "news", 1);
    let mut messages = ada.answer();
    // The news may have come before it was at the head.
    messages.sort_by_key(|message| message["type"] == "room_msg");
    assert_eq!(kinds(&messages), ["welcome", "joined", "room_msg"]);
    assert_eq!(messages[1]["recovered"], true);
    // Where nothing happens, it is answered when its time is up, and goes on where it was.
    let position = ada.position.clone();
    ada.ask(1);
    assert_eq!(kinds(&ada.answer()), ["welcome", "joined"]);
    assert_eq!(ada.position, position);
    // A gap is something.
    ada.position = Some("lobby:00000000-1".to_owned());
    assert_eq!(kinds(&ada.poll()), ["welcome", "gap", "room_msg", "joined"]);
    // And another room is joined at once.
    ada.query.push_str("&room=den");
    let messages = ada.poll();
    let rooms: Vec<&Value> = messages[1..]
        .iter()
        .map(|joined| &joined["roomId"])
        .collect();
    assert_eq!(rooms.len(), 2, "{messages:?}");
    assert!(rooms.contains(&&json!("den")) && rooms.contains(&&json!("lobby")));
}

#[test]
fn nobody_sees_who_polls_leave_between_two_polls() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut ada = PollChatter::new(&server, &format!("{ADA}&room=lobby"));
    ada.poll();
    assert_eq!(bob.hear_of("system")["event"], "join");
    for seq in 1..=30 {
        if seq % 3 == 0 {
            ada.reconnect(&server);
        }
        assert_eq!(present(&server, "lobby"), json!(["ada", "bob"]));
        bob.say_acked("lobby", "x", seq);
        let messages = ada.poll();
        let last = messages.last().expect("some");
        assert!(
            messages.iter().any(|message| message["offset"] == seq),
            "{last}"
        );
    }
    let heard = bob.everything_until_heartbeat();
    assert_eq!(heard, [] as [Value; 0], "nobody came or went");
    // A poll that names a room no more has left it.
    ada.query = format!("{ADA}&room=den");
    ada.poll();
    assert_eq!(bob.hear_of("system")["event"], "leave");
    assert_eq!(present(&server, "den"), json!(["ada"]));
    drop(ada);
    wait_until("who does not come back has left", || {
        present(&server, "den") == json!([])
    });
}

// ---- private messages ----

#[test]
fn a_private_message_comes_until_a_position_says_that_it_has_arrived() {
    let server = Server::start();
    let body = json!({"content": "psst", "from": "bob"});
    post(&server, "/api/users/ada/messages", &body);
    for _ in 0..2 {
        let mut stream = StreamChatter::connect(&server, ADA);
        assert_eq!(stream.hear()["content"], "psst");
    }
    let mut ada = PollChatter::new(&server, ADA);
    let messages = ada.poll();
    assert_eq!(kinds(&messages), ["welcome", "private_msg"]);
    // The next poll says that it came; what others then say of it counts no more.
    ada.ask(1);
    assert_eq!(kinds(&ada.answer()), ["welcome"]);
    let epoch = messages[1]["epoch"].as_str().expect("an epoch");
    for untrue in [format!("@ada:{epoch}-9"), format!("@ada:{epoch}-0")] {
        drop(StreamChatter::connect(
            &server,
            &format!("{ADA}&since={untrue}"),
        ));
    }
    post(
        &server,
        "/api/users/ada/messages",
        &json!({"content": "more", "from": "bob"}),
    );
    let mut socket = Chatter::connect(&server, "userId=ada");
    assert_eq!(
        socket.hear_of("private_msg")["content"],
        "more",
        "the first has arrived"
    );
}

#[test]
fn private_messages_are_read_by_nobody_else() {
    let server = Server::start();
    for content in 1..=3 {
        let body = json!({"content": content, "from": "bob"});
        post(&server, "/api/users/ada%20b/messages", &body);
    }
    let read = |query: &str| {
        get(
            server.address(),
            &format!("/api/users/ada%20b/messages{query}"),
        )
    };
    let page = read("?userId=ada+b&limit=2");
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.json();
    assert_eq!(
        kinds(page["messages"].as_array().expect("a list")),
        ["private_msg"; 2]
    );
    assert_eq!(
        (&page["messages"][1]["content"], &page["more"]),
        (&json!(3), &json!(true))
    );
    let epoch = page["messages"][0]["epoch"].as_str().expect("an epoch");
    let older = read(&format!("?userId=ada+b&before={epoch}-2")).json();
    assert_eq!(older["messages"][0]["content"], 1);
    for stranger in ["", "?userId=", "?userId=bob", "?userId=ADA+b"] {
        assert_problem(&read(stranger), 403, "forbidden");
    }
}

// ---- typing ----

#[test]
fn typing_by_post_is_told_to_the_others() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut ada = StreamChatter::connect(&server, &format!("{ADA}&room=lobby"));
    ada.hear_of("joined");
    let mut tab = Chatter::connect(&server, "userId=ada&room=lobby");
    tab.hear_of("joined");
    post(&server, "/api/rooms/lobby/typing", &json!({"from": "ada"}));
    assert_eq!(bob.hear_of("typing")["user"], "ada");
    post(&server, "/api/rooms/lobby/typing", &json!({"from": "bob"}));
    for typing in [ada.hear_of("typing"), tab.hear_of("typing")] {
        assert_eq!(typing["user"], "bob", "its own it knows");
    }
    assert_eq!(bob.everything_until_heartbeat(), [] as [Value; 0]);
    let nobody = send(
        server.address(),
        "POST",
        "/api/rooms/lobby/typing",
        "",
        b"{}",
    );
    assert_problem(&nobody, 400, "missing_field");
}

// ---- pages of other origins ----

#[test]
fn pages_of_an_allowed_origin_chat_so_and_others_do_not() {
    let server = Server::start_with(&["--cors-origin", "https://a.example"]);
    let origin = "Origin: https://a.example\r\n";
    let mut http = HttpConnection::open(server.address());
    let asks = format!("{origin}Access-Control-Request-Method: POST\r\n");
    http.request("OPTIONS", "/api/rooms/lobby/typing", &asks);
    let preflight = http.response();
    let allowed = preflight.header("access-control-allow-headers");
    let allowed = allowed.expect("headers that are allowed");
    assert!(allowed.contains("Authorization") && allowed.contains("Content-Type"));
    let body = br#"{"from":"ada"}"#;
    let typing = send(
        server.address(),
        "POST",
        "/api/rooms/lobby/typing",
        origin,
        body,
    );
    let poll = format!("/poll?{ADA}&room=lobby");
    http.request("GET", &poll, origin);
    http.request("GET", "/api/users/ada/messages?userId=ada", origin);
    for response in [preflight, typing, http.response(), http.response()] {
        let allowed = response.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://a.example"), "{response:?}");
    }
    let other = "Origin: https://b.example\r\n";
    let typing = send(
        server.address(),
        "POST",
        "/api/rooms/lobby/typing",
        other,
        body,
    );
    assert_problem(&typing, 403, "origin_not_allowed");
}

// ---- the server ends ----

#[test]
fn a_server_that_stops_tells_streams_and_polls_so() {
    let mut server = Server::start();
    let mut stream = StreamChatter::connect(&server, "userId=eve&session=e&room=lobby");
    stream.hear_of("joined");
    let mut ada = PollChatter::new(&server, &format!("{ADA}&room=lobby"));
    ada.poll();
    let mut older = StreamChatter::connect(&server, &format!("{ADA}&room=lobby"));
    ada.ask(60);
    older.hear_close();
    server.signal("TERM");
    let (code, reason) = stream.hear_close();
    assert_eq!((code, reason.as_str()), (1012, "server is stopping"));
    let messages = ada.answer();
    assert_eq!(code_and_reason(messages.last().expect("some")).0, 1012);
    ada.http.expect_end();
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

//! Messages in rooms: welcome, joining, dense offsets in one order for everyone, acknowledgements.

use serde_json::{Value, json};
use tidewire_tests::chat::members;
use tidewire_tests::{Chatter, Client, Server};

#[test]
fn the_welcome_comes_by_itself_and_says_who_we_are() {
    let server = Server::start_with(&["--heartbeat", "25s"]);
    let alice = Chatter::connect(&server, "userId=alice");
    let welcome = &alice.welcome;
    assert_eq!(welcome["user"], "alice", "{welcome}");
    assert_eq!(
        welcome["heartbeat"], 25,
        "the ping interval in seconds: {welcome}"
    );
    assert!(
        welcome["session"]
            .as_str()
            .is_some_and(|session| !session.is_empty()),
        "{welcome}"
    );
    assert!(welcome["msg"].is_string(), "{welcome}");
    assert_recent(welcome);
}

#[test]
fn the_chat_is_at_three_addresses() {
    let server = Server::start();
    for target in ["/?userId=alice", "/ws?userId=alice", "/chat?userId=alice"] {
        let chatter = Chatter::over(Client::open(server.address(), target));
        assert_eq!(chatter.welcome["user"], "alice", "{target}");
    }
}

#[test]
fn a_room_of_the_url_is_joined_at_once() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice&room=lobby&room=den");
    let joined = [alice.expect("joined"), alice.expect("joined")];
    let mut rooms: Vec<&str> = joined
        .iter()
        .filter_map(|message| message["roomId"].as_str())
        .collect();
    rooms.sort_unstable();
    assert_eq!(rooms, ["den", "lobby"]);
    for message in &joined {
        assert_eq!(members(message), ["alice"], "{message}");
        assert!(message["position"].is_string(), "{message}");
    }
}

#[test]
fn names_in_the_url_are_percent_decoded() {
    let server = Server::start();
    let mut zoe = Chatter::connect(&server, "userId=Zo%C3%AB%20%26%20co&room=caf%C3%A9");
    assert_eq!(zoe.welcome["user"], "Zoë & co");
    assert_eq!(zoe.expect("joined")["roomId"], "café");
}

#[test]
fn joined_names_every_member() {
    let server = Server::start();
    let _alice = Chatter::enter(&server, "alice", "lobby");
    let _bob = Chatter::enter(&server, "bob", "lobby");
    let mut carol = Chatter::connect(&server, "userId=carol");
    let joined = carol.join("lobby");
    assert_eq!(joined["roomId"], "lobby");
    assert_eq!(
        members(&joined),
        ["alice", "bob", "carol"],
        "the one who joins is a member too"
    );
}

#[test]
fn a_message_reaches_the_others_with_all_its_fields() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let ack = alice.say_acked("lobby", "hello", 7);
    let heard = bob.hear_of("room_msg");
    assert_eq!(heard["roomId"], "lobby");
    assert_eq!(heard["from"], "alice");
    assert_eq!(heard["content"], "hello");
    assert_eq!(heard["offset"], 1, "offsets start at 1: {heard}");
    assert_recent(&heard);
    assert_eq!(ack["roomId"], "lobby");
    for field in ["offset", "epoch", "time"] {
        assert_eq!(
            ack[field], heard[field],
            "the ack and the message agree on {field}"
        );
    }
    assert_eq!(
        ack.get("dup"),
        None,
        "dup is there only when it is true: {ack}"
    );
}

#[test]
fn a_message_without_seq_gets_no_ack() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    alice.say("lobby", "no ack please");
    assert_eq!(alice.everything_until_heartbeat(), [] as [Value; 0]);
}

#[test]
fn the_sender_does_not_hear_itself_but_its_other_connection_does() {
    let server = Server::start();
    let mut desk = Chatter::enter(&server, "alice", "lobby");
    let mut phone = Chatter::enter(&server, "alice", "lobby");
    desk.say_acked("lobby", "from the desk", 1);
    assert_eq!(phone.hear_of("room_msg")["content"], "from the desk");
    phone.say_acked("lobby", "from the phone", 1);
    // Entries come in the order of their offsets, so the desk's own message would have come before this one.
    let heard = desk.hear_of("room_msg");
    assert_eq!(
        (&heard["content"], &heard["offset"]),
        (&json!("from the phone"), &json!(2))
    );
}

#[test]
fn everyone_sees_one_order_with_dense_offsets_and_one_epoch() {
    const EACH: u64 = 200;
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut listener = Chatter::enter(&server, "listener", "lobby");
    let mut second_listener = Chatter::enter(&server, "second", "lobby");
    std::thread::scope(|scope| {
        for name in ["alice", "bob", "carol"] {
            let server = &server;
            scope.spawn(move || {
                let mut speaker = Chatter::enter(server, name, "lobby");
                for number in 0..EACH {
                    speaker.say("lobby", &format!("{name} {number}"));
                }
                // Acks and others' messages must be read, or we would be the slow one.
                let ack = speaker.say_acked("lobby", &format!("{name} {EACH}"), 1);
                assert!(ack["offset"].as_u64() > Some(EACH), "{ack}");
            });
        }
    });
    let total = 3 * (EACH + 1);
    let heard: Vec<Value> = (0..total).map(|_| listener.hear_of("room_msg")).collect();
    let offsets: Vec<u64> = heard
        .iter()
        .filter_map(|message| message["offset"].as_u64())
        .collect();
    assert_eq!(
        offsets,
        (1..=total).collect::<Vec<_>>(),
        "offsets are dense from 1"
    );
    assert!(
        heard
            .iter()
            .all(|message| message["epoch"] == heard[0]["epoch"]),
        "the epoch does not change"
    );
    for name in ["alice", "bob", "carol"] {
        let said = heard
            .iter()
            .filter(|message| message["from"] == name)
            .filter_map(|message| message["content"].as_str());
        let expected = (0..=EACH).map(|number| format!("{name} {number}"));
        assert!(said.eq(expected), "{name}'s messages keep their order");
    }
    let also_heard: Vec<Value> = (0..total)
        .map(|_| second_listener.hear_of("room_msg"))
        .collect();
    assert_eq!(also_heard, heard, "all followers see the same");
}

#[test]
fn what_is_sent_after_an_ack_comes_after_what_was_acked() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    for seq in 1..20 {
        let first = alice.say_acked("lobby", "A", seq);
        let second = bob.say_acked("lobby", "B", seq);
        assert!(
            second["offset"].as_u64() > first["offset"].as_u64(),
            "{first} then {second}"
        );
    }
}

#[test]
fn rooms_count_their_offsets_apart_and_do_not_overhear() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "den");
    alice.join("den");
    alice.say_acked("lobby", "in the lobby", 1);
    let ack = alice.say_acked("den", "in the den", 2);
    assert_eq!(ack["offset"], 1, "each room counts from 1: {ack}");
    assert_eq!(
        bob.hear_of("room_msg")["content"],
        "in the den",
        "bob is not in the lobby"
    );
}

#[test]
fn one_who_left_hears_nothing_more() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    bob.send(&json!({"type": "leave_room", "roomId": "lobby"}));
    assert_eq!(bob.hear_of("left")["roomId"], "lobby");
    alice.say_acked("lobby", "is bob gone?", 1);
    assert_eq!(bob.everything_until_heartbeat(), [] as [Value; 0]);
    // Coming back is joining like any other; offsets went on meanwhile.
    bob.join("lobby");
    alice.say_acked("lobby", "welcome back", 2);
    assert_eq!(bob.hear_of("room_msg")["offset"], 2);
}

#[test]
fn one_must_be_in_a_room_to_speak_in_it() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut stranger = Chatter::connect(&server, "userId=stranger");
    let error =
        stranger.provoke(r#"{"type":"room_msg","roomId":"lobby","content":"psst","seq":5}"#);
    assert_eq!(
        error["seq"], 5,
        "the error names the message it is about: {error}"
    );
    stranger.join("lobby");
    stranger.say_acked("lobby", "now aloud", 6);
    assert_eq!(alice.hear_of("room_msg")["content"], "now aloud");
}

#[test]
fn a_message_without_type_goes_to_the_room_of_the_url() {
    let server = Server::start();
    let mut device = Chatter::connect(&server, "userId=device&room=telemetry");
    let mut watcher = Chatter::enter(&server, "watcher", "telemetry");
    device
        .client
        .send_text(r#"{"seq":42,"data":{"temperature":21.50}}"#);
    let ack = device.hear_of("ack");
    assert_eq!(
        (&ack["seq"], &ack["roomId"], &ack["offset"]),
        (&json!(42), &json!("telemetry"), &json!(1))
    );
    let heard = watcher.hear_of("room_msg");
    assert_eq!(
        (&heard["from"], &heard["content"]),
        (&json!("device"), &json!({"temperature": 21.5}))
    );
    assert_eq!(heard["epoch"], ack["epoch"]);
}

#[test]
fn a_message_without_type_needs_a_room_in_the_url() {
    let server = Server::start();
    let mut device = Chatter::connect(&server, "userId=device");
    let error = device.provoke(r#"{"seq":42,"data":1}"#);
    assert_eq!(error["seq"], 42, "{error}");
}

#[test]
fn an_answer_carries_the_id_of_its_request() {
    let server = Server::start();
    let _bob = Chatter::connect(&server, "userId=bob");
    let mut alice = Chatter::connect(&server, "userId=alice");
    let requests = [
        (json!({"type": "hello", "user": "alice"}), "welcome"),
        (json!({"type": "join_room", "roomId": "lobby"}), "joined"),
        (
            json!({"type": "room_msg", "roomId": "lobby", "content": 1, "seq": 1}),
            "ack",
        ),
        (
            json!({"type": "private_msg", "toUser": "bob", "content": 1, "seq": 2}),
            "ack",
        ),
        (json!({"type": "broadcast", "content": 1, "seq": 3}), "ack"),
        (json!({"type": "presence", "roomId": "lobby"}), "presence"),
        (json!({"type": "heartbeat"}), "heartbeat"),
        (json!({"type": "leave_room", "roomId": "lobby"}), "left"),
        (json!({"type": "no such thing"}), "error"),
    ];
    for id in [json!("a-1"), json!(17)] {
        for (request, answer) in &requests {
            let mut request = request.clone();
            request["id"] = id.clone();
            alice.send(&request);
            let answered = alice.expect(answer);
            assert_eq!(answered["id"], id, "{request} was answered by {answered}");
        }
        // Nobody asked for an id here, so there is none.
        alice.send(&json!({"type": "heartbeat"}));
        assert_eq!(alice.expect("heartbeat").get("id"), None);
    }
}

/// Asserts that `time` is Unix time in milliseconds, give or take an hour for clocks that are set meanwhile.
#[track_caller]
fn assert_recent(message: &Value) {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock after 1970");
    let time = message["time"]
        .as_u64()
        .unwrap_or_else(|| panic!("time is Unix time in milliseconds: {message}"));
    let now = u64::try_from(now.as_millis()).expect("a clock before the year 584,556,019");
    assert!(
        time.abs_diff(now) < 3_600_000,
        "time is Unix time in milliseconds ({now} now): {message}"
    );
}

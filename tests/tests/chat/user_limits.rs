//! What one user may have over all connections, and what a single connection may send: each limit has its error, and nobody
//! else feels it.

use serde_json::json;
use tidewire_tests::http::HttpConnection;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, EventStream, Message, Server, wait_until};

/// Says something until it is refused as too much; returns how often it was heard before.
#[track_caller]
fn say_until_refused(chatter: &mut Chatter, content: &str) -> u64 {
    for seq in 0..10_000 {
        chatter
            .send(&json!({"type": "room_msg", "roomId": "lobby", "content": content, "seq": seq}));
        loop {
            let answer = chatter.hear();
            if answer["seq"] != seq {
                continue;
            }
            if answer["type"] == "ack" {
                break;
            }
            assert_eq!(answer["code"], "rate_limited", "{answer}");
            assert!(answer["retryAfter"].as_u64() > Some(0), "{answer}");
            return seq;
        }
    }
    panic!("ten thousand messages were not too much");
}

#[test]
fn a_user_has_so_many_connections_and_the_newest_is_refused() {
    let server = Server::start_with(&["--user-connections", "2"]);
    let mut first = Chatter::connect(&server, "userId=alice&session=s1");
    let mut second = Chatter::connect(&server, "userId=alice");
    let mut third = Client::open(server.address(), "/ws?userId=alice");
    let error = third.expect_text();
    assert!(
        error.contains(r#""code":"too_many_connections""#),
        "{error}"
    );
    third.expect_close(1013);
    // Who goes by another name cannot become her, either, and stays who it is.
    let mut guest = Chatter::connect(&server, "");
    let refused = guest.provoke(r#"{"type":"hello","user":"alice"}"#);
    assert_eq!(refused["code"], "too_many_connections", "{refused}");
    guest.join("lobby");
    // A connection that takes another's place is none more.
    let mut again = Chatter::connect(&server, "userId=alice&session=s1");
    assert_eq!(first.hear_close(), Some(4003));
    again.client.expect_alive();
    second.client.expect_alive();
    server.wait_for_count("user_full", 2);
    drop(second);
    wait_until("a place is free", || {
        let mut client = Client::open(server.address(), "/ws?userId=alice");
        client.expect_text().contains(r#""type":"welcome""#)
    });
}

#[test]
fn an_event_stream_counts_as_a_connection() {
    let server = Server::start_with(&["--user-connections", "1"]);
    let _alice = Chatter::connect(&server, "userId=alice");
    let target = "/sse?userId=alice&session=other&room=lobby";
    let mut stream = EventStream::open_over(Wire::open(server.address()), target, "");
    let told = [stream.message().1, stream.message().1];
    let told = told.map(|told| (told["type"].clone(), told["code"].clone()));
    let expected = [
        (json!("error"), json!("too_many_connections")),
        (json!("close"), json!(1013)),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_a_user_says_is_counted_over_all_connections_and_http() {
    let server = Server::start_with(&["--user-messages-per-second", "5"]);
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut same = Chatter::connect(&server, "userId=alice&room=lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    assert!(say_until_refused(&mut alice, "x") < 1000);
    say_until_refused(&mut same, "x");
    wait_until("a publication in her name is refused", || {
        let mut connection = HttpConnection::open(server.address());
        let body = br#"{"content":1,"from":"alice","session":"http"}"#;
        connection.request_with_body(
            "POST",
            "/api/rooms/lobby/messages",
            "Content-Type: application/json\r\n",
            body,
        );
        let response = connection.response();
        if response.status == 429 {
            assert_eq!(response.json()["error"]["code"], "rate_limited");
            assert!(response.header("retry-after").is_some());
        }
        response.status == 429
    });
    bob.say_acked("lobby", "not I", 1);
    server.wait_for_count("user_limited", 3);
}

#[test]
fn bytes_are_limited_beside_messages() {
    let server = Server::start_with(&["--bytes-per-second", "100KiB"]);
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let heard = say_until_refused(&mut alice, &"x".repeat(50_000));
    assert!(
        (3..200).contains(&heard),
        "200 KiB at once, and then 100 KiB a second: {heard}"
    );
    server.wait_for_count("connection_limited", 1);
    assert_eq!(server.count("user_limited"), 0);
}

#[test]
fn a_user_is_in_so_many_rooms_with_all_connections() {
    let server = Server::start_with(&["--user-rooms", "3"]);
    let mut alice = Chatter::connect(&server, "userId=alice");
    let mut same = Chatter::connect(&server, "userId=alice");
    alice.join("one");
    alice.join("two");
    same.join("three");
    for chatter in [&mut alice, &mut same] {
        let refused = chatter.provoke(r#"{"type":"join_room","roomId":"four"}"#);
        assert_eq!(refused["code"], "too_many_rooms", "{refused}");
    }
    server.wait_for_count("rooms_refused", 2);
    same.join("three");
    Chatter::connect(&server, "userId=bob").join("four");
}

#[test]
fn a_change_of_name_costs_as_much_as_it_tells_others() {
    let server = Server::start_with(&["--messages-per-second", "40"]);
    let mut alice = Chatter::connect(&server, "userId=alice");
    for room in 0..30 {
        alice.join(&format!("room {room}"));
    }
    // Each name tells of thirty that leave and thirty that come.
    let mut told = 0;
    for number in 0..50 {
        alice.send(&json!({"type": "hello", "user": format!("alice-{number}")}));
        let answer = loop {
            let message = alice.hear();
            if message["type"] == "error" || message["type"] == "welcome" {
                break message;
            }
        };
        if answer["type"] == "error" {
            assert_eq!(answer["code"], "rate_limited", "{answer}");
            break;
        }
        told += 1;
    }
    assert!(
        told < 50,
        "fifty changes of name at once tell others 3,000 times"
    );
}

#[test]
fn a_sender_of_the_relay_is_held_back_and_nothing_of_it_is_lost() {
    let server = Server::start_with(&["--messages-per-second", "1"]);
    let mut sender = Client::open(server.address(), "/relay?room=r");
    let mut receiver = Client::open(server.address(), "/relay?room=r");
    receiver.expect_alive();
    // A hundred times one, and twice as many at once: 400 are more than 200, unless this is held up.
    wait_until("it is held back", || {
        for number in 0..400 {
            sender.send_text(&number.to_string());
        }
        for number in 0..400 {
            assert_eq!(receiver.expect_text(), number.to_string());
        }
        server.count("relay_held") > 0
    });
    sender.expect_alive();
    let message = {
        sender.send_binary(&vec![7; 1 << 20]);
        receiver.read_message()
    };
    assert_eq!(
        message,
        Message::Binary(vec![7; 1 << 20]),
        "the largest passes, too"
    );
}

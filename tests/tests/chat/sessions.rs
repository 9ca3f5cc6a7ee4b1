//! Sessions and names: guests, a new name by `hello`, and a session that lives on one connection only.

use serde_json::{Value, json};
use tidewire_tests::chat::members;
use tidewire_tests::{Chatter, Frame, Server};

#[test]
fn who_names_no_user_is_a_guest_with_a_name_of_its_own() {
    let server = Server::start();
    let guests = [
        Chatter::connect(&server, ""),
        Chatter::connect(&server, "room=lobby"),
        Chatter::connect(&server, "room=den"),
    ];
    let names: Vec<&str> = guests
        .iter()
        .filter_map(|guest| guest.welcome["user"].as_str())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("guest-") && name.len() > "guest-".len()),
        "{names:?}"
    );
    assert!(
        names[0] != names[1] && names[1] != names[2] && names[0] != names[2],
        "{names:?}"
    );
}

#[test]
fn every_connection_gets_a_session_of_its_own() {
    let server = Server::start();
    let first = Chatter::connect(&server, "userId=alice");
    let mut second = Chatter::connect(&server, "userId=alice");
    assert_ne!(first.welcome["session"], second.welcome["session"]);
    second.client.expect_alive();
}

#[test]
fn a_session_that_comes_back_replaces_its_older_connection() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut older = Chatter::enter(&server, "alice", "lobby");
    let session = older.welcome["session"]
        .as_str()
        .expect("a session")
        .to_owned();
    let mut newer = Chatter::connect(&server, &format!("userId=alice&session={session}"));
    assert_eq!(newer.welcome["session"], session.as_str());
    assert_eq!(older.hear_close(), Some(4003));
    older.client.send(&Frame::close(4003, ""));
    older.client.expect_end();
    newer.join("lobby");
    newer.say("lobby", "me again");
    assert_eq!(bob.hear_of("room_msg")["content"], "me again");
}

#[test]
fn a_session_is_also_taken_over_by_hello() {
    let server = Server::start();
    let mut older = Chatter::connect(&server, "userId=alice&session=my-own-session");
    assert_eq!(older.welcome["session"], "my-own-session");
    let mut newer = Chatter::connect(&server, "");
    newer.send(&json!({"type": "hello", "user": "alice", "session": "my-own-session"}));
    let welcome = newer.hear_of("welcome");
    assert_eq!(
        (&welcome["user"], &welcome["session"]),
        (&json!("alice"), &json!("my-own-session"))
    );
    assert_eq!(older.hear_close(), Some(4003));
    newer.client.expect_alive();
}

#[test]
fn a_session_belongs_to_its_user() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice&session=s");
    // The key is (user, session): bob's "s" is another one, and does not throw alice out.
    let _bob = Chatter::connect(&server, "userId=bob&session=s");
    assert_eq!(alice.everything_until_heartbeat(), [] as [Value; 0]);
}

#[test]
fn hello_gives_a_guest_its_name() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut guest = Chatter::connect(&server, "");
    guest.send(&json!({"type": "hello", "user": "alice"}));
    assert_eq!(guest.hear_of("welcome")["user"], "alice");
    assert_eq!(members(&guest.join("lobby")), ["alice", "bob"]);
    guest.say("lobby", "hello");
    assert_eq!(bob.hear_of("room_msg")["from"], "alice");
    bob.send(&json!({"type": "private_msg", "toUser": "alice", "content": "psst"}));
    assert_eq!(
        guest.hear_of("private_msg")["from"],
        "bob",
        "the new name is the address"
    );
}

#[test]
fn a_fresh_token_alone_moves_nobody_into_rooms() {
    let server = Server::start();
    let mut older = Chatter::connect(&server, "userId=alice&session=s&room=lobby");
    older.hear_of("joined");
    let mut newer = Chatter::connect(&server, "userId=alice&session=s");
    assert_eq!(older.hear_close(), Some(4003));
    newer.send(&json!({"type": "hello", "token": "header.claims.signature"}));
    newer.hear_of("welcome");
    assert_eq!(newer.everything_until_heartbeat(), [] as [Value; 0]);
    newer.send(&json!({"type": "hello", "session": "s"}));
    assert_eq!(newer.hear_of("joined")["roomId"], "lobby");
}

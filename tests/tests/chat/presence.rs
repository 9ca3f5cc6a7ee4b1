//! Who is here: `presence`, and the `system` messages about people who come and go; who is typing; heartbeats.

use serde_json::{Value, json};
use tidewire_tests::chat::members;
use tidewire_tests::{Chatter, Server};

#[test]
fn presence_names_each_user_once() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let _also_alice = Chatter::enter(&server, "alice", "lobby");
    let _bob = Chatter::enter(&server, "bob", "lobby");
    let _carol = Chatter::enter(&server, "carol", "den");
    alice.send(&json!({"type": "presence", "roomId": "lobby"}));
    let presence = alice.hear_of("presence");
    assert_eq!(presence["roomId"], "lobby");
    assert_eq!(members(&presence), ["alice", "bob"]);
}

#[test]
fn others_learn_once_of_a_user_who_comes_and_goes_however_many_connections_it_has() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let bob = Chatter::enter(&server, "bob", "lobby");
    assert_system(&alice.hear(), "join", "bob");
    let bob_again = Chatter::enter(&server, "bob", "lobby");
    // Carol is the fence: a second join of bob would have come before hers.
    let carol = Chatter::enter(&server, "carol", "lobby");
    assert_system(&alice.hear(), "join", "carol");

    bob.client.close();
    carol.client.close();
    assert_system(&alice.hear(), "leave", "carol");
    bob_again.client.close();
    assert_system(&alice.hear(), "leave", "bob");
    assert_eq!(alice.everything_until_heartbeat(), [] as [Value; 0]);
}

#[test]
fn the_one_who_comes_hears_of_itself_by_joined_only() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    alice.send(&json!({"type": "join_room", "roomId": "lobby"}));
    alice.expect("joined");
    assert_eq!(alice.everything_until_heartbeat(), [] as [Value; 0]);
}

#[test]
fn joining_twice_is_answered_twice_and_announced_once() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    assert_eq!(members(&bob.join("lobby")), ["alice", "bob"]);
    assert_system(&alice.hear(), "join", "bob");
    assert_eq!(alice.everything_until_heartbeat(), [] as [Value; 0]);
}

#[test]
fn leaving_a_room_and_losing_the_connection_are_both_announced() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    assert_system(&alice.hear(), "join", "bob");
    bob.send(&json!({"type": "leave_room", "roomId": "lobby"}));
    assert_system(&alice.hear(), "leave", "bob");
    bob.join("lobby");
    assert_system(&alice.hear(), "join", "bob");
    // No close frame: the TCP connection just ends.
    drop(bob);
    assert_system(&alice.hear(), "leave", "bob");
}

#[test]
fn a_user_who_never_joined_is_not_announced() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    Chatter::connect(&server, "userId=passer-by").client.close();
    let _bob = Chatter::enter(&server, "bob", "lobby");
    assert_system(&alice.hear(), "join", "bob");
}

#[test]
fn typing_reaches_the_others_in_the_room_and_is_no_entry_of_the_log() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    let mut carol = Chatter::enter(&server, "carol", "den");
    alice.send(&json!({"type": "typing", "roomId": "lobby"}));
    let typing = bob.hear_of("typing");
    assert_eq!(
        (&typing["roomId"], &typing["user"]),
        (&json!("lobby"), &json!("alice")),
        "{typing}"
    );
    assert_eq!(typing.get("offset"), None, "typing is not stored: {typing}");
    assert_eq!(
        alice.say_acked("lobby", "there", 1)["offset"],
        1,
        "typing took no offset"
    );
    assert_eq!(
        carol.everything_until_heartbeat(),
        [] as [Value; 0],
        "carol is in another room"
    );
    let own: Vec<Value> = alice.everything_until_heartbeat();
    assert!(
        own.iter().all(|message| message["type"] != "typing"),
        "alice knows that she types: {own:?}"
    );
}

#[test]
fn a_heartbeat_is_answered_by_a_heartbeat() {
    let server = Server::start();
    let mut alice = Chatter::connect(&server, "userId=alice");
    for _ in 0..3 {
        alice.send(&json!({"type": "heartbeat"}));
        alice.expect("heartbeat");
    }
}

#[track_caller]
fn assert_system(message: &Value, event: &str, user: &str) {
    assert_eq!(message["type"], "system", "{message}");
    assert_eq!(
        (&message["event"], &message["user"]),
        (&json!(event), &json!(user)),
        "{message}"
    );
    assert_eq!(message["roomId"], "lobby", "{message}");
    let sentence = message["content"].as_str().unwrap_or_default();
    assert!(
        sentence.contains(user) && sentence.contains(' '),
        "content is a sentence about {user}: {message}"
    );
}

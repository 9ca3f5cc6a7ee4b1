//! Messages to one person and to everyone.

use serde_json::{Value, json};
use tidewire_tests::{Chatter, Server};

#[test]
fn a_private_message_reaches_every_connection_of_its_addressee_and_nobody_else() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut desk = Chatter::enter(&server, "bob", "lobby");
    let mut phone = Chatter::connect(&server, "userId=bob");
    let mut carol = Chatter::enter(&server, "carol", "lobby");
    alice.send(
        &json!({"type": "private_msg", "toUser": "bob", "content": "just for you", "seq": 1}),
    );
    let ack = alice.hear_of("ack");
    assert_eq!(ack["seq"], 1);
    for connection in [&mut desk, &mut phone] {
        let heard = connection.hear_of("private_msg");
        assert_eq!(
            (&heard["from"], &heard["content"]),
            (&json!("alice"), &json!("just for you"))
        );
        assert_eq!(
            (&heard["offset"], &heard["epoch"]),
            (&ack["offset"], &ack["epoch"]),
            "{heard} and {ack}"
        );
        assert!(heard["time"].is_u64(), "{heard}");
    }
    assert_eq!(carol.everything_until_heartbeat(), [] as [Value; 0]);
}

#[test]
fn private_messages_to_one_person_have_dense_offsets() {
    let server = Server::start();
    let mut bob = Chatter::connect(&server, "userId=bob");
    let mut alice = Chatter::connect(&server, "userId=alice");
    let mut carol = Chatter::connect(&server, "userId=carol");
    for seq in 1..=5 {
        for sender in [&mut alice, &mut carol] {
            sender
                .send(&json!({"type": "private_msg", "toUser": "bob", "content": seq, "seq": seq}));
            sender.hear_of("ack");
        }
    }
    let offsets: Vec<u64> = (0..10)
        .filter_map(|_| bob.hear_of("private_msg")["offset"].as_u64())
        .collect();
    assert_eq!(offsets, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_broadcast_reaches_everyone_in_any_room_or_none_but_not_the_connection_that_sent_it() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut alice_elsewhere = Chatter::connect(&server, "userId=alice");
    let mut bob = Chatter::enter(&server, "bob", "den");
    let mut carol = Chatter::connect(&server, "userId=carol");
    alice.send(&json!({"type": "broadcast", "content": ["lunch", 12], "seq": 9}));
    let ack = alice.hear_of("ack");
    assert_eq!((&ack["seq"], &ack["offset"]), (&json!(9), &json!(1)));
    for connection in [&mut alice_elsewhere, &mut bob, &mut carol] {
        let heard = connection.hear_of("broadcast");
        assert_eq!(
            (&heard["from"], &heard["content"]),
            (&json!("alice"), &json!(["lunch", 12]))
        );
        assert_eq!(
            (&heard["offset"], &heard["epoch"]),
            (&ack["offset"], &ack["epoch"])
        );
        assert!(heard["time"].is_u64(), "{heard}");
    }
    bob.send(&json!({"type": "broadcast", "content": "thanks"}));
    // Broadcasts have one order too, so alice's own would have come before bob's.
    assert_eq!(alice.hear_of("broadcast")["from"], "bob");
}

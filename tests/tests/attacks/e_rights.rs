//! E: names and rights. What tokens grant is tested where tokens are.

use serde_json::json;
use tidewire_tests::Chatter;
use tidewire_tests::http::{assert_problem, send};

use crate::under_attack;

/// [E9]
#[test]
fn names_that_look_alike_are_different_rooms() {
    let names = [
        "a:b",
        "a%3Ab",
        "a,b",
        "a b",
        "a",
        "A",
        "\u{ff41}",
        "\u{430}",
        "a\u{301}",
        "\u{e1}",
        "a/b",
        "a%2Fb",
        "a\\u0062",
        "ab",
        "a\u{200b}",
        "*a",
        "a@",
    ];
    under_attack(|server| {
        let mut inside: Vec<_> = names
            .iter()
            .map(|name| Chatter::enter(server, "insider", name))
            .collect();
        let mut speaker = Chatter::connect(server, "userId=speaker");
        for (seq, name) in names.iter().enumerate() {
            speaker.join(name);
            let ack = speaker.say_acked(name, name, seq as u64);
            assert_eq!(
                (&ack["roomId"], &ack["offset"]),
                (&json!(name), &json!(1)),
                "a log of its own"
            );
        }
        for (chatter, name) in inside.iter_mut().zip(names) {
            let heard = chatter.hear_of("room_msg");
            assert_eq!(
                (&heard["roomId"], &heard["content"]),
                (&json!(name), &json!(name))
            );
            let others = chatter.everything_until_heartbeat();
            assert!(
                others.iter().all(|message| message["type"] != "room_msg"),
                "{others:?}"
            );
        }
    });
}

/// [E10]
#[test]
fn reserved_names_are_nobodys_room() {
    under_attack(|server| {
        let mut bob = Chatter::connect(server, "userId=bob");
        let mut mallory = Chatter::connect(server, "userId=mallory");
        for room in ["@bob", "@", "*"] {
            for kind in ["join_room", "room_msg", "typing", "presence"] {
                let message = json!({"type": kind, "roomId": room, "content": "evil"});
                mallory.provoke(&message.to_string());
                mallory.everything_until_heartbeat();
            }
            let path = format!("/api/rooms/{}/messages", room.replace('@', "%40"));
            let response = send(
                server.address(),
                "POST",
                &path,
                "",
                br#"{"content":"evil"}"#,
            );
            assert_problem(&response, 400, "bad_name");
        }
        let spied =
            mallory.provoke(&json!({"type": "history", "roomId": "@bob", "since": ""}).to_string());
        assert_eq!(spied["code"], "forbidden");
        assert!(bob.everything_until_heartbeat().is_empty());
    });
}

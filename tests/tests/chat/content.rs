//! `content` is any JSON value and passes through byte for byte.

use serde_json::json;
use tidewire_tests::{Chatter, Client, Server};

/// JSON whose spelling a parser would not reproduce.
const CONTENTS: &[&str] = &[
    r#""plain""#,
    "null",
    "true",
    "0",
    "-0",
    "-0.0",
    "1.0e5",
    "1E+5",
    "100000000000000000000000000000001",
    "0.10000000000000000000000000000000000001",
    r#""\u00e9 \u20AC \ud834\udd1e""#,
    r#""é € 𝄞""#,
    r#""\/ \b \f \n \r \t \" \\""#,
    r#""\u003cscript\u003e <script>""#,
    "\"\u{2028}\u{2029}\u{7f}\u{feff}\"",
    "[ 1 ,2,\t3,\n 4 ]",
    r#"{ "b" : 1 , "a" : [ ] , "b" : 2 }"#,
    r#"{"type":"room_msg","from":"mallory","roomId":"elsewhere","offset":0}"#,
    "{}",
    r#""""#,
];

#[test]
fn content_reaches_the_others_byte_for_byte() {
    let server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    for content in CONTENTS {
        for message in spellings_of(content) {
            alice.client.send_text(&message);
            assert_carries(&bob.hear_text(), content);
        }
    }
}

#[test]
fn private_messages_broadcasts_and_messages_without_type_keep_their_bytes_too() {
    let server = Server::start();
    let mut alice = Chatter::over(Client::open(
        server.address(),
        "/ws?userId=alice&room=lobby",
    ));
    let mut bob = Chatter::enter(&server, "bob", "lobby");
    for (seq, content) in CONTENTS.iter().enumerate() {
        let messages = [
            format!(r#"{{"type":"private_msg","toUser":"bob","content":{content}}}"#),
            format!(r#"{{"type":"broadcast","content":{content}}}"#),
            format!(r#"{{"seq":{seq},"data":{content}}}"#),
        ];
        for message in &messages {
            alice.client.send_text(message);
            assert_carries(&bob.hear_text(), content);
        }
    }
}

#[test]
fn names_pass_through_as_names_and_not_as_json() {
    let server = Server::start();
    let room = "a \"quoted\" \\ room with \u{1F30A} and <b>";
    let user = "O'Neil \"the\" <i>\\</i>";
    let mut bob = Chatter::connect(&server, "userId=bob");
    bob.join(room);
    let mut oneil = Chatter::connect(&server, "");
    oneil.send(&json!({"type": "hello", "user": user}));
    assert_eq!(oneil.hear_of("welcome")["user"], user);
    assert_eq!(oneil.join(room)["roomId"], room);
    oneil.say(room, "hi");
    let heard = bob.hear_of("room_msg");
    assert_eq!(
        (&heard["roomId"], &heard["from"]),
        (&json!(room), &json!(user))
    );
}

/// The same message with its keys in other orders and with odd whitespace around them.
fn spellings_of(content: &str) -> [String; 3] {
    [
        format!(r#"{{"type":"room_msg","roomId":"lobby","content":{content}}}"#),
        format!(r#"{{"content":{content},"roomId":"lobby","type":"room_msg"}}"#),
        format!(
            "\r\n {{ \"roomId\"\t:\n\"lobby\" , \"content\" : {content}\n,\"\\u0074ype\":\"room_msg\" }} "
        ),
    ]
}

#[track_caller]
fn assert_carries(text: &str, content: &str) {
    let value: serde_json::Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(value["from"], "alice", "{text}");
    let expected = format!(r#""content":{content}"#);
    assert!(
        text.replace("\"content\": ", "\"content\":")
            .contains(&expected),
        "{expected} is not in {text}"
    );
}

//! A person in the chat: a WebSocket client that speaks the JSON messages of `tidewire.v1.json`.

use serde_json::{Value, json};

use crate::server::Server;
use crate::websocket::{Client, Message};

/// How many messages a helper passes over before it gives up on the one it looks for.
const PASSED_OVER_MAX: usize = 10_000;

/// One connection to the chat, past its `welcome`.
#[derive(Debug)]
pub struct Chatter {
    /// The connection below.
    pub client: Client,
    /// The `welcome` it got.
    pub welcome: Value,
}

impl Chatter {
    /// Connects to `/ws` with this query and reads the `welcome`, which comes by itself.
    #[must_use]
    #[track_caller]
    pub fn connect(server: &Server, query: &str) -> Self {
        Self::over(Client::open(server.address(), &format!("/ws?{query}")))
    }

    /// Reads the `welcome` on a connection made before.
    #[must_use]
    #[track_caller]
    pub fn over(client: Client) -> Self {
        let mut chatter = Self {
            client,
            welcome: Value::Null,
        };
        chatter.welcome = chatter.hear();
        assert_eq!(
            chatter.welcome["type"], "welcome",
            "the first message is the welcome: {}",
            chatter.welcome
        );
        chatter
    }

    /// Connects as `user` and joins `room`.
    #[must_use]
    #[track_caller]
    pub fn enter(server: &Server, user: &str, room: &str) -> Self {
        let mut chatter = Self::connect(server, &format!("userId={user}"));
        chatter.join(room);
        chatter
    }

    /// Sends a message.
    #[track_caller]
    pub fn send(&mut self, message: &Value) {
        self.client.send_text(&message.to_string());
    }

    /// Joins a room and returns the answer.
    #[track_caller]
    pub fn join(&mut self, room: &str) -> Value {
        self.send(&json!({"type": "join_room", "roomId": room}));
        self.hear_of("joined")
    }

    /// Says something in a room without asking for an acknowledgement.
    #[track_caller]
    pub fn say(&mut self, room: &str, content: &str) {
        self.send(&json!({"type": "room_msg", "roomId": room, "content": content}));
    }

    /// Says something in a room and returns its `ack`.
    #[track_caller]
    pub fn say_acked(&mut self, room: &str, content: &str, seq: u64) -> Value {
        self.send(&json!({"type": "room_msg", "roomId": room, "content": content, "seq": seq}));
        let ack = self.hear_of("ack");
        assert_eq!(ack["seq"], seq, "{ack}");
        ack
    }

    /// Reads the next message as it came.
    #[track_caller]
    pub fn hear_text(&mut self) -> String {
        self.client.expect_text()
    }

    /// Reads the next message.
    #[track_caller]
    pub fn hear(&mut self) -> Value {
        let text = self.hear_text();
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("the server sent no JSON ({error}): {text}"))
    }

    /// Reads the next message and asserts its type.
    #[track_caller]
    pub fn expect(&mut self, kind: &str) -> Value {
        let message = self.hear();
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// Reads the next message of this type, passing over others.
    #[track_caller]
    pub fn hear_of(&mut self, kind: &str) -> Value {
        for _ in 0..PASSED_OVER_MAX {
            let message = self.hear();
            if message["type"] == kind {
                return message;
            }
            assert!(
                message["type"] != "error" || kind == "error",
                "waiting for {kind}, but this came: {message}"
            );
        }
        panic!("{PASSED_OVER_MAX} messages came, but no {kind}");
    }

    /// Asks for a heartbeat and returns what came before its answer: all that was on the way to us.
    #[track_caller]
    pub fn everything_until_heartbeat(&mut self) -> Vec<Value> {
        self.send(&json!({"type": "heartbeat"}));
        let mut before = Vec::new();
        for _ in 0..PASSED_OVER_MAX {
            let message = self.hear();
            if message["type"] == "heartbeat" {
                return before;
            }
            before.push(message);
        }
        panic!("{PASSED_OVER_MAX} messages came, but no heartbeat");
    }

    /// Sends text that the server must answer with `error`, and returns the answer.
    #[track_caller]
    pub fn provoke(&mut self, text: &str) -> Value {
        self.client.send_text(text);
        let error = self.expect("error");
        let code = error["code"]
            .as_str()
            .unwrap_or_else(|| panic!("an error has a code: {error}"));
        assert!(
            !code.is_empty()
                && code
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
            "a code is one stable word: {error}"
        );
        let sentence = error["message"]
            .as_str()
            .unwrap_or_else(|| panic!("an error has a message: {error}"));
        assert!(
            sentence.contains(' '),
            "an error's message is a sentence: {error}"
        );
        error
    }

    /// Reads until the server's close frame and returns its code.
    #[track_caller]
    pub fn hear_close(&mut self) -> Option<u16> {
        for _ in 0..PASSED_OVER_MAX {
            match self.client.read_message() {
                Message::Text(_) | Message::Binary(_) => {}
                Message::Close(code, _) => return code,
                Message::End(end) => panic!("the connection ended ({end:?}) without a close frame"),
            }
        }
        panic!("{PASSED_OVER_MAX} messages came, but no close frame");
    }
}

/// The names in a `members` list, sorted.
#[must_use]
#[track_caller]
pub fn members(message: &Value) -> Vec<&str> {
    let list = message["members"]
        .as_array()
        .unwrap_or_else(|| panic!("there is no list of members: {message}"));
    let mut names: Vec<&str> = list
        .iter()
        .map(|member| member.as_str().expect("a member is a name"))
        .collect();
    names.sort_unstable();
    names
}

//! One client of the soak, from its coming to its going: a WebSocket, an event stream or polls, in some rooms, that says and reads
//! something now and then. What it hears of a room has to come in order, once.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::SockRef;
use tidewire_tests::http::{get, send};
use tidewire_tests::{Chatter, Dice, PollChatter, Server, StreamChatter};

/// Names, so many of each: what is kept for them has a bound that is soon reached.
const ROOMS: usize = 200;
const USERS: usize = 5000;
const WRITTEN_TO: usize = 100;

/// How often a client says something between its coming and its going.
pub(crate) const STEPS: u32 = 3;

enum Line {
    Socket(Chatter),
    Stream(StreamChatter),
    Polls(PollChatter),
}

pub(crate) struct Life {
    line: Line,
    user: String,
    session: String,
    room: String,
    /// The newest offset that was heard of each room.
    heard: HashMap<String, u64>,
    said: u64,
    dice: Dice,
}

impl Life {
    /// Comes as somebody, into a room or two.
    pub(crate) fn begin(server: &Server, number: u64) -> Self {
        let mut dice = Dice::of(1, number);
        let user = format!("user-{}", dice.below(USERS));
        let session = format!("{:016x}", dice.next());
        let [room, other] = [(); 2].map(|()| format!("room-{}", dice.below(ROOMS)));
        let query = format!("userId={user}&session={session}&room={room}&room={other}");
        let line = match dice.below(20) {
            0 | 1 => Line::Stream(stream(server, &query, &room)),
            2 => {
                let mut polls = PollChatter::new(server, &query);
                // The first one is answered when it has joined, and what is said then comes with the next.
                polls.poll();
                Line::Polls(polls)
            }
            _ => Line::Socket(Chatter::connect(server, &query)),
        };
        let mut life = Self {
            line,
            user,
            session,
            room,
            heard: HashMap::new(),
            said: 0,
            dice,
        };
        life.step(server);
        life
    }

    /// Says something and hears what came until it is kept; how many messages that were.
    pub(crate) fn step(&mut self, server: &Server) -> u64 {
        self.said += 1;
        let text = format!("{} of {}", self.said, self.session);
        let heard = match &mut self.line {
            Line::Socket(chatter) => talk(chatter, &self.room, &text, self.said, &mut self.dice),
            Line::Stream(chatter) => {
                let offset = publish(
                    server,
                    &self.room,
                    &self.user,
                    &self.session,
                    &text,
                    self.said,
                );
                hear_up_to(|| chatter.hear(), &self.room, offset)
            }
            Line::Polls(chatter) => {
                let offset = publish(
                    server,
                    &self.room,
                    &self.user,
                    &self.session,
                    &text,
                    self.said,
                );
                let mut heard = Vec::new();
                while !heard
                    .iter()
                    .any(|message| is_at(message, &self.room, offset))
                {
                    heard.extend(chatter.poll());
                }
                heard
            }
        };
        for message in &heard {
            self.check(message);
        }
        if self.dice.once_in(10) {
            let page = get(
                server.address(),
                &format!("/api/rooms/{}/messages?limit=50", self.room),
            );
            assert_eq!(page.status, 200, "{page:?}");
        }
        if self.dice.once_in(20) {
            let file = self.dice.bytes(5000);
            let kept = send(server.address(), "POST", "/api/files", "", &file);
            assert_eq!(kept.status, 201, "{kept:?}");
            let url = kept.json()["url"].as_str().expect("an address").to_owned();
            assert_eq!(get(server.address(), &url).body, file);
        }
        heard.len() as u64
    }

    fn check(&mut self, message: &Value) {
        if message["type"] != "room_msg" {
            assert_ne!(message["type"], "error", "{message}");
            assert!(
                message["type"] != "gap" || is_of_who_was_away(message),
                "{message}"
            );
            return;
        }
        let room = message["roomId"].as_str().expect("a room").to_owned();
        let offset = message["offset"].as_u64().expect("an offset");
        let before = self.heard.insert(room, offset).unwrap_or(0);
        assert!(offset > before, "behind {before} comes {message}");
    }

    /// Goes: mostly as one should, now and then without a word, or by a reset.
    pub(crate) fn end(mut self) {
        match self.line {
            Line::Socket(chatter) => match self.dice.below(10) {
                0 => drop(chatter),
                1 => SockRef::from(chatter.client.wire.stream())
                    .set_linger(Some(Duration::ZERO))
                    .expect("a reset instead of an end"),
                _ => chatter.client.close(),
            },
            Line::Stream(chatter) => drop(chatter),
            Line::Polls(chatter) => drop(chatter),
        }
    }
}

/// An event stream that is in its room.
fn stream(server: &Server, query: &str, room: &str) -> StreamChatter {
    let mut stream = StreamChatter::connect(server, query);
    while stream.hear_of("joined")["roomId"] != room {}
    stream
}

/// A few requests and a message that is acknowledged, over a WebSocket.
fn talk(chatter: &mut Chatter, room: &str, text: &str, seq: u64, dice: &mut Dice) -> Vec<Value> {
    let to = format!("user-{}", dice.below(WRITTEN_TO));
    let third = format!("room-{}", dice.below(ROOMS));
    if third != room {
        chatter.send(&json!({"type": "join_room", "roomId": third}));
        chatter.send(&json!({"type": "leave_room", "roomId": third}));
    }
    chatter.send(&json!({"type": "typing", "roomId": room}));
    chatter.send(&json!({"type": "history", "roomId": room, "limit": 20}));
    chatter.send(&json!({"type": "private_msg", "toUser": to, "content": text}));
    chatter.send(&json!({"type": "room_msg", "roomId": room, "content": text, "seq": seq}));
    let mut heard = Vec::new();
    loop {
        let message = chatter.hear();
        if message["type"] == "ack" && message["seq"] == seq {
            return heard;
        }
        heard.push(message);
    }
}

fn publish(server: &Server, room: &str, user: &str, session: &str, text: &str, seq: u64) -> u64 {
    let body = json!({"content": text, "from": user, "session": session, "seq": seq});
    let path = format!("/api/rooms/{room}/messages");
    let kept = send(
        server.address(),
        "POST",
        &path,
        "",
        body.to_string().as_bytes(),
    );
    assert_eq!(kept.status, 200, "{kept:?}");
    kept.json()["offset"].as_u64().expect("an offset")
}

fn hear_up_to(mut hear: impl FnMut() -> Value, room: &str, offset: u64) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        let message = hear();
        let is_last = is_at(&message, room, offset);
        heard.push(message);
        if is_last {
            return heard;
        }
    }
}

/// Whether a gap names private messages that the retention let go of before their user came.
fn is_of_who_was_away(gap: &Value) -> bool {
    let log = gap["roomId"].as_str().unwrap_or_default();
    log.starts_with('@') && gap["reason"] == "expired"
}

/// Whether it is the message at this place; it comes back to who said it over HTTP.
fn is_at(message: &Value, room: &str, offset: u64) -> bool {
    message["type"] == "room_msg" && message["roomId"] == room && message["offset"] == offset
}

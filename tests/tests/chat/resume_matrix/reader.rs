//! The readers of the matrix: a small driver for each transport, so that what is done to one can be done to all.

use std::collections::VecDeque;
use std::fmt;

use serde_json::{Value, json};
use tidewire_tests::http::HttpConnection;
use tidewire_tests::wire::{End, Wire};
use tidewire_tests::{Chatter, Client, EventStream, Frame, Message, StreamChatter};

use super::chat_reader::ChatPoll;

/// A way to read a room, and to say where one was when one comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A WebSocket with the position in its address.
    WebSocket,
    /// A WebSocket that joins by a message.
    WebSocketJoin,
    /// An event stream with the position in its address.
    EventStream,
    /// An event stream that names the last event it got, as an `EventSource` does by itself.
    EventStreamLastId,
    /// One poll after the other, over one connection.
    LongPoll,
    /// An event stream that is in the chat.
    ChatStream,
    /// Polls that are in the chat.
    ChatPoll,
}

/// A place in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Entry {
        at: Position,
        content: String,
    },
    /// What is behind `from`, up to `to`, is not there.
    Gap {
        from: Position,
        to: Position,
        reason: String,
    },
    /// It has come as far as the room has. Only WebSockets and streams of the chat are told whether that was without a gap.
    Head {
        at: Position,
        recovered: Option<bool>,
    },
    /// The connection is lost; [`Transport::is_told_why`] says who is told.
    Lost {
        why: String,
    },
}

/// Somebody who reads a room.
pub(crate) trait Reader: fmt::Debug + Send {
    /// What comes next.
    fn hear(&mut self) -> Heard;

    /// The connection below.
    fn wire(&self) -> &Wire;

    /// Leaves as a good client does, and sees the server agree.
    fn close(self: Box<Self>);
}

impl Transport {
    pub(crate) const ALL: [Self; 7] = [
        Self::WebSocket,
        Self::WebSocketJoin,
        Self::EventStream,
        Self::EventStreamLastId,
        Self::LongPoll,
        Self::ChatStream,
        Self::ChatPoll,
    ];

    /// Begins to read a room over a connection: behind a position, or from now on.
    #[track_caller]
    pub(crate) fn open(self, wire: Wire, room: &str, since: Option<&Position>) -> Box<dyn Reader> {
        let query = since.map_or_else(
            || format!("room={room}"),
            |since| format!("room={room}&since={since}"),
        );
        match self {
            Self::WebSocket => {
                let client = Client::open_over(wire, &format!("/ws?userId=reader&{query}"));
                Box::new(Chatter::over(client))
            }
            Self::WebSocketJoin => {
                let mut chatter = Chatter::over(Client::open_over(wire, "/ws?userId=reader"));
                let mut join = json!({"type": "join_room", "roomId": room});
                if let Some(since) = since {
                    join["since"] = since.to_string().into();
                }
                chatter.send(&join);
                Box::new(chatter)
            }
            Self::EventStream => {
                Box::new(EventStream::open_over(wire, &format!("/sse?{query}"), ""))
            }
            Self::EventStreamLastId => {
                let last = since.map(|since| format!("Last-Event-ID: {since}\r\n"));
                let target = format!("/sse?room={room}");
                let headers = last.unwrap_or_default();
                Box::new(EventStream::open_over(wire, &target, &headers))
            }
            Self::LongPoll => Box::new(LongPoll::open(wire, room, since)),
            Self::ChatStream => {
                let query = format!("userId=reader&session={room}&{query}");
                Box::new(StreamChatter::connect_over(wire, &query))
            }
            Self::ChatPoll => {
                let query = format!("userId=reader&session={room}&room={room}");
                Box::new(ChatPoll::open(wire, &query, room, since))
            }
        }
    }

    /// Whether it is sent to for as long as it is there, so that it can be too slow for what comes. A poll is sent one answer,
    /// of a page at most, and then nothing until it asks again.
    pub(crate) fn can_be_slow(self) -> bool {
        !self.is_poll()
    }

    /// Whether it asks again for each answer.
    pub(crate) fn is_poll(self) -> bool {
        matches!(self, Self::LongPoll | Self::ChatPoll)
    }

    /// Whether it is told why it is lost. A poll of the chat is, too, if it waits for an answer just then.
    pub(crate) fn is_told_why(self) -> bool {
        matches!(
            self,
            Self::WebSocket | Self::WebSocketJoin | Self::ChatStream
        )
    }
}

impl Reader for Chatter {
    fn hear(&mut self) -> Heard {
        loop {
            match self.client.read_message() {
                Message::Text(text) => {
                    if let Some(heard) = Heard::of(&serde_json::from_str(&text).expect("JSON")) {
                        return heard;
                    }
                }
                Message::Close(code, reason) => {
                    let why = format!("{} {reason}", code.expect("a reason to close"));
                    // A server that has gone meanwhile does not take it.
                    let _ = self.client.wire.try_send(&Frame::close(1000, "").encode());
                    return Heard::Lost { why };
                }
                Message::End(_) => return Heard::lost(),
                Message::Binary(bytes) => panic!("nobody said this: {bytes:?}"),
            }
        }
    }

    fn wire(&self) -> &Wire {
        &self.client.wire
    }

    fn close(self: Box<Self>) {
        self.client.close();
    }
}

impl Reader for EventStream {
    fn hear(&mut self) -> Heard {
        let Ok((id, data)) = self.event_if_any() else {
            return Heard::lost();
        };
        let id = id.expect("whoever gets an event can come back behind it");
        let id = Position::of(&id.into());
        let Some(data) = data else {
            return Heard::head(id);
        };
        let heard = Heard::of(&data).expect("an entry or a gap");
        assert_eq!(heard.behind(), Some(&id), "the id of {data}");
        heard
    }

    fn wire(&self) -> &Wire {
        &self.wire
    }

    fn close(mut self: Box<Self>) {
        self.wire.finish_sending();
        assert_eq!(self.wire.receive_to_end(), End::Closed);
    }
}

/// Polls one after the other. The next one is sent when an answer is there, as good clients do: what comes finds it waiting.
#[derive(Debug)]
struct LongPoll {
    http: HttpConnection,
    room: String,
    /// What was in the last answer and was not looked at.
    unheard: VecDeque<Heard>,
    /// Whether a poll has waited in vain, which is how it knows that it is at the head.
    is_at_head: bool,
    is_lost: bool,
}

impl LongPoll {
    fn open(wire: Wire, room: &str, since: Option<&Position>) -> Self {
        let mut poll = Self {
            http: HttpConnection { wire },
            room: room.to_owned(),
            unheard: VecDeque::new(),
            is_at_head: false,
            is_lost: false,
        };
        poll.ask(since);
        poll
    }

    fn ask(&mut self, since: Option<&Position>) {
        let since = since.map(|since| format!("&since={since}"));
        // The first ones find out in the shortest time that there is nothing more; later ones wait for what comes.
        let request = format!(
            "GET /poll?room={}{}&timeout={} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            self.room,
            since.unwrap_or_default(),
            if self.is_at_head { 60 } else { 1 },
        );
        // A server that is going does not take it.
        self.is_lost = self.http.wire.try_send(request.as_bytes()).is_err();
    }

    /// Reads the next answer, and asks again.
    fn read_answer(&mut self) -> Result<(), End> {
        let response = self.http.response_if_any()?;
        assert_eq!(response.status, 200, "{response:?}");
        let answer = response.json();
        let position = Position::of(&answer["position"]);
        for list in ["gaps", "messages"] {
            let list = answer[list].as_array().into_iter().flatten();
            self.unheard.extend(list.filter_map(Heard::of));
        }
        match self.unheard.back() {
            Some(last) => assert_eq!(last.behind(), Some(&position), "{answer}"),
            None => {
                self.is_at_head = true;
                self.unheard.push_back(Heard::head(position.clone()));
            }
        }
        if response.announces_close() {
            self.is_lost = true;
        } else {
            self.ask(Some(&position));
        }
        Ok(())
    }
}

impl Reader for LongPoll {
    fn hear(&mut self) -> Heard {
        if self.unheard.is_empty() && (self.is_lost || self.read_answer().is_err()) {
            return Heard::lost();
        }
        self.unheard.pop_front().expect("an answer says something")
    }

    fn wire(&self) -> &Wire {
        &self.http.wire
    }

    fn close(mut self: Box<Self>) {
        self.http.wire.finish_sending();
        assert_eq!(self.http.wire.receive_to_end(), End::Closed);
    }
}

impl Heard {
    /// What a message of the server says about the room; who comes and goes is nothing of that.
    #[track_caller]
    pub(crate) fn of(message: &Value) -> Option<Self> {
        let text = |name: &str| message[name].as_str().expect("a string").to_owned();
        Some(match message["type"].as_str() {
            Some("room_msg") => Self::Entry {
                at: Position {
                    epoch: text("epoch"),
                    offset: message["offset"].as_u64().expect("an offset"),
                },
                content: text("content"),
            },
            Some("gap") => Self::Gap {
                from: Position::of(&message["from"]),
                to: Position::of(&message["to"]),
                reason: text("reason"),
            },
            Some("joined") => Self::Head {
                at: Position::of(&message["position"]),
                recovered: Some(message["recovered"].as_bool().expect("a boolean")),
            },
            Some("system" | "reconnect" | "welcome") => return None,
            _ => panic!("a reader is not told this: {message}"),
        })
    }

    pub(crate) fn head(at: Position) -> Self {
        let recovered = None;
        Self::Head { at, recovered }
    }

    pub(crate) fn lost() -> Self {
        let why = String::new();
        Self::Lost { why }
    }

    /// Where to come back that it is not heard again.
    pub(crate) fn behind(&self) -> Option<&Position> {
        match self {
            Self::Entry { at, .. } | Self::Head { at, .. } | Self::Gap { to: at, .. } => Some(at),
            Self::Lost { .. } => None,
        }
    }
}

impl Position {
    #[track_caller]
    pub(crate) fn of(token: &Value) -> Self {
        let parts = token.as_str().and_then(|token| token.split_once('-'));
        let (epoch, offset) = parts.unwrap_or_else(|| panic!("a position, not {token}"));
        Self {
            epoch: epoch.to_owned(),
            offset: offset.parse().expect("an offset"),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

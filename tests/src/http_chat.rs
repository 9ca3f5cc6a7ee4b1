//! People in the chat without a WebSocket: one who hears by an event stream, and one who polls.

use std::io;

use serde_json::Value;

use crate::event_stream::EventStream;
use crate::http::HttpConnection;
use crate::server::Server;
use crate::wire::{End, Wire};

/// How many messages a helper passes over before it gives up on the one it looks for.
const PASSED_OVER_MAX: usize = 10_000;

/// One who hears by an event stream, past the `welcome`.
#[derive(Debug)]
pub struct StreamChatter {
    /// The stream below.
    pub stream: EventStream,
    /// The `welcome` it got.
    pub welcome: Value,
}

impl StreamChatter {
    /// Opens `/sse` with this query, in which a session is, and reads the `welcome`.
    #[must_use]
    #[track_caller]
    pub fn connect(server: &Server, query: &str) -> Self {
        Self::connect_over(Wire::open(server.address()), query)
    }

    /// The same over a connection made before.
    #[must_use]
    #[track_caller]
    pub fn connect_over(wire: Wire, query: &str) -> Self {
        let stream = EventStream::open_over(wire, &format!("/sse?{query}"), "");
        let mut chatter = Self {
            stream,
            welcome: Value::Null,
        };
        chatter.welcome = chatter.hear();
        assert_eq!(chatter.welcome["type"], "welcome", "it comes first");
        chatter
    }

    /// Reads the next message.
    #[track_caller]
    pub fn hear(&mut self) -> Value {
        let (id, message) = self.stream.message();
        assert_eq!(id, None, "places are in the messages");
        message
    }

    /// Reads up to the next message of this type.
    #[track_caller]
    pub fn hear_of(&mut self, kind: &str) -> Value {
        for _ in 0..PASSED_OVER_MAX {
            let message = self.hear();
            if message["type"] == kind {
                return message;
            }
        }
        panic!("{PASSED_OVER_MAX} messages came, but no {kind}");
    }

    /// Reads up to the `close`, behind which the stream ends, and returns its code and reason.
    #[track_caller]
    pub fn hear_close(&mut self) -> (u64, String) {
        let close = self.hear_of("close");
        assert_eq!(self.stream.event_if_any(), Err(End::Closed), "{close}");
        code_and_reason(&close)
    }
}

/// One who polls.
#[derive(Debug)]
pub struct PollChatter {
    /// The connection below.
    pub http: HttpConnection,
    /// What each poll says, beside where it goes on.
    pub query: String,
    /// Where the last answer said to go on.
    pub position: Option<String>,
}

impl PollChatter {
    /// One who has not asked yet; in the query is a session.
    #[must_use]
    #[track_caller]
    pub fn new(server: &Server, query: &str) -> Self {
        Self::over(Wire::open(server.address()), query)
    }

    /// The same over a connection made before.
    #[must_use]
    pub fn over(wire: Wire, query: &str) -> Self {
        Self {
            http: HttpConnection { wire },
            query: query.to_owned(),
            position: None,
        }
    }

    /// Goes on over another connection.
    #[track_caller]
    pub fn reconnect(&mut self, server: &Server) {
        self.http = HttpConnection::open(server.address());
    }

    /// Asks, and does not wait for the answer.
    #[track_caller]
    pub fn ask(&mut self, seconds: u32) {
        self.try_ask(seconds).expect("the server takes a request");
    }

    /// The same.
    ///
    /// # Errors
    ///
    /// When the server has closed the connection.
    pub fn try_ask(&mut self, seconds: u32) -> io::Result<()> {
        let since = self.position.as_ref();
        let since = since.map_or_else(String::new, |since| format!("&since={since}"));
        let request = format!(
            "GET /poll?{}{since}&timeout={seconds} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            self.query
        );
        self.http.wire.try_send(request.as_bytes())
    }

    /// The answer: messages, the `welcome` first.
    #[track_caller]
    pub fn answer(&mut self) -> Vec<Value> {
        self.answer_if_any()
            .unwrap_or_else(|end| panic!("an answer was due, but the connection ended: {end:?}"))
    }

    /// The same, or how the connection ended before that.
    ///
    /// # Errors
    ///
    /// How the connection ended, if it did.
    ///
    /// # Panics
    ///
    /// When it is no answer to a poll.
    #[track_caller]
    pub fn answer_if_any(&mut self) -> Result<Vec<Value>, End> {
        let response = self.http.response_if_any()?;
        assert_eq!(response.status, 200, "{response:?}");
        let answer = response.json();
        let position = answer["position"].as_str().expect("a position");
        self.position = Some(position.to_owned());
        let messages = answer["messages"].as_array().expect("a list").clone();
        assert_eq!(messages[0]["type"], "welcome", "{answer}");
        Ok(messages)
    }

    /// Asks and waits for the answer.
    #[track_caller]
    pub fn poll(&mut self) -> Vec<Value> {
        self.ask(60);
        self.answer()
    }
}

/// What a `close` says.
#[must_use]
#[track_caller]
pub fn code_and_reason(close: &Value) -> (u64, String) {
    let code = close["code"].as_u64().expect("a code");
    let reason = close["reason"].as_str().expect("a reason");
    (code, reason.to_owned())
}

/// The types of messages.
#[must_use]
pub fn kinds(messages: &[Value]) -> Vec<&str> {
    let kinds = messages.iter().map(|message| message["type"].as_str());
    kinds.map(Option::unwrap_or_default).collect()
}

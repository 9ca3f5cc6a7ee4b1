//! An event stream (Server-Sent Events), read event by event.

use std::net::SocketAddr;

use serde_json::Value;

use crate::http::HttpConnection;
use crate::wire::{End, Wire};

/// How many comments in a row a helper passes over. One comes every 15 seconds, so that waiting for bytes would never end.
const COMMENTS_MAX: usize = 2;

/// A stream past its head and the `retry:` that it begins with.
#[derive(Debug)]
pub struct EventStream {
    /// The connection below.
    pub wire: Wire,
    /// After how many milliseconds it is to come back, as the server said last.
    pub retry: u64,
}

/// One event: its id, if it has one, and its data, if it has some.
pub type Event = (Option<String>, Option<Value>);

impl EventStream {
    /// Asks for the stream at `target`; `headers` are further lines of the request, each with its CR LF.
    #[must_use]
    #[track_caller]
    pub fn open(address: SocketAddr, target: &str, headers: &str) -> Self {
        Self::open_over(Wire::open(address), target, headers)
    }

    /// Asks for it over a connection made before.
    ///
    /// # Panics
    ///
    /// When what comes is no event stream.
    #[must_use]
    #[track_caller]
    pub fn open_over(wire: Wire, target: &str, headers: &str) -> Self {
        let mut http = HttpConnection { wire };
        http.request("GET", target, headers);
        let mut stream = Self {
            wire: http.wire,
            retry: 2000,
        };
        let head = stream.expect_block("\r\n\r\n").to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        assert_eq!(stream.expect_block("\n\n"), "retry: 2000");
        stream
    }

    /// Reads the next event.
    #[track_caller]
    pub fn event(&mut self) -> Event {
        self.event_if_any()
            .unwrap_or_else(|end| panic!("an event was due, but the stream ended: {end:?}"))
    }

    /// Reads the next event, passing over comments, or says how the stream ended. An event that was cut off is none, as the
    /// standard has it.
    ///
    /// # Errors
    ///
    /// How the connection ended, if it did.
    ///
    /// # Panics
    ///
    /// When only comments come.
    #[track_caller]
    pub fn event_if_any(&mut self) -> Result<Event, End> {
        for _ in 0..=COMMENTS_MAX {
            let block = self.block("\n\n")?;
            if let Some(retry) = block.strip_prefix("retry: ") {
                self.retry = retry.parse().expect("a number of milliseconds");
            } else if !block.starts_with(':') {
                return Ok(event(&block));
            }
        }
        panic!("{COMMENTS_MAX} heartbeats came, but no event");
    }

    /// Reads the next message, passing over positions.
    #[track_caller]
    pub fn message(&mut self) -> (Option<String>, Value) {
        loop {
            if let (id, Some(data)) = self.event() {
                return (id, data);
            }
        }
    }

    #[track_caller]
    fn expect_block(&mut self, end: &str) -> String {
        self.block(end)
            .unwrap_or_else(|how| panic!("the stream ended before it began: {how:?}"))
    }

    /// The text up to `end`, which is taken as well.
    #[track_caller]
    fn block(&mut self, end: &str) -> Result<String, End> {
        let mut searched = 0;
        loop {
            let unread = &self.wire.inbox[searched..];
            if let Some(at) = unread
                .windows(end.len())
                .position(|window| window == end.as_bytes())
            {
                let mut block = self.wire.take(searched + at + end.len());
                block.truncate(searched + at);
                return Ok(String::from_utf8(block).expect("events are UTF-8"));
            }
            // The end may be cut.
            searched = (self.wire.inbox.len() + 1).saturating_sub(end.len());
            self.wire.receive()?;
        }
    }
}

#[track_caller]
fn event(block: &str) -> Event {
    let (mut id, mut data) = (None, None);
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("data", value)) => {
                data = Some(serde_json::from_str(value).expect("data is JSON"));
            }
            _ => panic!("no field that we know: {line:?}"),
        }
    }
    (id, data)
}

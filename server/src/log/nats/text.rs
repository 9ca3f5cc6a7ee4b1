//! The text protocol of NATS as a client speaks it: lines that end with CR LF, and payloads whose length their line says. What
//! subjects and payloads mean is not known here.

use std::fmt::Write as _;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::Deserialize;

/// A line is shorter: that with what a server says of itself is the longest.
const LINE_MAX: usize = 64 << 10;

/// A payload is smaller: no server takes larger ones.
const PAYLOAD_MAX: usize = 64 << 20;

/// What a server sends.
#[derive(Debug)]
pub(super) enum Incoming {
    /// What it says of itself: first, and when that changes.
    Info(Info),
    /// A message for a subscription.
    Message(Message),
    /// It asks whether somebody is there.
    Ping,
    /// It was asked.
    Pong,
    /// It does not like something.
    Error(String),
    /// Nothing of interest.
    Other,
}

/// What a server says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    /// This process, by a name that no other has.
    pub(super) server_id: String,
    /// Its version.
    pub(super) version: String,
    /// It has headers.
    #[serde(default)]
    pub(super) headers: bool,
    /// It has streams.
    #[serde(default)]
    pub(super) jetstream: bool,
    /// The largest payload.
    pub(super) max_payload: usize,
    /// The cluster that it is in.
    #[serde(default)]
    pub(super) cluster: Option<String>,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) subject: String,
    /// The subscription's number.
    pub(super) sid: u64,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
}

/// The headers of a message; empty for one that has none.
#[derive(Debug, Default)]
pub(super) struct Headers(String);

impl Headers {
    /// The number in the first line, as in `NATS/1.0 503`.
    pub(super) fn status(&self) -> Option<u16> {
        let line = self.0.lines().next()?;
        line.strip_prefix("NATS/1.0 ")?.get(..3)?.parse().ok()
    }

    /// The value of a header.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.split("\r\n").skip(1);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// What has come and is not read yet.
#[derive(Debug, Default)]
pub(super) struct Parser(BytesMut);

impl Parser {
    /// Takes what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next thing that is there whole.
    ///
    /// # Errors
    /// This is not NATS: a sentence.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, String> {
        let Some(end) = self.0.windows(2).position(|two| two == b"\r\n") else {
            if self.0.len() > LINE_MAX {
                return Err("it sends a line that does not end".to_owned());
            }
            return Ok(None);
        };
        let line = self.0.get(..end).unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|_| "it sends no text".to_owned())?;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let incoming = match word {
            "MSG" | "HMSG" => {
                let head = Head::parse(word == "HMSG", rest);
                let head = head.ok_or_else(|| format!("it sends {line:?}"))?;
                return Ok(self.message(end + 2, head));
            }
            "INFO" => {
                let info = serde_json::from_str(rest);
                Incoming::Info(info.map_err(|error| format!("of itself it says: {error}"))?)
            }
            "PING" => Incoming::Ping,
            "PONG" => Incoming::Pong,
            "-ERR" => Incoming::Error(rest.trim_matches('\'').to_owned()),
            "+OK" => Incoming::Other,
            _ => return Err("it does not speak as a NATS does".to_owned()),
        };
        self.0.advance(end + 2);
        Ok(Some(incoming))
    }

    /// The message whose line ends there, if all of it is there.
    fn message(&mut self, begin: usize, head: Head) -> Option<Incoming> {
        if self.0.len() < begin + head.size + 2 {
            return None;
        }
        self.0.advance(begin);
        let mut body = self.0.split_to(head.size).freeze();
        self.0.advance(2);
        let headers = body.split_to(head.headers);
        Some(Incoming::Message(Message {
            subject: head.subject,
            sid: head.sid,
            headers: Headers(String::from_utf8_lossy(&headers).into_owned()),
            body,
        }))
    }
}

/// The line before a message.
struct Head {
    subject: String,
    sid: u64,
    /// Bytes of headers, which the size has in it.
    headers: usize,
    size: usize,
}

impl Head {
    /// `subject sid [reply-to] [#header bytes] #total bytes`
    fn parse(has_headers: bool, text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (subject, sid, sizes) = match (has_headers, words.as_slice()) {
            (false, [subject, sid, size] | [subject, sid, _, size]) => (subject, sid, ["0", size]),
            (true, [subject, sid, headers, size] | [subject, sid, _, headers, size]) => {
                (subject, sid, [*headers, *size])
            }
            _ => return None,
        };
        let [headers, size] = sizes.map(str::parse::<usize>);
        let (headers, size) = (headers.ok()?, size.ok()?);
        (headers <= size && size <= PAYLOAD_MAX).then_some(Self {
            subject: (*subject).to_owned(),
            sid: sid.parse().ok()?,
            headers,
            size,
        })
    }
}

/// Appends a message; who answers it does so to `reply`.
pub(super) fn publish(
    out: &mut BytesMut,
    subject: &str,
    reply: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) {
    let mut line = String::new();
    if headers.is_empty() {
        let _ = write!(line, "PUB {subject} {reply} {}\r\n", body.len());
        out.extend_from_slice(line.as_bytes());
    } else {
        let mut block = String::from("NATS/1.0\r\n");
        for (name, value) in headers {
            let _ = write!(block, "{name}: {value}\r\n");
        }
        block.push_str("\r\n");
        let (before, all) = (block.len(), block.len() + body.len());
        let _ = write!(line, "HPUB {subject} {reply} {before} {all}\r\n");
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(block.as_bytes());
    }
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// Appends a line.
pub(super) fn line(out: &mut BytesMut, line: &str) {
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "INFO {\"server_id\":\"N1\",\"version\":\"2.9.10\",\"headers\":true,\"max_payload\":1024}\r\nPING\r\n\
        MSG a.b 7 3\r\nhey\r\nHMSG a 8 reply.to 38 40\r\nNATS/1.0 404 Not There\r\nName: a: b\r\n\r\n\r\n\r\n+OK\r\n-ERR 'Go Away'\r\nPONG\r\n";

    fn told(incoming: Incoming) -> String {
        match incoming {
            Incoming::Info(info) => format!("{} {}", info.server_id, info.version),
            Incoming::Message(message) => {
                let name = message.headers.get("Name").unwrap_or("-").to_owned();
                let (subject, sid, status) =
                    (message.subject, message.sid, message.headers.status());
                format!("{subject} {sid} {status:?} {name} {:?}", message.body)
            }
            Incoming::Error(error) => error,
            other @ (Incoming::Ping | Incoming::Pong | Incoming::Other) => format!("{other:?}"),
        }
    }

    #[test]
    fn what_a_server_sends_is_the_same_in_any_pieces() {
        for size in [1, 2, 7, 64, ALL.len()] {
            let mut parser = Parser::default();
            let mut all = Vec::new();
            for piece in ALL.as_bytes().chunks(size) {
                parser.push(piece);
                while let Some(incoming) = parser.next().unwrap() {
                    all.push(told(incoming));
                }
            }
            let expected = [
                "N1 2.9.10",
                "Ping",
                "a.b 7 None - b\"hey\"",
                "a 8 Some(404) a: b b\"\\r\\n\"",
                "Other",
                "Go Away",
                "Pong",
            ];
            assert_eq!(all, expected, "{size}");
        }
    }

    #[test]
    fn what_is_published_says_its_lengths() {
        let mut out = BytesMut::new();
        publish(&mut out, "a.b", "r", &[], b"hey");
        publish(&mut out, "a", "r", &[("A", "1")], b"x");
        line(&mut out, "PING");
        let expected =
            "PUB a.b r 3\r\nhey\r\nHPUB a r 18 19\r\nNATS/1.0\r\nA: 1\r\n\r\nx\r\nPING\r\n";
        assert_eq!(out, expected.as_bytes());
    }

    #[test]
    fn what_is_not_nats_is_refused() {
        for bad in [
            "HTTP/1.1 400 Bad Request\r\n",
            "MSG a\r\n",
            "MSG a x 3\r\n",
            "HMSG a 1 5 3\r\n",
            "MSG a 1 99999999999\r\n",
            "INFO {}\r\n",
        ] {
            let mut parser = Parser::default();
            parser.push(bad.as_bytes());
            assert!(parser.next().is_err(), "{bad}");
        }
        let mut parser = Parser::default();
        parser.push(&vec![b'a'; LINE_MAX + 1]);
        assert!(parser.next().is_err());
    }
}

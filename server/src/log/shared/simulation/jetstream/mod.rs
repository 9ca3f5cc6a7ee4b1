//! A nats-server as its clients see it: streams, what is read of them and what they announce, byte for byte, whole or not at all. Its
//! data can be saved and be what it was then, in each stream by itself, or gone; while it starts it does not know all that it has.
//!
//! What a client sends is done in its order. Answers go by lanes, each in order: those about streams, and those of each stream; on
//! the way one lane may overtake another, as with the queues of the real one.

mod api;
mod stream;
mod talk;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use crate::ids::LogName;
use crate::log::remote::Link;
use crate::log::{Epoch, Position};
pub(super) use stream::Stream;
use stream::{Message, Stored};
use talk::Said;

/// A client: a node's link.
pub(super) type End = (usize, Link);

/// Something that a client is to get.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) to: End,
    /// Not sent before that.
    pub(super) after: u64,
    /// What is in the same one stays in order.
    pub(super) lane: String,
    pub(super) bytes: Bytes,
    /// It is an announcement: some get lost.
    pub(super) is_news: bool,
}

/// What it cannot do at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shape {
    /// It has streams that it does not know of yet.
    pub(super) starts: bool,
    /// It takes no messages.
    pub(super) is_full: bool,
    /// What time it is, in microseconds.
    pub(super) now: u64,
    /// How long it takes until a stream that it makes takes messages: others than who made it may see it before that.
    pub(super) making: u64,
}

/// What it has on its disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    pub(super) streams: BTreeMap<String, Stream>,
}

impl Data {
    /// The stream of a log, as the engine names it.
    fn log(&self, log: &LogName) -> Option<&Stream> {
        self.streams.get(&format!("t_log_{log}"))
    }

    /// Where a log ends.
    pub(super) fn head(&self, log: &LogName) -> Option<Position> {
        let stream = self.log(log)?;
        let epoch = stream.config["subjects"][0].as_str().and_then(epoch)?;
        let offset = stream.last;
        Some(Position { epoch, offset })
    }

    /// What is at a place.
    pub(super) fn content(&self, log: &LogName, at: Position) -> Option<String> {
        let (message, _) = self.log(log)?.messages.get(&at.offset)?;
        let is_there = epoch(&message.subject) == Some(at.epoch);
        is_there.then(|| String::from_utf8_lossy(&message.body).into_owned())
    }
}

/// The epoch that is the fourth part of a subject.
fn epoch(subject: &str) -> Option<Epoch> {
    let epoch = subject.split('.').nth(3)?;
    u32::from_str_radix(epoch, 16).ok().map(Epoch::new)
}

#[derive(Debug, Default)]
struct Peer {
    unread: BytesMut,
    /// What it subscribed, by its numbers.
    wants: BTreeMap<u64, String>,
}

/// A process and its data.
#[derive(Debug)]
pub(super) struct JetStream {
    pub(super) data: Data,
    /// Streams that it does not know while it starts.
    pub(super) hidden: BTreeSet<String>,
    pub(super) shape: Shape,
    process: u64,
    peers: BTreeMap<End, Peer>,
    made: u64,
    /// When what is made now takes messages; 0 if nothing is.
    made_at: u64,
    unix_ms: u64,
    outs: Vec<Out>,
}

impl JetStream {
    pub(super) fn new() -> Self {
        Self {
            data: Data::default(),
            hidden: BTreeSet::new(),
            shape: Shape::default(),
            process: 1,
            peers: BTreeMap::new(),
            made: 0,
            made_at: 0,
            unix_ms: 0,
            outs: Vec::new(),
        }
    }

    /// Another process, with this data.
    pub(super) fn restart(&mut self, data: Data) {
        self.data = data;
        self.process += 1;
        self.peers.clear();
        self.outs.clear();
        self.shape = Shape::default();
        self.hidden.clear();
    }

    /// A client has come.
    pub(super) fn opened(&mut self, end: End) -> Vec<Out> {
        self.peers.insert(end, Peer::default());
        let info = json!({
            "server_id": format!("N{}", self.process),
            "version": "2.9.10",
            "headers": true,
            "jetstream": true,
            "max_payload": 1 << 20,
        });
        self.line(end, &format!("INFO {info}"));
        std::mem::take(&mut self.outs)
    }

    /// A client's connection has ended.
    pub(super) fn closed(&mut self, end: End) {
        self.peers.remove(&end);
    }

    /// A client has sent something: what comes of that.
    pub(super) fn take(&mut self, end: End, bytes: &[u8], unix_ms: u64) -> Vec<Out> {
        self.unix_ms = unix_ms;
        let Some(peer) = self.peers.get_mut(&end) else {
            return Vec::new();
        };
        peer.unread.extend_from_slice(bytes);
        while let Some(peer) = self.peers.get_mut(&end)
            && let Some(said) = talk::next(&mut peer.unread)
        {
            self.hear(end, said);
        }
        std::mem::take(&mut self.outs)
    }

    fn hear(&mut self, end: End, said: Said) {
        match said {
            Said::Nothing => {}
            Said::Ping => self.line(end, "PONG"),
            Said::Subscribe(subject, number) => {
                if let Some(peer) = self.peers.get_mut(&end) {
                    peer.wants.insert(number, subject);
                }
            }
            Said::Unsubscribe(number) => {
                if let Some(peer) = self.peers.get_mut(&end) {
                    peer.wants.remove(&number);
                }
            }
            Said::Publish(message, reply) => self.publish(end, &message, &reply),
        }
    }

    fn publish(&mut self, end: End, message: &Message, reply: &str) {
        if let Some(what) = message.subject.strip_prefix("$JS.API.") {
            return self.asked(end, what, message, reply);
        }
        let heard = self.deliver(&message.subject, "", &message.headers, &message.body);
        let streams = self.data.streams.iter();
        let mut streams = streams.filter(|(_, stream)| stream.takes(&message.subject));
        let taker = streams.next().map(|(name, _)| name.clone());
        match taker.filter(|name| !self.is_hidden(name) && !self.is_young(name)) {
            Some(name) => self.store(end, &name, message, reply),
            None if !heard => self.nobody(end, reply),
            None => {}
        }
    }

    fn store(&mut self, end: End, name: &str, message: &Message, reply: &str) {
        let lane = format!("stream {name}");
        if self.shape.is_full {
            let answer = error(503, 10_023, "insufficient resources");
            return self.answer(end, &lane, reply, &answer);
        }
        let unix_ms = self.unix_ms;
        let Some(stream) = self.data.streams.get_mut(name) else {
            return;
        };
        match stream.store(message, unix_ms) {
            Stored::At(seq) => {
                let news = stream.news(message);
                self.answer(end, &lane, reply, &json!({ "stream": name, "seq": seq }));
                if let Some(subject) = news {
                    let more = format!(
                        "Nats-Stream: {name}\r\nNats-Subject: {}\r\nNats-Sequence: {seq}\r\n",
                        message.subject
                    );
                    self.deliver(&subject, &more, &message.headers, &message.body);
                }
            }
            Stored::Behind(last) => {
                let what = format!("wrong last sequence: {last}");
                self.answer(end, &lane, reply, &error(400, 10_071, &what));
            }
        }
    }

    /// Hands a message to who wants it; returns whether anybody does.
    fn deliver(&mut self, subject: &str, more: &str, headers: &str, body: &[u8]) -> bool {
        let mut outs = Vec::new();
        for (end, peer) in &self.peers {
            for (number, wanted) in &peer.wants {
                if talk::matches(wanted, subject) {
                    let bytes = talk::message(subject, *number, &format!("{more}{headers}"), body);
                    outs.push(Out {
                        to: *end,
                        after: 0,
                        lane: "news".to_owned(),
                        bytes,
                        is_news: true,
                    });
                }
            }
        }
        let heard = !outs.is_empty();
        self.outs.extend(outs);
        heard
    }

    fn is_hidden(&self, name: &str) -> bool {
        self.shape.starts && self.hidden.contains(name)
    }

    /// It is there, and does not listen yet.
    fn is_young(&self, name: &str) -> bool {
        let stream = self.data.streams.get(name);
        stream.is_some_and(|stream| stream.takes_at > self.shape.now)
    }

    // ---- answers ----

    fn line(&mut self, end: End, line: &str) {
        let bytes = Bytes::from(format!("{line}\r\n"));
        self.out(end, "lines", bytes);
    }

    /// Nobody is there who could answer.
    fn nobody(&mut self, end: End, reply: &str) {
        self.answer_with(end, "lines", reply, "NATS/1.0 503\r\n", "", b"");
    }

    fn answer(&mut self, end: End, lane: &str, reply: &str, answer: &Value) {
        self.answer_with(end, lane, reply, "", "", answer.to_string().as_bytes());
    }

    fn answer_with(
        &mut self,
        end: End,
        lane: &str,
        reply: &str,
        status: &str,
        headers: &str,
        body: &[u8],
    ) {
        if reply.is_empty() {
            return;
        }
        let Some(peer) = self.peers.get(&end) else {
            return;
        };
        let mut wants = peer.wants.iter();
        let number = wants.find(|(_, wanted)| talk::matches(wanted, reply));
        let Some((&number, _)) = number else {
            return;
        };
        let bytes = talk::message_with(reply, number, status, headers, body);
        self.out(end, lane, bytes);
    }

    fn out(&mut self, end: End, lane: &str, bytes: Bytes) {
        self.outs.push(Out {
            to: end,
            after: self.made_at,
            lane: lane.to_owned(),
            bytes,
            is_news: false,
        });
    }
}

fn error(code: u16, err_code: u32, description: &str) -> Value {
    json!({ "error": { "code": code, "err_code": err_code, "description": description } })
}

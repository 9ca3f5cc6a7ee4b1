//! A stream: its messages by number, and what it keeps.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::talk::matches;

/// A message as it came.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) subject: String,
    /// Lines, each with its end.
    pub(super) headers: String,
    pub(super) body: Bytes,
}

/// What became of one.
pub(super) enum Stored {
    At(u64),
    /// Another is the last of its subject.
    Behind(u64),
}

/// A stream and its messages.
#[derive(Debug, Clone)]
pub(in super::super) struct Stream {
    pub(super) config: Value,
    pub(super) created: String,
    /// When it begins to take messages, in microseconds.
    pub(super) takes_at: u64,
    pub(super) messages: BTreeMap<u64, (Message, u64)>,
    /// The newest of each subject, which may be gone.
    newest: BTreeMap<String, u64>,
    bytes: usize,
    pub(super) last: u64,
}

impl Message {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.split("\r\n");
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Stream {
    pub(super) fn new(config: Value, created: String, takes_at: u64) -> Self {
        Self {
            config,
            created,
            takes_at,
            messages: BTreeMap::new(),
            newest: BTreeMap::new(),
            bytes: 0,
            last: 0,
        }
    }

    fn number(&self, name: &str) -> u64 {
        self.config[name].as_u64().unwrap_or(0)
    }

    /// Whether messages with this subject are its.
    pub(super) fn takes(&self, subject: &str) -> bool {
        let subjects = self.config["subjects"].as_array().into_iter().flatten();
        let mut subjects = subjects.filter_map(Value::as_str);
        subjects.any(|wanted| matches(wanted, subject))
    }

    /// Where what it takes is announced, if it is.
    pub(super) fn news(&self, message: &Message) -> Option<String> {
        let source = self.config["republish"]["src"].as_str()?;
        let place = self.config["republish"]["dest"].as_str()?;
        let rest = message.subject.strip_prefix(source.strip_suffix('>')?)?;
        Some(format!("{}{rest}", place.strip_suffix('>')?))
    }

    pub(super) fn store(&mut self, message: &Message, unix_ms: u64) -> Stored {
        self.expire(unix_ms);
        let expected = message.header("Nats-Expected-Last-Subject-Sequence");
        if let Some(expected) = expected {
            let last = self.newest(&message.subject).map_or(0, |(seq, _)| seq);
            if expected != last.to_string() {
                return Stored::Behind(last);
            }
        }
        self.last += 1;
        self.bytes += message.body.len();
        self.messages.insert(self.last, (message.clone(), unix_ms));
        let before = self.newest.insert(message.subject.clone(), self.last);
        if let Some(before) = before.filter(|_| self.number("max_msgs_per_subject") == 1) {
            self.remove(before);
        }
        let most = self.number("max_msgs");
        while most > 0
            && self.messages.len() as u64 > most
            && let Some(&first) = self.messages.keys().next()
        {
            self.remove(first);
        }
        Stored::At(self.last)
    }

    fn remove(&mut self, seq: u64) {
        if let Some((message, _)) = self.messages.remove(&seq) {
            self.bytes -= message.body.len();
        }
    }

    /// Removes what is before a number, or has a subject.
    pub(super) fn purge(&mut self, first: Option<u64>, filter: Option<&str>) {
        let is_meant = |(seq, (message, _)): &(&u64, &(Message, u64))| {
            first.is_none_or(|first| **seq < first)
                && filter.is_none_or(|filter| matches(filter, &message.subject))
        };
        let meant: Vec<u64> = self
            .messages
            .iter()
            .filter(is_meant)
            .map(|(seq, _)| *seq)
            .collect();
        meant.into_iter().for_each(|seq| self.remove(seq));
    }

    /// Lets go of what is too old.
    pub(super) fn expire(&mut self, unix_ms: u64) {
        let age = self.number("max_age") / 1_000_000;
        while age > 0
            && let Some((&first, (_, at))) = self.messages.first_key_value()
            && *at + age <= unix_ms
        {
            self.remove(first);
        }
    }

    /// The newest with a subject, which may have `*` in it.
    pub(super) fn newest(&self, subject: &str) -> Option<(u64, &Message)> {
        if !subject.contains('*') {
            let seq = *self.newest.get(subject)?;
            return self.messages.get(&seq).map(|(message, _)| (seq, message));
        }
        let mut messages = self.messages.iter().rev();
        let found = messages.find(|(_, (message, _))| matches(subject, &message.subject));
        found.map(|(seq, (message, _))| (*seq, message))
    }

    /// What it says of itself, and of subjects, if it is asked.
    pub(super) fn info(&self, filter: Option<&str>) -> Value {
        let first = self.messages.keys().next().copied();
        let mut subjects: BTreeMap<&str, u64> = BTreeMap::new();
        if let Some(filter) = filter {
            let messages = self.messages.values().map(|(message, _)| message);
            for message in messages.filter(|message| matches(filter, &message.subject)) {
                *subjects.entry(&message.subject).or_default() += 1;
            }
        }
        json!({
            "config": self.config,
            "created": self.created,
            "state": {
                "messages": self.messages.len(),
                "bytes": self.bytes + 256 * self.messages.len(),
                "first_seq": first.unwrap_or(self.last + 1),
                "last_seq": self.last,
                "subjects": subjects,
            },
        })
    }
}

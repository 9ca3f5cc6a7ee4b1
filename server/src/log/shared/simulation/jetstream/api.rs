//! What is asked of JetStream beside publishing.

use serde_json::{Value, json};

use super::stream::{Message, Stream};
use super::talk::matches;
use super::{End, JetStream, error};

/// The lane of answers about streams.
const LANE: &str = "api";

impl JetStream {
    pub(super) fn asked(&mut self, end: End, what: &str, message: &Message, reply: &str) {
        let body = serde_json::from_slice(&message.body).unwrap_or(Value::Null);
        if let Some(name) = what.strip_prefix("DIRECT.GET.") {
            return self.direct_get(end, name, &body, reply);
        }
        let Some((verb, name)) = what
            .strip_prefix("STREAM.")
            .and_then(|what| what.split_once('.').or(Some((what, ""))))
        else {
            panic!("nobody asks for {what}");
        };
        let unix_ms = self.unix_ms;
        if let Some(stream) = self.data.streams.get_mut(name) {
            stream.expire(unix_ms);
        }
        let answer = match verb {
            "CREATE" => self.create(name, body),
            "NAMES" => self.names(&body),
            _ if self.is_hidden(name) || !self.data.streams.contains_key(name) => {
                error(404, 10_059, "stream not found")
            }
            "INFO" => self.data.streams[name].info(body["subjects_filter"].as_str()),
            "UPDATE" => self.update(name, body),
            "DELETE" => {
                self.data.streams.remove(name);
                json!({ "success": true })
            }
            "PURGE" => self.purge(name, &body),
            _ => panic!("nobody asks for {what}"),
        };
        self.answer(end, LANE, reply, &answer);
        self.made_at = 0;
    }

    fn create(&mut self, name: &str, config: Value) -> Value {
        if self.is_hidden(name) {
            // What is there is in its way.
            return error(400, 10_058, "stream name already in use");
        }
        if let Some(stream) = self.data.streams.get(name) {
            return if stream.config == config {
                stream.info(None)
            } else {
                error(400, 10_058, "stream name already in use")
            };
        }
        self.made += 1;
        let created = format!("{} {} {}", self.process, self.unix_ms, self.made);
        self.made_at = self.shape.now + self.shape.making;
        let stream = Stream::new(config, created, self.made_at);
        let info = stream.info(None);
        self.data.streams.insert(name.to_owned(), stream);
        info
    }

    fn update(&mut self, name: &str, config: Value) -> Value {
        let Some(stream) = self.data.streams.get_mut(name) else {
            return Value::Null;
        };
        stream.config = config;
        stream.info(None)
    }

    fn names(&self, body: &Value) -> Value {
        let wanted = body["subject"].as_str().unwrap_or(">");
        let streams = self.data.streams.iter();
        let streams = streams.filter(|(name, stream)| {
            let mut subjects = stream.config["subjects"].as_array().into_iter().flatten();
            let is_wanted = subjects.any(|of| of.as_str().is_some_and(|of| matches(wanted, of)));
            is_wanted && !self.is_hidden(name)
        });
        let names: Vec<&String> = streams.map(|(name, _)| name).collect();
        json!({ "total": names.len(), "offset": 0, "limit": 1024, "streams": names })
    }

    fn purge(&mut self, name: &str, body: &Value) -> Value {
        if let Some(stream) = self.data.streams.get_mut(name) {
            stream.purge(body["seq"].as_u64(), body["filter"].as_str());
        }
        json!({ "success": true })
    }

    fn direct_get(&mut self, end: End, name: &str, body: &Value, reply: &str) {
        let unix_ms = self.unix_ms;
        if self.is_hidden(name) || self.is_young(name) || !self.data.streams.contains_key(name) {
            return self.nobody(end, reply);
        }
        let Some(stream) = self.data.streams.get_mut(name) else {
            return;
        };
        stream.expire(unix_ms);
        let found = match (body["seq"].as_u64(), body["last_by_subj"].as_str()) {
            (Some(seq), _) => stream.messages.get(&seq).map(|(message, _)| (seq, message)),
            (None, Some(subject)) => stream.newest(subject),
            (None, None) => None,
        };
        let found = found.map(|(seq, message)| {
            let headers = format!(
                "Nats-Stream: {name}\r\nNats-Subject: {}\r\nNats-Sequence: {seq}\r\n{}",
                message.subject, message.headers
            );
            (headers, message.body.clone())
        });
        let lane = format!("stream {name}");
        match found {
            Some((headers, body)) => self.answer_with(end, &lane, reply, "", &headers, &body),
            None => {
                let status = "NATS/1.0 404 Message Not Found\r\n";
                self.answer_with(end, &lane, reply, status, "", b"");
            }
        }
    }
}

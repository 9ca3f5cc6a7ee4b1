//! The readers that chat over HTTP: their event stream is as a WebSocket is, and their polls follow one another.

use std::collections::VecDeque;

use serde_json::Value;
use tidewire_tests::http_chat::code_and_reason;
use tidewire_tests::wire::{End, Wire};
use tidewire_tests::{PollChatter, StreamChatter};

use super::reader::{Heard, Position, Reader};

impl Reader for StreamChatter {
    fn hear(&mut self) -> Heard {
        loop {
            let Ok((_, data)) = self.stream.event_if_any() else {
                return Heard::lost();
            };
            let message = data.expect("a message");
            if message["type"] == "close" {
                let (code, reason) = code_and_reason(&message);
                let why = format!("{code} {reason}");
                return Heard::Lost { why };
            }
            if let Some(heard) = Heard::of(&message) {
                return heard;
            }
        }
    }

    fn wire(&self) -> &Wire {
        &self.stream.wire
    }

    fn close(mut self: Box<Self>) {
        self.stream.wire.finish_sending();
        assert_eq!(self.stream.wire.receive_to_end(), End::Closed);
    }
}

/// Polls one after the other, and the next is sent when an answer is there.
#[derive(Debug)]
pub(crate) struct ChatPoll {
    poll: PollChatter,
    /// What was in the last answer and was not looked at.
    unheard: VecDeque<Heard>,
    /// It was told that it has joined. That comes again with each poll, but is said once.
    is_at_head: bool,
    is_lost: bool,
}

impl ChatPoll {
    pub(crate) fn open(wire: Wire, query: &str, room: &str, since: Option<&Position>) -> Self {
        let mut poll = PollChatter::over(wire, query);
        poll.position = since.map(|since| format!("{room}:{since}"));
        let mut poll = Self {
            poll,
            unheard: VecDeque::new(),
            is_at_head: false,
            is_lost: false,
        };
        poll.ask();
        poll
    }

    fn ask(&mut self) {
        // Who comes back where nothing is missed hears so when its time is up.
        let seconds = if self.is_at_head { 60 } else { 1 };
        // A server that is going does not take it.
        self.is_lost = self.poll.try_ask(seconds).is_err();
    }

    fn read_answer(&mut self) -> Result<(), End> {
        for message in self.poll.answer_if_any()? {
            self.note(&message);
        }
        if !self.is_lost {
            self.ask();
        }
        Ok(())
    }

    fn note(&mut self, message: &Value) {
        let kind = message["type"].as_str();
        self.is_lost |= kind == Some("close");
        if kind == Some("joined") {
            if !self.is_at_head {
                self.is_at_head = true;
                let at = Position::of(&message["position"]);
                self.unheard.push_back(Heard::head(at));
            }
        } else if kind != Some("close") {
            self.unheard.extend(Heard::of(message));
        }
    }
}

impl Reader for ChatPoll {
    fn hear(&mut self) -> Heard {
        while self.unheard.is_empty() {
            if self.is_lost || self.read_answer().is_err() {
                return Heard::lost();
            }
        }
        self.unheard.pop_front().unwrap_or_else(Heard::lost)
    }

    fn wire(&self) -> &Wire {
        &self.poll.http.wire
    }

    fn close(mut self: Box<Self>) {
        self.poll.http.wire.finish_sending();
        assert_eq!(self.poll.http.wire.receive_to_end(), End::Closed);
    }
}

//! The worker's part in captures: which of its connections belong to them, what is noted about entries, and the connections
//! that captures are sent on.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::Worker;
use super::mail::Mail;
use super::readers::Reader;
use crate::capture::Fit;
use crate::ids::{ConnId, LogName};
use crate::log::Entry;
use crate::net::capture::{Bounds, Capture, Captures, Flow, Sink, StartError};
use crate::net::conn::{App, State};
use crate::transport::{CaptureRequest, Response, capture_stream};

/// The captures that run, as a worker sees them.
#[derive(Debug, Default)]
pub(super) struct Tapping {
    captures: Vec<Arc<Capture>>,
    /// The connections that captures are sent on: none of them belongs to one, since each packet would make another.
    outlets: HashMap<ConnId, Arc<Flow>, foldhash::fast::RandomState>,
    /// What all workers share, to start one.
    starter: Captures,
}

impl Tapping {
    /// With one that runs from the start, if there is one.
    pub(super) fn new(starter: Captures, capture: Option<Arc<Capture>>) -> Self {
        Self {
            captures: capture.into_iter().collect(),
            outlets: HashMap::default(),
            starter,
        }
    }

    /// So much of what was to be sent on a connection has left.
    pub(super) fn note_sent(&self, id: ConnId, bytes: usize) {
        if let Some(flow) = self.outlets.get(&id) {
            flow.taken(bytes);
        }
    }
}

impl Drop for Tapping {
    /// The worker ends: nobody sends any more what captures bring.
    fn drop(&mut self) {
        self.outlets.values().for_each(|flow| flow.gone());
    }
}

impl Worker {
    // ---- beginning and ending ----

    /// Starts a capture, and answers with what it brings.
    pub(super) fn begin_capture(&mut self, id: ConnId, request: CaptureRequest) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let peer = conn.peer;
        let flow = Arc::new(Flow::default());
        let sink = Sink::connection(id, self.peers.own_sender(), Arc::clone(&flow));
        let bounds = Bounds {
            time: Some(request.time_left(self.now.unix_ms)),
            bytes: request.bytes,
        };
        let everybody = self.peers.all_senders();
        let at_end = move |number| {
            for worker in everybody {
                worker.send([Mail::CaptureEnded(number)]);
            }
        };
        let filter = request.filter;
        tracing::info!(event = "capture_started", peer = %peer.ip, filter = %filter, "A capture has started.");
        match self.tapping.starter.start(filter, bounds, sink, at_end) {
            Ok(capture) => {
                self.tapping.outlets.insert(id, flow);
                self.untap(id);
                self.peers
                    .post_to_others(|| Mail::CaptureBegins(Arc::clone(&capture)));
                self.respond(id, &capture_stream());
                self.add_capture(capture);
            }
            Err(StartError::TooMany) => {
                let sentence = "Enough captures run already: end one.";
                self.respond(id, &Response::problem(503, "too_many_captures", sentence));
            }
            Err(StartError::Thread(error)) => {
                let sentence = format!("There is no thread for a capture: {error}.");
                self.respond(id, &Response::problem(503, "overloaded", sentence));
            }
        }
    }

    /// Another worker's client began a capture, or ours did.
    pub(super) fn add_capture(&mut self, capture: Arc<Capture>) {
        self.tapping.captures.push(capture);
        for id in self.table.ids() {
            self.tap(id, false);
        }
    }

    /// A capture has ended.
    pub(super) fn end_capture(&mut self, number: u64) {
        let captures = &mut self.tapping.captures;
        captures.retain(|capture| capture.number != number);
        for id in self.table.ids() {
            if let Some(conn) = self.table.get_mut(id) {
                conn.remove_tap(number);
            }
        }
    }

    // ---- the connection that a capture is sent on ----

    /// The next bytes of a capture, or its end.
    pub(super) fn send_captured(&mut self, id: ConnId, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => {
                self.with_http(id, |http, _| http.push(&bytes));
                self.mark_dirty(id);
            }
            None => self.end_stream(id),
        }
    }

    /// The connection has ended: so has the capture.
    pub(super) fn forget_outlet(&mut self, id: ConnId) {
        if let Some(flow) = self.tapping.outlets.remove(&id) {
            flow.gone();
        }
    }

    // ---- who belongs to it ----

    /// A connection has come.
    pub(super) fn tap_new(&mut self, id: ConnId) {
        self.tap(id, true);
    }

    /// It is known better who a connection is, or where.
    pub(super) fn retap(&mut self, id: ConnId) {
        self.tap(id, false);
    }

    fn tap(&mut self, id: ConnId, is_new: bool) {
        if self.tapping.captures.is_empty() || self.tapping.outlets.contains_key(&id) {
            return;
        }
        let logs = self.logs_followed(id);
        let who = logs.iter().find_map(|log| log.as_str().strip_prefix('@'));
        let who: Option<Arc<str>> = who.map(|name| format!("user {name}").into());
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        for capture in &self.tapping.captures {
            let fit = capture.filter.fit(id, conn.peer.ip, &logs);
            if fit != Fit::Never || conn.is_tapped() {
                conn.set_tap((id, is_new), (capture, fit), who.clone(), self.now.instant);
            }
        }
    }

    fn untap(&mut self, id: ConnId) {
        if let Some(conn) = self.table.get_mut(id) {
            for capture in &self.tapping.captures {
                conn.remove_tap(capture.number);
            }
        }
    }

    /// The logs that it follows, by whichever transport.
    fn logs_followed(&mut self, id: ConnId) -> Vec<LogName> {
        if let Some(Reader::Rooms(reader)) = self.readers.get(&id) {
            return reader.logs().cloned().collect();
        }
        let conn = self.table.get_mut(id);
        if let Some(State::WebSocket(web_socket)) = conn.map(|conn| &conn.state)
            && let App::Relay(place) = &web_socket.app
        {
            return vec![place.room.log()];
        }
        self.logs_of(id)
    }

    // ---- notes ----

    /// Notes what the entry is that is queued next on a connection.
    pub(super) fn note_entry(&mut self, id: ConnId, entry: &Entry, is_ack: bool) {
        if let Some(conn) = self.table.get_mut(id) {
            conn.tap_note(|| describe(entry, is_ack));
        }
    }
}

fn describe(entry: &Entry, is_ack: bool) -> String {
    let draft = &entry.draft;
    let mut text = format!("user {} · ", draft.from);
    // Writing to a string does not fail.
    let _ = match draft.log.as_str() {
        "*" => write!(text, "broadcast"),
        log => match log.strip_prefix('@') {
            Some(user) => write!(text, "to {user}"),
            None => write!(text, "room {log}"),
        },
    };
    let _ = write!(text, " · offset {}", entry.position.offset);
    if is_ack {
        text.push_str(" · acknowledged");
    }
    text
}

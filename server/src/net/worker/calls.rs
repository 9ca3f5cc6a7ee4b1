//! Calls: what the API is asked for is carried out here, and answered, at once or when the answer comes.

use std::ops::Range;

use super::Worker;
use super::delivery::Context;
use super::rates::too_much;
use crate::files::{Meta, Stored};
use crate::ids::ConnId;
use crate::log::{Draft, Request};
use crate::net::conn::State;
use crate::net::files::{Done, Job};
use crate::transport::{
    Call, Download, Event, History, Http, Publish, Response, Turn, Upload, file_problem, uploaded,
};

/// What is read of a file at once.
const FILE_READ_BYTES: usize = 64 << 10;

/// A file on its way, for a connection that has an [`Http`] in the middle of a call.
#[derive(Debug)]
pub(super) enum Transfer {
    /// To us.
    Upload(Meta),
    /// From us: looked for, not found yet.
    Wanted(Download),
    /// From us: these bytes of it are still to be read.
    Download {
        file: Stored,
        range: Range<u64>,
        /// A read has been asked for.
        is_reading: bool,
    },
}

impl Worker {
    // ---- requests ----

    pub(super) fn handle_http(&mut self, id: ConnId, bytes: &mut [u8]) {
        let mut input = bytes;
        // It may ask for what is counted.
        self.take_stock();
        while let Some(event) = self.http_event(id, &mut input) {
            match event {
                Event::Upgrade(accepted) => return self.upgrade(id, accepted, input),
                Event::Call(call) => self.call(id, call),
                Event::Body(bytes) => self.files.ask(id, Job::Append(bytes)),
                Event::BodyEnd => self.files.ask(id, Job::Finish),
            }
        }
        let refused = self.with_http(id, |http, _| http.take_unauthorized());
        self.status.own.unauthorized += u64::from(refused.unwrap_or_default());
    }

    /// What a connection's bytes come to, and whose they are.
    fn http_event(&mut self, id: ConnId, input: &mut &mut [u8]) -> Option<Event> {
        let event = self.with_http(id, |http, turn| http.handle_input(input, turn));
        self.note_client(id);
        event.flatten()
    }

    fn call(&mut self, id: ConnId, call: Call) {
        match call {
            Call::Rooms(access) => self.list_rooms(id, access),
            Call::Presence(room) => self.list_members(id, room),
            Call::Publish(publish) => {
                match self.spend_of_address(id, publish.content.get().len()) {
                    Ok(()) => {
                        self.publishing += 1;
                        self.status.own.messages_received += 1;
                        self.name_author(id, publish);
                    }
                    Err(wait) => self.respond(id, &too_much(wait)),
                }
            }
            Call::History(History { log, part, limit }) => {
                self.read_part_of_log(log, part, limit, Context::HttpHistory(id, part));
            }
            Call::Events(subscription) => self.begin_events(id, subscription),
            Call::Poll(subscription, time) => self.begin_poll(id, subscription, time),
            Call::ChatEvents(joiner) => self.begin_chat_events(id, joiner),
            Call::ChatPoll(joiner, time) => self.begin_chat_poll(id, joiner, time),
            Call::Operate(operation) => self.operate(id, operation),
            Call::Capture(request) => self.begin_capture(id, *request),
            Call::Typing(room, user) => self.tell_typing(id, room, user),
            Call::Open(entrance) => self.open_session(id, *entrance),
            Call::Knock(sid, knock) => self.knock_for(id, sid, knock),
            Call::Upload(Upload(meta)) => {
                self.files.ask(id, Job::Begin(meta.clone()));
                self.transfers.insert(id, Transfer::Upload(meta));
            }
            Call::Download(download) => {
                self.files.ask(id, Job::Find(download.id));
                self.transfers.insert(id, Transfer::Wanted(download));
            }
        }
    }

    /// Answers the call of a connection, if it still waits for it.
    pub(super) fn respond(&mut self, id: ConnId, response: &Response) {
        self.with_http(id, |http, turn| http.respond(response, turn));
        self.mark_dirty(id);
    }

    /// Lends a connection that speaks HTTP, and what it is to know.
    pub(super) fn with_http<R>(
        &mut self,
        id: ConnId,
        f: impl FnOnce(&mut Http, Turn<'_>) -> R,
    ) -> Option<R> {
        let conn = self.table.get_mut(id)?;
        let turn = Turn {
            peer: conn.peer.ip,
            config: &self.http,
            status: &self.status,
            date: &self.date,
            now: self.now.instant,
            unix_ms: self.now.unix_ms,
        };
        match &mut conn.state {
            State::Http(http) => Some(f(http, turn)),
            State::WebSocket(_) => None,
        }
    }

    /// Who does not wait for an answer any more needs no file, and follows nothing.
    pub(super) fn forget_call_if_over(&mut self, id: ConnId) {
        let is_waiting = self.transfers.contains_key(&id) || self.readers.contains_key(&id);
        if (is_waiting || self.knocking.contains_key(&id))
            && self.with_http(id, |http, _| http.is_calling()) != Some(true)
        {
            self.forget_call(id);
        }
    }

    /// The connection is gone, or has its answer.
    pub(super) fn forget_call(&mut self, id: ConnId) {
        self.forget_reader(id);
        self.knock_no_more(id);
        if let Some(Transfer::Upload(_)) = self.transfers.remove(&id) {
            self.files.ask(id, Job::Abort);
        }
    }

    // ---- rooms ----

    /// Appends what is published, once it is known who does it.
    pub(super) fn publish(&mut self, id: ConnId, publish: Publish) {
        let (Some(from), Some(session)) = (&publish.from, &publish.session) else {
            return self.name_author(id, publish);
        };
        let (from, session) = (from.clone(), session.clone());
        let draft = Draft {
            log: publish.log.clone(),
            from,
            session,
            seq: publish.seq,
            content: publish.content,
            time: self.now.unix_ms,
        };
        let context = self.asked(Context::Publish(id, publish.log));
        self.ask(Request::Append(draft, context));
    }

    // ---- files ----

    pub(super) fn file_done(&mut self, id: ConnId, done: Done) {
        match done {
            Done::Appended(bytes) => {
                self.with_http(id, |http, _| http.body_taken(bytes));
                // It may be read on.
                self.mark_dirty(id);
            }
            Done::Finished(file) => {
                if let Some(Transfer::Upload(meta)) = self.transfers.remove(&id) {
                    self.respond(id, &uploaded(file, &meta));
                }
            }
            Done::Found(file) => self.begin_download(id, file),
            Done::Read(bytes) => self.send_part(id, bytes),
            Done::Failed(error) => match self.transfers.remove(&id) {
                Some(Transfer::Upload(_) | Transfer::Wanted(_)) => {
                    self.respond(id, &file_problem(&error));
                }
                // The head of the answer is sent: only cutting it off can tell that something is missing.
                Some(Transfer::Download { .. }) => {
                    self.with_http(id, |http, _| http.abandon());
                    self.mark_dirty(id);
                }
                None => {}
            },
        }
    }

    fn begin_download(&mut self, id: ConnId, file: Stored) {
        let Some(Transfer::Wanted(download)) = self.transfers.remove(&id) else {
            return;
        };
        let (response, range) = download.answer(&file.meta);
        self.respond(id, &response);
        let transfer = Transfer::Download {
            file,
            range,
            is_reading: false,
        };
        self.transfers.insert(id, transfer);
        self.read_part(id);
        self.forget_call_if_over(id);
    }

    /// Asks for the next part of a file, if the connection has room for it.
    pub(super) fn read_part(&mut self, id: ConnId) {
        if self.with_http(id, |http, _| http.wants_body()) != Some(true) {
            return;
        }
        if let Some(Transfer::Download {
            file,
            range,
            is_reading: is_reading @ false,
        }) = self.transfers.get_mut(&id)
        {
            let left = range.end - range.start;
            let len = left.min(FILE_READ_BYTES as u64);
            self.files
                .ask(id, Job::Read(file.clone(), range.start, len as usize));
            range.start += len;
            *is_reading = true;
        }
    }

    fn send_part(&mut self, id: ConnId, bytes: Vec<u8>) {
        if let Some(Transfer::Download { is_reading, .. }) = self.transfers.get_mut(&id) {
            *is_reading = false;
            self.with_http(id, |http, turn| http.send_body(bytes, turn));
            self.read_part(id);
            self.forget_call_if_over(id);
            self.mark_dirty(id);
        }
    }
}

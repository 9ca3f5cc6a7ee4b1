//! Connections that speak another protocol than the chat's own: their machines are told what happens, and what they want is
//! done.

use tidewire_protocol::{CloseCode, Message, Prepared};

use super::Worker;
use crate::clock::Now;
use crate::ids::{ConnId, LogName};
use crate::log::{Position, Request};
use crate::transport::dialect::{Act, Out, Session};

impl Worker {
    /// Tells a connection's session something, if it has one, and does what it wants then.
    pub(super) fn with_session(
        &mut self,
        id: ConnId,
        tell: impl FnOnce(&mut dyn Session, Now, &mut Out),
    ) {
        let (now, mut out) = (self.now, Out::default());
        let web_socket = self.web_socket(id);
        if let Some(session) = web_socket.and_then(|web_socket| web_socket.session()) {
            tell(session, now, &mut out);
            self.carry_out(id, out);
        }
    }

    /// Does what a session wants.
    pub(super) fn carry_out(&mut self, id: ConnId, mut out: Out) {
        for act in out.drain() {
            match act {
                Act::SendText(text) => self.send_own(id, &Message::text(&text)),
                Act::SendBinary(bytes) => self.send_own(id, &Message::binary(&bytes)),
                Act::SendPrepared(prepared) => self.send_shared(id, &prepared),
                Act::Begin(joiner) => self.begin_chat(id, *joiner),
                Act::Ask(parsed, bytes) => self.hear(id, parsed, bytes),
                Act::Arrived(log, position) => self.session_arrived(id, log, position),
                Act::Look(which) => self.look(id, which),
                Act::Recall(log) => self.recall(id, log),
                Act::Keep(memo) => self.keep_memo(id, *memo),
                Act::Answer(conn, answer) => self.reply(conn, answer),
                Act::Leave(sid, payload) => self.last_words.keep(sid, payload, self.now.instant),
                Act::Knock(conn, knock) => self.knock_here(id, conn, None, knock),
                Act::KnockAt(sid, knock) => self.knock(id, sid, knock),
                Act::TakeSocket(conn) => self.take_socket(id, conn),
                Act::Close(code, reason) => return self.close_silently(id, code, &reason),
            }
        }
        let conn = self.table.get(id);
        let (is_behind, is_nowhere) = conn.map_or((false, false), |conn| {
            (conn.is_behind, conn.stream.is_nowhere())
        });
        // It may have room again.
        if is_behind {
            self.serve_later(id);
        }
        if is_nowhere {
            // It says what it has to say at the end of the turn.
            self.mark_dirty(id);
        }
    }

    fn send_own(&mut self, id: ConnId, message: &Message<'_>) {
        if let Some(web_socket) = self.web_socket(id) {
            // Refused while closing: then nobody waits for it.
            let _ = web_socket.connection.send(message);
            self.mark_dirty(id);
        }
    }

    fn send_shared(&mut self, id: ConnId, prepared: &Prepared) {
        if let Some(web_socket) = self.web_socket(id) {
            // As above.
            let _ = web_socket.connection.send_prepared(prepared);
            self.mark_dirty(id);
        }
    }

    fn session_arrived(&mut self, id: ConnId, log: LogName, position: Position) {
        if log.as_str().starts_with('@') {
            self.logs.send(Request::Mark(log.clone(), position));
        }
        self.note_arrived(id, [(log, position)].into_iter().collect());
    }

    /// The last word of a session that the server closes.
    pub(super) fn say_last(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        let mut out = Out::default();
        let web_socket = self.web_socket(id);
        let open = web_socket.filter(|web_socket| web_socket.connection.is_open());
        if let Some(session) = open.and_then(|web_socket| web_socket.session()) {
            session.closing(code, reason, &mut out);
            out.keep_words();
            self.carry_out(id, out);
        }
    }

    /// Tells a session whose time has come.
    pub(super) fn wake_session(&mut self, id: ConnId) {
        let now = self.now.instant;
        let web_socket = self.web_socket(id);
        let session = web_socket.and_then(|web_socket| web_socket.session());
        let is_due = |session: &mut dyn Session| session.poll_timeout().is_some_and(|at| at <= now);
        if session.is_some_and(is_due) {
            self.with_session(id, |session, now, out| session.timeout(now, out));
        }
    }
}

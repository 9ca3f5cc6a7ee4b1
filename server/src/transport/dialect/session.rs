//! A protocol with a state of its own, on one connection: what it is told, and what it wants done.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tidewire_protocol::{CloseCode, Message, Prepared};

use super::{Answer, Encoding, Knock, Parsed, Protocol, Sid};
use crate::chat::{BadCommand, Event, Joiner, Request};
use crate::clock::Now;
use crate::ids::{ConnId, LogName};
use crate::log::{Entry, Position, Select, StoreError};
use crate::transport::feeds::Shared;
use crate::transport::mqtt::Memo;

/// The machine of a connection that speaks another protocol than the chat's own. See the [module](super) for what it can rely on.
pub trait Session: fmt::Debug + Send {
    /// The connection is open.
    fn opened(&mut self, now: Now, out: &mut Out);

    /// The client sent a message.
    fn message(&mut self, message: &Message<'_>, now: Now, out: &mut Out);

    /// The chat tells something that is no entry.
    fn told(&mut self, event: &Event, now: Now, out: &mut Out);

    /// A log that it follows has an entry.
    fn entry(&mut self, entry: &Shared, now: Now, out: &mut Out);

    /// There are logs that it [looks](Out::look) for; of one that has just begun, with the position before its first entry.
    fn found(&mut self, _logs: &[(LogName, Option<Position>)], _now: Now, _out: &mut Out) {}

    /// The newest entries of the log that it [recalls](Out::recall), or why they cannot be read.
    fn recalled(&mut self, _found: Result<&[Arc<Entry>], StoreError>, _now: Now, _out: &mut Out) {}

    /// What it wanted [kept](Out::keep) is, or could not be: its ticket has been told.
    fn memo_kept(&mut self, _now: Now, _out: &mut Out) {}

    /// The encoding in which each entry of a log is sent without asking, if it is so at the moment.
    fn shares(&self, _log: &LogName) -> Option<Encoding> {
        None
    }

    /// What it speaks, for whoever looks at connections; the chat's own if nothing is said.
    fn protocol(&self) -> Option<Protocol> {
        None
    }

    /// Whether it can take an entry now.
    fn has_room(&self) -> bool {
        true
    }

    /// Whether it says itself what has [arrived](Out::arrived): else a pong does, as of who speaks the chat's own protocol.
    fn confirms(&self) -> bool {
        false
    }

    /// Bytes of memory that it has beside its own size: they count as what is unsent does.
    fn held_bytes(&self) -> usize {
        0
    }

    /// When [`timeout`](Self::timeout) is to be called.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// That time has come.
    fn timeout(&mut self, _now: Now, _out: &mut Out) {}

    /// The connection `from` wants something of it, and says how it is called, which is to be checked: a request over HTTP, which is
    /// answered by [`Out::answer`], now or later, or a WebSocket. Returns whether somebody was there to hear it.
    fn knock(
        &mut self,
        _from: ConnId,
        _sid: Sid,
        _knock: &Knock,
        _now: Now,
        _out: &mut Out,
    ) -> bool {
        false
    }

    /// A turn is at its end, in which something may have changed for a session that has no socket of its own: what is to be answered
    /// is answered now. `is_full`: so much of what it said is on its way that no more is to be taken.
    fn flush(&mut self, _is_full: bool, _out: &mut Out) {}

    /// The server closes the connection, for this reason: what it says now is the last that goes out.
    fn closing(&mut self, _code: CloseCode, _reason: &str, _out: &mut Out) {}

    /// The connection has ended: nothing can be said any more.
    fn ended(&mut self, _now: Now) {}

    /// What is to be kept of it then.
    fn last_memo(&mut self) -> Option<Memo> {
        None
    }

    /// What another session is still to know then: that is asked behind [`ended`](Self::ended).
    fn parting(&mut self) -> Option<(Sid, Knock)> {
        None
    }
}

/// What a session wants done.
#[derive(Debug)]
pub enum Act {
    /// Send a message of its own.
    SendText(String),
    /// The same of bytes.
    SendBinary(Vec<u8>),
    /// Send a message that others get, too.
    SendPrepared(Prepared),
    /// Let the chat know who it is.
    Begin(Box<Joiner>),
    /// Ask something of the chat: it was so many bytes long.
    Ask(Parsed<'static>, usize),
    /// What it was given of a log has arrived up to here.
    Arrived(LogName, Position),
    /// Tell it of logs that are wanted, those that there are and those that begin; none ends that.
    Look(Option<Arc<dyn Select>>),
    /// Read the newest entries of a log of the server's own.
    Recall(LogName),
    /// Write something there.
    Keep(Box<Memo>),
    /// Answer a request over HTTP that waits on this connection.
    Answer(ConnId, Answer),
    /// Keep what a poll of the session of this name is to be answered, which it does not wait for any more.
    Leave(Sid, String),
    /// Want something of the session on another connection of this worker.
    Knock(ConnId, Knock),
    /// The same of the session of this name.
    KnockAt(Sid, Knock),
    /// Have the socket of this connection for its own from now on.
    TakeSocket(ConnId),
    /// Close, and say nothing more.
    Close(CloseCode, String),
}

/// The acts of a session, in order.
#[derive(Debug, Default)]
pub struct Out(Vec<Act>);

impl Out {
    /// Sends a text message.
    pub fn send_text(&mut self, text: String) {
        self.0.push(Act::SendText(text));
    }

    /// Sends a binary message.
    pub fn send_binary(&mut self, bytes: Vec<u8>) {
        self.0.push(Act::SendBinary(bytes));
    }

    /// Sends what others get, too.
    pub fn send_prepared(&mut self, prepared: Prepared) {
        self.0.push(Act::SendPrepared(prepared));
    }

    /// Lets the chat know who it is: it chats from now on.
    pub fn begin(&mut self, joiner: Joiner) {
        self.0.push(Act::Begin(Box::new(joiner)));
    }

    /// Asks something of the chat, which came in so many bytes.
    pub fn ask(&mut self, request: Request<'static>, bytes: usize) {
        self.0.push(Act::Ask(Ok(request), bytes));
    }

    /// Something came that is no request: the chat answers by an error, and closes after some in a row.
    pub fn refuse(&mut self, bad: BadCommand<'static>, bytes: usize) {
        self.0.push(Act::Ask(Err(bad), bytes));
    }

    /// What it was given of a log has arrived up to here: if it comes back in the same session, it goes on behind that.
    pub fn arrived(&mut self, log: LogName, position: Position) {
        self.0.push(Act::Arrived(log, position));
    }

    /// Looks for logs from now on, and for no others any more: it hears of them by [`Session::found`].
    pub fn look(&mut self, which: Option<Arc<dyn Select>>) {
        self.0.push(Act::Look(which));
    }

    /// Reads the newest entries of a log of the server's own: [`Session::recalled`] follows.
    pub fn recall(&mut self, log: LogName) {
        self.0.push(Act::Recall(log));
    }

    /// Writes something there: [`Session::memo_kept`] follows.
    pub fn keep(&mut self, memo: Memo) {
        self.0.push(Act::Keep(Box::new(memo)));
    }

    /// Answers a request over HTTP.
    pub fn answer(&mut self, conn: ConnId, answer: Answer) {
        self.0.push(Act::Answer(conn, answer));
    }

    /// What the next poll of this session is answered, which is over.
    pub fn leave(&mut self, sid: Sid, payload: String) {
        self.0.push(Act::Leave(sid, payload));
    }

    /// Wants something of the session on another connection; it finds nobody if that is gone.
    pub fn knock(&mut self, conn: ConnId, knock: Knock) {
        self.0.push(Act::Knock(conn, knock));
    }

    /// Wants something of the session of this name: the connection is closed where there is none that has it.
    pub fn knock_at(&mut self, sid: Sid, knock: Knock) {
        self.0.push(Act::KnockAt(sid, knock));
    }

    /// Takes over the socket of a connection that knocked: what is sent behind this goes there, and what comes there comes here.
    pub fn take_socket(&mut self, conn: ConnId) {
        self.0.push(Act::TakeSocket(conn));
    }

    /// Closes the connection; nothing is sent behind that.
    pub fn close(&mut self, code: CloseCode, reason: impl Into<String>) {
        self.0.push(Act::Close(code, reason.into()));
    }

    /// What is to be done, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Act> {
        self.0.drain(..)
    }

    /// Forgets all that is not to be sent.
    pub fn keep_words(&mut self) {
        self.0.retain(|act| match act {
            Act::SendText(_) | Act::SendBinary(_) | Act::SendPrepared(_) => true,
            Act::Answer(..) | Act::Leave(..) => true,
            Act::Begin(_)
            | Act::Ask(..)
            | Act::Arrived(..)
            | Act::Knock(..)
            | Act::KnockAt(..)
            | Act::TakeSocket(_)
            | Act::Look(_)
            | Act::Recall(_)
            | Act::Keep(_)
            | Act::Close(..) => false,
        });
    }

    /// Whether there is nothing to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

//! The taps of one connection: what is read and written is copied for each capture that it belongs to.
//!
//! ```text
//!                  it belongs to it                  no room
//!   NotYet ──────────────────────────────► On ─────────────────► Lost
//!     │                                  ▲   │ ◄─────────────────  │
//!     │ it says more than one thing      │   │     room again      │
//!     └─────────────────────► Aside ─────┘   │                     ▼
//!                               ▲  it does   │    Over: the capture has ended
//!                               └────────────┘
//!                                 it does no more
//! ```
//!
//! A tap goes on only where a message begins, for each direction by itself: whoever dissects the capture has to find a header.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::job::{Capture, Offered};
use crate::capture::{Direction, Fit, Note, Opening, Place, Record, Upgraded};
use crate::ids::ConnId;

/// What is kept of a connection that does not say yet who it is: its handshake, and what it is welcomed with.
const KEPT_BYTES_MAX: usize = 16 << 10;

/// What a capture is told of a connection.
#[derive(Debug, Clone)]
pub(in crate::net) struct Seen {
    pub(in crate::net) conn: ConnId,
    pub(in crate::net) client: SocketAddr,
    pub(in crate::net) server: SocketAddr,
    /// It has not said a word yet.
    pub(in crate::net) is_new: bool,
    /// It speaks WebSocket.
    pub(in crate::net) web_socket: Option<Upgraded>,
}

/// All taps of a connection.
#[derive(Debug, Default)]
pub(in crate::net) struct Taps {
    list: SmallVec<[Tap; 1]>,
    /// Bytes written since there are taps, and what is noted about some of those that will be.
    written: u64,
    notes: VecDeque<(u64, Arc<str>)>,
    /// Said with what comes from the client.
    who: Option<Arc<str>>,
}

#[derive(Debug)]
struct Tap {
    capture: Arc<Capture>,
    conn: ConnId,
    state: State,
    /// The last moment that is known of, for the end.
    now: Instant,
}

#[derive(Debug)]
enum State {
    /// Its first words are kept, which are its handshake: what it says before it belongs to the capture is not for it.
    NotYet {
        kept: Vec<Record>,
        bytes: usize,
        is_answered: bool,
    },
    Aside,
    On {
        reads: bool,
        writes: bool,
    },
    Lost {
        bytes: u64,
    },
    Over,
}

impl Taps {
    /// Whether there is none.
    pub(in crate::net) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one waits for a moment to go on.
    pub(in crate::net) fn has_lost(&self) -> bool {
        self.list.iter().any(Tap::can_go_on)
    }

    /// The connection is to be called so.
    pub(in crate::net) fn set_who(&mut self, who: Option<Arc<str>>) {
        if who.is_some() {
            self.who = who;
        }
    }

    /// It belongs to a capture, or may, or does not.
    pub(in crate::net) fn set(
        &mut self,
        capture: &Arc<Capture>,
        fit: Fit,
        seen: &Seen,
        now: Instant,
    ) {
        let number = capture.number;
        let position = self
            .list
            .iter()
            .position(|tap| tap.capture.number == number);
        let tap = match position.map(|position| &mut self.list[position]) {
            Some(tap) => tap,
            None if fit == Fit::Never => return,
            None => {
                self.list.push(Tap::new(capture, seen, now));
                let last = self.list.len() - 1;
                &mut self.list[last]
            }
        };
        tap.now = now;
        tap.set(fit, seen);
        self.drop_idle();
    }

    /// A tap that stands aside is none: connections that are in no capture keep their short ways.
    fn drop_idle(&mut self) {
        let is_idle = |tap: &Tap| matches!(tap.state, State::Aside | State::Over);
        self.list.retain(|tap| !is_idle(tap));
    }

    /// The capture has ended.
    pub(in crate::net) fn remove(&mut self, number: u64) {
        self.list.retain(|tap| tap.capture.number != number);
    }

    /// These bytes were read; `is_start` tells whether a message begins with them.
    pub(in crate::net) fn read(&mut self, bytes: &[u8], is_start: bool, now: Instant) {
        for tap in &mut self.list {
            tap.now = now;
            tap.take(Direction::In, is_start, bytes.len(), || {
                let notes = self.who.iter().map(|who| (0, Arc::clone(who)));
                (bytes.to_vec(), notes.collect())
            });
        }
        self.drop_idle();
    }

    /// The first `written` bytes of these were written.
    pub(in crate::net) fn wrote(&mut self, slices: &[IoSlice<'_>], written: usize, now: Instant) {
        let from = self.written;
        self.written += written as u64;
        let to = self.written;
        let mut notes: Vec<Note> = Vec::new();
        while self.notes.front().is_some_and(|(at, _)| *at < to) {
            let note = self.notes.pop_front();
            notes.extend(note.map(|(at, text)| (at.saturating_sub(from) as usize, text)));
        }
        for tap in &mut self.list {
            tap.now = now;
            tap.take(Direction::Out, false, written, || {
                (first(slices, written), notes.clone())
            });
        }
    }

    /// Everything was written: what is written next begins a message. `is_start` tells the same of what is read next.
    pub(in crate::net) fn all_written(
        &mut self,
        is_start: bool,
        seen: Option<&Seen>,
        now: Instant,
    ) {
        for tap in &mut self.list {
            tap.now = now;
            if tap.can_go_on()
                && let (State::Lost { bytes }, Some(seen)) = (&tap.state, seen)
            {
                let why = format!(
                    "{bytes} bytes before this are missing: the capture could not keep up; this handshake is made up"
                );
                tap.begin(seen, why.into());
            }
            if let State::On { reads, writes } = &mut tap.state {
                (*reads, *writes) = (*reads || is_start, true);
            }
        }
    }

    /// Notes something about what is queued behind `unsent` bytes.
    pub(in crate::net) fn note(&mut self, unsent: usize, text: String) {
        self.notes
            .push_back((self.written + unsent as u64, text.into()));
    }
}

fn first(slices: &[IoSlice<'_>], mut bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes);
    for slice in slices {
        let part = &slice[..bytes.min(slice.len())];
        out.extend_from_slice(part);
        bytes -= part.len();
    }
    out
}

impl Tap {
    fn new(capture: &Arc<Capture>, seen: &Seen, now: Instant) -> Self {
        let mut tap = Self {
            capture: Arc::clone(capture),
            conn: seen.conn,
            state: State::Aside,
            now,
        };
        if seen.web_socket.is_none() {
            // Who it is comes with its handshake: that is kept until it is known.
            let why = "opened before the capture".into();
            let kept = vec![tap.beginning(seen, why)];
            tap.state = State::NotYet {
                kept,
                bytes: 0,
                is_answered: false,
            };
        }
        tap
    }

    fn set(&mut self, fit: Fit, seen: &Seen) {
        match (fit, &mut self.state) {
            (Fit::Yes, State::NotYet { kept, .. }) => {
                let kept = mem::take(kept);
                self.state = State::On {
                    reads: true,
                    writes: true,
                };
                // What would come behind a hole is lost, too.
                for record in kept {
                    if let State::On { .. } = self.state {
                        self.offer(record);
                    }
                }
            }
            (Fit::Yes, State::Aside) => {
                let why = "opened before the capture, or before it belonged to it: this handshake is made up";
                self.begin(seen, why.into());
            }
            (Fit::NotYet | Fit::Never, State::On { .. }) => {
                self.end("what follows does not belong to the capture");
                self.state = State::Aside;
            }
            (Fit::NotYet | Fit::Never, State::Lost { .. }) | (Fit::Never, State::NotYet { .. }) => {
                self.state = State::Aside;
            }
            (Fit::Yes, State::On { .. } | State::Lost { .. })
            | (Fit::NotYet, State::NotYet { .. })
            | (Fit::NotYet | Fit::Never, State::Aside)
            | (_, State::Over) => {}
        }
    }

    fn can_go_on(&self) -> bool {
        matches!(self.state, State::Lost { .. }) && self.capture.has_room()
    }

    fn beginning(&self, seen: &Seen, why: Cow<'static, str>) -> Record {
        let opening = if seen.is_new {
            Opening::Whole
        } else {
            let web_socket = seen.web_socket.clone();
            Opening::Middle { why, web_socket }
        };
        Record::Begin {
            conn: self.conn,
            time: self.capture.time(self.now),
            place: Box::new(Place {
                client: seen.client,
                server: seen.server,
                opening,
            }),
        }
    }

    /// Begins in the middle. What is in the middle of a message stays out.
    fn begin(&mut self, seen: &Seen, why: Cow<'static, str>) {
        let is_web_socket = seen.web_socket.is_some();
        self.state = State::On {
            reads: !is_web_socket,
            writes: !is_web_socket,
        };
        self.offer(self.beginning(seen, why));
    }

    fn end(&self, why: &'static str) {
        // Without room for it the stream ends with the file.
        let _ = self.capture.offer(Record::End {
            conn: self.conn,
            time: self.capture.time(self.now),
            why: why.into(),
        });
    }

    /// Takes bytes, which are copied only where they are wanted.
    fn take(
        &mut self,
        direction: Direction,
        is_start: bool,
        length: usize,
        copy: impl FnOnce() -> (Vec<u8>, Vec<Note>),
    ) {
        match &mut self.state {
            State::Aside | State::Over => return,
            State::Lost { bytes } => {
                *bytes += length as u64;
                self.capture.count_lost();
                return;
            }
            State::NotYet {
                bytes, is_answered, ..
            } => {
                let says_more = *is_answered && direction == Direction::In;
                *is_answered |= direction == Direction::Out;
                *bytes += length;
                if says_more || *bytes > KEPT_BYTES_MAX {
                    self.state = State::Aside;
                    return;
                }
            }
            State::On { reads, writes } => {
                let is_on = match direction {
                    Direction::In => {
                        *reads |= is_start;
                        *reads
                    }
                    Direction::Out => *writes,
                };
                if !is_on {
                    return;
                }
            }
        }
        let (bytes, notes) = copy();
        let record = Record::Data {
            conn: self.conn,
            time: self.capture.time(self.now),
            direction,
            bytes,
            notes,
        };
        match &mut self.state {
            State::NotYet { kept, .. } => kept.push(record),
            State::Aside | State::On { .. } | State::Lost { .. } | State::Over => {
                self.offer(record);
            }
        }
    }

    fn offer(&mut self, record: Record) {
        let bytes = record.payload_bytes();
        match (self.capture.offer(record), &mut self.state) {
            (Offered::Taken, _) => {}
            (Offered::Over, state) => *state = State::Over,
            (Offered::Lost, State::Lost { bytes: lost }) => *lost += bytes,
            (Offered::Lost, state) => *state = State::Lost { bytes },
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let State::On { .. } | State::Lost { .. } = self.state {
            self.end("");
        }
    }
}

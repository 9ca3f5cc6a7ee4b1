//! What a connection tells the captures that it belongs to. Nearly none does: then there is nothing but a pointer that is null.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{App, Conn, Peer, Rare, SLICES_MAX, State};
use crate::capture::{Fit, Upgraded};
use crate::ids::ConnId;
use crate::net::capture::{Capture, Seen, Taps};

/// Whether a capture wants to see what is written: then all of it goes out by the flush.
pub(super) fn is_tapped(rare: Option<&Rare>) -> bool {
    rare.is_some_and(|rare| rare.taps.is_some())
}

fn taps_of(rare: &mut Option<Box<Rare>>) -> Option<&mut Taps> {
    rare.as_mut()?.taps.as_deref_mut()
}

impl Conn {
    /// Whether it belongs to a capture, or may.
    pub(in crate::net) fn is_tapped(&self) -> bool {
        is_tapped(self.rare.as_deref())
    }

    /// It belongs to a capture, or may, or does not; `who` is what it is called there, if that is known.
    pub(in crate::net) fn set_tap(
        &mut self,
        (id, is_new): (ConnId, bool),
        (capture, fit): (&Arc<Capture>, Fit),
        who: Option<Arc<str>>,
        now: Instant,
    ) {
        let seen = self.seen(id, is_new);
        let is_start = self.is_between_messages();
        let rare = self.rare.get_or_insert_default();
        let taps = rare.taps.get_or_insert_default();
        taps.set_who(who);
        taps.set(capture, fit, &seen, now);
        self.settle_taps(id, is_start, now);
    }

    /// A capture has ended.
    pub(in crate::net) fn remove_tap(&mut self, number: u64) {
        if let Some(taps) = taps_of(&mut self.rare) {
            taps.remove(number);
            self.drop_taps_if_empty();
        }
    }

    /// These bytes were read, and not looked at yet.
    pub(in crate::net) fn tap_read(&mut self, bytes: &[u8], now: Instant) {
        let is_start = self.is_between_messages();
        if let Some(taps) = taps_of(&mut self.rare) {
            taps.read(bytes, is_start, now);
            self.drop_taps_if_empty();
        }
    }

    /// Lets taps go on that wait for the beginning of a message.
    pub(in crate::net) fn tap_flushed(&mut self, id: ConnId, now: Instant) {
        if self.is_tapped() {
            let is_start = self.is_between_messages();
            self.settle_taps(id, is_start, now);
        }
    }

    /// Notes something about what is queued next.
    pub(in crate::net) fn tap_note(&mut self, text: impl FnOnce() -> String) {
        if self.is_tapped() {
            let unsent = self.state.unsent_bytes();
            if let Some(taps) = taps_of(&mut self.rare) {
                taps.note(unsent, text());
            }
        }
    }

    /// Writes once, and tells what was written.
    pub(super) fn write_tapped(&mut self, now: Instant) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.state.poll_transmit(&mut slices);
        let written = self.stream.write_vectored(&slices[..filled])?;
        if let Some(taps) = taps_of(&mut self.rare) {
            taps.wrote(&slices[..filled], written, now);
        }
        Ok(written)
    }

    fn settle_taps(&mut self, id: ConnId, is_start: bool, now: Instant) {
        if self.state.unsent_bytes() > 0 {
            return self.drop_taps_if_empty();
        }
        // Made for nothing where nothing was lost.
        let has_lost = taps_of(&mut self.rare).is_some_and(|taps| taps.has_lost());
        let seen = has_lost.then(|| self.seen(id, false));
        if let Some(taps) = taps_of(&mut self.rare) {
            taps.all_written(is_start, seen.as_ref(), now);
        }
        self.drop_taps_if_empty();
    }

    fn drop_taps_if_empty(&mut self) {
        if let Some(rare) = &mut self.rare
            && rare.taps.as_ref().is_some_and(|taps| taps.is_empty())
        {
            rare.taps = None;
            self.drop_rare();
        }
    }

    /// Whether what is read next begins a message: nothing that was read waits, and none has begun.
    fn is_between_messages(&self) -> bool {
        match &self.state {
            State::Http(_) => true,
            State::WebSocket(web_socket) => {
                !self.has_stash() && web_socket.connection.is_between_messages()
            }
        }
    }

    fn seen(&self, conn: ConnId, is_new: bool) -> Seen {
        let Peer { ip, port } = self.peer;
        let client = SocketAddr::new(ip, port);
        // A socket that has failed does not know any more.
        let server = self
            .stream
            .socket()
            .and_then(|socket| socket.local_addr().ok());
        let server = server.map_or(client, |server| {
            SocketAddr::new(server.ip().to_canonical(), server.port())
        });
        let web_socket = match &self.state {
            State::Http(_) => None,
            State::WebSocket(web_socket) => Some(Upgraded {
                path: web_socket.app.path(),
                deflate: web_socket.connection.deflate(),
            }),
        };
        Seen {
            conn,
            client,
            server,
            is_new,
            web_socket,
        }
    }
}

impl App {
    /// The address that leads there.
    fn path(&self) -> String {
        match self {
            Self::Echo => "/echo".to_owned(),
            Self::Relay(place) => {
                let room = utf8_percent_encode(place.room.as_str(), NON_ALPHANUMERIC);
                format!("/relay?room={room}")
            }
            Self::Chat(_) | Self::Gone => "/ws".to_owned(),
        }
    }
}

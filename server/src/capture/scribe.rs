//! From records to the file: each connection's stream, its made-up handshake where the real one was missed, and what is noted
//! about its bytes.

use std::collections::HashMap;

use tidewire_protocol::handshake::accept_key;

use super::packets::{SEGMENT_BYTES_MAX, Stream};
use super::{Direction, Note, Opening, Place, Record, Upgraded, pcapng};
use crate::ids::ConnId;

/// The key of handshakes that are made up: 16 bytes that read "tidewire capture".
const MADE_UP_KEY: &str = "dGlkZXdpcmUgY2FwdHVyZQ==";

/// What Wireshark takes for TLS, whatever is in it.
const TLS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// Numbers of a stream's bytes begin so far behind those of the stream before: a new one on the same ports is seen to be one.
const NUMBERS_APART: u32 = 0x0100_0001;

/// Writes a file.
#[derive(Debug, Default)]
pub(crate) struct Scribe {
    streams: HashMap<ConnId, Stream, foldhash::fast::RandomState>,
    packets: u64,
    number: u32,
}

impl Scribe {
    /// Packets so far.
    pub(crate) const fn packets(&self) -> u64 {
        self.packets
    }

    /// Appends what a record makes, unless `out` is longer than `bytes_max` then; returns whether it does. A stream that lost
    /// something so is not told of any more.
    pub(crate) fn write_if_it_fits(
        &mut self,
        record: &Record,
        out: &mut Vec<u8>,
        bytes_max: u64,
    ) -> bool {
        let (length, packets) = (out.len(), self.packets);
        self.write(record, out);
        let fits = out.len() as u64 <= bytes_max;
        if !fits {
            out.truncate(length);
            self.packets = packets;
            self.streams.remove(&record.conn());
        }
        fits
    }

    /// Appends what a record makes.
    pub(crate) fn write(&mut self, record: &Record, out: &mut Vec<u8>) {
        match record {
            Record::Begin { conn, time, place } => self.begin(*conn, *time, place, out),
            Record::Data {
                conn,
                time,
                direction,
                bytes,
                notes,
            } => self.carry(*conn, *time, *direction, bytes, notes, out),
            Record::End { conn, time, why } => self.end(*conn, *time, why, out),
        }
    }

    /// Ends all streams, as long as there is room for that.
    pub(crate) fn finish(&mut self, time: u64, why: &str, out: &mut Vec<u8>, bytes_max: u64) {
        let conns: Vec<_> = self.streams.keys().copied().collect();
        for conn in conns {
            let why = why.to_owned().into();
            if !self.write_if_it_fits(&Record::End { conn, time, why }, out, bytes_max) {
                return;
            }
        }
    }

    fn begin(&mut self, conn: ConnId, time: u64, place: &Place, out: &mut Vec<u8>) {
        // It lost something, which its next stream tells.
        self.end(conn, time, "what follows is missing here", out);
        self.number = self.number.wrapping_add(NUMBERS_APART);
        let mut server = place.server;
        let mut comments = vec![format!("connection {conn}")];
        if server.port() == TLS_PORT {
            server.set_port(HTTP_PORT);
            comments.push("TLS is removed: the port is 443, shown as 80".to_owned());
        }
        if let Opening::Middle { why, .. } = &place.opening {
            comments.push(why.to_string());
        }
        let mut stream = Stream::new(place.client, server, self.number);
        stream.open(|packet| {
            let comments = std::mem::take(&mut comments);
            self.packets += 1;
            pcapng::packet(out, time, packet, comments.iter().map(String::as_str));
        });
        self.streams.insert(conn, stream);
        if let Opening::Middle {
            web_socket: Some(upgraded),
            ..
        } = &place.opening
        {
            self.make_up(conn, time, upgraded, out);
        }
    }

    /// A handshake that leads to where the connection is.
    fn make_up(&mut self, conn: ConnId, time: u64, upgraded: &Upgraded, out: &mut Vec<u8>) {
        let Upgraded { path, deflate } = upgraded;
        let (offer, answer) = match deflate {
            None => (String::new(), String::new()),
            Some(agreement) => (
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                    .to_owned(),
                format!("Sec-WebSocket-Extensions: {}\r\n", agreement.to_answer()),
            ),
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: tidewire\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {MADE_UP_KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
        );
        let accept = accept_key(MADE_UP_KEY);
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{answer}\r\n"
        );
        let mut notes: Vec<Note> = vec![(0, "this handshake is made up".into())];
        self.carry(conn, time, Direction::In, request.as_bytes(), &notes, out);
        let takes_over = deflate.is_some_and(|agreement| {
            !agreement.server_no_context_takeover || !agreement.client_no_context_takeover
        });
        if takes_over {
            let note = "messages are compressed with what was said before (context takeover), which is not here: they \
                        cannot be read";
            notes.push((0, note.into()));
        }
        self.carry(conn, time, Direction::Out, response.as_bytes(), &notes, out);
    }

    fn carry(
        &mut self,
        conn: ConnId,
        time: u64,
        from: Direction,
        bytes: &[u8],
        notes: &[Note],
        out: &mut Vec<u8>,
    ) {
        // A record whose beginning did not get here says nothing to anybody.
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        let (mut start, mut notes) = (0, notes);
        while start < bytes.len() {
            let here = notes.partition_point(|(at, _)| *at <= start);
            let (told, behind) = notes.split_at(here);
            notes = behind;
            // What is noted begins a packet of its own.
            let noted = behind.first().map_or(bytes.len(), |(at, _)| *at);
            let end = noted.min(start + SEGMENT_BYTES_MAX).min(bytes.len());
            let mut comments = told.iter().map(|(_, text)| &**text);
            stream.carry(from, &bytes[start..end], |packet| {
                self.packets += 1;
                pcapng::packet(out, time, packet, comments.by_ref());
            });
            start = end;
        }
    }

    fn end(&mut self, conn: ConnId, time: u64, why: &str, out: &mut Vec<u8>) {
        let Some(mut stream) = self.streams.remove(&conn) else {
            return;
        };
        let mut comment = (!why.is_empty()).then_some(why);
        stream.close(|packet| {
            self.packets += 1;
            pcapng::packet(out, time, packet, comment.take());
        });
    }
}

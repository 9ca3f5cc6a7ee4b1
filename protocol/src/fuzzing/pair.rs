//! Two ends that talk to each other: whatever their applications do, what one sends the other receives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::streams::joined;
use super::{any_time, drain, transport_takes};
use crate::frame::CONTROL_PAYLOAD_MAX;
use crate::{
    CloseCode, Closed, Config, Connection, DeflateAgreement, DeflateConfig, Delivery, Error, Event,
    Message, Misuse, Prepared, Side, Transport,
};

/// What one end sends the other receives, however the bytes flow and whatever else both do; and what is still open at the
/// end closes cleanly.
///
/// The first three bytes are the settings (two) and the size of the pieces; steps follow.
pub fn round_trip(data: &[u8]) {
    let Some((&[flags, windows, size], mut script)) = data.split_first_chunk::<3>() else {
        return;
    };
    let mut pair = Pair::new(flags, windows, usize::from(size) + 1);
    while let Some((&[step, length], rest)) = script.split_first_chunk::<2>() {
        let content_len = if step & 7 < 4 { length } else { 0 };
        let (content, rest) = rest.split_at(usize::from(content_len).min(rest.len()));
        script = rest;
        pair.step(step, length, content);
    }
    pair.finish();
}

/// A prepared message is on the wire what a plain one is; where it was compressed for another connection, it is the same
/// message at least.
///
/// The first two bytes are settings, the lowest bit of the first who sends; the rest is the message.
pub fn prepared(data: &[u8]) {
    let Some((&[flags, windows], content)) = data.split_first_chunk::<2>() else {
        return;
    };
    let message = message(content, flags & BINARY != 0);
    let prepared = Prepared::new(&message);
    for (windows, first_use) in [(windows, true), (windows.rotate_left(2), false)] {
        let ends = || {
            let (client, server) = ends(flags & (DEFLATE | TAKEOVER), windows);
            if flags & 1 == 0 {
                (server, client)
            } else {
                (client, server)
            }
        };
        let ((mut by_prepared, mut receiver), mut shared) = (ends(), Vec::new());
        assert_eq!(by_prepared.send_prepared(&prepared), Ok(()));
        drain(&mut by_prepared, &mut shared);
        // With context takeover a shared message goes out as it is.
        if first_use && flags & TAKEOVER == 0 {
            let ((mut by_plain, _), mut plain) = (ends(), Vec::new());
            assert_eq!(by_plain.send(&message), Ok(()));
            drain(&mut by_plain, &mut plain);
            assert_eq!(plain, shared);
        }
        let mut input = &mut shared[..];
        let event = receiver.handle_input(&mut input, any_time());
        assert_eq!(event, Some(Event::Message(message.clone())));
        assert!(input.is_empty());
    }
}

const BINARY: u8 = 0x02;
const DEFLATE: u8 = 0x04;
const TAKEOVER: u8 = 0x08;
const PIECES: u8 = 0x10;
const NO_PINGS: u8 = 0x20;
const RANDOM_KEYS: u8 = 0x40;

/// Text if it can be, unless it is to be binary.
fn message(content: &[u8], binary: bool) -> Message<'_> {
    match str::from_utf8(content) {
        Ok(text) if !binary => Message::text(text),
        _ => Message::binary(content),
    }
}

/// How many bytes repetition may make of an input: a frame with the longest form of length, and not a second of work in
/// pieces of one byte.
const REPEATED_BYTES_MAX: usize = 80_000;

/// A client and a server that agreed on the same.
fn ends(flags: u8, windows: u8) -> (Connection, Connection) {
    let (now, default) = (any_time(), Config::default());
    let config = Arc::new(Config {
        frame_bytes_max: u64::MAX,
        message_bytes_max: u64::MAX,
        delivery: match flags & PIECES {
            0 => Delivery::Whole,
            _ => Delivery::Pieces,
        },
        ping_interval: default.ping_interval.filter(|_| flags & NO_PINGS == 0),
        ..default
    });
    let mut server = Connection::server(Arc::clone(&config), now);
    let mut client = match flags & RANDOM_KEYS {
        0 => Connection::client_with_keys(config, now, || [9, 8, 7, 6]),
        _ => Connection::client(config, now),
    };
    if flags & DEFLATE != 0 {
        let agreement = DeflateAgreement {
            server_no_context_takeover: flags & TAKEOVER == 0,
            client_no_context_takeover: flags & TAKEOVER == 0,
            server_max_window_bits: window_bits(windows),
            client_max_window_bits: window_bits(windows >> 2),
        };
        let config = DeflateConfig {
            compress_bytes_min: 1,
            ..DeflateConfig::default()
        };
        server.enable_deflate(&config, agreement);
        client.enable_deflate(&config, agreement);
    }
    (client, server)
}

/// No more than the pool has room for compressors: making one takes longer than all the rest. With 8 the backend cannot
/// compress.
const fn window_bits(windows: u8) -> u8 {
    match windows & 3 {
        0 => 15,
        1 => 9,
        2 => 12,
        _ => 8,
    }
}

/// Both ends, the time, and the size of the pieces in which bytes arrive.
struct Pair {
    client: End,
    server: End,
    now: Instant,
    size: usize,
    /// What is left of [`REPEATED_BYTES_MAX`].
    repeated_bytes_left: usize,
}

/// One end and what is known of it.
struct End {
    side: Side,
    connection: Connection,
    /// The messages it sent, and the one whose fragments it is sending.
    sent: Vec<Message<'static>>,
    unfinished: Option<Message<'static>>,
    /// How many messages it received, and what there is of the one that comes in pieces.
    received: usize,
    begun: Option<Message<'static>>,
    closed: Option<Closed>,
    eof: bool,
}

impl Pair {
    fn new(flags: u8, windows: u8, size: usize) -> Self {
        let (client, mut server) = ends(flags, windows);
        let (response, mut sent) = (b"HTTP/1.1 101", Vec::new());
        server.queue_handshake(response);
        drain(&mut server, &mut sent);
        assert_eq!(sent, response);
        Self {
            client: End::new(Side::Client, client),
            server: End::new(Side::Server, server),
            now: any_time(),
            size,
            repeated_bytes_left: REPEATED_BYTES_MAX,
        }
    }

    /// The lower three bits of `step` say what is done, the fourth by whom, the others how much or how.
    fn step(&mut self, step: u8, length: u8, content: &[u8]) {
        let (much, flagged) = (step >> 4 & 7, step & 0x80 != 0);
        let repeated = match step & 7 {
            0 | 1 => self.repeated(content, much),
            _ => Vec::new(),
        };
        let (actor, other) = match step & 8 {
            0 => (&mut self.client, &mut self.server),
            _ => (&mut self.server, &mut self.client),
        };
        match step & 7 {
            0 if length & 1 != 0 => {
                let bytes_max = usize::from(length) << (7 - much);
                let message = message(&repeated, flagged);
                actor.send_through(&message, bytes_max, other, self.size, self.now);
            }
            0 => actor.send(&message(&repeated, flagged), false),
            1 => actor.send(&message(&repeated, flagged), true),
            2 => actor.fragment(&message(content, much & 1 != 0), flagged),
            3 => actor.ping(content),
            4 => {
                let bytes_max = usize::from(length) << much;
                actor.flow(other, bytes_max, self.size, self.now);
            }
            5 => {
                self.now += Duration::from_millis(250) * u32::from(length);
                actor.wait(self.now);
                other.wait(self.now);
            }
            6 => actor.close(much, usize::from(length), self.now),
            _ => actor.be_handled(much, self.now),
        }
    }

    fn repeated(&mut self, content: &[u8], much: u8) -> Vec<u8> {
        let wanted = if much == 7 { 300 } else { 1 << much };
        let affordable = self.repeated_bytes_left / content.len().max(1);
        let repeated = content.repeat(wanted.min(affordable).max(1));
        self.repeated_bytes_left = self.repeated_bytes_left.saturating_sub(repeated.len());
        repeated
    }

    /// Everything flows. What was sent has arrived, and then both close.
    fn finish(&mut self) {
        self.settle();
        let (client, server) = (&mut self.client, &mut self.server);
        if !client.connection.is_open() || !server.connection.is_open() {
            return;
        }
        assert_eq!(client.sent.len(), server.received);
        assert_eq!(server.sent.len(), client.received);
        client.close(0, 0, self.now);
        self.settle();
        // The server ends the transport first (§7.1.1).
        assert_eq!(self.client.connection.transport(), Transport::Keep);
        assert_eq!(self.server.connection.transport(), Transport::HalfClose);
        for end in [&mut self.client, &mut self.server] {
            assert!(end.closed.as_ref().is_some_and(Closed::is_clean));
            assert_eq!(end.closed.as_ref().map(Closed::code), Some(1000));
            end.connection.handle_eof(self.now);
            assert_eq!(end.connection.transport(), Transport::Drop);
        }
    }

    fn settle(&mut self) {
        let (client, server) = (&mut self.client, &mut self.server);
        loop {
            let there = client.flow(server, usize::MAX, self.size, self.now);
            let back = server.flow(client, usize::MAX, self.size, self.now);
            if there + back == 0 {
                break;
            }
        }
        assert_eq!(client.connection.unsent_bytes(), 0);
        assert_eq!(server.connection.unsent_bytes(), 0);
    }
}

impl End {
    const fn new(side: Side, connection: Connection) -> Self {
        Self {
            side,
            connection,
            sent: Vec::new(),
            unfinished: None,
            received: 0,
            begun: None,
            closed: None,
            eof: false,
        }
    }

    fn send(&mut self, message: &Message<'_>, prepared: bool) {
        let expected = self.about_to_send(message);
        let result = if prepared {
            self.connection.send_prepared(&Prepared::new(message))
        } else {
            self.connection.send(message)
        };
        assert_eq!(result, expected);
    }

    /// The transport takes at most `bytes_max` bytes of what is unsent and a few messages, and the other end reads them.
    fn send_through(
        &mut self,
        message: &Message<'_>,
        bytes_max: usize,
        to: &mut Self,
        size: usize,
        now: Instant,
    ) {
        let expected = self.about_to_send(message);
        // Several of them are as many times the same.
        let messages = vec![message.clone(); 1 + bytes_max % 3];
        for again in messages.iter().skip(1) {
            assert_eq!(self.about_to_send(again), expected);
        }
        let mut bytes = Vec::new();
        let result = self.connection.send_all_through(&messages, |slices| {
            bytes = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            bytes.truncate(bytes_max);
            bytes.len()
        });
        assert_eq!(result, expected);
        self.deliver(&mut bytes, to, size, now);
    }

    /// Takes note of a message if it can be sent now.
    fn about_to_send(&mut self, message: &Message<'_>) -> Result<(), Misuse> {
        if !self.connection.is_open() {
            Err(Misuse::Closed)
        } else if self.unfinished.is_some() {
            Err(Misuse::UnfinishedMessage)
        } else {
            self.sent.push(message.clone().into_owned());
            Ok(())
        }
    }

    fn fragment(&mut self, fragment: &Message<'_>, last: bool) {
        let result = self.connection.send_fragment(fragment, last);
        let other_kind = |begun: &Message<'_>| begun.opcode() != fragment.opcode();
        if !self.connection.is_open() {
            return assert_eq!(result, Err(Misuse::Closed));
        }
        if self.unfinished.as_ref().is_some_and(other_kind) {
            return assert_eq!(result, Err(Misuse::OtherKind));
        }
        assert_eq!(result, Ok(()));
        let message = match self.unfinished.take() {
            Some(begun) => joined(begun, fragment),
            None => fragment.clone().into_owned(),
        };
        if last {
            self.sent.push(message);
        } else {
            self.unfinished = Some(message);
        }
    }

    fn ping(&mut self, payload: &[u8]) {
        let expected = if !self.connection.is_open() {
            Err(Misuse::Closed)
        } else if payload.len() > CONTROL_PAYLOAD_MAX {
            Err(Misuse::ControlTooLong)
        } else {
            Ok(())
        };
        assert_eq!(self.connection.ping(payload), expected);
    }

    fn close(&mut self, which: u8, reason_len: usize, now: Instant) {
        let codes = [CloseCode::NORMAL, CloseCode::MANDATORY_EXTENSION];
        let code = codes.into_iter().cycle().nth(which.into());
        let code = code.unwrap_or(CloseCode::NORMAL);
        let expected = if !self.connection.is_open() {
            Err(Misuse::Closed)
        } else if !code.may_be_sent_by(self.side) {
            Err(Misuse::CloseCodeNotSendable(code))
        } else if reason_len + 2 > CONTROL_PAYLOAD_MAX {
            Err(Misuse::ControlTooLong)
        } else {
            Ok(())
        };
        let result = self.connection.close(code, &"r".repeat(reason_len), now);
        assert_eq!(result, expected);
    }

    /// The transport takes at most `bytes_max` bytes, and the other end reads them; returns how many. The first of them
    /// would block where it is 0.
    fn flow(&mut self, to: &mut Self, bytes_max: usize, size: usize, now: Instant) -> usize {
        let mut bytes = Vec::new();
        let taken = transport_takes(&mut self.connection, bytes_max, &mut bytes);
        self.deliver(&mut bytes, to, size, now);
        taken
    }

    /// What the transport took arrives.
    fn deliver(&self, bytes: &mut [u8], to: &mut Self, size: usize, now: Instant) {
        if !to.eof {
            for piece in bytes.chunks_mut(size) {
                let mut input = piece;
                while let Some(event) = to.next_event(&mut input, now) {
                    let event = event.into_owned();
                    to.receive(event, self);
                }
                assert!(input.is_empty(), "the connection left input behind");
            }
        }
    }

    /// Messages that can be taken by themselves are, every other time.
    fn next_event<'b>(&mut self, input: &mut &'b mut [u8], now: Instant) -> Option<Event<'b>> {
        if self.received.is_multiple_of(2)
            && let Some(message) = self.connection.take_message(input, now)
        {
            return Some(Event::Message(message));
        }
        self.connection.handle_input(input, now)
    }

    fn receive(&mut self, event: Event<'static>, from: &Self) {
        match event {
            Event::Message(message) => self.receive_message(&message, from),
            Event::Piece(piece) => {
                assert_eq!(piece.first, self.begun.is_none());
                let message = match self.begun.take() {
                    Some(begun) => joined(begun, &piece.content),
                    None => piece.content,
                };
                if piece.last {
                    self.receive_message(&message, from);
                } else {
                    self.begun = Some(message);
                }
            }
            Event::Ping(_) | Event::Pong(_) => {}
            Event::Closed(closed) => self.take_end(closed),
        }
    }

    fn receive_message(&mut self, message: &Message<'_>, from: &Self) {
        assert_eq!(from.sent.get(self.received), Some(message));
        self.received += 1;
    }

    /// Neither of two ends that both follow the rules ever finds that the other broke one.
    fn take_end(&mut self, closed: Closed) {
        assert!(matches!(closed.error, None | Some(Error::PongTimeout(_))));
        assert_eq!(self.closed, None, "a connection ends once");
        self.closed = Some(closed);
    }

    /// What was due is not due any more, or a loop would spin.
    fn wait(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
        assert!(self.connection.poll_timeout().is_none_or(|due| due > now));
        self.take_end_without_input();
    }

    fn take_end_without_input(&mut self) {
        match self.connection.poll_event() {
            Some(Event::Closed(closed)) => self.take_end(closed),
            other => assert_eq!(other, None),
        }
    }

    /// What a shell does with a connection: its progress, the end of its transport.
    fn be_handled(&mut self, how: u8, now: Instant) {
        match how & 3 {
            0..=2 => self.connection.handle_progress(now),
            _ => {
                self.eof = true;
                self.connection.handle_eof(now);
                self.take_end_without_input();
            }
        }
    }
}

//! What the tests of this crate share: frames by name, one connection on virtual time ([`Scenario`]), two connected in
//! memory ([`Pair`]), and the slow reader of what was sent ([`frames_in`]).

#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part of this"
)]

use std::borrow::Cow;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_protocol::{
    CloseCode, CloseFrame, Closed, Config, Connection, Error, Event, Initiator, Message, Side,
    Transport,
};

/// The masking key of RFC 6455 §5.7.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// A frame to put on the wire, legal or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            first: 0x80 | opcode,
            payload: payload.as_ref().to_vec(),
        }
    }

    pub(crate) fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(TEXT, payload)
    }

    pub(crate) fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(BINARY, payload)
    }

    pub(crate) fn continuation(payload: impl AsRef<[u8]>) -> Self {
        Self::new(CONTINUATION, payload)
    }

    pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PING, payload)
    }

    pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PONG, payload)
    }

    /// A Close frame with any code, the forbidden ones too.
    pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
    }

    pub(crate) fn close_without_code() -> Self {
        Self::new(CLOSE, [])
    }

    /// The same with FIN clear: more of the message follows.
    pub(crate) fn more(self) -> Self {
        Self {
            first: self.first & 0x7f,
            ..self
        }
    }

    /// The same with these bits set in its first byte.
    pub(crate) fn with_bits(self, bits: u8) -> Self {
        Self {
            first: self.first | bits,
            ..self
        }
    }

    /// The bytes when `side` sends it.
    pub(crate) fn by(&self, side: Side) -> Vec<u8> {
        match side {
            Side::Server => self.unmasked(),
            Side::Client => self.masked(KEY),
        }
    }

    pub(crate) fn unmasked(&self) -> Vec<u8> {
        [
            &header(self.first, self.payload.len(), 0)[..],
            &self.payload,
        ]
        .concat()
    }

    pub(crate) fn masked(&self, key: [u8; 4]) -> Vec<u8> {
        let mut bytes = header(self.first, self.payload.len(), 0x80);
        bytes.extend(key);
        bytes.extend(xor(key, &self.payload));
        bytes
    }
}

/// The bytes of several frames when `side` sends them.
pub(crate) fn stream(side: Side, frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.by(side)).collect()
}

/// A header that announces `length` bytes of payload, with a mask if a client sends it, and nothing behind it.
pub(crate) fn announcing(first: u8, length: u64, sender: Side) -> Vec<u8> {
    let (bit, key) = match sender {
        Side::Server => (0, &[][..]),
        Side::Client => (0x80, &KEY[..]),
    };
    [&header(first, length as usize, bit)[..], key].concat()
}

fn header(first: u8, length: usize, mask_bit: u8) -> Vec<u8> {
    match length {
        0..=125 => vec![first, mask_bit | length as u8],
        126..=0xffff => [&[first, mask_bit | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, mask_bit | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// Masks by the letter of §5.3.
pub(crate) fn xor(key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let turned = payload.iter().zip(key.iter().cycle());
    turned.map(|(byte, key)| byte ^ key).collect()
}

/// A frame that was sent, and the key that masked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) frame: Frame,
    pub(crate) key: Option<[u8; 4]>,
}

/// Reads whole frames by the letter of §5.2, with none of the crate's code.
pub(crate) fn read_frames(mut bytes: &[u8]) -> Vec<Sent> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (first, second) = (bytes[0], bytes[1]);
        let (length, mut at) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => {
                let length = u64::from_be_bytes(bytes[2..10].try_into().unwrap());
                (length as usize, 10)
            }
            short => (usize::from(short), 2),
        };
        let key = (second & 0x80 != 0).then(|| {
            at += 4;
            <[u8; 4]>::try_from(&bytes[at - 4..at]).unwrap()
        });
        let payload = &bytes[at..at + length];
        let payload = key.map_or_else(|| payload.to_vec(), |key| xor(key, payload));
        found.push(Sent {
            frame: Frame { first, payload },
            key,
        });
        bytes = &bytes[at + length..];
    }
    found
}

/// The frames in what was sent, without their keys.
pub(crate) fn frames_in(bytes: &[u8]) -> Vec<Frame> {
    read_frames(bytes)
        .into_iter()
        .map(|sent| sent.frame)
        .collect()
}

/// One connection under test, its virtual clock and its transport.
pub(crate) struct Scenario {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
}

impl Scenario {
    pub(crate) fn server() -> Self {
        Self::new(Side::Server, Config::default())
    }

    pub(crate) fn client() -> Self {
        Self::new(Side::Client, Config::default())
    }

    /// A connection after its handshake; a client masks everything with [`KEY`].
    pub(crate) fn new(side: Side, config: Config) -> Self {
        // The one look at a clock: an `Instant` cannot be made from nothing. From here on time is counted by hand.
        let now = Instant::now();
        let config = Arc::new(config);
        let connection = match side {
            Side::Server => Connection::server(config, now),
            Side::Client => Connection::client_with_keys(config, now, || KEY),
        };
        Self { connection, now }
    }

    /// The peer's bytes arrive; returns what happened.
    pub(crate) fn receive(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Event<'static>> {
        let mut bytes = bytes.as_ref().to_vec();
        let mut input = &mut bytes[..];
        let mut events = Vec::new();
        while let Some(event) = self.connection.handle_input(&mut input, self.now) {
            events.push(event.into_owned());
        }
        assert!(input.is_empty(), "the connection left input behind");
        events
    }

    /// The transport takes everything.
    pub(crate) fn flush(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        loop {
            let before = sent.len();
            sent.extend(self.transport_takes(usize::MAX));
            if sent.len() == before {
                return sent;
            }
        }
    }

    /// The transport takes everything: as frames.
    pub(crate) fn flush_frames(&mut self) -> Vec<Frame> {
        frames_in(&self.flush())
    }

    /// The transport takes at most `n` bytes of what is offered in one vectored write; 0 is a write that would block.
    pub(crate) fn transport_takes(&mut self, n: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = self.connection.poll_transmit(&mut slices);
        let offered = slices[..filled].concat_slices();
        let taken = offered[..offered.len().min(n)].to_vec();
        self.connection.transmitted(taken.len());
        taken
    }

    /// Time passes without input; what is due on the way is done at its moment.
    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Event<'static>> {
        let until = self.now + time;
        let mut events = Vec::new();
        while let Some(due) = self.connection.poll_timeout().filter(|&due| due <= until) {
            self.now = self.now.max(due);
            self.connection.handle_timeout(self.now);
            events.extend(self.connection.poll_event());
        }
        self.now = until;
        events
    }

    /// The peer ends its half of the transport.
    pub(crate) fn eof(&mut self) -> Vec<Event<'static>> {
        self.connection.handle_eof(self.now);
        self.connection.poll_event().into_iter().collect()
    }

    /// How long from now until something is due.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let due = self.connection.poll_timeout()?;
        Some(due.saturating_duration_since(self.now))
    }

    pub(crate) fn transport(&self) -> Transport {
        self.connection.transport()
    }
}

trait ConcatSlices {
    fn concat_slices(&self) -> Vec<u8>;
}

impl ConcatSlices for [IoSlice<'_>] {
    fn concat_slices(&self) -> Vec<u8> {
        self.iter().flat_map(|slice| slice.to_vec()).collect()
    }
}

/// A client and a server with a perfect network between them.
pub(crate) struct Pair {
    pub(crate) client: Scenario,
    pub(crate) server: Scenario,
    pub(crate) client_events: Vec<Event<'static>>,
    pub(crate) server_events: Vec<Event<'static>>,
}

impl Pair {
    pub(crate) fn new(config: &Config) -> Self {
        let client = Scenario::new(Side::Client, config.clone());
        let mut server = Scenario::new(Side::Server, config.clone());
        server.now = client.now;
        Self {
            client,
            server,
            client_events: Vec::new(),
            server_events: Vec::new(),
        }
    }

    /// Carries bytes and the ends of the transport both ways until nothing moves any more.
    pub(crate) fn drive(&mut self) {
        loop {
            let to_server = self.client.flush();
            let to_client = self.server.flush();
            if to_server.is_empty() && to_client.is_empty() {
                break;
            }
            self.server_events.extend(self.server.receive(to_server));
            self.client_events.extend(self.client.receive(to_client));
        }
        if self.server.transport() != Transport::Keep {
            self.client_events.extend(self.client.eof());
        }
        if self.client.transport() != Transport::Keep {
            self.server_events.extend(self.server.eof());
        }
    }
}

/// What a stream of bytes did to a connection that echoes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) events: Vec<Event<'static>>,
    pub(crate) sent: Vec<u8>,
    pub(crate) transport: Transport,
}

/// Hands `bytes` to an echoing connection in pieces of these sizes (again and again), ends the transport, and tells all.
pub(crate) fn observe(side: Side, config: &Config, bytes: &[u8], sizes: &[usize]) -> Observed {
    observe_by(echo_one_by_one, side, config, bytes, sizes)
}

/// Handles all of an input, echoes the messages, and appends the events and what it has written itself.
pub(crate) type EchoInput =
    fn(&mut Scenario, &mut &mut [u8], &mut Vec<Event<'static>>, &mut Vec<u8>);

fn echo_one_by_one(
    scenario: &mut Scenario,
    input: &mut &mut [u8],
    events: &mut Vec<Event<'static>>,
    _: &mut Vec<u8>,
) {
    while let Some(event) = scenario.connection.handle_input(input, scenario.now) {
        if let Event::Message(message) = &event {
            // Refused once a side has begun to close, which is right.
            let _ = scenario.connection.send(message);
        }
        events.push(event.into_owned());
    }
}

/// The same with one write for the messages that lie whole one behind the other.
pub(crate) fn echo_together(
    scenario: &mut Scenario,
    input: &mut &mut [u8],
    events: &mut Vec<Event<'static>>,
    sent: &mut Vec<u8>,
) {
    let Scenario { connection, now } = scenario;
    loop {
        let mut messages = Vec::new();
        while let Some(message) = connection.take_message(input, *now) {
            messages.push(message);
        }
        let _ = connection.send_all_through(&messages, |slices| {
            let before = sent.len();
            slices
                .iter()
                .for_each(|slice| sent.extend_from_slice(slice));
            sent.len() - before
        });
        let messages = messages.into_iter().map(Message::into_owned);
        events.extend(messages.map(Event::Message));
        let Some(event) = connection.handle_input(input, *now) else {
            return;
        };
        if let Event::Message(message) = &event {
            let _ = connection.send(message);
        }
        events.push(event.into_owned());
    }
}

/// As [`observe`], by another way to echo.
pub(crate) fn observe_by(
    echo: EchoInput,
    side: Side,
    config: &Config,
    bytes: &[u8],
    sizes: &[usize],
) -> Observed {
    let mut scenario = Scenario::new(side, config.clone());
    let (mut events, mut sent, mut rest) = (Vec::new(), Vec::new(), bytes);
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(rest.len()).max(1);
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        echo(&mut scenario, &mut input, &mut events, &mut sent);
        assert!(input.is_empty(), "the connection left input behind");
        sent.extend(scenario.flush());
        rest = behind;
    }
    events.extend(scenario.eof());
    sent.extend(scenario.flush());
    Observed {
        events,
        sent,
        transport: scenario.transport(),
    }
}

pub(crate) fn text(text: &str) -> Event<'static> {
    Event::Message(Message::Text(Cow::Owned(text.to_owned())))
}

pub(crate) fn binary(bytes: &[u8]) -> Event<'static> {
    Event::Message(Message::Binary(Cow::Owned(bytes.to_owned())))
}

pub(crate) fn ping(payload: &[u8]) -> Event<'static> {
    Event::Ping(Cow::Owned(payload.to_owned()))
}

pub(crate) fn pong(payload: &[u8]) -> Event<'static> {
    Event::Pong(Cow::Owned(payload.to_owned()))
}

/// The end when we failed the connection while it was open.
pub(crate) fn failed(error: impl Into<Error>) -> Event<'static> {
    let error = error.into();
    Event::Closed(Closed {
        initiator: Initiator::Local,
        sent: Some(CloseFrame::new(error.close_code(), &error.to_string())),
        received: None,
        error: Some(error),
    })
}

/// The end when the peer closed first: what it sent and what we echoed.
pub(crate) fn closed_by_peer(received: CloseFrame) -> Event<'static> {
    Event::Closed(Closed {
        initiator: Initiator::Peer,
        sent: Some(CloseFrame {
            code: received.code,
            reason: String::new(),
        }),
        received: Some(received),
        error: None,
    })
}

/// The end when the transport ended first.
pub(crate) const CUT_OFF: Event<'static> = Event::Closed(Closed {
    initiator: Initiator::Transport,
    sent: None,
    received: None,
    error: None,
});

/// The end when we closed first.
pub(crate) fn closed_by_us(sent: CloseFrame, received: Option<CloseFrame>) -> Event<'static> {
    Event::Closed(Closed {
        initiator: Initiator::Local,
        sent: Some(sent),
        received,
        error: None,
    })
}

pub(crate) fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame::new(CloseCode::new(code).unwrap(), reason)
}

//! One direction of a WebSocket: its frames one by one, and what the protocol crate makes of them as the end that gets them.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use tidewire_protocol::frame::{Decoded, HEADER_BYTES_MAX, Header, Opcode, RSV1, Rules};
use tidewire_protocol::{
    Config, Connection, DeflateAgreement, DeflateConfig, Error, Event, Message, Side,
};

use super::told::{Told, hexadecimal, name, section};

/// The largest message that is put together: as much as our server takes at most.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a binary message that are shown.
const SHOWN_BYTES: usize = 24;

/// A direction.
pub(super) struct Frames {
    sender: Side,
    /// The end that gets it; `None` where messages cannot be read, since their beginning is missing.
    receiver: Option<Connection>,
    rules: Rules,
    /// The beginning of a header, and what is left of a payload.
    header: Vec<u8>,
    left: u64,
    state: State,
    now: Instant,
}

/// How far a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// A Close frame came.
    Closed(Option<u16>),
    /// A rule was broken.
    Broken,
    /// Something was too large for us.
    TooLarge,
}

impl Frames {
    /// The frames of this side. Without `reads_messages` only headers are looked at.
    pub(super) fn new(
        sender: Side,
        deflate: Option<DeflateAgreement>,
        reads_messages: bool,
        now: Instant,
    ) -> Self {
        let config = Arc::new(Config {
            frame_bytes_max: MESSAGE_BYTES_MAX,
            message_bytes_max: MESSAGE_BYTES_MAX,
            ping_interval: None,
            ..Config::default()
        });
        let mut receiver = match sender {
            Side::Client => Connection::server(config, now),
            Side::Server => Connection::client(config, now),
        };
        if let Some(agreement) = deflate {
            receiver.enable_deflate(&DeflateConfig::default(), agreement);
        }
        Self {
            sender,
            receiver: reads_messages.then_some(receiver),
            rules: Rules {
                sender,
                reserved_bits_allowed: if deflate.is_some() { RSV1 } else { 0 },
            },
            header: Vec::new(),
            left: 0,
            state: State::Open,
            now,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Whether a frame has begun and not ended.
    pub(super) const fn is_in_a_frame(&self) -> bool {
        !self.header.is_empty() || self.left > 0
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8], told: &mut Vec<Told>) {
        while !bytes.is_empty() && self.state == State::Open {
            let piece = self.next_piece(bytes, told);
            bytes = &bytes[piece.len()..];
            let mut piece = piece.to_vec();
            self.receive(&mut piece, told);
        }
    }

    /// As much of the input as belongs to one frame; its header is told where it is whole.
    fn next_piece<'b>(&mut self, bytes: &'b [u8], told: &mut Vec<Told>) -> &'b [u8] {
        if self.left > 0 {
            let there = usize::try_from(self.left).unwrap_or(usize::MAX);
            let (piece, _) = bytes.split_at(there.min(bytes.len()));
            self.left -= piece.len() as u64;
            return piece;
        }
        let known = self.header.len();
        let room = HEADER_BYTES_MAX - known;
        self.header.extend(bytes.iter().take(room));
        match Header::decode(&self.header, self.rules) {
            Ok(Decoded::Complete { header, used }) => {
                self.header.clear();
                told.push(self.describe(&header));
                self.left = header.length;
                // Without a payload the header is the frame.
                &bytes[..used - known]
            }
            Ok(Decoded::Partial) => bytes,
            Err(error) => {
                self.header.clear();
                if self.receiver.is_none() {
                    self.fail(&error.into(), told);
                }
                // The receiver finds the same.
                bytes
            }
        }
    }

    fn receive(&mut self, piece: &mut [u8], told: &mut Vec<Told>) {
        let Some(mut receiver) = self.receiver.take() else {
            return;
        };
        let mut input = piece;
        while let Some(event) = receiver.handle_input(&mut input, self.now) {
            self.note(event, told);
        }
        // Nobody gets its answers.
        receiver.transmitted(receiver.unsent_bytes());
        self.receiver = Some(receiver);
    }

    fn note(&mut self, event: Event<'_>, told: &mut Vec<Told>) {
        let from = name(self.sender);
        let control = |kind, payload: &[u8]| Told::Control {
            from,
            kind,
            payload: hexadecimal(payload, 125),
        };
        told.push(match event {
            Event::Message(Message::Text(text)) => Told::Text {
                from,
                text: text.into_owned(),
            },
            Event::Message(Message::Binary(bytes)) => Told::Binary {
                from,
                bytes: bytes.len(),
                begins: hexadecimal(&bytes, SHOWN_BYTES),
            },
            Event::Ping(payload) => control("ping", &payload),
            Event::Pong(payload) => control("pong", &payload),
            // Messages are put together.
            Event::Piece(_) => return,
            Event::Closed(closed) => match (closed.error, closed.received) {
                (Some(error), _) => return self.fail(&error, told),
                (None, Some(frame)) => {
                    let code = frame.code.map(tidewire_protocol::CloseCode::get);
                    self.state = State::Closed(code);
                    let reason = frame.reason;
                    Told::Close { from, code, reason }
                }
                (None, None) => return,
            },
        });
    }

    fn fail(&mut self, error: &Error, told: &mut Vec<Told>) {
        let from = name(self.sender);
        let Some(section) = section(error) else {
            self.state = State::TooLarge;
            let text = format!("{from}: {error}: what follows is not looked at");
            return told.push(Told::Note { text });
        };
        self.state = State::Broken;
        told.push(Told::Error {
            from,
            what: error.to_string(),
            section,
            close_code: Some(error.close_code().get()),
        });
    }

    fn describe(&self, header: &Header) -> Told {
        Told::Frame {
            from: name(self.sender),
            opcode: match header.opcode {
                Opcode::Continuation => "continuation",
                Opcode::Text => "text",
                Opcode::Binary => "binary",
                Opcode::Close => "close",
                Opcode::Ping => "ping",
                Opcode::Pong => "pong",
            },
            fin: header.fin,
            compressed: header.reserved_bits & RSV1 != 0,
            masked: header.mask.is_some(),
            length: header.length,
        }
    }

    /// What was told of a connection from its middle cannot be put together.
    pub(super) fn read_headers_only(&mut self) {
        drop(mem::take(&mut self.receiver));
    }
}

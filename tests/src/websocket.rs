//! A WebSocket client on blocking sockets: the opening handshake, frames in and out, and no opinion.

use std::net::SocketAddr;

use crate::frame::{Frame, opcode};
use crate::http::{HttpConnection, Response};
use crate::wire::{End, Wire};

/// The nonce of RFC 6455 §1.3, whose answer we know without computing it.
pub const NONCE: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The answer to [`NONCE`], as the RFC gives it.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The request of the opening handshake for `target`; `headers` are further lines, each with its CR LF.
#[must_use]
pub fn handshake_request(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {NONCE}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// What arrives on a connection, control frames aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A close frame with its code and reason.
    Close(Option<u16>, String),
    /// The end of the TCP connection.
    End(End),
}

/// The client's end of one WebSocket connection.
#[derive(Debug)]
pub struct Client {
    /// The connection below, for raw bytes.
    pub wire: Wire,
    /// Whether [`Client::read_message`] answers pings, as every good client does.
    pub answers_pings: bool,
    key_seed: u32,
}

impl Client {
    /// Opens a WebSocket.
    ///
    /// # Panics
    ///
    /// When the server refuses, or agrees wrongly.
    #[must_use]
    #[track_caller]
    pub fn open(address: SocketAddr, target: &str) -> Self {
        Self::open_over(Wire::open(address), target)
    }

    /// Opens a WebSocket over a connection made before.
    #[must_use]
    #[track_caller]
    pub fn open_over(wire: Wire, target: &str) -> Self {
        match Self::try_open_over(wire, target) {
            Ok(client) => client,
            Err(response) => panic!("the server refused a WebSocket at {target}: {response:?}"),
        }
    }

    /// Opens a WebSocket, or returns the refusal.
    ///
    /// # Errors
    ///
    /// The server's response when it is not 101.
    #[track_caller]
    pub fn try_open(address: SocketAddr, target: &str) -> Result<Self, Response> {
        Self::try_open_over(Wire::open(address), target)
    }

    #[track_caller]
    fn try_open_over(mut wire: Wire, target: &str) -> Result<Self, Response> {
        wire.send(handshake_request(target, "").as_bytes());
        let mut connection = HttpConnection { wire };
        let response = connection.response();
        if response.status != 101 {
            return Err(response);
        }
        assert_agrees(&response);
        Ok(Self::upgraded(connection.wire))
    }

    /// A client on a connection whose handshake the caller has done.
    #[must_use]
    pub fn upgraded(wire: Wire) -> Self {
        Self {
            wire,
            answers_pings: true,
            key_seed: 1,
        }
    }

    /// Sends a frame as it is.
    #[track_caller]
    pub fn send(&mut self, frame: &Frame) {
        self.wire.send(&frame.encode());
    }

    /// Sends a text message under a fresh key.
    #[track_caller]
    pub fn send_text(&mut self, text: &str) {
        let key = self.next_key();
        self.send(&Frame::text(text).with_key(key));
    }

    /// Sends a binary message under a fresh key.
    #[track_caller]
    pub fn send_binary(&mut self, bytes: &[u8]) {
        let key = self.next_key();
        self.send(&Frame::binary(bytes).with_key(key));
    }

    /// Another key each time, and the same keys in every run. (A browser must draw them at random; what we
    /// need is that no two frames share one.)
    fn next_key(&mut self) -> [u8; 4] {
        self.key_seed = self
            .key_seed
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.key_seed.to_be_bytes()
    }

    /// Reads the next frame of any kind, or says how the connection ended.
    ///
    /// # Errors
    ///
    /// How the connection ended, if it did.
    #[track_caller]
    pub fn read_frame(&mut self) -> Result<Frame, End> {
        loop {
            if let Some((frame, used)) = Frame::decode(&self.wire.inbox) {
                self.wire.take(used);
                return Ok(frame);
            }
            if let Err(end) = self.wire.receive() {
                assert!(
                    self.wire.inbox.is_empty(),
                    "the connection ended within a frame: {:?}",
                    self.wire.inbox
                );
                return Err(end);
            }
        }
    }

    /// Reads the next frame.
    ///
    /// # Panics
    ///
    /// When the connection ends instead.
    #[track_caller]
    pub fn expect_frame(&mut self) -> Frame {
        self.read_frame()
            .unwrap_or_else(|end| panic!("a frame was due, but the connection ended: {end:?}"))
    }

    /// Reads the next message, joining fragments, passing over pongs and answering pings.
    #[track_caller]
    pub fn read_message(&mut self) -> Message {
        let mut joined: Option<Frame> = None;
        loop {
            let frame = match self.read_frame() {
                Ok(frame) => frame,
                Err(end) => return Message::End(end),
            };
            match frame.opcode {
                opcode::PING => self.answer(frame.payload),
                opcode::PONG => {}
                opcode::CLOSE => {
                    let (code, reason) = frame.close_parts();
                    return Message::Close(code, reason);
                }
                _ => {
                    let message = join(joined.take(), frame);
                    if message.fin {
                        return finished(message);
                    }
                    joined = Some(message);
                }
            }
        }
    }

    fn answer(&mut self, payload: Vec<u8>) {
        if self.answers_pings {
            // A server that has just closed does not take it, and the next read shows why.
            let _ = self.wire.try_send(&Frame::pong(payload).encode());
        }
    }

    /// Reads a text message.
    #[track_caller]
    pub fn expect_text(&mut self) -> String {
        match self.read_message() {
            Message::Text(text) => text,
            other @ (Message::Binary(_) | Message::Close(..) | Message::End(_)) => {
                panic!("a text message was due, but this came: {}", brief(&other))
            }
        }
    }

    /// Reads a binary message.
    #[track_caller]
    pub fn expect_binary(&mut self) -> Vec<u8> {
        match self.read_message() {
            Message::Binary(bytes) => bytes,
            other @ (Message::Text(_) | Message::Close(..) | Message::End(_)) => {
                panic!("a binary message was due, but this came: {}", brief(&other))
            }
        }
    }

    /// Reads a close frame with this code, passing over nothing but pings, and returns its reason.
    #[track_caller]
    pub fn expect_close(&mut self, expected: u16) -> String {
        let message = self.read_message();
        if let Message::Close(Some(code), reason) = &message
            && *code == expected
        {
            return reason.clone();
        }
        panic!(
            "a close frame with {expected} was due, but this came: {}",
            brief(&message)
        );
    }

    /// Reads the end of the connection.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let message = self.read_message();
        assert_eq!(
            message,
            Message::End(End::Closed),
            "the end of the connection was due"
        );
    }

    /// Sends a ping and reads until its pong, dropping whatever comes before it.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        self.send(&Frame::ping("alive?"));
        loop {
            let frame = self.expect_frame();
            match frame.opcode {
                opcode::PONG if frame.payload == b"alive?" => return,
                opcode::PING => self.answer(frame.payload),
                opcode::CLOSE => panic!(
                    "a pong was due, but the server closed: {:?}",
                    frame.close_parts()
                ),
                _ => {}
            }
        }
    }

    /// Closes as a good client does: close frame, the server's echo, the end of the connection.
    #[track_caller]
    pub fn close(mut self) {
        self.send(&Frame::close(1000, ""));
        loop {
            match self.read_message() {
                Message::Close(code, _) => {
                    assert_eq!(code, Some(1000), "the server echoes the close code");
                    return self.expect_end();
                }
                Message::Text(_) | Message::Binary(_) => {}
                Message::End(end) => {
                    panic!("the connection ended ({end:?}) without the server's close frame")
                }
            }
        }
    }
}

/// Asserts that a 101 response says what RFC 6455 §4.2.2 asks for.
#[track_caller]
pub fn assert_agrees(response: &Response) {
    assert_eq!(response.status, 101, "{response:?}");
    assert_eq!(
        response
            .header("upgrade")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("websocket")
    );
    assert_eq!(
        response
            .header("connection")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("upgrade")
    );
    assert_eq!(response.header("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(
        response.header("sec-websocket-extensions"),
        None,
        "no extension was offered"
    );
}

#[track_caller]
fn join(begun: Option<Frame>, frame: Frame) -> Frame {
    let Some(mut message) = begun else {
        assert_ne!(
            frame.opcode,
            opcode::CONTINUATION,
            "the server continued a message that it had not begun"
        );
        return frame;
    };
    assert_eq!(
        frame.opcode,
        opcode::CONTINUATION,
        "the server began a message within another"
    );
    message.payload.extend(frame.payload);
    message.fin = frame.fin;
    message
}

#[track_caller]
fn finished(message: Frame) -> Message {
    match message.opcode {
        opcode::TEXT => {
            Message::Text(String::from_utf8(message.payload).expect("a text message in UTF-8"))
        }
        _ => Message::Binary(message.payload),
    }
}

/// A message short enough for a failure report.
fn brief(message: &Message) -> String {
    let shown = format!("{message:?}");
    shown.chars().take(500).collect()
}

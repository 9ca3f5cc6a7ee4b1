//! A crowd: thousands of WebSocket clients in one thread, each of which answers pings and tells what it hears. They are looked
//! at in turns, so that nothing here says how fast a server is.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::frame::{Frame, opcode};
use crate::websocket::handshake_request;

/// Clients that come from one loopback address: each has ports for so many.
const CLIENTS_PER_ADDRESS: usize = 5000;

/// The addresses that the first 10,000 have, as a setting names them.
pub const ADDRESSES: &str = "127.0.0.2,127.0.0.3";

/// What is read at once.
const READ_BYTES: usize = 16 << 10;

/// One client.
#[derive(Debug)]
pub struct Member {
    stream: TcpStream,
    inbox: Vec<u8>,
    is_open: bool,
}

/// What a client hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The handshake is done.
    Opened,
    /// The server refused it with this status.
    Refused(u16),
    /// A text message.
    Text(String),
    /// The end: the code of a Close frame, or none if the connection just ended.
    Ended(Option<u16>),
}

/// A connection from the loopback address that the client of this number has.
///
/// # Errors
///
/// What the kernel says to `bind` or `connect`.
pub fn connect(number: usize, server: SocketAddr) -> io::Result<TcpStream> {
    let host = 2 + u8::try_from(number / CLIENTS_PER_ADDRESS).unwrap_or(u8::MAX - 2);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    socket.bind(&source.into())?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}

impl Member {
    /// Connects and asks for a WebSocket; [`poll`](Self::poll) tells what becomes of it.
    ///
    /// # Errors
    ///
    /// There is no connection.
    pub fn open(number: usize, server: SocketAddr, target: &str) -> io::Result<Self> {
        let mut stream = connect(number, server)?;
        stream.write_all(handshake_request(target, "").as_bytes())?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            inbox: Vec::new(),
            is_open: false,
        })
    }

    /// Takes what has come and answers pings. After `Refused` and `Ended` there is nothing more.
    pub fn poll(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        let has_ended = self.read();
        self.take_head(&mut heard);
        while self.is_open {
            let Some((frame, used)) = Frame::decode(&self.inbox) else {
                break;
            };
            self.inbox.drain(..used);
            match frame.opcode {
                // A server that has just gone does not take it, and the next read shows that.
                opcode::PING => {
                    let _ = self.stream.write_all(&Frame::pong(frame.payload).encode());
                }
                opcode::TEXT => {
                    let text = String::from_utf8(frame.payload).expect("a text is UTF-8");
                    heard.push(Heard::Text(text));
                }
                opcode::CLOSE => {
                    heard.push(Heard::Ended(frame.close_parts().0));
                    return heard;
                }
                _ => {}
            }
        }
        if has_ended && !matches!(heard.last(), Some(Heard::Refused(_))) {
            heard.push(Heard::Ended(None));
        }
        heard
    }

    /// Reads what is there; whether that was the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; READ_BYTES];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(read) => self.inbox.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
    }

    fn take_head(&mut self, heard: &mut Vec<Heard>) {
        let end = self.inbox.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end.filter(|_| !self.is_open) else {
            return;
        };
        let head = String::from_utf8_lossy(&self.inbox[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        self.inbox.drain(..end + 4);
        match status {
            Some(101) => {
                self.is_open = true;
                heard.push(Heard::Opened);
            }
            status => heard.push(Heard::Refused(status.unwrap_or_default())),
        }
    }
}

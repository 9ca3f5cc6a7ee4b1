//! The messages that are counted, sent so that the server does the same in every run: one or a hundred in one write, and
//! the next when all of them have been answered. So each write is one event, one read and one turn of the loop, however
//! slow the server is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Messages in one write: fewer bytes than one segment of the loopback, and than one read of the server.
const BATCH: u64 = 100;

/// Who gets what one says, at the relay and in the chat.
const RELAYED: u64 = 10;
const FOLLOWERS: u64 = 100;

const CONTENT: [u8; 125] = [b'x'; 125];

/// How long the server may take for a hundred messages, under valgrind.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the messages do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Each comes back before the next is sent.
    Single,
    /// Each comes back, a hundred at a time.
    Echo,
    /// Each goes to ten others; deliveries are counted.
    Relay,
    /// Each goes through the chat (JSON, a log, offsets) to a hundred others before the next is sent: how many of several
    /// the log's thread takes at once is up to the scheduler.
    Chat,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Single, Self::Echo, Self::Relay, Self::Chat];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Echo => "echo",
            Self::Relay => "relay",
            Self::Chat => "chat",
        }
    }

    /// How many messages or deliveries are counted. What is said to who enters the chat differs from run to run: among more
    /// it is less.
    pub(super) const fn count(self) -> u64 {
        match self {
            Self::Single | Self::Echo | Self::Relay => 10_000,
            Self::Chat => 50_000,
        }
    }

    /// Lets the server at `address` have that many messages or deliveries.
    pub(super) fn drive(self, address: &str, count: u64) -> Result<()> {
        match self {
            Self::Single => echo(address, count, 1),
            Self::Echo => echo(address, count, BATCH),
            Self::Relay => {
                let reply = reply();
                let expect = |follower: &mut Client| follower.expect(&reply, BATCH);
                let request = masked(0x82, &CONTENT);
                let mut room = Room::enter(address, "/relay?room=count", RELAYED)?;
                room.drive(&request, BATCH, count, expect)
            }
            Self::Chat => {
                let content = String::from_utf8(CONTENT.to_vec())?;
                let text =
                    format!(r#"{{"type":"room_msg","roomId":"count","content":"{content}"}}"#);
                let request = masked(0x81, text.as_bytes());
                let expect = |follower: &mut Client| follower.expect_chat(1);
                let mut room = Room::enter(address, "/ws?room=count", FOLLOWERS)?;
                room.drive(&request, 1, count, expect)
            }
        }
    }
}

fn echo(address: &str, count: u64, batch: u64) -> Result<()> {
    let mut client = Client::connect(address, "/echo")?;
    let (request, reply) = (masked(0x82, &CONTENT), reply());
    for _ in 0..count / batch {
        client.send(&request, batch)?;
        client.expect(&reply, batch)?;
    }
    Ok(())
}

/// One who speaks, and others.
struct Room {
    publisher: Client,
    followers: Vec<Client>,
}

impl Room {
    fn enter(address: &str, path: &str, followers: u64) -> Result<Self> {
        let followers = (0..followers).map(|_| Client::connect(address, path));
        Ok(Self {
            publisher: Client::connect(address, path)?,
            followers: followers.collect::<Result<_>>()?,
        })
    }

    fn drive(
        &mut self,
        request: &[u8],
        batch: u64,
        count: u64,
        expect: impl Fn(&mut Client) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..count / (batch * self.followers.len() as u64) {
            self.publisher.send(request, batch)?;
            self.followers.iter_mut().try_for_each(&expect)?;
        }
        Ok(())
    }
}

/// What echo and relay answer.
fn reply() -> Vec<u8> {
    [&[0x82, CONTENT.len() as u8], &CONTENT[..]].concat()
}

/// A client's frame.
fn masked(first: u8, content: &[u8]) -> Vec<u8> {
    let key = [0x11, 0x22, 0x33, 0x44];
    let mut frame = match content.len() {
        length @ 0..126 => vec![first, 0x80 | length as u8],
        length => vec![first, 0x80 | 126, (length >> 8) as u8, length as u8],
    };
    frame.extend_from_slice(&key);
    let bytes = content.iter().zip(key.iter().cycle());
    frame.extend(bytes.map(|(byte, key)| byte ^ key));
    frame
}

struct Client(TcpStream);

impl Client {
    fn connect(address: &str, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: count\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        ensure!(head.starts_with(b"HTTP/1.1 101 "), "it was refused");
        Ok(Self(stream))
    }

    fn send(&mut self, request: &[u8], times: u64) -> Result<()> {
        Ok(self.0.write_all(&request.repeat(times as usize))?)
    }

    fn expect(&mut self, reply: &[u8], times: u64) -> Result<()> {
        let expected = reply.repeat(times as usize);
        let mut received = vec![0; expected.len()];
        self.0.read_exact(&mut received)?;
        ensure!(received == expected, "it answered something else");
        Ok(())
    }

    /// Waits for so many messages of the room, whatever else is said.
    fn expect_chat(&mut self, mut missing: u64) -> Result<()> {
        while missing > 0 {
            let mut head = [0; 4];
            self.0.read_exact(&mut head[..2])?;
            let length = match head[1] {
                126 => {
                    self.0.read_exact(&mut head[2..])?;
                    usize::from(u16::from_be_bytes([head[2], head[3]]))
                }
                length => usize::from(length),
            };
            let mut text = vec![0; length];
            self.0.read_exact(&mut text)?;
            missing -= u64::from(text.starts_with(br#"{"type":"room_msg""#));
        }
        Ok(())
    }
}

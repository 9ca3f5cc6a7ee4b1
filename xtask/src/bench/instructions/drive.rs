//! The messages that are counted, sent so that the server does the same in every run: a hundred in one write, and the next
//! hundred when all of them have been answered. So each hundred is one event, one read and one turn of the loop, however
//! slow the server is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Messages in one write: fewer bytes than one segment of the loopback, and than one read of the server.
const BATCH: u64 = 100;

/// Who gets what one says.
const FOLLOWERS: u64 = 10;

/// Bytes of a message's content.
const CONTENT: usize = 125;

/// How long the server may take for a hundred messages, under valgrind.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the messages do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Each comes back.
    Echo,
    /// Each goes to ten others; deliveries are counted.
    Relay,
}

impl Way {
    pub(super) const ALL: [Self; 2] = [Self::Echo, Self::Relay];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Relay => "relay",
        }
    }

    /// Lets the server at `address` have that many messages or deliveries.
    pub(super) fn drive(self, address: &str, count: u64) -> Result<()> {
        let content = [b'x'; CONTENT];
        let reply = [&[0x82, CONTENT as u8], &content[..]].concat();
        let request = masked(&content);
        match self {
            Self::Echo => {
                let mut client = Client::connect(address, "/echo")?;
                for _ in 0..count / BATCH {
                    client.send(&request, BATCH)?;
                    client.expect(&reply, BATCH)?;
                }
            }
            Self::Relay => {
                let mut publisher = Client::connect(address, "/relay?room=count")?;
                let followers =
                    (0..FOLLOWERS).map(|_| Client::connect(address, "/relay?room=count"));
                let mut followers: Vec<_> = followers.collect::<Result<_>>()?;
                for _ in 0..count / (BATCH * FOLLOWERS) {
                    publisher.send(&request, BATCH)?;
                    for follower in &mut followers {
                        follower.expect(&reply, BATCH)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A client's frame.
fn masked(content: &[u8; CONTENT]) -> Vec<u8> {
    let key = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![0x82, 0x80 | CONTENT as u8];
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
}

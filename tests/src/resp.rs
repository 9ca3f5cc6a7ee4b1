//! Redis' protocol as the tests speak it: commands out, values in, by blocking sockets. It is written by hand, for the reason
//! that all clients of these tests are: what the server itself uses is not what shall judge it.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use rustls::{ClientConnection, StreamOwned};

use crate::tls::Identity;
use crate::wait::{PATIENCE, uninterrupted};

/// What Redis says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A word, such as `OK`.
    Simple(String),
    /// An error: its code and what it says.
    Error(String),
    /// A number.
    Number(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Nothing.
    Nil,
    /// Several.
    Array(Vec<Self>),
    /// Several that nobody asked for (RESP3).
    Push(Vec<Self>),
}

impl Value {
    /// The value that `bytes` begin with and how many of them it is; `None` as long as some are missing.
    ///
    /// # Panics
    ///
    /// When they are no value.
    #[must_use]
    #[track_caller]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[1..end]).expect("a line of Redis is text");
        let body = end + 2;
        let number = || line.parse::<i64>().expect("a number of Redis");
        match bytes[0] {
            b'+' | b',' | b'#' | b'(' => Some((Self::Simple(line.to_owned()), body)),
            b'-' => Some((Self::Error(line.to_owned()), body)),
            b':' => Some((Self::Number(number()), body)),
            b'_' => Some((Self::Nil, body)),
            b'$' | b'*' if line == "-1" => Some((Self::Nil, body)),
            b'$' | b'=' | b'!' => {
                let content = body + usize::try_from(number()).expect("a length");
                let whole = bytes.get(..content + 2)?;
                Some((Self::Bulk(whole[body..content].to_vec()), content + 2))
            }
            kind @ (b'*' | b'~' | b'>' | b'%') => {
                let pairs = 1 + usize::from(kind == b'%');
                let count = usize::try_from(number()).expect("a count") * pairs;
                let (values, used) = decode_all(&bytes[body..], count)?;
                let all = if kind == b'>' {
                    Self::Push(values)
                } else {
                    Self::Array(values)
                };
                Some((all, body + used))
            }
            other => panic!(
                "Redis says nothing that begins with {:?}",
                char::from(other)
            ),
        }
    }

    /// What it says as text; empty if it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Simple(text) | Self::Error(text) => text,
            Self::Bulk(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Self::Number(_) | Self::Nil | Self::Array(_) | Self::Push(_) => "",
        }
    }

    /// Its parts; none if it is one thing.
    #[must_use]
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Array(parts) | Self::Push(parts) => parts,
            Self::Simple(_) | Self::Error(_) | Self::Number(_) | Self::Bulk(_) | Self::Nil => &[],
        }
    }
}

fn decode_all(bytes: &[u8], count: usize) -> Option<(Vec<Value>, usize)> {
    let (mut values, mut used) = (Vec::new(), 0);
    for _ in 0..count {
        let (value, length) = Value::decode(&bytes[used..])?;
        values.push(value);
        used += length;
    }
    Some((values, used))
}

/// A command as bytes.
#[must_use]
pub fn encode(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    bytes.into_bytes()
}

/// A client of Redis.
#[derive(Debug)]
pub struct RedisClient {
    stream: Stream,
    inbox: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl RedisClient {
    /// Connects; with TLS, if there is somebody to trust.
    ///
    /// # Errors
    ///
    /// Nobody is there.
    pub fn connect(address: SocketAddr, identity: Option<&Identity>) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let stream = match identity {
            None => Stream::Plain(socket),
            Some(identity) => Stream::Tls(Box::new(StreamOwned::new(identity.connect(), socket))),
        };
        Ok(Self {
            stream,
            inbox: Vec::new(),
        })
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    ///
    /// The connection has ended, or is silent.
    pub fn ask(&mut self, words: &[&str]) -> io::Result<Value> {
        self.send(&encode(words))?;
        self.hear()
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes),
        }
    }

    /// The next thing that Redis says.
    ///
    /// # Errors
    ///
    /// The connection has ended, or is silent.
    pub fn hear(&mut self) -> io::Result<Value> {
        let mut buffer = [0; 16 << 10];
        loop {
            if let Some((value, used)) = Value::decode(&self.inbox) {
                self.inbox.drain(..used);
                return Ok(value);
            }
            let read = match &mut self.stream {
                Stream::Plain(stream) => uninterrupted(|| stream.read(&mut buffer))?,
                Stream::Tls(stream) => uninterrupted(|| stream.read(&mut buffer))?,
            };
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.inbox.extend_from_slice(&buffer[..read]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_whole_or_not_at_all() {
        let bytes = b"*4\r\n$3\r\na\r\n\r\n:-7\r\n*-1\r\n*2\r\n+OK\r\n-ERR no\r\n:1\r\n";
        let value = Value::Array(vec![
            Value::Bulk(b"a\r\n".to_vec()),
            Value::Number(-7),
            Value::Nil,
            Value::Array(vec![
                Value::Simple("OK".to_owned()),
                Value::Error("ERR no".to_owned()),
            ]),
        ]);
        let end = bytes.len() - 4;
        assert_eq!(Value::decode(bytes), Some((value, end)));
        for cut in 0..end {
            assert_eq!(Value::decode(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_command_is_an_array_of_its_words() {
        let words = ["SET", "key", ""];
        let (value, _) = Value::decode(&encode(&words)).expect("it is whole");
        let said: Vec<_> = value.parts().iter().map(Value::text).collect();
        assert_eq!(said, words);
    }
}

//! One request over HTTP on a socket that blocks, with TLS or without: what `why` and `capture` ask a server. The answer is read as it
//! comes, since a capture goes on for an hour. It is no client for any server: what it asks ends the connection.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::address::{Address, BadAddress};
use super::tls::{Session, Tls, Trust, TrustError};

const CONNECT_MAX: Duration = Duration::from_secs(10);

const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;

/// Why there is no answer.
#[derive(Debug)]
pub enum CallError {
    /// The address is none.
    Address(BadAddress),
    /// There is nobody to trust.
    Trust(TrustError),
    /// The name has no address.
    Unknown(String, io::Error),
    /// None of its addresses takes connections.
    Unreachable(String, io::Error),
    /// The connection failed before there was an answer.
    Failed(String, io::Error),
    /// What came is no answer.
    NoHttp(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Trust(error) => error.fmt(f),
            Self::Unknown(host, error) => write!(f, "cannot find {host}: {error}"),
            Self::Unreachable(host, error) => {
                write!(
                    f,
                    "cannot connect to {host}: {error}: is a server running there?"
                )
            }
            Self::Failed(host, error) if is_pause(error) => {
                write!(
                    f,
                    "{host} does not answer: is it a Tidewire, and with or without TLS as the address says?"
                )
            }
            Self::Failed(host, error) => write!(f, "cannot ask {host}: {error}"),
            Self::NoHttp(host) => write!(
                f,
                "what answers at {host} is no Tidewire, or speaks TLS, which https:// asks for"
            ),
        }
    }
}

impl std::error::Error for CallError {}

/// Whether a read only took too long, and another may bring something.
#[must_use]
pub fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The server, as it was typed.
    pub url: &'a str,
    /// Whom to trust where that is TLS.
    pub trust: &'a Trust,
    /// The path and the query, encoded.
    pub target: &'a str,
    /// The right to ask.
    pub token: Option<&'a str>,
    /// How long the server may say nothing.
    pub silence_max: Duration,
}

/// The answer: a status, and a body that is read until the server closes.
#[derive(Debug)]
pub struct Answer {
    /// The server, as it is called.
    pub host: String,
    /// The status.
    pub status: u16,
    begun: Vec<u8>,
    line: Line,
}

impl Call<'_> {
    /// Asks, and reads the head of the answer.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self) -> Result<Answer, CallError> {
        let address = Address::parse(self.url).map_err(CallError::Address)?;
        let tls = Tls::new(&address, self.trust).map_err(CallError::Trust)?;
        let socket = connect(&address)?;
        let host = address.host;
        let asked = self.ask(&host, socket, tls.as_ref());
        let (line, bytes) = asked.map_err(|error| CallError::Failed(host.clone(), error))?;
        let Some((status, head_bytes)) = head(&bytes) else {
            return Err(CallError::NoHttp(host));
        };
        Ok(Answer {
            host,
            status,
            begun: bytes[head_bytes..].to_vec(),
            line,
        })
    }

    /// The connection, and what came until the head was whole, or could not become so.
    fn ask(&self, host: &str, socket: TcpStream, tls: Option<&Tls>) -> io::Result<(Line, Vec<u8>)> {
        socket.set_read_timeout(Some(self.silence_max))?;
        socket.set_write_timeout(Some(self.silence_max))?;
        let tls = tls.map(Tls::session).transpose()?;
        let mut line = Line { socket, tls };
        line.write_all(self.request(host).as_bytes())?;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let read = match line.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            bytes.extend_from_slice(&buffer[..read]);
            let is_over = read == 0 || bytes.len() > HEAD_BYTES_MAX;
            if is_over
                || head(&bytes).is_some()
                || !b"HTTP/".starts_with(&bytes[..bytes.len().min(5)])
            {
                return Ok((line, bytes));
            }
        }
    }

    fn request(&self, host: &str) -> String {
        let target = self.target;
        let token = self.token.map_or_else(String::new, |token| {
            // What is no token would be another header.
            let token: String = token.chars().filter(char::is_ascii_graphic).collect();
            format!("Authorization: Bearer {token}\r\n")
        });
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{token}\r\n")
    }
}

impl Answer {
    /// How long a read may wait from now on.
    ///
    /// # Errors
    /// The system does not take it.
    pub fn set_silence(&self, max: Duration) -> io::Result<()> {
        self.line.socket.set_read_timeout(Some(max))
    }

    /// The rest of the body as text, of which there is no more than this.
    ///
    /// # Errors
    /// It does not come, is longer, or is no text.
    pub fn text(self, bytes_max: u64) -> io::Result<String> {
        let mut text = String::new();
        let mut body = self.take(bytes_max + 1);
        body.read_to_string(&mut text)?;
        if text.len() as u64 > bytes_max {
            let why = format!("it is longer than {bytes_max} bytes");
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        Ok(text)
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.begun.is_empty() {
            return self.line.read(buffer);
        }
        let read = self.begun.as_slice().read(buffer)?;
        self.begun.drain(..read);
        Ok(read)
    }
}

/// The socket, under TLS or bare.
#[derive(Debug)]
struct Line {
    socket: TcpStream,
    tls: Option<Session>,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(tls) => tls.read(&mut self.socket, buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => tls.write(&mut self.socket, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => tls.flush(&mut self.socket),
        }
    }
}

fn connect(address: &Address) -> Result<TcpStream, CallError> {
    let host = || address.host.clone();
    let all = address.resolve_all();
    let all = all.map_err(|error| CallError::Unknown(host(), error))?;
    let mut failed = io::Error::from(ErrorKind::AddrNotAvailable);
    for to in all {
        match TcpStream::connect_timeout(&to, CONNECT_MAX) {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = error,
        }
    }
    Err(CallError::Unreachable(host(), failed))
}

/// The status, and how long the head is, once it is whole.
fn head(bytes: &[u8]) -> Option<(u16, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Some((response.code?, length)),
        Ok(httparse::Status::Partial) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// Asks somebody who answers with these bytes.
    fn asked(answer: &'static [u8]) -> Result<Answer, CallError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            // Who saw enough has left.
            let _ = socket.write_all(answer);
            String::from_utf8(request).unwrap()
        });
        let call = Call {
            url: &url,
            trust: &Trust::default(),
            target: "/a?b=c",
            token: Some("x.y\r\nEvil: 1"),
            silence_max: Duration::from_secs(60),
        };
        let answer = call.get();
        let request = server.join().unwrap();
        assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("Authorization: Bearer x.yEvil:1\r\n"),
            "{request}"
        );
        answer
    }

    #[test]
    fn an_answer_is_its_status_and_what_follows() {
        let answer = asked(b"HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n{\"a\":1}").unwrap();
        assert_eq!(answer.status, 403);
        assert_eq!(answer.text(7).unwrap(), "{\"a\":1}");
        let answer = asked(b"HTTP/1.1 200 OK\r\n\r\n12345678").unwrap();
        assert!(answer.text(7).is_err(), "it is too long");
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for answer in [
            &b""[..],
            b"\x15\x03\x03\0\x02\x02\x32",
            b"HTTP/1.1 200 OK\r\nA: b",
        ] {
            let error = asked(answer).unwrap_err();
            assert!(matches!(error, CallError::NoHttp(_)), "{error}");
        }
    }
}

//! The client that the Autobahn testsuite tests: `tidewire-protocol` on a blocking socket, echoing. A program of its own,
//! because it is built optimized, which `cargo xtask` itself is not.
//!
//! `autobahn-client ADDRESS CASES [takeover]` runs the cases 1 to CASES of the fuzzing server at ADDRESS, which must have
//! exactly as many, and has it write its report.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tidewire_protocol::handshake::client::{Handshake, Target, random_nonce};
use tidewire_protocol::{Config, Connection, DeflateConfig, Event, Message, Transport};

/// Our name in the report.
const AGENT: &str = "tidewire-client";

/// How long the fuzzing server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let (address, cases, takeover) = match &words[..] {
        [address, cases] => (address, cases.parse()?, false),
        [address, cases, word] if word == "takeover" => (address, cases.parse()?, true),
        _ => bail!("usage: autobahn-client ADDRESS CASES [takeover]"),
    };
    let client = Client::new(address, takeover);
    let counted = client.count_cases()?;
    ensure!(
        counted == cases,
        "the fuzzing server has {counted} cases instead of {cases}"
    );
    for case in 1..=cases {
        let path = format!("/runCase?case={case}&agent={AGENT}");
        let ran = client.talk(&path, |connection, message| {
            // Where the connection is closing already, there is nobody to echo to.
            let _ = connection.send(message);
        });
        // The report has the verdict on this case; the others are worth running.
        if let Err(error) = ran {
            eprintln!("case number {case} of this run: {error:#}");
        }
    }
    client.talk(&format!("/updateReports?agent={AGENT}"), |_, _| ())
}

/// Where to connect, and how the connections are to be.
struct Client<'a> {
    address: &'a str,
    config: Arc<Config>,
    deflate: DeflateConfig,
}

impl<'a> Client<'a> {
    /// With `takeover`, the client keeps its context over messages; the server may anyway, so that every inflated message
    /// rests on those before it. It is not for all cases: some of 13.* want an offer with `client_no_context_takeover`.
    fn new(address: &'a str, takeover: bool) -> Self {
        let config = Config {
            frame_bytes_max: 64 << 20,
            message_bytes_max: 64 << 20,
            fragments_max: 131_072,
            ping_interval: None, // the suite counts frames
            ..Config::default()
        };
        let deflate = DeflateConfig {
            compress_bytes_min: 0,
            server_context_takeover: true,
            client_context_takeover: takeover,
            ..DeflateConfig::default()
        };
        Self {
            address,
            config: Arc::new(config),
            deflate,
        }
    }

    /// Asks until the server has started.
    fn count_cases(&self) -> Result<usize> {
        let started = Instant::now();
        loop {
            let mut answer = String::new();
            let asked = self.talk("/getCaseCount", |_, message| {
                answer = String::from_utf8_lossy(message.payload()).into_owned();
            });
            match asked {
                Ok(()) => {
                    return answer
                        .trim()
                        .parse()
                        .with_context(|| format!("`{answer}` is no number of cases"));
                }
                Err(error) if started.elapsed() > PATIENCE => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Connects to `path` and hands over every message until the connection has ended.
    fn talk(
        &self,
        path: &str,
        mut on_message: impl FnMut(&mut Connection, &Message<'_>),
    ) -> Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; 64 * 1024];
        let (mut connection, mut unread) = self.open(&mut stream, path, &mut buffer)?;
        while connection.transport() != Transport::Drop {
            let mut input = buffer.get_mut(unread).unwrap_or_default();
            while let Some(event) = connection.handle_input(&mut input, Instant::now()) {
                if let Event::Message(message) = event {
                    on_message(&mut connection, &message);
                }
            }
            unread = match flush(&mut stream, &mut connection) {
                Ok(()) => 0..wait(&mut stream, &mut connection, &mut buffer)?,
                Err(error) if is_end(error.kind()) => break,
                Err(error) => return Err(error.into()),
            };
        }
        Ok(())
    }

    /// The handshake; the range is what came behind the response.
    fn open(
        &self,
        stream: &mut TcpStream,
        path: &str,
        buffer: &mut [u8],
    ) -> Result<(Connection, Range<usize>)> {
        let target = Target {
            host: self.address,
            path,
            deflate: Some(&self.deflate),
            ..Target::default()
        };
        let mut request = Vec::new();
        let mut handshake = Handshake::start(&target, random_nonce(), &mut request)?;
        stream.write_all(&request)?;
        loop {
            let read = stream.read(buffer)?;
            ensure!(read > 0, "the connection ended during the handshake");
            let mut input = buffer.get_mut(..read).unwrap_or_default();
            let Some(response) = handshake.handle_input(&mut input)? else {
                continue;
            };
            let unread = read - input.len()..read;
            let mut connection = Connection::client(Arc::clone(&self.config), Instant::now());
            if let Some(agreement) = response.deflate {
                connection.enable_deflate(&self.deflate, agreement);
            }
            return Ok((connection, unread));
        }
    }
}

fn flush(stream: &mut TcpStream, connection: &mut Connection) -> std::io::Result<()> {
    while connection.unsent_bytes() > 0 {
        let mut slices = [IoSlice::new(&[]); 16];
        let filled = connection.poll_transmit(&mut slices);
        let written = stream.write_vectored(slices.get(..filled).unwrap_or_default())?;
        connection.transmitted(written);
    }
    Ok(())
}

/// Reads once, no longer than the connection wants to wait; returns how many bytes came.
fn wait(stream: &mut TcpStream, connection: &mut Connection, buffer: &mut [u8]) -> Result<usize> {
    let due = connection.poll_timeout();
    let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
    stream.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
    match stream.read(buffer) {
        Ok(0) => connection.handle_eof(Instant::now()),
        Ok(read) => return Ok(read),
        Err(error) if is_end(error.kind()) => connection.handle_eof(Instant::now()),
        Err(error) if is_pause(error.kind()) => {
            connection.handle_timeout(Instant::now());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(0)
}

/// Whether the time was up, or the process stood still meanwhile.
fn is_pause(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Whether the fuzzing server just dropped the connection, as it does in some cases.
fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

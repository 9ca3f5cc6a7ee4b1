//! `tidewire capture`: what passes over a running server's connections, into a file or a pipe for Wireshark. The server makes the
//! file; this passes on its blocks, whole, so that what is there when it ends is a legal file.
//!
//! Exit codes: 0, the capture ended, by itself or by ^C; 1, the server gives none, or it cannot be written; 2, the words make no
//! sense.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read as _, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::terminal::{Lines, visible};
use crate::capture::pcapng::{DROPPED, ENHANCED_PACKET, INTERFACE_STATISTICS, PACKET_BYTES_MAX};
use crate::client::Address;
use crate::clock::Now;
use crate::config::values::{size, time};
use crate::progress::Progress;

const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long the server may take to answer; the capture itself brings something every second.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How soon ^C is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const HEAD_BYTES_MAX: usize = 16 << 10;
const PROBLEM_BYTES_MAX: u64 = 64 << 10;

/// A packet, and its comments.
const BLOCK_BYTES_MAX: usize = PACKET_BYTES_MAX as usize + (1 << 20);

/// Capture what passes over a server's connections, for Wireshark
///
/// Everything that is said is in the file, without TLS, and tokens are, too. Who is in no filter is not in it. To look on:
/// tidewire capture --out - | wireshark -k -i -
#[derive(Debug, Clone, Args)]
pub struct Capture {
    /// The file; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// The server: http://HOST:PORT or HOST:PORT
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A token with the right to operate the server
    #[arg(
        long,
        env = "TIDEWIRE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
    /// Only connections that are in this room, as long as they are
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// Only this user's connections
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only connections from this address or network: 192.0.2.7, 10.0.0.0/8
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// Only this connection, as captures name it
    #[arg(long, value_name = "ID")]
    connection: Option<String>,
    /// When it ends, at the latest
    #[arg(long = "time", alias = "seconds", value_name = "TIME", default_value = "60s", value_parser = seconds)]
    time: Duration,
    /// How large it gets
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    bytes: u64,
}

/// A time in whole seconds, which a bare number is, too.
fn seconds(text: &str) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => time(text)?,
    };
    if !(1..=3600).contains(&time.as_secs()) {
        return Err("a capture takes 1 s to 1 h".to_owned());
    }
    Ok(Duration::from_secs(time.as_secs()))
}

impl Capture {
    /// Captures until it ends.
    ///
    /// # Errors
    /// The server gives none, or it cannot be written.
    pub fn run(&self) -> Result<bool, Box<dyn Error>> {
        let is_over = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&is_over))?;
        }
        let address = Address::parse(&self.url)?;
        let mut stream = connect(&address)?;
        stream.write_all(self.request(&address).as_bytes())?;
        let rest = read_head(&mut stream)?;
        let mut out = self.open()?;
        let mut blocks = Blocks::new(rest);
        let ended = self.pass_on(&mut stream, &mut blocks, &mut *out, &is_over);
        match ended {
            // Who looked on has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            ended => ended?,
        }
        let Counts {
            packets,
            bytes,
            lost,
        } = blocks.counts;
        let lost = match lost {
            0 => String::new(),
            lost => format!(", {lost} more were lost"),
        };
        eprintln!(
            "tidewire: captured {packets} packets, {}{lost}",
            words(bytes)
        );
        Ok(true)
    }

    fn request(&self, address: &Address) -> String {
        let mut query = format!("seconds={}&bytes={}", self.time.as_secs(), self.bytes);
        for (name, value) in [
            ("room", &self.room),
            ("user", &self.user),
            ("address", &self.address),
            ("connection", &self.connection),
        ] {
            if let Some(value) = value {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                query.push_str(&format!("&{name}={value}"));
            }
        }
        let token = match &self.token {
            None => String::new(),
            // What is no token would be another header.
            Some(token) => {
                let token: String = token.chars().filter(char::is_ascii_graphic).collect();
                format!("Authorization: Bearer {token}\r\n")
            }
        };
        format!(
            "GET /api/admin/capture?{query} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{token}\r\n",
            address.host
        )
    }

    /// Others than the caller are not to read what is in it.
    fn open(&self) -> Result<Box<dyn Write>, Box<dyn Error>> {
        if self.out.as_os_str() == "-" {
            return Ok(Box::new(io::stdout()));
        }
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(true).mode(0o600);
        let file = how.open(&self.out);
        let file = file.map_err(|error| format!("cannot write {}: {error}", self.out.display()))?;
        Ok(Box::new(file))
    }

    fn pass_on(
        &self,
        stream: &mut TcpStream,
        blocks: &mut Blocks,
        out: &mut dyn Write,
        is_over: &AtomicBool,
    ) -> io::Result<()> {
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        let begun = Now::read().instant;
        let mut progress = Progress::new(None);
        let mut heard_at = begun;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let whole = blocks.take()?;
            out.write_all(&whole)?;
            out.flush()?;
            let now = Now::read().instant;
            let spent = now.duration_since(begun);
            progress.show(now, || self.look(&blocks.counts, spent));
            let read = match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if is_pause(&error) && now.duration_since(heard_at) > SILENCE_MAX => {
                    return Err(error);
                }
                Err(error) if is_pause(&error) => 0,
                Err(error) => return Err(error),
            };
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            if read > 0 {
                heard_at = now;
            }
            blocks.add(&buffer[..read]);
        }
        progress.clear();
        Ok(())
    }

    fn look(&self, counts: &Counts, spent: Duration) -> (f64, String) {
        let time = spent.as_secs_f64() / self.time.as_secs_f64();
        let size = counts.bytes as f64 / self.bytes as f64;
        let left = self.time.saturating_sub(spent).as_secs();
        let Counts {
            packets,
            bytes,
            lost,
        } = *counts;
        let told = format!(
            "{packets} packets, {}, {lost} lost, {left} s left",
            words(bytes)
        );
        (time.max(size), told)
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn connect(address: &Address) -> Result<TcpStream, Box<dyn Error>> {
    let host = &address.host;
    let all = address
        .resolve_all()
        .map_err(|error| format!("cannot find {host}: {error}"))?;
    let mut failed = None;
    for to in all {
        match TcpStream::connect_timeout(&to, CONNECT_MAX) {
            Ok(stream) => {
                stream.set_read_timeout(Some(SILENCE_MAX))?;
                return Ok(stream);
            }
            Err(error) => failed = Some(error),
        }
    }
    let why = failed.map_or_else(String::new, |error| format!(": {error}"));
    Err(format!("cannot connect to {host}{why}: is a server running there?").into())
}

/// Reads the head of the answer, and returns what came behind it.
fn read_head(stream: &mut TcpStream) -> Result<Vec<u8>, Box<dyn Error>> {
    const END: &[u8] = b"\r\n\r\n";
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let end = loop {
        let found = bytes.windows(END.len()).position(|window| window == END);
        if let Some(position) = found {
            break position + END.len();
        }
        let read = stream.read(&mut buffer)?;
        if read == 0 || bytes.len() > HEAD_BYTES_MAX {
            return Err("what answers there is no Tidewire".into());
        }
        bytes.extend_from_slice(&buffer[..read]);
    };
    let mut rest = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes);
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" {
        return Ok(rest);
    }
    // The end of the answer may be missing: what is there says enough.
    let _ = stream.take(PROBLEM_BYTES_MAX).read_to_end(&mut rest);
    let problem: serde_json::Value = serde_json::from_slice(&rest).unwrap_or_default();
    let why = problem["error"]["message"].as_str().unwrap_or_default();
    let why = visible(why, Lines::One);
    Err(format!("the server gives no capture (status {status}): {why}").into())
}

/// The file in pieces as they come, and in whole blocks as they leave.
#[derive(Debug, Default)]
struct Blocks {
    bytes: Vec<u8>,
    counts: Counts,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    packets: u64,
    bytes: u64,
    lost: u64,
}

impl Blocks {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            counts: Counts::default(),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// All blocks that are whole.
    fn take(&mut self) -> io::Result<Vec<u8>> {
        let mut end = 0;
        while let Some((header, rest)) = self.bytes[end..].split_first_chunk::<8>() {
            let [a, b, c, d, length @ ..] = *header;
            let length = u32::from_le_bytes(length) as usize;
            if !(12..=BLOCK_BYTES_MAX).contains(&length) {
                let why = "what the server sends is no capture";
                return Err(io::Error::new(ErrorKind::InvalidData, why));
            }
            // The length stands behind the body once more.
            let Some((body, _)) = rest
                .get(..length - 8)
                .and_then(|rest| rest.split_last_chunk::<4>())
            else {
                break;
            };
            match u32::from_le_bytes([a, b, c, d]) {
                ENHANCED_PACKET => self.counts.packets += 1,
                INTERFACE_STATISTICS => {
                    self.counts.lost = lost_of(body).unwrap_or(self.counts.lost);
                }
                _ => {}
            }
            end += length;
        }
        self.counts.bytes += end as u64;
        Ok(self.bytes.drain(..end).collect())
    }
}

/// What statistics say of what was lost.
fn lost_of(body: &[u8]) -> Option<u64> {
    // Behind the interface and the time.
    let mut options = body.get(12..)?;
    while let Some((header, rest)) = options.split_first_chunk::<4>() {
        let [code @ .., a, b] = *header;
        let length = usize::from(u16::from_le_bytes([a, b]));
        if u16::from_le_bytes(code) == DROPPED {
            return Some(u64::from_le_bytes(rest.get(..8)?.try_into().ok()?));
        }
        options = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn words(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::pcapng;

    #[test]
    fn blocks_leave_whole_however_they_come() {
        let mut file = Vec::new();
        pcapng::begin(&mut file, "");
        pcapng::packet(&mut file, 1, b"abc", ["comment"]);
        pcapng::statistics(&mut file, 2, 5, 7, "why");
        for step in [1, 7, file.len()] {
            let (mut blocks, mut passed) = (Blocks::default(), Vec::new());
            for piece in file.chunks(step) {
                blocks.add(piece);
                passed.extend(blocks.take().unwrap());
            }
            assert_eq!(passed, file);
            let counts = Counts {
                packets: 1,
                bytes: file.len() as u64,
                lost: 7,
            };
            assert_eq!(blocks.counts, counts);
            blocks.add(&file[..20]);
            let taken = blocks.take().unwrap();
            assert!(taken.is_empty(), "a part of a block stays here");
        }
    }

    #[test]
    fn what_is_no_capture_is_told() {
        for bytes in [&b"<html><head>"[..], &[0; 12]] {
            let mut blocks = Blocks::new(bytes.to_vec());
            assert!(blocks.take().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_time_is_a_number_of_seconds_or_has_a_unit() {
        for (text, expected) in [("5", 5), ("5s", 5), ("2m", 120), ("1h", 3600)] {
            assert_eq!(seconds(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for text in ["0", "500ms", "2h", "x", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}

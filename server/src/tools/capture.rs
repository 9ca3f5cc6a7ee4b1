//! `tidewire capture`: what passes over a running server's connections, into a file or a pipe for Wireshark. The server makes the
//! file; this passes on its blocks, whole, so that what is there when it ends is a legal file.
//!
//! Exit codes: 0, the capture ended, by itself or by ^C; 1, the server gives none, or it cannot be written; 2, the words make no
//! sense.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::operator::Operator;
use crate::capture::pcapng::{DROPPED, ENHANCED_PACKET, INTERFACE_STATISTICS, PACKET_BYTES_MAX};
use crate::client::{Answer, is_pause};
use crate::clock::Now;
use crate::config::values::{size, time};
use crate::progress::Progress;

/// How long the server may take to answer; the capture itself brings something every second.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How soon ^C is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
    #[command(flatten)]
    operator: Operator,
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
        let mut answer = self.operator.get(&self.target(), SILENCE_MAX)?;
        let mut out = self.open()?;
        let mut blocks = Blocks::default();
        let ended = self.pass_on(&mut answer, &mut blocks, &mut *out, &is_over);
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

    fn target(&self) -> String {
        let (seconds, bytes) = (self.time.as_secs(), self.bytes);
        let mut target = format!("capture?seconds={seconds}&bytes={bytes}");
        for (name, value) in [
            ("room", &self.room),
            ("user", &self.user),
            ("address", &self.address),
            ("connection", &self.connection),
        ] {
            if let Some(value) = value {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                target.push_str(&format!("&{name}={value}"));
            }
        }
        target
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
        answer: &mut Answer,
        blocks: &mut Blocks,
        out: &mut dyn Write,
        is_over: &AtomicBool,
    ) -> io::Result<()> {
        answer.set_silence(LOOK_EVERY)?;
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
            let read = match answer.read(&mut buffer) {
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
            let mut blocks = Blocks::default();
            blocks.add(bytes);
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

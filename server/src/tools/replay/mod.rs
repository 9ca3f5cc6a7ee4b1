//! `tidewire replay`: feeds the bytes of a capture into the protocol crate, as both ends would, and prints what it makes of them.
//! Captures are ours (`tidewire capture`) or those of tcpdump and Wireshark, where the connection had no TLS.
//!
//! Exit codes: 0, nobody broke the protocol; 1, somebody did, or the file cannot be read; 2, the words make no sense.

mod dialogue;
mod file;
mod frames;
mod stream;
mod told;

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use tidewire_protocol::Side;

use self::dialogue::{Dialogue, Verdict};
use self::file::{Ended, Packet, Segment};
use self::stream::{Brought, Half};
use self::told::{Printer, Told};

/// Connections that are looked at at once.
const CONNECTIONS_MAX: usize = 100_000;

/// What `tidewire capture` notes where it made a handshake up.
const MADE_UP: &str = "made up";

/// How a request begins: who says that is the client.
const METHODS: [&[u8]; 5] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS "];

const HOLE: &str = "bytes are missing in the capture: what follows cannot be read";

/// Tell what the connections in a capture said, and where they broke the protocol
///
/// It reads pcapng and pcap, as `tidewire capture`, tcpdump and Wireshark write them, without TLS. The exit code is 1 if a
/// connection breaks the protocol.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// The capture; `-` is standard input
    file: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Replay {
    /// Prints everything; returns whether nobody broke the protocol.
    ///
    /// # Errors
    /// The file cannot be read, or `out` not be written to.
    pub fn run(&self, out: &mut dyn Write, now: Instant) -> Result<bool, Box<dyn Error>> {
        let shown = self.file.display();
        let file: Box<dyn Read + Send> = if self.file.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            let file = File::open(&self.file);
            Box::new(file.map_err(|error| format!("cannot read {shown}: {error}"))?)
        };
        let mut replay = Replaying::new(Printer::new(out, self.json), now);
        let ended = match file::read(file, |packet| replay.take(&packet)) {
            Err(file::Unreadable::Out(error)) => return Err(error.into()),
            ended => ended,
        };
        // What came before a damage is told all the same.
        let is_well = replay.finish()?;
        match ended {
            Ok(Ended::Whole) => {}
            Ok(Ended::Cut) => eprintln!("tidewire: {shown} ends in the middle of a packet"),
            Err(error) => return Err(format!("cannot read {shown}: {error}").into()),
        }
        Ok(is_well)
    }
}

/// All connections of a file.
struct Replaying<'o> {
    printer: Printer<'o>,
    now: Instant,
    connections: HashMap<[SocketAddr; 2], Connection, foldhash::fast::RandomState>,
    /// How many there were.
    count: u64,
    /// The time of the first packet, and of this one.
    first: Option<u64>,
    time: f64,
    /// Segments of connections whose beginning is not in the file.
    strays: u64,
    is_well: bool,
}

struct Connection {
    number: u64,
    client: SocketAddr,
    from_client: Half,
    from_server: Half,
    dialogue: Dialogue,
}

impl<'o> Replaying<'o> {
    fn new(printer: Printer<'o>, now: Instant) -> Self {
        Self {
            printer,
            now,
            connections: HashMap::default(),
            count: 0,
            first: None,
            time: 0.0,
            strays: 0,
            is_well: true,
        }
    }

    fn take(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let first = *self.first.get_or_insert(packet.time);
        self.time = packet.time.saturating_sub(first) as f64 / 1e9;
        let segment = &packet.segment;
        let mut key = [segment.from, segment.to];
        key.sort_unstable();
        if segment.syn && !segment.ack {
            let is_again = self.connections.get(&key).is_some_and(|old| {
                old.client == segment.from && old.from_client.is_opened_by(segment)
            });
            if !is_again {
                // The ports are used again.
                self.end(&key)?;
            }
        }
        if !self.connections.contains_key(&key) && !self.begin(key, segment)? {
            self.strays += u64::from(!segment.payload.is_empty());
            return Ok(());
        }
        let Some(mut connection) = self.connections.remove(&key) else {
            return Ok(());
        };
        let is_over = self.feed(&mut connection, packet)?;
        self.connections.insert(key, connection);
        if is_over {
            self.end(&key)?;
        }
        Ok(())
    }

    /// Returns whether a connection begins with this segment, as far as the file has it.
    fn begin(&mut self, key: [SocketAddr; 2], segment: &Segment<'_>) -> io::Result<bool> {
        let begins = |start: &[u8]| segment.payload.starts_with(start);
        let (client, server) = match (segment.syn, segment.ack) {
            (true, false) => (segment.from, segment.to),
            (true, true) => (segment.to, segment.from),
            (false, _) if METHODS.iter().any(|method| begins(method)) => (segment.from, segment.to),
            (false, _) => return Ok(false),
        };
        if self.connections.len() >= CONNECTIONS_MAX {
            return Ok(false);
        }
        self.count += 1;
        let connection = Connection {
            number: self.count,
            client,
            from_client: Half::default(),
            from_server: Half::default(),
            dialogue: Dialogue::new(self.now),
        };
        let told = Told::Connection {
            client: client.to_string(),
            server: server.to_string(),
        };
        self.printer.tell(self.count, self.time, &told)?;
        self.connections.insert(key, connection);
        Ok(true)
    }

    /// Returns whether the connection is over.
    fn feed(&mut self, connection: &mut Connection, packet: &Packet<'_>) -> io::Result<bool> {
        let segment = &packet.segment;
        for text in &packet.comments {
            if text.contains(MADE_UP) {
                connection.dialogue.note_made_up();
            }
            let told = Told::Comment { text: text.clone() };
            self.printer.tell(connection.number, self.time, &told)?;
        }
        let sender = if segment.from == connection.client {
            Side::Client
        } else {
            Side::Server
        };
        let mut told = Vec::new();
        let Connection {
            from_client,
            from_server,
            dialogue,
            ..
        } = connection;
        let half = match sender {
            Side::Client => from_client,
            Side::Server => from_server,
        };
        // Where there was no handshake of TCP, a side begins with its first byte.
        if half.is_new() && !segment.syn && segment.payload.is_empty() {
            return Ok(segment.rst);
        }
        let brought = half.take(segment, |bytes| {
            dialogue.take(sender, bytes, &mut told);
            Ok(())
        })?;
        if brought == Brought::Hole {
            dialogue.give_up(HOLE);
        }
        for told in &told {
            self.is_well &= !matches!(told, Told::Error { .. });
            self.printer.tell(connection.number, self.time, told)?;
        }
        let both = connection.from_client.is_ended() && connection.from_server.is_ended();
        Ok(segment.rst || both)
    }

    fn end(&mut self, key: &[SocketAddr; 2]) -> io::Result<()> {
        let Some(mut connection) = self.connections.remove(key) else {
            return Ok(());
        };
        if connection.from_client.has_hole() || connection.from_server.has_hole() {
            connection.dialogue.give_up(HOLE);
        }
        let Verdict { words, is_broken } = connection.dialogue.verdict();
        self.is_well &= !is_broken;
        let told = Told::End {
            verdict: words,
            broken: is_broken,
        };
        self.printer.tell(connection.number, self.time, &told)
    }

    fn finish(mut self) -> io::Result<bool> {
        let mut left: Vec<_> = self.connections.iter().collect();
        left.sort_unstable_by_key(|(_, connection)| connection.number);
        let left: Vec<_> = left.into_iter().map(|(key, _)| *key).collect();
        for key in left {
            self.end(&key)?;
        }
        if self.strays > 0 {
            eprintln!(
                "tidewire: {} packets of connections that began before the capture were left out",
                self.strays
            );
        }
        Ok(self.is_well)
    }
}

#[cfg(test)]
mod tests;

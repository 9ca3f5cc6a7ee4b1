//! Readers of one room, and for a part of the time as many beside them that read a byte a second: what those cost the server
//! in memory, and the others in latency. After a while each of them leaves and comes back, and wants all from the oldest on: so
//! they are served live, from the ring and from the log.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fleet::{Fleet, behind, lost, number};
use crate::process;
use crate::spread::Spread;

const ROOM: &str = "slow";

/// New connections a second of slow readers, of those that come back, too.
const CONNECTS_PER_SECOND: usize = 500;

/// Latencies are taken for each of these parts of the run by itself, by when a message was due.
const PHASES: [&str; 4] = ["before", "coming", "with", "after"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `HOST:PORT` of the server
    address: String,
    /// The server's process, to tell what it uses
    #[arg(long)]
    pid: u32,
    /// Readers that read
    #[arg(long, default_value_t = 1000)]
    readers: usize,
    /// Readers that read a byte a second
    #[arg(long, default_value_t = 1000)]
    slow: usize,
    /// Messages a second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Bytes of a message's content
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Seconds after which a slow reader leaves, and comes back
    #[arg(long, default_value_t = 15)]
    stay: u64,
    /// Seconds without the slow ones, of them coming, with them, and after they have gone
    #[arg(long, value_delimiter = ',', default_values_t = [10, 4, 38, 8])]
    seconds: Vec<u64>,
}

/// A connection that reads a byte a second.
struct Snail {
    number: usize,
    connected: bool,
    reads_at: Instant,
    leaves_at: Instant,
}

struct Room<'a> {
    args: &'a Args,
    fleet: Fleet,
    /// The last message of each reader; the publisher is the first connection.
    seen: Vec<u64>,
    snails: Vec<Snail>,
    /// Those that are to come or to come back.
    coming: VecDeque<usize>,
    connected: u64,
    left: u64,
    started: Instant,
    /// Ends of the phases.
    ends: Vec<Duration>,
    /// Latencies by the second in which a message was due.
    spreads: Vec<Spread>,
    cpu: Vec<Duration>,
    published: u64,
    acked: u64,
    resident: Vec<u64>,
    wrong: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<Value, Box<dyn Error>> {
    if args.seconds.len() != PHASES.len() {
        return Err("four numbers of seconds are needed".into());
    }
    let mut room = Room::connect(args)?;
    room.started = Instant::now();
    room.cpu.push(process::cpu(args.pid));
    for phase in 0..PHASES.len() {
        room.begin(phase);
        while room.started.elapsed() < room.ends[phase] {
            room.turn()?;
        }
        room.cpu.push(process::cpu(args.pid));
    }
    room.finish()?;
    Ok(room.figures())
}

impl<'a> Room<'a> {
    fn connect(args: &'a Args) -> Result<Self, Box<dyn Error>> {
        let mut fleet = Fleet::new(&args.address)?;
        fleet.connect(&format!("userId=publisher&room={ROOM}"))?;
        for index in 0..args.readers {
            fleet.connect(&format!("userId=reader-{index}&room={ROOM}"))?;
        }
        let ends = args.seconds.iter().scan(Duration::ZERO, |end, seconds| {
            *end += Duration::from_secs(*seconds);
            Some(*end)
        });
        let mut room = Self {
            args,
            fleet,
            seen: vec![0; args.readers + 1],
            snails: Vec::new(),
            coming: VecDeque::new(),
            connected: 0,
            left: 0,
            started: Instant::now(),
            ends: ends.collect(),
            spreads: (0..args.seconds.iter().sum())
                .map(|_| Spread::default())
                .collect(),
            cpu: Vec::new(),
            published: 0,
            acked: 0,
            resident: Vec::new(),
            wrong: None,
        };
        let mut joined = 0;
        while joined <= args.readers {
            for number in room.fleet.wait(Duration::from_millis(100))? {
                room.fleet
                    .pump(number, |text| {
                        joined += usize::from(text.starts_with(r#"{"type":"joined""#));
                    })
                    .map_err(|end| lost(number, &end))?;
            }
        }
        Ok(room)
    }

    fn begin(&mut self, phase: usize) {
        eprintln!("   {}", PHASES[phase]);
        match PHASES[phase] {
            "coming" => self.coming = (0..self.args.slow).collect(),
            "after" => self.drop_snails(),
            _ => {}
        }
    }

    fn drop_snails(&mut self) {
        self.coming.clear();
        for snail in std::mem::take(&mut self.snails) {
            self.fleet.forget(snail.number);
        }
    }

    fn turn(&mut self) -> Result<(), Box<dyn Error>> {
        for number in self.fleet.wait(Duration::from_millis(1))? {
            if number < self.seen.len() {
                self.read(number)?;
            } else {
                self.greet(number);
            }
        }
        self.publish_due()?;
        self.connect_due()?;
        self.read_slowly();
        self.show();
        Ok(())
    }

    /// A reader that reads takes what there is, and knows what is next.
    fn read(&mut self, index: usize) -> Result<(), String> {
        let started = self.started;
        let (last, acked) = (&mut self.seen[index], &mut self.acked);
        let (spreads, wrong) = (&mut self.spreads, &mut self.wrong);
        let on_text = |text: &str| {
            if text.starts_with(r#"{"type":"room_msg""#) {
                let content = behind(text, r#""content":""#).unwrap_or_default();
                let (seq, due) = content.split_once(' ').unwrap_or_default();
                let due = Duration::from_micros(number(due).unwrap_or_default());
                if number(seq) != Some(*last + 1) {
                    *wrong = Some(format!("reader {index} expected {}: {text:.80}", *last + 1));
                }
                *last += 1;
                spreads[due.as_secs() as usize].add(started.elapsed().saturating_sub(due));
            } else if text.starts_with(r#"{"type":"ack""#) {
                *acked += 1;
            } else if text.starts_with(r#"{"type":"gap""#) || text.starts_with(r#"{"type":"error""#)
            {
                *wrong = Some(format!("reader {index}: {text}"));
            }
        };
        self.fleet
            .pump(index, on_text)
            .map_err(|end| lost(index, &end))?;
        self.wrong.take().map_or(Ok(()), Err)
    }

    /// A slow reader takes the handshake, which is not what is slow about it; then its buffers fill up.
    fn greet(&mut self, number: usize) {
        let Some(snail) = self.snails.get_mut(number - self.seen.len()) else {
            return;
        };
        if snail.connected {
            return;
        }
        // Without reading it all: the handshake's response has some 130 bytes.
        match self.fleet.pump_some(number, 256, |_| ()) {
            Ok(()) => snail.connected = self.fleet.is_open(number),
            Err(_) => self.coming.push_back(number - self.seen.len()),
        }
    }

    fn read_slowly(&mut self) {
        let now = Instant::now();
        for (index, snail) in self.snails.iter_mut().enumerate() {
            if !snail.connected {
                continue;
            }
            let ended = if snail.leaves_at <= now {
                self.fleet.forget(snail.number);
                true
            } else if snail.reads_at <= now {
                snail.reads_at += Duration::from_secs(1);
                self.fleet.pump_some(snail.number, 1, |_| ()).is_err()
            } else {
                false
            };
            if ended {
                snail.connected = false;
                self.left += 1;
                self.coming.push_back(index);
            }
        }
    }

    fn connect_due(&mut self) -> Result<(), Box<dyn Error>> {
        let coming_since = self.started + self.ends[0];
        let allowed = coming_since.elapsed().as_secs_f64() * CONNECTS_PER_SECOND as f64;
        if self.coming.is_empty() {
            // What was not used is not saved up.
            self.connected = allowed as u64;
        }
        while self.connected < allowed as u64
            && let Some(index) = self.coming.pop_front()
        {
            self.connected += 1;
            let query = format!("userId=slow-{index}&room={ROOM}");
            let number = match self.snails.get(index) {
                None => self.fleet.connect(&query)?,
                Some(snail) => {
                    let again = format!("{query}&since=");
                    self.fleet.reconnect(snail.number, &again)?;
                    snail.number
                }
            };
            if let Some(socket) = self.fleet.socket(number) {
                socket.shrink_receive_buffer();
            }
            let now = Instant::now();
            let snail = Snail {
                number,
                connected: false,
                reads_at: now + Duration::from_secs(1),
                leaves_at: now + Duration::from_secs(self.args.stay),
            };
            match self.snails.get_mut(index) {
                None => self.snails.push(snail),
                Some(place) => *place = snail,
            }
        }
        Ok(())
    }

    fn publish_due(&mut self) -> Result<(), String> {
        loop {
            let due = Duration::from_secs_f64(self.published as f64 / f64::from(self.args.rate));
            if due > self.started.elapsed() || due >= self.ends[PHASES.len() - 1] {
                return Ok(());
            }
            self.published += 1;
            let (seq, micros) = (self.published, due.as_micros());
            let mut content = format!("{seq} {micros} ");
            content.extend(std::iter::repeat_n('x', self.args.bytes - content.len()));
            let text = format!(
                r#"{{"type":"room_msg","roomId":"{ROOM}","seq":{seq},"content":"{content}"}}"#
            );
            if let Some(socket) = self.fleet.socket(0) {
                socket.send(&text);
            }
            self.fleet
                .pump_some(0, 0, |_| ())
                .map_err(|end| lost(0, &end))?;
        }
    }

    /// Waits until everybody who reads has everything.
    fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + Duration::from_secs(30);
        let published = self.published;
        while self.seen[1..].iter().any(|last| *last < published) || self.acked < published {
            if Instant::now() > until {
                let short = self.seen[1..].iter().filter(|last| **last < published);
                return Err(format!("{} readers did not get everything", short.count()).into());
            }
            for number in self.fleet.wait(Duration::from_millis(10))? {
                self.read(number)?;
            }
        }
        Ok(())
    }

    fn show(&mut self) {
        let now = self.started.elapsed().as_secs() as usize;
        if now >= self.resident.len() {
            let resident = process::resident_bytes(self.args.pid);
            self.resident.resize(now + 1, resident);
            let connected = self.snails.iter().filter(|snail| snail.connected).count();
            eprintln!(
                "   {now} s: {} MiB, {connected} slow readers, {} left so far; behind by {}",
                resident >> 20,
                self.left,
                self.published - self.seen[1..].iter().min().copied().unwrap_or_default(),
            );
        }
    }

    fn figures(&mut self) -> Value {
        let mut phases = serde_json::Map::new();
        let mut spreads = std::mem::take(&mut self.spreads).into_iter();
        for (index, name) in PHASES.iter().enumerate() {
            let seconds = self.args.seconds[index];
            let each: Vec<_> = spreads.by_ref().take(seconds as usize).collect();
            let cpu = (self.cpu[index + 1] - self.cpu[index]).as_secs_f64() / seconds as f64;
            let figures = json!({
                "milliseconds": Spread::figures_of_seconds(each),
                "cpu": cpu,
            });
            phases.insert((*name).to_owned(), figures);
        }
        json!({
            "published": self.published,
            "left": self.left,
            "phases": phases,
            "residentBytes": self.resident,
        })
    }
}

//! Publishers, each in a room of its own with nobody else in it: what is measured is keeping messages, not showing them.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fleet::{Fleet, behind, lost, number};
use crate::spread::Spread;

/// What is not counted: buffers grow, files begin.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `HOST:PORT` of the server
    address: String,
    /// Connections
    #[arg(long, default_value_t = 100)]
    publishers: usize,
    /// Messages of a connection that wait for their acks; the most, with --rate
    #[arg(long, default_value_t = 64)]
    window: usize,
    /// Bytes of a message's content
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Messages a second, of all together; without it, as many as are acknowledged
    #[arg(long)]
    rate: Option<u32>,
    /// How long to measure
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

struct Publisher {
    joined: bool,
    /// Numbers of the messages that wait, and since when.
    waiting: VecDeque<(u64, Instant)>,
    next: u64,
    /// A message up to its number, and from there on.
    parts: (String, String),
}

struct Load<'a> {
    args: &'a Args,
    fleet: Fleet,
    publishers: Vec<Publisher>,
    started: Instant,
    /// Messages that were due so far, with a rate.
    due: u64,
    /// How long acks took, by the second in which they came.
    spreads: Vec<Spread>,
    acked: u64,
    shown: (u64, u64),
}

pub(crate) fn run(args: &Args) -> Result<Value, Box<dyn Error>> {
    let mut load = Load::connect(args)?;
    load.started = Instant::now();
    let end = WARM_UP + Duration::from_secs(args.seconds);
    for number in 0..load.publishers.len() {
        load.go_on(number)?;
    }
    while load.started.elapsed() < end {
        for number in load.fleet.wait(load.time_to_wait())? {
            load.go_on(number)?;
        }
        load.send_due()?;
        load.show();
    }
    Ok(json!({
        "acked": load.acked,
        "perSecond": load.acked as f64 / args.seconds as f64,
        "milliseconds": Spread::figures_of_seconds(load.spreads),
    }))
}

impl<'a> Load<'a> {
    fn connect(args: &'a Args) -> Result<Self, Box<dyn Error>> {
        let mut fleet = Fleet::new(&args.address)?;
        let mut publishers = Vec::new();
        let content = "x".repeat(args.bytes);
        for index in 0..args.publishers {
            fleet.connect(&format!("userId=publisher-{index}&room=load-{index}"))?;
            publishers.push(Publisher {
                joined: false,
                waiting: VecDeque::new(),
                next: 1,
                parts: (
                    format!(r#"{{"type":"room_msg","roomId":"load-{index}","seq":"#),
                    format!(r#","content":"{content}"}}"#),
                ),
            });
        }
        let started = Instant::now();
        let mut load = Self {
            args,
            fleet,
            publishers,
            started,
            due: 0,
            spreads: (0..args.seconds).map(|_| Spread::default()).collect(),
            acked: 0,
            shown: (0, 0),
        };
        while !load.publishers.iter().all(|publisher| publisher.joined) {
            for number in load.fleet.wait(Duration::from_millis(100))? {
                load.read(number)?;
            }
        }
        Ok(load)
    }

    /// Takes acks, and sends what there is room for.
    fn go_on(&mut self, number: usize) -> Result<(), Box<dyn Error>> {
        self.read(number)?;
        if self.args.rate.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        // Refilled by halves, so that messages leave several at once.
        if self.publishers[number].waiting.len() <= self.args.window / 2 {
            while self.publishers[number].waiting.len() < self.args.window {
                self.send(number, now);
            }
            self.flush(number)?;
        }
        Ok(())
    }

    /// Sends what a rate makes due; each waits from when it was due, not from when it could be sent.
    fn send_due(&mut self) -> Result<(), Box<dyn Error>> {
        let Some(rate) = self.args.rate else {
            return Ok(());
        };
        loop {
            let due = self.started + Duration::from_secs_f64(self.due as f64 / f64::from(rate));
            if due > Instant::now() {
                return Ok(());
            }
            let number = (self.due % self.publishers.len() as u64) as usize;
            if self.publishers[number].waiting.len() >= self.args.window {
                return Ok(());
            }
            self.due += 1;
            self.send(number, due);
            self.flush(number)?;
        }
    }

    fn send(&mut self, number: usize, since: Instant) {
        let publisher = &mut self.publishers[number];
        let seq = publisher.next;
        publisher.next += 1;
        publisher.waiting.push_back((seq, since));
        let text = format!("{}{seq}{}", publisher.parts.0, publisher.parts.1);
        if let Some(socket) = self.fleet.socket(number) {
            socket.send(&text);
        }
    }

    fn flush(&mut self, number: usize) -> Result<(), String> {
        self.fleet
            .pump_some(number, 0, |_| ())
            .map_err(|end| lost(number, &end))
    }

    fn read(&mut self, index: usize) -> Result<(), String> {
        let publisher = &mut self.publishers[index];
        let from = self.started + WARM_UP;
        let (spreads, count, mut wrong) = (&mut self.spreads, &mut self.acked, None);
        let on_text = |text: &str| {
            let now = Instant::now();
            if text.starts_with(r#"{"type":"ack""#) {
                let acked = behind(text, r#""seq":"#).and_then(number);
                match publisher.waiting.pop_front() {
                    Some((seq, since)) if acked == Some(seq) => {
                        let second = now.checked_duration_since(from);
                        let second = second.map(|after| after.as_secs() as usize);
                        if let Some(spread) = second.and_then(|second| spreads.get_mut(second)) {
                            *count += 1;
                            spread.add(now - since);
                        }
                    }
                    other => wrong = Some(format!("waiting for {other:?}: {text}")),
                }
            } else if text.starts_with(r#"{"type":"joined""#) {
                publisher.joined = true;
            } else if text.starts_with(r#"{"type":"error""#) {
                wrong = Some(text.to_owned());
            }
        };
        self.fleet
            .pump(index, on_text)
            .map_err(|end| lost(index, &end))?;
        wrong.map_or(Ok(()), Err)
    }

    fn time_to_wait(&self) -> Duration {
        // A message is due before the poll could tell so precisely.
        Duration::from_millis(if self.args.rate.is_some() { 1 } else { 100 })
    }

    fn show(&mut self) {
        let (second, before) = self.shown;
        let now = self.started.elapsed().as_secs();
        if now > second {
            self.shown = (now, self.acked);
            eprintln!("   {now} s: {} acks", self.acked - before);
        }
    }
}

//! A crowd: clients that come, one after the other or at a rate, stay, and do what lines on the standard input say. Each
//! answer is a line of JSON; the first one tells how they came.
//!
//! `ping`: each sends a ping and gets its pong. `say TEXT`: the first sends the text, each other gets it, once. The server's
//! own pings are answered all the time; the crowd leaves when the input ends.

mod client;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use self::client::{Client, Heard, Step};
use crate::frame;
use crate::histogram::Histogram;
use crate::net::{self, Poll};
use crate::{Target, meter};

/// The number of the standard input among the sockets.
const INPUT: usize = usize::MAX >> 1;

/// What a ping says, and its pong.
const PING: &[u8] = b"are you there";

/// Who has not come, or not answered, so long after the last one was due is lost.
const PATIENCE: u64 = 20_000_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// How many come in a second, whatever becomes of them; without it, a new one when few are on their way
    #[arg(long)]
    rate: Option<f64>,
    /// How many are on their way at most, without a rate
    #[arg(long, default_value_t = 64)]
    at_once: usize,
    /// One has come when it has its first message, as the chat's `welcome`
    #[arg(long)]
    welcome: bool,
    /// Leave at once, and take no orders
    #[arg(long)]
    leave: bool,
}

pub(crate) fn run(options: &Options) -> Result<Value> {
    drop(net::open_first(&options.target)?);
    let mut crowd = Crowd {
        options,
        poll: Poll::new()?,
        clients: Vec::with_capacity(options.connections),
        upgrade: frame::upgrade(&options.target.path, frame::Offer::default()),
        on_their_way: 0,
        come: 0,
        lost: BTreeMap::new(),
        latency: Histogram::new(),
        text: None,
        heard: 0,
    };
    let figures = crowd.gather()?;
    if options.leave {
        return Ok(figures);
    }
    ensure!(crowd.lost.is_empty(), "some were lost: {figures}");
    tell(&figures)?;
    crowd.obey()?;
    Ok(json!({ "left": crowd.clients.len() }))
}

fn tell(figures: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{figures}")?;
    out.flush().context("nobody listens")
}

struct Crowd<'a> {
    options: &'a Options,
    poll: Poll,
    clients: Vec<Client>,
    upgrade: Vec<u8>,
    on_their_way: usize,
    come: usize,
    /// How many did not come, by what happened to them.
    lost: BTreeMap<String, usize>,
    latency: Histogram,
    /// What all are to hear, if something was said, or a ping's pong.
    text: Option<Vec<u8>>,
    heard: usize,
}

impl Crowd<'_> {
    /// Lets all come.
    fn gather(&mut self) -> Result<Value> {
        let (begin, mut buffer) = (meter::now(), vec![0; 16 << 10]);
        let wanted = self.options.connections;
        let (mut last, mut told) = (begin, 0);
        while self.come + self.lost() < wanted {
            let wait = self.start_what_is_due(begin)?;
            let before = self.come;
            self.turn(wait, &mut buffer)?;
            let now = meter::now();
            if self.come != before {
                last = now;
            }
            if now > last + PATIENCE {
                let late = wanted - self.come - self.lost();
                self.lost.insert("no answer".to_owned(), late);
            }
            if self.come / 5000 != told {
                told = self.come / 5000;
                eprintln!("{} of {wanted} are there", self.come);
            }
        }
        Ok(json!({
            "come": self.come,
            "lost": self.lost,
            "seconds": (last - begin) as f64 / 1e9,
            "latency_us": self.latency.to_json(),
        }))
    }

    fn lost(&self) -> usize {
        self.lost.values().sum()
    }

    /// Returns how long it is until the next one.
    fn start_what_is_due(&mut self, begin: u64) -> Result<u64> {
        const LONG: u64 = 100_000_000;
        while self.clients.len() < self.options.connections {
            let now = meter::now();
            let since = match self.options.rate {
                None if self.on_their_way >= self.options.at_once => return Ok(LONG),
                None => now,
                Some(rate) => begin + (self.clients.len() as f64 / rate * 1e9) as u64,
            };
            if since > now {
                return Ok(since - now);
            }
            let number = self.clients.len();
            let socket = net::connect(&self.options.target, number)?;
            self.poll.add(&socket, number, true)?;
            self.clients.push(Client::new(socket, since));
            self.on_their_way += 1;
        }
        Ok(LONG)
    }

    /// Waits for something and sees to it; returns whether there is a line to read.
    fn turn(&mut self, wait: u64, buffer: &mut [u8]) -> Result<bool> {
        let mut is_asked = false;
        for index in 0..self.poll.wait(wait)? {
            let number = self.poll.ready(index).number;
            if number == INPUT {
                is_asked = true;
                continue;
            }
            if let Err(error) = self.serve(number, buffer) {
                self.lose(number, &error)?;
            }
        }
        Ok(is_asked)
    }

    /// One on its way may be refused; one that had come may not be sent away.
    fn lose(&mut self, number: usize, error: &anyhow::Error) -> Result<()> {
        let client = &mut self.clients[number];
        let told = format!("{error:#}");
        ensure!(
            client.step != Step::There,
            "connection {number} was lost: {told}"
        );
        if client.step != Step::Lost {
            client.step = Step::Lost;
            self.poll.remove(&client.socket)?;
            self.on_their_way -= 1;
            *self.lost.entry(told).or_default() += 1;
        }
        Ok(())
    }

    fn serve(&mut self, number: usize, buffer: &mut [u8]) -> Result<()> {
        let client = &mut self.clients[number];
        if client.step == Step::Connecting {
            client.ask(&self.upgrade)?;
            return self.poll.change(&client.socket, number, false);
        }
        let before = client.step;
        let heard = client.read(buffer, self.options.welcome, self.text.as_deref())?;
        if before != client.step && client.step == Step::There {
            self.latency.add(meter::now().saturating_sub(client.since));
            self.on_their_way -= 1;
            self.come += 1;
        }
        if heard == Heard::It {
            self.heard += 1;
        }
        Ok(())
    }

    /// Does what lines say until there are no more.
    fn obey(&mut self) -> Result<()> {
        let input = std::io::stdin();
        self.poll.add(&input, INPUT, false)?;
        let mut buffer = vec![0; 64 << 10];
        let mut orders = Vec::new();
        loop {
            if !self.turn(1_000_000_000, &mut buffer)? {
                continue;
            }
            let count = input.lock().read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            orders.extend_from_slice(&buffer[..count]);
            while let Some(end) = orders.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = orders.drain(..=end).collect();
                let line = String::from_utf8(line)?;
                tell(&self.order(line.trim_end(), &mut buffer)?)?;
            }
        }
    }

    fn order(&mut self, line: &str, buffer: &mut [u8]) -> Result<Value> {
        let all = self.clients.len();
        let mut frame = Vec::new();
        let (speakers, listeners) = match line.strip_prefix("say ") {
            Some(text) => {
                frame::push(
                    &mut frame,
                    frame::TEXT,
                    false,
                    text.as_bytes(),
                    frame::key(2),
                );
                self.text = Some(content(text.as_bytes()).to_vec());
                // Who speaks does not hear itself.
                (0..1, 1..all)
            }
            None => {
                ensure!(line == "ping", "no such order: {line}");
                frame::push(&mut frame, frame::PING, false, PING, frame::key(1));
                self.text = Some(PING.to_vec());
                (0..all, 0..all)
            }
        };
        let begin = meter::now();
        self.heard = 0;
        for client in &mut self.clients[listeners.clone()] {
            client.awaits = true;
        }
        for client in &self.clients[speakers] {
            let sent = net::send(&client.socket, &frame)?;
            ensure!(sent == frame.len(), "an empty socket is full");
        }
        while self.heard < listeners.len() {
            self.turn(1_000_000_000, buffer)?;
            let waited = meter::now() - begin;
            ensure!(waited < PATIENCE, "only {} of {all} heard it", self.heard);
        }
        let seconds = (meter::now() - begin) as f64 / 1e9;
        self.text = None;
        Ok(json!({ "heard": self.heard, "seconds": seconds }))
    }
}

/// What of a message comes to the others: in the chat's JSON that is its content.
fn content(said: &[u8]) -> &[u8] {
    match memchr::memmem::find(said, b"\"content\":") {
        Some(begin) => said[begin..].strip_suffix(b"}").unwrap_or(&said[begin..]),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_hear_the_content() {
        assert_eq!(content(b"hello"), b"hello");
        let said = br#"{"type":"room_msg","roomId":"r","content":"a}b"}"#;
        assert_eq!(content(said), br#""content":"a}b""#);
    }
}

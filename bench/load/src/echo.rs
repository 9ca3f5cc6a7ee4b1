//! Echo: what a connection sends comes back to it. Every reply is compared with what was sent, byte for byte.

mod reply;
mod requests;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use self::reply::Replies;
use self::requests::Requests;
use crate::content::Kind;
use crate::histogram::Histogram;
use crate::net::{self, Poll};
use crate::schedule::{Due, Schedule};
use crate::window::{Load, Times, Window};
use crate::{Target, meter};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    times: Times,
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// Bytes of a message
    #[arg(long, default_value_t = 125)]
    bytes: usize,
    #[arg(long, value_enum, default_value_t = Kind::Binary)]
    kind: Kind,
    /// Closed loop: messages in flight on each connection
    #[arg(long, default_value_t = 1)]
    depth: u64,
    /// Open loop: messages a second on all connections together
    #[arg(long)]
    rate: Option<f64>,
    /// Compress each message by itself
    #[arg(long)]
    deflate: bool,
    /// The server is the limit, which answers with dots
    #[arg(long, conflicts_with = "deflate")]
    dots: bool,
}

/// One connection.
struct Connection {
    socket: OwnedFd,
    /// Messages that may have been sent by now, and the bytes that have been.
    allowed: u64,
    sent: u64,
    /// Whether an event tells when the socket takes more.
    is_full: bool,
    replies: Replies,
    /// When those in flight were sent, or due; empty if latency is not measured.
    since: VecDeque<u64>,
}

pub(crate) fn run(options: &Options) -> Result<Value> {
    ensure!(
        options.depth > 0 && options.connections > 0,
        "nothing to do"
    );
    drop(net::open_first(&options.target)?);
    Echo::connect(options)?.run(options)
}

struct Echo {
    requests: Requests,
    poll: Poll,
    connections: Vec<Connection>,
    latency: Histogram,
    /// Deep queues have the latency of their depth, which says nothing.
    is_timed: bool,
    answered: u64,
    schedule: Option<Schedule>,
}

impl Echo {
    fn connect(options: &Options) -> Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..options.connections).map(|number| {
            let (socket, rest) = net::open(&options.target, number, options.deflate)
                .with_context(|| format!("connection {number}"))?;
            ensure!(rest.is_empty(), "the server spoke first");
            poll.add(&socket, number, false)?;
            Ok(Connection {
                socket,
                allowed: 0,
                sent: 0,
                is_full: false,
                replies: Replies::default(),
                since: VecDeque::new(),
            })
        });
        let connections = connections.collect::<Result<_>>()?;
        Ok(Self {
            requests: Requests::new(
                options.kind,
                options.bytes,
                options.depth,
                options.deflate,
                options.dots,
            )?,
            poll,
            connections,
            latency: Histogram::new(),
            is_timed: options.depth == 1 || options.rate.is_some(),
            answered: 0,
            schedule: options.rate.map(Schedule::new),
        })
    }

    fn run(mut self, options: &Options) -> Result<Value> {
        if self.schedule.is_none() {
            let now = meter::now();
            for number in 0..self.connections.len() {
                self.allow(number, options.depth, now)?;
            }
        }
        let window = Window::run(options.target.pid, &options.times, &mut self)?;
        let latency = self.is_timed.then(|| self.latency.to_json());
        window.close(self.answered, json!({ "latency_us": latency }))
    }

    /// Open loop: sends all that is due by now; returns how long it is until the next.
    fn send_what_is_due(&mut self) -> Result<u64> {
        let now = meter::now();
        while let Some(schedule) = &mut self.schedule {
            match schedule.next(now) {
                Due::In(nanoseconds) => return Ok(nanoseconds),
                Due::Now { number, since } => {
                    self.allow(number % self.connections.len(), 1, since)?;
                }
            }
        }
        Ok(1_000_000_000)
    }

    fn allow(&mut self, number: usize, messages: u64, since: u64) -> Result<()> {
        let connection = &mut self.connections[number];
        connection.allowed += messages;
        if self.is_timed {
            (0..messages).for_each(|_| connection.since.push_back(since));
        }
        if !connection.is_full && !connection.send(&self.requests)? {
            self.set_full(number, true)?;
        }
        Ok(())
    }

    fn set_full(&mut self, number: usize, is_full: bool) -> Result<()> {
        let connection = &mut self.connections[number];
        connection.is_full = is_full;
        self.poll.change(&connection.socket, number, is_full)
    }

    fn serve(&mut self, index: usize, buffer: &mut [u8]) -> Result<()> {
        let ready = self.poll.ready(index);
        let connection = &mut self.connections[ready.number];
        if ready.writable && connection.send(&self.requests)? {
            self.set_full(ready.number, false)?;
        }
        if !ready.readable {
            return Ok(());
        }
        let connection = &mut self.connections[ready.number];
        let Some(received) = net::receive(&connection.socket, buffer)? else {
            return Ok(());
        };
        ensure!(received > 0, "the server closed a connection");
        let before = connection.replies.complete;
        connection
            .replies
            .take(&buffer[..received], &mut self.requests)?;
        let complete = connection.replies.complete - before;
        self.answered += complete;
        ensure!(
            connection.replies.complete <= connection.allowed,
            "more replies than messages"
        );
        if complete == 0 {
            return Ok(());
        }
        let now = if self.is_timed { meter::now() } else { 0 };
        for since in connection
            .since
            .drain(..(complete as usize).min(connection.since.len()))
        {
            self.latency.add(now.saturating_sub(since));
        }
        match self.schedule {
            None => self.allow(ready.number, complete, now),
            Some(_) => Ok(()),
        }
    }
}

impl Load for Echo {
    fn counts(&self) -> (u64, u64) {
        (self.answered, self.answered)
    }

    fn forget(&mut self) {
        self.answered = 0;
        self.latency.clear();
    }

    fn turn(&mut self, buffer: &mut [u8]) -> Result<()> {
        let wait = self.send_what_is_due()?;
        for index in 0..self.poll.wait(wait)? {
            self.serve(index, buffer)?;
        }
        Ok(())
    }
}

impl Connection {
    /// Sends what is allowed; false if the socket takes no more.
    fn send(&mut self, requests: &Requests) -> Result<bool> {
        let end = requests.position(self.allowed);
        while self.sent < end {
            let bytes = requests.slice(self.sent, end);
            let sent = net::send(&self.socket, bytes)?;
            self.sent += sent as u64;
            if sent < bytes.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

//! Idle connections: the server's resident memory as they become more, and after each has said something.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Target;
use crate::content::Kind;
use crate::dialect::Dialect;
use crate::frame::{self, Header};
use crate::meter::Meter;
use crate::net::{self, Poll};

/// How often on the way up memory is looked at.
const STEPS: usize = 9;

/// What a server has to say to who comes is over after this long without any of it.
const SETTLED: u64 = 300_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[arg(long, default_value_t = 9000)]
    connections: usize,
    /// Agree on compression
    #[arg(long)]
    deflate: bool,
    #[command(flatten)]
    dialect: Dialect,
    /// At the end let each echo so many bytes, and look again
    #[arg(long)]
    touch: Option<usize>,
}

pub(crate) fn run(options: &Options) -> Result<Value> {
    ensure!(
        options.connections >= STEPS,
        "too few to say what one costs"
    );
    // The first one brings in code and what is made once; it stays, since to be the last to leave costs, too.
    let offer = options.dialect.offer(false);
    let (first, _) = net::open_first_at(&options.target, &options.target.path, offer)?;
    options.dialect.greet(&first, 0)?;
    let poll = Poll::new()?;
    let mut sockets = vec![first];
    poll.add(&sockets[0], 0, false)?;
    let mut buffer = vec![0; net::BUFFER];
    if let Some(bytes) = options.touch {
        echo(&sockets[0], bytes, &mut buffer)?;
    }
    let mut idle = Idle {
        meter: Meter::of(options.target.pid),
        poll,
        buffer,
    };
    let base = idle.settled(&sockets)?;
    let mut points = vec![(0, base)];
    for step in 1..=STEPS {
        let wanted = 1 + options.connections * step / STEPS;
        let offer = options.dialect.offer(options.deflate);
        for number in sockets.len()..wanted {
            let (socket, _) = net::open_at(&options.target, &options.target.path, number, offer)
                .with_context(|| format!("connection {number}"))?;
            options.dialect.greet(&socket, number)?;
            idle.poll.add(&socket, number, false)?;
            sockets.push(socket);
        }
        points.push((wanted - 1, idle.settled(&sockets)?));
    }
    let each = |bytes: u64| bytes.saturating_sub(base) as f64 / options.connections as f64;
    let silent = idle.silent_busy()?;
    let mut figures = json!({
        "count": options.connections,
        "base_bytes": base,
        "bytes_each": each(points[STEPS].1),
        "points": points,
        "server_busy_silent": silent,
    });
    if let Some(bytes) = options.touch {
        for socket in &sockets[1..] {
            echo(socket, bytes, &mut idle.buffer)?;
        }
        figures["touched_bytes_each"] = json!(each(idle.settled(&sockets)?));
    }
    Ok(figures)
}

struct Idle {
    meter: Meter,
    poll: Poll,
    buffer: Vec<u8>,
}

impl Idle {
    /// Memory when all has been read that came.
    fn settled(&mut self, sockets: &[OwnedFd]) -> Result<u64> {
        loop {
            let count = self.poll.wait(SETTLED)?;
            if count == 0 {
                return self.meter.resident();
            }
            for index in 0..count {
                let number = self.poll.ready(index).number;
                let received = net::receive(&sockets[number], &mut self.buffer)?;
                ensure!(received != Some(0), "the server closed connection {number}");
            }
        }
    }

    /// The part of a processor that all of them take while they say nothing.
    fn silent_busy(&self) -> Result<f64> {
        let before = self.meter.run_time();
        std::thread::sleep(Duration::from_secs(1));
        Ok((self.meter.run_time() - before).as_secs_f64())
    }
}

/// Sends a message and waits until as much has come back.
fn echo(socket: &OwnedFd, bytes: usize, buffer: &mut [u8]) -> Result<()> {
    let mut request = Vec::new();
    let content = Kind::Binary.make(bytes, 0);
    frame::push(&mut request, frame::BINARY, false, &content, frame::key(1));
    let mut unsent = &request[..];
    let mut reply = Vec::new();
    while !is_whole(&reply)? {
        if !unsent.is_empty() {
            unsent = &unsent[net::send(socket, unsent)?..];
        }
        let received = net::receive(socket, buffer)?;
        ensure!(received != Some(0), "the server closed a connection");
        reply.extend_from_slice(&buffer[..received.unwrap_or(0)]);
    }
    Ok(())
}

fn is_whole(frame: &[u8]) -> Result<bool> {
    let header = Header::parse(frame)?;
    Ok(header.is_some_and(|header| frame.len() >= header.len + header.payload))
}

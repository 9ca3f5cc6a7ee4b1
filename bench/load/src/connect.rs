//! Connecting: open, upgrade, close as RFC 6455 has it, and again.

use std::os::fd::OwnedFd;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::frame::{self, Header};
use crate::histogram::Histogram;
use crate::net::{self, Poll};
use crate::window::{Load, Times, Window};
use crate::{Target, meter};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    times: Times,
    /// How many connect at the same time
    #[arg(long, default_value_t = 50)]
    connections: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Connecting,
    Upgrading,
    Closing,
}

struct Client {
    socket: OwnedFd,
    step: Step,
    since: u64,
    received: Vec<u8>,
}

struct Connect<'a> {
    options: &'a Options,
    poll: Poll,
    clients: Vec<Client>,
    upgrade: Vec<u8>,
    close: Vec<u8>,
    begun: usize,
    complete: u64,
    latency: Histogram,
}

pub(crate) fn run(options: &Options) -> Result<Value> {
    drop(net::open_first(&options.target)?);
    let mut close = Vec::new();
    frame::push(
        &mut close,
        frame::CLOSE,
        false,
        &1000_u16.to_be_bytes(),
        frame::key(1),
    );
    let mut connect = Connect {
        options,
        poll: Poll::new()?,
        clients: Vec::new(),
        upgrade: frame::upgrade(&options.target.path, frame::Offer::default()),
        close,
        begun: 0,
        complete: 0,
        latency: Histogram::new(),
    };
    for number in 0..options.connections {
        let client = connect.begin(number)?;
        connect.clients.push(client);
    }
    let window = Window::run(options.target.pid, &options.times, &mut connect)?;
    let latency = connect.latency.to_json();
    window.close(connect.complete, json!({ "latency_us": latency }))
}

impl Load for Connect<'_> {
    fn counts(&self) -> (u64, u64) {
        (self.complete, self.complete)
    }

    fn forget(&mut self) {
        self.complete = 0;
        self.latency.clear();
    }

    fn turn(&mut self, buffer: &mut [u8]) -> Result<()> {
        for index in 0..self.poll.wait(1_000_000_000)? {
            self.serve(self.poll.ready(index).number, buffer)?;
        }
        Ok(())
    }
}

impl Connect<'_> {
    fn begin(&mut self, number: usize) -> Result<Client> {
        let socket = net::connect(&self.options.target, self.begun)?;
        self.begun += 1;
        self.poll.add(&socket, number, true)?;
        Ok(Client {
            socket,
            step: Step::Connecting,
            since: meter::now(),
            received: Vec::new(),
        })
    }

    fn serve(&mut self, number: usize, buffer: &mut [u8]) -> Result<()> {
        let client = &mut self.clients[number];
        if client.step == Step::Connecting {
            let sent = net::send(&client.socket, &self.upgrade)?;
            ensure!(sent == self.upgrade.len(), "an empty socket is full");
            client.step = Step::Upgrading;
            return self.poll.change(&client.socket, number, false);
        }
        match net::receive(&client.socket, buffer)? {
            None => return Ok(()),
            Some(0) => bail!("closed before it was time"),
            Some(received) => client.received.extend_from_slice(&buffer[..received]),
        }
        if client.step == Step::Upgrading {
            let Some(end) = frame::accepted(&client.received, frame::Offer::default())? else {
                return Ok(());
            };
            client.received.drain(..end);
            self.latency.add(meter::now() - client.since);
            ensure!(
                net::send(&client.socket, &self.close)? == self.close.len(),
                "an empty socket is full"
            );
            client.step = Step::Closing;
        }
        let Some(header) = Header::parse(&client.received)? else {
            return Ok(());
        };
        ensure!(header.opcode == frame::CLOSE, "no close frame");
        if client.received.len() >= header.len + header.payload {
            self.clients[number] = self.begin(number)?;
            self.complete += 1;
        }
        Ok(())
    }
}

//! `load echo|fanout|idle|connect|crowd|rooms|fill ADDRESS …`: keeps a WebSocket server busy from one thread, checks every reply, and prints
//! one line of JSON with what it cost the server, by the kernel's own account of its run time.
//!
//! It has to cost less than what it measures: frames are made before the clock starts, headers are parsed by hand, a reply
//! is compared with what is expected where it lies. What it waits for is a closed loop (`--depth`: so many messages are in
//! flight) or an open one (`--rate`: messages are due at fixed times, and their latency counts from when they were due,
//! also if the load itself was late).

mod connect;
mod content;
mod crowd;
mod deflate;
mod dialect;
mod echo;
mod fanout;
mod fill;
mod frame;
mod histogram;
mod idle;
mod meter;
mod net;
mod rooms;
mod schedule;
mod window;

use std::net::SocketAddrV4;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Every connection has messages in flight, and each comes back
    Echo(echo::Options),
    /// One room: what a publisher says comes to every follower
    Fanout(fanout::Options),
    /// Many connections that say nothing: what they cost in memory
    Idle(idle::Options),
    /// Connecting, upgrading and closing, over and over
    Connect(connect::Options),
    /// Clients that come, stay, and do what they are told
    Crowd(crowd::Options),
    /// Many rooms of the chat with two in each
    Rooms(rooms::Options),
    /// Messages for a room of the chat to keep
    Fill(fill::Options),
}

/// What every mode needs.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The server
    address: SocketAddrV4,
    /// Path and query of the handshake
    #[arg(long, default_value = "/")]
    path: String,
    /// The server's process; children count, too
    #[arg(long)]
    pid: u32,
    /// The processor to run on
    #[arg(long)]
    cpu: Option<usize>,
    /// How many loopback addresses connections come from: one has too few ports for many
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=250))]
    sources: u8,
}

fn main() -> ExitCode {
    let told = match run(&Cli::parse().mode) {
        Ok(figures) => figures,
        Err(error) => json!({ "error": format!("{error:#}") }),
    };
    println!("{told}");
    match told.get("error") {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    }
}

fn run(mode: &Mode) -> Result<Value> {
    let target = match mode {
        Mode::Echo(options) => &options.target,
        Mode::Fanout(options) => &options.target,
        Mode::Idle(options) => &options.target,
        Mode::Connect(options) => &options.target,
        Mode::Crowd(options) => &options.target,
        Mode::Rooms(options) => &options.target,
        Mode::Fill(options) => &options.target,
    };
    net::pin(target.cpu)?;
    match mode {
        Mode::Echo(options) => echo::run(options),
        Mode::Fanout(options) => fanout::run(options),
        Mode::Idle(options) => idle::run(options),
        Mode::Connect(options) => connect::run(options),
        Mode::Crowd(options) => crowd::run(options),
        Mode::Rooms(options) => rooms::run(options),
        Mode::Fill(options) => fill::run(options),
    }
}

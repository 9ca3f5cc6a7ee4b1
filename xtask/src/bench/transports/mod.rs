//! `cargo xtask bench transports`: one room, and what it costs the server to bring a message to a follower, over each of its
//! transports; beside Mosquitto, which is MQTT's usual broker, and socket.io on Node.

mod page;
mod subjects;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use self::subjects::{ALL, Subject};
use super::arena::Arena;
use super::load::{median, number};
use super::servers::node;
use super::stage::{self, Data, built, figures, free_port};
use super::{home, provenance, save};
use crate::setup::unpacked;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How often everything is run, in turns; medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that are measured in a run
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// Only these, as `limit,mqtt,mosquitto`; then nothing is written
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Do not write the page
    #[arg(long)]
    dry: bool,
}

/// A row of the table: followers are a thousand in each.
#[derive(Debug, Clone, Copy)]
struct Cell {
    name: &'static str,
    /// Of what a message says.
    bytes: usize,
    /// Messages of the one publisher that are in flight.
    depth: usize,
}

const FOLLOWERS: usize = 1000;

/// How often a run is begun before its failure is that of all.
const TRIES_MAX: usize = 3;

/// With one in flight each delivery is a system call; with sixteen a follower gets several by one.
const CELLS: [Cell; 4] = [
    Cell {
        name: "125 B, 1 in flight",
        bytes: 125,
        depth: 1,
    },
    Cell {
        name: "125 B, 16 in flight",
        bytes: 125,
        depth: 16,
    },
    Cell {
        name: "1 KiB, 1 in flight",
        bytes: 1024,
        depth: 1,
    },
    Cell {
        name: "1 KiB, 16 in flight",
        bytes: 1024,
        depth: 16,
    },
];

/// All that was measured of one subject in one cell.
struct Measured {
    cell: Cell,
    subject: Subject,
    /// Microseconds of the server for a delivery, in each round.
    costs: Vec<f64>,
    /// Bytes that a follower received for one, in each round.
    bytes: Vec<f64>,
}

/// The command.
pub(super) fn run(args: &Args) -> Result<()> {
    ensure!(
        args.rounds > 0 && args.seconds > 0.0,
        "at least one round of some time"
    );
    let subjects = wanted(&args.only)?;
    build(&subjects)?;
    let arena = Arena::open()?;
    let measured = measure(args, &arena, &subjects)?;
    let versions: Vec<_> = subjects.iter().filter_map(|one| one.version()).collect();
    let about = format!(
        "{} Run {}; medians of {} rounds of {} s a run. Peers: {}.",
        provenance()?,
        arena.about(),
        args.rounds,
        args.seconds,
        versions.join(", ")
    );
    let page = page::of(&measured, &about);
    println!("\n{page}");
    if args.dry || !args.only.is_empty() {
        return Ok(());
    }
    let folder = home().join("results");
    save(&folder.join("transports.md"), &page)?;
    let cells: Vec<_> = measured.iter().map(Measured::to_json).collect();
    let all = json!({ "about": about, "unit": "µs of the server's processor for a delivery", "cells": cells });
    // A line for each: a change is seen in a diff.
    let text = serde_json::to_string(&all)?.replace("{\"bytes_each\":", "\n{\"bytes_each\":");
    save(&folder.join("transports.json"), &(text + "\n"))
}

/// Those that were named, or all.
fn wanted(names: &[String]) -> Result<Vec<Subject>> {
    let all = ALL.map(Subject::name);
    if let Some(name) = names.iter().find(|name| !all.contains(&name.as_str())) {
        bail!("there is no {name}; there are: {}", all.join(", "));
    }
    let is_wanted = |one: &Subject| names.is_empty() || names.iter().any(|name| name == one.name());
    Ok(ALL.into_iter().filter(is_wanted).collect())
}

fn build(subjects: &[Subject]) -> Result<()> {
    stage::build(&["load", "limit"])?;
    if subjects.contains(&Subject::SocketIoOnNode) {
        node::install()?;
    }
    if subjects.contains(&Subject::Mosquitto) {
        unpacked::unpack(&unpacked::MOSQUITTO).context("`--only` leaves it out")?;
    }
    Ok(())
}

/// All in turn, cell by cell, round after round; another one is the first in each round.
fn measure(args: &Args, arena: &Arena, subjects: &[Subject]) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for cell in CELLS {
        all.extend(subjects.iter().map(|subject| Measured {
            cell,
            subject: *subject,
            costs: Vec::new(),
            bytes: Vec::new(),
        }));
    }
    for round in 0..args.rounds {
        for cell in all.chunks_mut(subjects.len()) {
            for place in 0..cell.len() {
                let measured = &mut cell[(place + round) % subjects.len()];
                measured.run_to_its_end(arena, args.seconds)?;
                println!(
                    "   [{}/{}] {}, {}: {:.3} µs a delivery",
                    round + 1,
                    args.rounds,
                    measured.cell.name,
                    measured.subject.name(),
                    measured.costs.last().copied().unwrap_or(f64::NAN)
                );
            }
        }
    }
    Ok(all)
}

impl Measured {
    /// Another round; a server that does not come up, since its port was taken meanwhile, is tried again.
    fn run_to_its_end(&mut self, arena: &Arena, seconds: f64) -> Result<()> {
        let mut tries = 1;
        while let Err(error) = self.run(arena, seconds) {
            let what = format!("{}, {}", self.subject.name(), self.cell.name);
            ensure!(tries < TRIES_MAX, "{what}: {error:#}");
            println!("   {what}, again: {error:#}");
            tries += 1;
        }
        Ok(())
    }

    /// Another round.
    fn run(&mut self, arena: &Arena, seconds: f64) -> Result<()> {
        let start = self.subject.start();
        let (port, data) = (free_port()?, Data::new("transports")?);
        let server = start.run(
            arena,
            &format!("transports-{}", self.subject.name()),
            port,
            &data,
        )?;
        let mut load = arena.load(&built("load"));
        load.args(["fanout", &format!("127.0.0.1:{port}")]);
        load.args(["--pid", &server.pid().to_string()]);
        load.args(["--followers", &FOLLOWERS.to_string()]);
        load.args(["--bytes", &self.cell.bytes.to_string()]);
        load.args(["--depth", &self.cell.depth.to_string()]);
        load.args(["--seconds", &seconds.to_string()]);
        load.args(["--warmup", &(seconds * 0.4).to_string()]);
        let figures = figures(load.args(&start.load))?;
        self.costs.push(number(&figures, "/server_us_each")?);
        self.bytes.push(number(&figures, "/bytes_each")?);
        Ok(())
    }

    fn cost(&self) -> f64 {
        median(self.costs.clone())
    }

    fn bytes(&self) -> f64 {
        median(self.bytes.clone())
    }

    fn to_json(&self) -> Value {
        json!({
            "bytes_each": self.bytes(),
            "cell": self.cell.name,
            "server": self.subject.name(),
            "server_us_each": self.costs,
        })
    }
}

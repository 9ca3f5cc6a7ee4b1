//! The runs: every server in turn for each cell, round after round, so that a slow moment of the machine hits all alike.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::arena::Arena;
use super::super::load::number;
use super::super::stage::{Data, built, figures, free_port};
use super::cells::{Cell, Group};
use super::subjects::Subject;

/// Latency is measured at this part of what a server can do, and so many times as long as cost: the hundredth part of a few
/// messages says nothing.
const HALF: f64 = 0.5;
const LONGER: f64 = 8.0;

/// How a run goes.
pub(super) struct Plan {
    pub(super) cells: Vec<Cell>,
    pub(super) subjects: Vec<Subject>,
    pub(super) rounds: usize,
    /// Seconds that are measured.
    pub(super) seconds: f64,
}

/// All that was measured for one cell and one server.
pub(super) struct Measured {
    pub(super) cell: usize,
    pub(super) subject: Subject,
    /// One of each round: figures, or why there are none.
    pub(super) rounds: Vec<Result<Value, String>>,
}

impl Plan {
    /// Runs everything and says what comes out, line by line.
    pub(super) fn run(&self, arena: &Arena) -> Result<Vec<Measured>> {
        let mut all = self.pairs();
        let (count, started) = (all.len() * self.rounds, Instant::now());
        let mut done = 0;
        for round in 0..self.rounds {
            for index in order(&all, round) {
                let measured = &mut all[index];
                let cell = &self.cells[measured.cell];
                let result = self.measure(arena, cell, measured.subject);
                let result = result.map_err(|error| format!("{error:#}"));
                done += 1;
                let left = started.elapsed().as_secs_f64() / done as f64 * (count - done) as f64;
                println!(
                    "   [{done}/{count}, {:.0} min left] {}: {} {}",
                    (left / 60.0).ceil(),
                    cell.name,
                    measured.subject.name(),
                    told(cell.group, &result)
                );
                measured.rounds.push(result);
            }
        }
        Ok(all)
    }

    /// Who can do what.
    fn pairs(&self) -> Vec<Measured> {
        let mut pairs = Vec::new();
        for (cell, of) in self.cells.iter().enumerate() {
            let able = |subject: &&Subject| subject.start(of.group).is_some();
            pairs.extend(self.subjects.iter().filter(able).map(|subject| Measured {
                cell,
                subject: *subject,
                rounds: Vec::new(),
            }));
        }
        pairs
    }

    fn measure(&self, arena: &Arena, cell: &Cell, subject: Subject) -> Result<Value> {
        let start = subject.start(cell.group).context("it cannot do that")?;
        let port = free_port()?;
        let data = Data::new("servers")?;
        let server = start.run(arena, subject.name(), port, &data)?;
        let run = |seconds: f64, more: &str| {
            let mut load = arena.load(&built("load"));
            load.args([mode(cell.group), &format!("127.0.0.1:{port}")]);
            load.args(["--pid", &server.pid().to_string()]);
            load.args(cell.load.split_whitespace()).args(&start.load);
            if !cell.group.is_idle() {
                load.args(["--seconds", &seconds.to_string()]);
                load.args(["--warmup", &(seconds * 0.4).to_string()]);
            }
            figures(load.args(more.split_whitespace()))
        };
        if cell.group != Group::Latency {
            return run(self.seconds, "");
        }
        // What the server's processor can do, one message after the other: the load's own cost is not in it.
        let closed = run(self.seconds, "--depth 1")?;
        let busy = number(&closed, "/server_us_each")? * number(&closed, "/deliveries_each")?;
        let rate = HALF * 1e6 / busy;
        let mut open = run(self.seconds * LONGER, &format!("--rate {rate}"))?;
        open["rate"] = rate.into();
        Ok(open)
    }
}

/// Cell by cell; another server is the first in each round.
fn order(all: &[Measured], round: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..all.len()).collect();
    for cell in order.chunk_by_mut(|a, b| all[*a].cell == all[*b].cell) {
        let by = round % cell.len();
        cell.rotate_left(by);
    }
    order
}

const fn mode(group: Group) -> &'static str {
    match group {
        Group::Echo | Group::Deflate => "echo",
        Group::Fanout | Group::Latency => "fanout",
        Group::Connect => "connect",
        Group::Idle | Group::IdleDeflate => "idle",
    }
}

/// The figure of a group: microseconds of the server for each message, delivery or connection; for idle connections bytes.
pub(super) fn figure(group: Group, figures: &Value) -> Option<f64> {
    let name = match group.is_idle() {
        true => "bytes_each",
        false => "server_us_each",
    };
    figures[name].as_f64()
}

fn told(group: Group, result: &Result<Value, String>) -> String {
    let figures = match result {
        Err(error) => return format!("FAILED: {error}"),
        Ok(figures) => figures,
    };
    let figure = figure(group, figures).unwrap_or(f64::NAN);
    let percent = |name: &str| figures[name].as_f64().unwrap_or_default() * 100.0;
    if group.is_idle() {
        return format!("{figure:.0} bytes");
    }
    let mut told = format!(
        "{} µs, {:.0} % busy",
        super::report::short(figure),
        percent("server_busy")
    );
    if group == Group::Latency {
        let at = |path: &str| figures.pointer(path).and_then(Value::as_f64);
        told.push_str(&format!(
            " at {:.0} a second, p50 {:.0} µs, p99 {:.0} µs, the load {:.0} % busy",
            figures["rate"].as_f64().unwrap_or(f64::NAN),
            at("/latency_us/p50").unwrap_or(f64::NAN),
            at("/latency_us/p99").unwrap_or(f64::NAN),
            percent("load_busy"),
        ));
    }
    told
}

//! `cargo xtask bench growth`: what a message costs as rooms, connections and history become more. It should stay what it is.

mod page;
mod series;

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;

pub(super) use self::page::count;
use self::series::Series;
use super::arena::Arena;
use super::servers::report::short;
use super::{home, load, provenance, save, stage};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Without the largest, one round: a minute; nothing is written
    #[arg(long)]
    quick: bool,
    /// Only series whose name begins so, as `rooms`; then nothing is written
    only: Vec<String>,
    /// How often everything is run; medians count [default: 3, quick: 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds that are measured in a run
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// A size, and what a message cost in each round.
struct Point {
    size: u64,
    costs: Vec<f64>,
}

/// What became of a series.
struct Line {
    series: Series,
    points: Vec<Point>,
}

impl Point {
    fn median(&self) -> f64 {
        load::median(self.costs.clone())
    }
}

impl Line {
    /// How many times the cheapest the dearest is.
    fn spread(&self) -> f64 {
        let costs = || self.points.iter().map(Point::median);
        costs().fold(0.0, f64::max) / costs().fold(f64::INFINITY, f64::min)
    }
}

/// The command.
pub(super) fn run(args: &Args) -> Result<()> {
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 3 });
    ensure!(
        rounds > 0 && args.seconds > 0.0,
        "at least one round of some time"
    );
    let mut lines = lines(args);
    ensure!(!lines.is_empty(), "no series has such a name");
    stage::build(&["load", "limit"])?;
    let arena = Arena::open()?;
    let all: usize = lines.iter().map(|line| line.points.len()).sum();
    let (mut done, started) = (0, Instant::now());
    for _ in 0..rounds {
        for line in &mut lines {
            for point in &mut line.points {
                let cost = line.series.measure(&arena, point.size, args.seconds)?;
                point.costs.push(cost);
                done += 1;
                let each = started.elapsed().as_secs_f64() / done as f64;
                let left = each * (all * rounds - done) as f64;
                println!(
                    "   [{done}/{}, {:.0} min left] {}, {}: {} µs",
                    all * rounds,
                    (left / 60.0).ceil(),
                    line.series.name,
                    count(point.size),
                    short(cost)
                );
            }
        }
    }
    let about = format!(
        "{} Run {}; rounds of {} s: {rounds}, medians count.",
        provenance()?,
        arena.about(),
        args.seconds,
    );
    let tables = page::tables(&lines);
    println!("\n{tables}\n{about}");
    match args.quick || !args.only.is_empty() {
        true => Ok(()),
        false => write(&lines, &tables, &about),
    }
}

/// Those that were named, or all.
fn lines(args: &Args) -> Vec<Line> {
    let wanted = |series: &Series| {
        let begins = |name: &String| series.name.starts_with(name.as_str());
        args.only.is_empty() || args.only.iter().any(begins)
    };
    let line = |series: Series| {
        let sizes = series.sizes;
        let kept = if args.quick {
            sizes.len() - 1
        } else {
            sizes.len()
        };
        let point = |size: &u64| Point {
            size: *size,
            costs: Vec::new(),
        };
        let points = sizes[..kept].iter().map(point).collect();
        Line { series, points }
    };
    let all = series::ALL.into_iter();
    all.filter(|series| wanted(series)).map(line).collect()
}

fn write(lines: &[Line], tables: &str, about: &str) -> Result<()> {
    let folder = home().join("results");
    if let Some(picture) = page::picture(lines) {
        save(&folder.join("growth.svg"), &picture)?;
    }
    let page = format!(
        "# Growth\n\n{}\n\n{about}\n\n![{}](growth.svg)\n\n{}\n",
        page::INTRODUCTION,
        page::TITLE,
        tables.trim_end()
    );
    save(&folder.join("growth.md"), &page)?;
    let series = lines.iter().map(|line| {
        let points = line.points.iter();
        let points: Vec<_> = points
            .map(|point| json!({ "size": point.size, "server_us_each": point.costs }))
            .collect();
        json!({ "series": line.series.name, "spread": line.spread(), "points": points })
    });
    let series: Vec<_> = series.collect();
    let all = json!({ "about": about, "unit": "µs of the server's processor for each message", "series": series });
    // A line for each series: a change is seen in a diff.
    let text = serde_json::to_string(&all)?.replace("{\"points\":", "\n{\"points\":");
    save(&folder.join("growth.json"), &(text + "\n"))
}

//! `cargo xtask bench workers`: what a second worker adds. On a machine with two processors the load takes one of them, so
//! that messages a second say nothing; what counts is how long the server's threads ran for them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::arena::Arena;
use super::load::{median, number};
use super::stage::{self, Server, built};
use super::{home, provenance, save};

/// Enough connections that both workers have about the same number.
const LOAD: &str = "echo --path /echo --connections 800 --bytes 125 --depth 32";

/// What a second worker should bring.
const COST_MAX: f64 = 1.10;
const GAIN_MIN: f64 = 1.8;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How often each is run, in turns; medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that are measured in a run
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Do not write the page
    #[arg(long)]
    dry: bool,
}

/// What so many workers did in each round.
struct Team {
    workers: usize,
    /// Microseconds of all threads for each message.
    costs: Vec<f64>,
    /// Messages by the time of the thread that ran longest: what they would be in a second if it never waited.
    speeds: Vec<f64>,
    /// The longest thread's part of all threads' time.
    shares: Vec<f64>,
}

/// The command.
pub(super) fn run(args: &Args) -> Result<()> {
    ensure!(
        args.rounds > 0 && args.seconds > 0.0,
        "at least one round of some time"
    );
    stage::build(&["load"])?;
    let arena = Arena::open()?;
    let mut teams = [1, 2].map(|workers| Team {
        workers,
        costs: Vec::new(),
        speeds: Vec::new(),
        shares: Vec::new(),
    });
    for round in 1..=args.rounds {
        for team in &mut teams {
            let figures = measure(&arena, team.workers, args.seconds)?;
            team.add(&figures)?;
            println!(
                "   [{round}/{}] echo, workers: {}: {:.3} µs a message, {:.0} messages a second of the busiest thread",
                args.rounds,
                team.workers,
                team.costs.last().copied().unwrap_or(f64::NAN),
                team.speeds.last().copied().unwrap_or(f64::NAN),
            );
        }
    }
    let page = page(&teams, &format!("{} Run {}.", provenance()?, arena.about()));
    println!("\n{page}");
    if args.dry {
        return Ok(());
    }
    let folder = home().join("results");
    save(&folder.join("workers.md"), &page)?;
    let json = teams.iter().map(Team::to_json).collect::<Vec<_>>();
    save(
        &folder.join("workers.json"),
        &(serde_json::to_string(&json)? + "\n"),
    )
}

fn measure(arena: &Arena, workers: usize, seconds: f64) -> Result<Value> {
    let options = format!("--workers {workers} --data memory");
    // The load has no processor of its own here: who is measured by run time does not mind waiting.
    let server = Server::tidewire("workers", arena.both(&stage::tidewire()), &options)?;
    let words = format!("{LOAD} --seconds {seconds} --warmup {}", seconds * 0.4);
    let figures = stage::figures(&mut server.load(arena.both(&built("load")), &words));
    figures.with_context(|| {
        format!("`--workers {workers}`: what the server says is in target/bench-workers.log")
    })
}

impl Team {
    fn add(&mut self, figures: &Value) -> Result<()> {
        let busy = figures["threads_busy"].as_array();
        let busy = busy.into_iter().flatten().filter_map(Value::as_f64);
        let (mut longest, mut all) = (0.0_f64, 0.0);
        for part in busy {
            longest = longest.max(part);
            all += part;
        }
        ensure!(longest > 0.0, "no thread ran");
        self.costs.push(number(figures, "/server_us_each")?);
        self.speeds.push(number(figures, "/per_second")? / longest);
        self.shares.push(longest / all);
        Ok(())
    }

    fn to_json(&self) -> Value {
        json!({
            "workers": self.workers,
            "server_us_each": self.costs,
            "per_second_of_busiest_thread": self.speeds,
            "share_of_busiest_thread": self.shares,
        })
    }
}

const INTRODUCTION: &str = "\
Echo of 125 B, 800 connections with 32 messages in flight each, the server with one worker and with two, on two processors that
the load uses, too. *cost* is the run time of all the server's threads for a message; *speed* is messages by the run time of the
thread that ran longest: what the server would do in a second if no worker ever waited for the load. `cargo xtask bench
workers` runs it again.";

fn page(teams: &[Team], about: &str) -> String {
    let mut text = format!(
        "# Workers\n\n{INTRODUCTION}\n\n| workers | cost, µs | speed, messages a second | part of the thread that ran longest |\n|---|---|---|---|\n"
    );
    let of = |values: &Vec<f64>| median(values.clone());
    for team in teams {
        text.push_str(&format!(
            "| {} | {:.3} | {:.0} | {:.0} % |\n",
            team.workers,
            of(&team.costs),
            of(&team.speeds),
            of(&team.shares) * 100.0
        ));
    }
    if let [one, two] = teams {
        let cost = of(&two.costs) / of(&one.costs);
        let gain = of(&two.speeds) / of(&one.speeds);
        let met = |is_met: bool| if is_met { "met" } else { "**not met**" };
        text.push_str(&format!(
            "\nTwo workers: {cost:.2} × the cost of one (at most {COST_MAX:.2}: {}), {gain:.2} × its speed (at least {GAIN_MIN}: {}).\n",
            met(cost <= COST_MAX),
            met(gain >= GAIN_MIN)
        ));
    }
    format!("{text}\n{about}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(workers: usize, busy: &[f64]) -> Team {
        let mut team = Team {
            workers,
            costs: Vec::new(),
            speeds: Vec::new(),
            shares: Vec::new(),
        };
        let figures = json!({ "server_us_each": 0.5, "per_second": 1000.0, "threads_busy": busy });
        team.add(&figures).expect("figures");
        team
    }

    #[test]
    fn speed_is_by_the_thread_that_ran_longest() {
        let page = page(&[team(1, &[0.5, 0.0]), team(2, &[0.25, 0.2, 0.05])], "");
        assert!(page.contains("| 2 | 0.500 | 4000 | 50 % |"), "{page}");
        assert!(
            page.contains("2.00 × its speed (at least 1.8: met)"),
            "{page}"
        );
    }

    #[test]
    fn a_second_worker_that_does_nothing_is_seen() {
        let page = page(&[team(1, &[0.5]), team(2, &[0.5, 0.0])], "");
        assert!(
            page.contains("1.00 × its speed (at least 1.8: **not met**)"),
            "{page}"
        );
    }
}

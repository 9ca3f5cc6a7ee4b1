//! `cargo xtask bench servers`: Tidewire's server beside others', under the same load, beside the physical limit.
//!
//! The programs are in `bench/`, a workspace of its own: the load, the limit, the servers on other people's crates. Here
//! they are built, started, measured in turns, and what comes out becomes a page, JSON and plots in `bench/results`.

mod cells;
pub(super) mod foreign;
pub(super) mod node;
pub(super) mod plot;
pub(super) mod report;
mod rounds;
pub(super) mod start;
pub(super) mod subjects;
mod summary;
mod uwebsockets;

use anyhow::{Context, Result, bail, ensure};
use regex_lite::Regex;
use serde_json::json;

use self::foreign::Foreign;
use self::rounds::Plan;
use self::subjects::Subject;
use self::summary::Line;
use super::arena::Arena;
use super::{home, provenance, save, stage};
use crate::setup::unpacked;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A few cells, one round: two minutes
    #[arg(long)]
    quick: bool,
    /// Only these servers, as `limit,tidewire,node`: what their names begin with
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only cells whose name this pattern finds, as `^echo 1 KiB`
    #[arg(long, value_name = "REGEX")]
    cells: Option<String>,
    /// How often everything is run; the table has the medians [default: 3, quick: 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds that are measured in a run
    #[arg(long, default_value_t = 0.7)]
    seconds: f64,
    /// Write the results into this directory, also those of a part
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
}

/// The command.
pub(super) fn run(args: &Args) -> Result<()> {
    let pattern = args.cells.as_deref().map(Regex::new).transpose();
    let pattern = pattern.context("--cells is no pattern")?;
    let plan = Plan {
        cells: cells::select(args.quick, pattern.as_ref()),
        subjects: subjects(&args.only)?,
        rounds: args.rounds.unwrap_or(if args.quick { 1 } else { 3 }),
        seconds: args.seconds,
    };
    ensure!(!plan.cells.is_empty(), "no cell has such a name");
    ensure!(
        plan.rounds > 0 && plan.seconds > 0.0,
        "at least one round of some time"
    );
    build(&plan.subjects)?;
    let arena = Arena::open()?;
    let lines = summary::lines(&plan.cells, plan.run(&arena)?);
    let conditions = conditions(args, &plan, &arena, &lines)?;
    let tables = report::tables(&lines);
    println!("\n{tables}\n{conditions}");
    let is_whole = !args.quick && args.only.is_empty() && args.cells.is_none();
    match (&args.out, is_whole) {
        (Some(folder), _) => write(folder, &lines, &tables, &conditions),
        (None, true) => write(&home().join("results"), &lines, &tables, &conditions),
        (None, false) => Ok(()),
    }
}

/// Those that were named, or all.
fn subjects(names: &[String]) -> Result<Vec<Subject>> {
    let begins = |subject: &Subject, name: &String| subject.name().starts_with(name);
    for name in names {
        if !subjects::ALL.iter().any(|subject| begins(subject, name)) {
            let all: Vec<_> = subjects::ALL.iter().map(|subject| subject.name()).collect();
            bail!("there is no {name}; there are: {}", all.join(", "));
        }
    }
    let wanted =
        |subject: &Subject| names.is_empty() || names.iter().any(|name| begins(subject, name));
    Ok(subjects::ALL.into_iter().filter(wanted).collect())
}

fn build(subjects: &[Subject]) -> Result<()> {
    let mut packages = vec!["load", "limit"];
    if subjects
        .iter()
        .any(|subject| matches!(subject, Subject::Peer(_)))
    {
        packages.push("peers");
    }
    stage::build(&packages)?;
    for subject in subjects {
        if let Subject::Foreign(other) = subject {
            match other {
                Foreign::Node | Foreign::Socketio => node::install()?,
                Foreign::Uwebsockets => uwebsockets::build()?,
                Foreign::Nchan => unpacked::unpack(&[unpacked::NGINX, unpacked::NCHAN])
                    .context("`--only` leaves it out")?,
                Foreign::Nats => {
                    unpacked::unpack(&[unpacked::NATS]).context("`--only` leaves it out")?;
                }
            }
        }
    }
    Ok(())
}

/// What is to be known about the run.
fn conditions(args: &Args, plan: &Plan, arena: &Arena, lines: &[Line]) -> Result<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rounds = match plan.rounds {
        1 => "1 round".to_owned(),
        rounds => format!("medians of {rounds} rounds"),
    };
    let others = summary::others(lines).map_or_else(String::new, |others| {
        format!(" Other programs had {others:.2} processors meanwhile, in the median run.")
    });
    Ok(format!(
        "{} Linux {}, {}; {rounds} of {} s a run.{others} {}.",
        provenance()?,
        kernel.trim(),
        arena.about(),
        args.seconds,
        versions(&plan.subjects)?
    ))
}

/// Of what others have written, as it is locked.
fn versions(subjects: &[Subject]) -> Result<String> {
    let lock: toml::Value = toml::from_str(&std::fs::read_to_string(home().join("Cargo.lock"))?)?;
    let packages = lock["package"]
        .as_array()
        .context("a lock file without packages")?;
    let locked = |name: &str| -> Option<String> {
        let named =
            |package: &&toml::Value| package.get("name").and_then(|n| n.as_str()) == Some(name);
        // The newest: an older one is some peer's own.
        let package = packages.iter().rfind(named)?;
        Some(format!("{name} {}", package.get("version")?.as_str()?))
    };
    let all = subjects.iter().filter_map(|subject| {
        if let Subject::Foreign(other) = subject {
            return other.version();
        }
        locked(subject.package()?)
    });
    let all: Vec<_> = all.collect();
    Ok(match all.is_empty() {
        true => "No peers".to_owned(),
        false => format!("Peers: {}", all.join(", ")),
    })
}

fn write(folder: &std::path::Path, lines: &[Line], tables: &str, conditions: &str) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut page = format!(
        "# Servers side by side\n\n{}\n\n{conditions}\n\n",
        report::INTRODUCTION
    );
    for (name, about, picture) in plot::all(lines) {
        save(&folder.join(&name), &picture)?;
        page.push_str(&format!("![{about}]({name})\n\n"));
    }
    page.push_str(tables);
    save(
        &folder.join("servers.md"),
        &(page.trim_end().to_owned() + "\n"),
    )?;
    let cells: Vec<_> = lines.iter().map(Line::to_json).collect();
    let all = json!({ "about": conditions, "unit": "µs of the server's processor for each", "cells": cells });
    // A line for each cell: a change is seen in a diff.
    let text = serde_json::to_string(&all)?.replace("{\"cell\":", "\n{\"cell\":");
    save(&folder.join("servers.json"), &(text + "\n"))
}

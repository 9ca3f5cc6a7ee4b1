//! `cargo xtask linear`: that no size which a peer chooses costs more than its share. Twice the size may take at most 2.3 times
//! the instructions; they are counted, not timed, so that the answer is the same on every machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{callgrind, exec, paths};

/// What twice the size may cost. A tenth and more over two, because a buffer that doubles does so at some size.
const RATIO_MAX: f64 = 2.3;

/// The work that is meant to be found.
const CONTROL: &str = "control";

/// What is counted.
struct Work {
    name: String,
    size: u64,
    about: String,
}

/// The command, and a step of `cargo xtask test`.
pub(crate) fn run() -> Result<()> {
    callgrind::ensure()?;
    let program = build()?;
    println!(
        "   {:>12} {:>14} {:>14} {:>6}",
        "size", "instructions", "at twice", "ratio"
    );
    let mut wrong = Vec::new();
    for work in works(&program)? {
        let once = cost(&program, &work.name, work.size)?;
        let twice = cost(&program, &work.name, 2 * work.size)?;
        let ratio = twice / once;
        println!(
            "   {:>12} {once:>14.0} {twice:>14.0} {ratio:>6.2}  {}",
            work.size, work.about
        );
        if !is_right(&work.name, ratio) {
            wrong.push(format!("{} ({ratio:.2})", work.name));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => bail!(
            "not what they should cost at twice the size (at most {RATIO_MAX}; more for the control): {}",
            wrong.join(", ")
        ),
    }
}

/// The control must be found, and nothing else. A ratio that is no number is found, too.
fn is_right(name: &str, ratio: f64) -> bool {
    (ratio <= RATIO_MAX) != (name == CONTROL)
}

fn build() -> Result<PathBuf> {
    exec::run(&mut exec::cargo(
        "build --package xtask --bin linear-work --profile ci",
    ))?;
    Ok(paths::target().join("ci").join("linear-work"))
}

fn works(program: &Path) -> Result<Vec<Work>> {
    let list = exec::output(exec::command(program).arg("list"))?;
    let works: Option<Vec<_>> = list.lines().map(parse).collect();
    works.with_context(|| format!("not a list of works: {list}"))
}

fn parse(line: &str) -> Option<Work> {
    let mut words = line.split('\t').map(str::to_owned);
    let (name, size, about) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    Some(Work { name, size, about })
}

/// The instructions of the work alone: those of making its input are taken off.
fn cost(program: &Path, name: &str, size: u64) -> Result<f64> {
    let command = |more: &[&str]| -> Command {
        let mut command = exec::command(program);
        command.args([name, &size.to_string()]).args(more);
        command
    };
    let (all, input) = (
        callgrind::instructions(&command(&[]))?,
        callgrind::instructions(&command(&["input"]))?,
    );
    Ok(all as f64 - input as f64)
}

#[cfg(test)]
mod tests {
    use super::{CONTROL, is_right};

    #[test]
    fn more_than_its_share_is_wrong_except_for_the_control() {
        assert!(is_right("head", 2.0) && is_right("head", 2.3));
        assert!(!is_right("head", 2.31) && !is_right("head", f64::NAN));
        assert!(is_right(CONTROL, 4.0) && !is_right(CONTROL, 2.0));
    }
}

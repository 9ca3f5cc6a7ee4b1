//! Runs the benchmark program: its times several times over, then every job under valgrind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{callgrind, exec};

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) about: String,
    /// Tidewire first.
    pub(super) contenders: Vec<Contender>,
}

/// What one crate took for a row.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) nanoseconds: f64,
    /// How many times as long as Tidewire.
    pub(super) ratio: f64,
    /// Instructions per message.
    pub(super) instructions: f64,
}

/// What a pass said of a contender: nanoseconds and ratio.
type Samples = BTreeMap<(String, String), Vec<(f64, f64)>>;

/// Times of the rows that `wanted` names, or of all.
pub(super) fn measure(
    passes: usize,
    wanted: &[String],
    binary: impl Fn() -> Command,
) -> Result<Vec<Row>> {
    let mut samples = Samples::new();
    let mut order = Vec::new();
    for pass in 1..=passes {
        let mut command = binary();
        command.args(wanted);
        one_pass(&mut command, &mut samples, |line| {
            println!("   pass {pass}/{passes}: {}", line.about);
            if pass == 1 {
                order.push(line);
            }
        })?;
    }
    ensure!(!order.is_empty(), "no row has such a name");
    Ok(order
        .into_iter()
        .map(|line| line.into_row(&samples))
        .collect())
}

/// What a line of the program says, without its figures.
struct Line {
    id: String,
    about: String,
    names: Vec<String>,
}

fn one_pass(
    command: &mut Command,
    samples: &mut Samples,
    mut seen: impl FnMut(Line),
) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{}` could not be started", exec::line(command)))?;
    let output = child.stdout.take().context("its output is ours")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        seen(parse(&line, samples).with_context(|| format!("not a line of figures: {line}"))?);
    }
    let status = child.wait()?;
    ensure!(
        status.success(),
        "`{}` failed ({status})",
        exec::line(command)
    );
    Ok(())
}

/// `id`, what it is, and `name=nanoseconds/ratio` for each contender, between tabs.
fn parse(line: &str, samples: &mut Samples) -> Option<Line> {
    let mut words = line.split('\t');
    let (id, about) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut names = Vec::new();
    for word in words {
        let (name, figures) = word.split_once('=')?;
        let (nanoseconds, ratio) = figures.split_once('/')?;
        let sample = (nanoseconds.parse().ok()?, ratio.parse().ok()?);
        let of = (id.clone(), name.to_owned());
        samples.entry(of).or_default().push(sample);
        names.push(name.to_owned());
    }
    Some(Line { id, about, names })
}

impl Line {
    fn into_row(self, samples: &Samples) -> Row {
        let contender = |name: String| {
            let of = (self.id.clone(), name.clone());
            let seen = samples.get(&of).map_or(&[][..], Vec::as_slice);
            Contender {
                name,
                nanoseconds: median(seen.iter().map(|sample| sample.0)),
                ratio: median(seen.iter().map(|sample| sample.1)),
                instructions: f64::NAN,
            }
        };
        let contenders = self.names.into_iter().map(contender).collect();
        Row {
            id: self.id,
            about: self.about,
            contenders,
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Fills in the instructions.
pub(super) fn count_instructions(rows: &mut [Row], binary: impl Fn() -> Command) -> Result<()> {
    let count = rows.len();
    for (index, row) in rows.iter_mut().enumerate() {
        println!("   instructions {}/{count}: {}", index + 1, row.about);
        for contender in &mut row.contenders {
            let (less, more) = messages(&row.id, contender.nanoseconds);
            contender.instructions = callgrind::per_unit(less, more, |messages| {
                let mut command = binary();
                command.args(["run", &row.id, &contender.name, &messages.to_string()]);
                command
            })?;
        }
    }
    Ok(())
}

/// How many messages tell: a broadcast has a thousand at once, and large ones take long under valgrind.
fn messages(id: &str, nanoseconds: f64) -> (u64, u64) {
    match id.starts_with("fan-out") {
        true => (1000, 5000),
        false if nanoseconds > 20_000.0 => (2, 6),
        false => (64, 576),
    }
}

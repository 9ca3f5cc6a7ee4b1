//! `cargo xtask bench instructions`: what a message costs the server in instructions, beside what it did cost.
//!
//! Instructions are counted, not time: the same on a quiet and on a busy machine. What a peer's processor can do and what
//! the compiler makes of the code still matter, so both stand beside the figures that were accepted, in
//! `bench/results/instructions.toml`: for the server of the release profile, which is the one that people have, and for the one that
//! CI has built anyhow.

pub(super) mod budget;
mod drive;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use self::drive::Way;
use crate::{callgrind, exec, paths, server};

/// How many messages or deliveries come before those that are counted, so that what is made once is not among them.
const BEFORE: u64 = 2_000;

/// How long the server may take to end, under valgrind.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write what is counted as what is right from now on
    #[arg(long)]
    accept: bool,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Accepted {
    compiler: String,
    processor: String,
    release: Figures,
    ci: Figures,
}

/// Instructions for each message or delivery, by its way.
type Figures = BTreeMap<String, f64>;

/// Which build of the server.
#[derive(Clone, Copy)]
enum Build {
    Release,
    /// What the tests have.
    Ci,
}

impl Build {
    const fn profile(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Ci => server::PROFILE,
        }
    }

    /// A figure may be so much above the accepted one. What CI has is built in sixteen parts, and where a change moves the borders between
    /// them, code costs more or less that nobody has touched.
    const fn ratio_max(self) -> f64 {
        match self {
            Self::Release => 1.03,
            Self::Ci => 1.06,
        }
    }

    /// Whether a ratio is more than that; one that is no number is, too.
    fn is_above(self, ratio: f64) -> bool {
        ratio.is_nan() || ratio > self.ratio_max()
    }

    /// The command that runs it.
    fn serve(self) -> Command {
        let mut command = Command::new(paths::target().join(self.profile()).join("tidewire"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data", "memory"]);
        command.args(["--workers", "1", "--messages-per-second", "0"]);
        command
    }
}

impl Accepted {
    const fn of(&self, build: Build) -> &Figures {
        match build {
            Build::Release => &self.release,
            Build::Ci => &self.ci,
        }
    }
}

/// The command.
pub(super) fn run(args: &Args) -> Result<()> {
    match args.accept {
        true => accept(count(Build::Release)?, count(Build::Ci)?),
        false => compare(Build::Release),
    }
}

/// The same as a step of `cargo xtask test`.
pub(crate) fn step() -> Result<()> {
    compare(Build::Ci)
}

fn count(build: Build) -> Result<Figures> {
    callgrind::ensure()?;
    exec::run(&mut exec::cargo(&format!(
        "build --profile {} --package tidewire --bin tidewire",
        build.profile()
    )))?;
    let counted = |way: Way| Ok((way.name().to_owned(), count_of(build, way)?));
    Way::ALL.into_iter().map(counted).collect()
}

/// Of one message or delivery.
fn count_of(build: Build, way: Way) -> Result<f64> {
    let more = instructions(build, way, BEFORE + way.count())?;
    let less = instructions(build, way, BEFORE)?;
    let each = (more as f64 - less as f64) / way.count() as f64;
    println!("   {:8} {each:>8.1} instructions each", way.name());
    Ok((each * 10.0).round() / 10.0)
}

/// Of a server from its start to its end, with so many messages in between.
fn instructions(build: Build, way: Way, messages: u64) -> Result<u64> {
    let counting = callgrind::counting(&build.serve());
    callgrind::total(&drive_under(counting, way, messages)?)
}

/// Runs a server under another program, with so many messages; returns what was said on stderr.
fn drive_under(mut command: Command, way: Way, messages: u64) -> Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the server could not be started")?;
    let stdout = child.stdout.take().context("it was piped")?;
    let mut stderr = child.stderr.take().context("it was piped")?;
    let driven = server::first_line(stdout)
        .and_then(|line| server::address(&line))
        .and_then(|address| way.drive(&address, messages));
    if driven.is_ok() {
        server::terminate(child.id())?;
    } else {
        child.kill()?;
    }
    let ended = exec::wait(&mut child, PATIENCE, |_| ());
    let mut said = String::new();
    stderr.read_to_string(&mut said)?;
    driven.with_context(|| format!("the server said: {}", said.trim()))?;
    ended?;
    Ok(said)
}

fn compare(build: Build) -> Result<()> {
    let mut counted = count(build)?;
    let path = file();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("nothing is accepted yet: {}", paths::shown(&path)))?;
    let accepted: Accepted = toml::from_str(&text)?;
    let mut above = Vec::new();
    for way in Way::ALL {
        let accepted = accepted.of(build).get(way.name());
        if let (Some(counted), Some(accepted)) = (counted.get_mut(way.name()), accepted)
            && build.is_above(*counted / accepted)
        {
            // What the server does each second is counted with them: a machine that stood still makes it more.
            *counted = counted.min(count_of(build, way)?);
        }
    }
    for (name, counted) in &counted {
        let accepted = accepted.of(build).get(name).copied();
        let accepted = accepted.with_context(|| format!("{name} was never accepted"))?;
        let ratio = counted / accepted;
        println!("   {name:8} {counted:>8.1} counted, {accepted:>8.1} accepted: {ratio:.3}");
        if build.is_above(ratio) {
            above.push(format!("{name} ({ratio:.3})"));
        } else if ratio < 2.0 - build.ratio_max() {
            println!(
                "   {name} has become cheaper: `cargo xtask bench instructions --accept` keeps it so"
            );
        }
    }
    if above.is_empty() {
        return Ok(());
    }
    bail!(
        "more instructions than accepted, at most {}: {}.{} If that is meant, `cargo xtask bench instructions --accept`",
        build.ratio_max(),
        above.join(", "),
        elsewhere(&accepted)?
    )
}

/// What else may be the reason.
fn elsewhere(accepted: &Accepted) -> Result<String> {
    let (compiler, processor) = (super::compiler()?, super::processor());
    Ok(
        match (
            accepted.compiler == compiler,
            accepted.processor == processor,
        ) {
            (true, true) => String::new(),
            _ => format!(
                " They were accepted for {} on {}; these are of {compiler} on {processor}.",
                accepted.compiler, accepted.processor
            ),
        },
    )
}

fn accept(release: Figures, ci: Figures) -> Result<()> {
    let accepted = Accepted {
        compiler: super::compiler()?,
        processor: super::processor(),
        release,
        ci,
    };
    let text = format!(
        "# Instructions of the server for each message of 125 B (single, echo) or delivery of one (relay, chat), counted by callgrind:\n\
         # as it is released, and as CI builds it. Written by `cargo xtask bench instructions --accept`; `cargo xtask test` fails when one\n\
         # of the latter is more than 6 % above, and `cargo xtask bench instructions` when one of the former is more than 3 %.\n{}",
        toml::to_string(&accepted)?
    );
    super::save(&file(), &text)
}

fn file() -> PathBuf {
    super::home().join("results/instructions.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_percent_more_is_much_and_of_what_ci_builds_six() {
        for (build, max) in [(Build::Release, 1.03), (Build::Ci, 1.06)] {
            assert!(!build.is_above(0.5) && !build.is_above(max));
            assert!(build.is_above(max + 0.001) && build.is_above(f64::NAN));
        }
    }

    #[test]
    fn what_is_accepted_can_be_read() {
        let text = std::fs::read_to_string(file()).expect("it is in the repository");
        let accepted: Accepted = toml::from_str(&text).expect("it is as it was written");
        for way in Way::ALL {
            for build in [Build::Release, Build::Ci] {
                assert!(accepted.of(build).contains_key(way.name()));
            }
        }
    }
}

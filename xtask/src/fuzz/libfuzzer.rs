//! Runs one fuzz target and turns libFuzzer's chatter into a line every five seconds, a summary at
//! the end, and for a finding: what was said, where the input is and how to see it again.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{exec, paths};

/// Off: a check that takes Rust's statics for duplicates (cargo-fuzz switches it off too). Small: the
/// heap that is kept after it was freed, or it alone would fill half of the memory limit.
const SANITIZER: &str = "detect_odr_violation=0:quarantine_size_mb=32";

const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What is known of a run so far.
#[derive(Debug, Default)]
struct Run {
    /// Values of the newest status line: `cov`, `ft`, `corp`, `exec/s`.
    status: HashMap<String, String>,
    /// The final statistics.
    stats: HashMap<String, String>,
    /// Everything else: panics, sanitizer reports.
    other: Vec<String>,
    /// The input that failed.
    artifact: Option<String>,
}

/// How a run ended that found nothing certain.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The budget is spent.
    Done,
    /// An input took longer than it may, in time that the machine may have spent elsewhere.
    Slow {
        input: PathBuf,
        /// Inputs that were run.
        executed: u64,
    },
}

/// Runs `command`, the binary of `target`, to its end.
///
/// # Errors
/// When an input fails, or the run ends without its statistics.
pub(super) fn run(target: &str, command: &mut Command) -> Result<Outcome> {
    println!("   $ {}", exec::line(command));
    command.env("ASAN_OPTIONS", SANITIZER);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take().expect("stderr was piped a line above");
    let run = follow(target, BufReader::new(stderr))?;
    let status = child.wait()?;
    if let Some(slow) = run.slow() {
        return Ok(slow);
    }
    if !status.success() {
        return Err(run
            .failure(target)
            .context(format!("{target} ended with {status}")));
    }
    run.print_summary(target)?;
    Ok(Outcome::Done)
}

/// Reads to the end; keeps a full log.
fn follow(target: &str, lines: impl BufRead) -> Result<Run> {
    let path = paths::target().join(format!("fuzz-{target}.log"));
    let mut log =
        std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut run = Run::default();
    let mut shown = Instant::now();
    for line in lines.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(log, "{line}")?;
        run.take(line);
        if shown.elapsed() >= PROGRESS_EVERY {
            println!("   {target}: {}", run.progress());
            shown = Instant::now();
        }
    }
    Ok(run)
}

impl Run {
    fn take(&mut self, line: String) {
        if let Some(stat) = line.strip_prefix("stat::") {
            let (name, value) = stat.split_once(':').unwrap_or((stat, ""));
            self.stats.insert(name.to_owned(), value.trim().to_owned());
        } else if let Some((_, artifact)) = line.split_once("Test unit written to ") {
            self.artifact = Some(artifact.trim().to_owned());
        } else if line.starts_with('#') && line.contains("cov: ") {
            self.status = status(&line);
        } else if !line.starts_with(['#', '\t']) {
            self.other.push(line);
        }
    }

    fn progress(&self) -> String {
        let value = |name| self.status.get(name).map_or("?", String::as_str);
        format!(
            "{} execs, {} execs/s, coverage {}",
            value("#"),
            value("exec/s"),
            value("cov")
        )
    }

    /// The input that took too long, if that is why the run ended.
    fn slow(&self) -> Option<Outcome> {
        let input = PathBuf::from(self.artifact.as_ref()?);
        let name = input.file_name()?.to_str()?;
        let executed = self.stats.get("number_of_executed_units")?.parse().ok()?;
        name.starts_with("timeout-")
            .then_some(Outcome::Slow { input, executed })
    }

    fn print_summary(&self, target: &str) -> Result<()> {
        let stat = |name| self.stats.get(name).map_or("?", String::as_str);
        let status = |name| self.status.get(name).map_or("?", String::as_str);
        if !self.stats.contains_key("number_of_executed_units") {
            bail!(
                "{target} ended without its statistics; see {}",
                log_name(target)
            );
        }
        println!(
            "   {target}: no finding in {} execs, {} execs/s; coverage {} edges, {} features, corpus {}; peak {} MiB",
            stat("number_of_executed_units"),
            stat("average_exec_per_sec"),
            status("cov"),
            status("ft"),
            status("corp"),
            stat("peak_rss_mb"),
        );
        Ok(())
    }

    fn failure(&self, target: &str) -> anyhow::Error {
        // The first lines say what happened and where; the log has them all.
        let start = self
            .other
            .iter()
            .position(|line| line.contains("panicked") || line.contains("ERROR"));
        for line in self.other.iter().skip(start.unwrap_or(0)).take(30) {
            println!("   | {line}");
        }
        let Some(artifact) = &self.artifact else {
            return anyhow::anyhow!("no input was written; see {}", log_name(target));
        };
        let artifact = paths::shown(artifact.as_ref());
        anyhow::anyhow!(
            "finding: {artifact}; see it again with `cargo xtask fuzz {target} --input {artifact}`"
        )
    }
}

/// `#123 NEW cov: 4 ft: 5 corp: 6/7b exec/s: 8` by name; the count of inputs is `#`.
fn status(line: &str) -> HashMap<String, String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let named = words.windows(2).filter_map(|pair| match pair {
        [name, value] => Some((name.strip_suffix(':')?.to_owned(), (*value).to_owned())),
        _ => None,
    });
    let count = words
        .first()
        .map(|count| ("#".to_owned(), count.trim_start_matches('#').to_owned()));
    named.chain(count).collect()
}

fn log_name(target: &str) -> String {
    paths::shown(&paths::target().join(format!("fuzz-{target}.log")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read() {
        let mut run = Run::default();
        run.take(
            "#4096\tpulse  cov: 31 ft: 44 corp: 9/61b lim: 4 exec/s: 2048 rss: 44Mb".to_owned(),
        );
        assert_eq!(run.progress(), "4096 execs, 2048 execs/s, coverage 31");
    }

    #[test]
    fn only_a_timeout_is_slow() {
        for (name, is_slow) in [("timeout-1", true), ("crash-1", false)] {
            let mut run = Run::default();
            run.take(format!(
                "artifact_prefix='a/'; Test unit written to a/{name}"
            ));
            run.take("stat::number_of_executed_units: 12".to_owned());
            let slow = run.slow().map(|slow| match slow {
                Outcome::Slow { input, executed } => (input, executed),
                Outcome::Done => panic!(),
            });
            assert_eq!(slow, is_slow.then(|| (PathBuf::from("a/timeout-1"), 12)));
        }
    }

    #[test]
    fn a_finding_names_its_input() {
        let mut run = Run::default();
        run.take("artifact_prefix='a/'; Test unit written to a/crash-1".to_owned());
        assert!(
            run.failure("t")
                .to_string()
                .contains("cargo xtask fuzz t --input a/crash-1")
        );
    }
}

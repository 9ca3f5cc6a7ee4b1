//! `cargo xtask bench publish`: what it costs to keep messages on the disk, beside keeping them in memory.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::load::{self, Subject, directory, figures, median, number};

/// Where a Linux machine has a file system in memory: `fdatasync` there costs nothing, all else is as on a disk.
const SHARED_MEMORY: &str = "/dev/shm";

/// Messages a second for which latency is measured.
const RATE: &str = "5000";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How often everything is run; the table has the medians
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// What one place for logs was measured to be like, in each pass.
#[derive(Debug, Default)]
struct Samples {
    per_second: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    p99_of_seconds: Vec<f64>,
}

/// Everything that is measured, by pass.
#[derive(Debug, Default)]
struct Measured {
    memory: Samples,
    disk: Samples,
    shared: Samples,
    /// `fdatasync` by itself; it has no throughput.
    floor: Samples,
}

/// The command; returns the page but for its head.
pub(super) fn run(args: &Args) -> Result<String> {
    ensure!(args.passes > 0, "at least one pass is needed");
    load::build()?;
    let disk = directory()?;
    let shared = Path::new(SHARED_MEMORY).join(format!("tidewire-bench-{}", std::process::id()));
    let mut measured = Measured::default();
    for pass in 1..=args.passes {
        println!("   pass {pass}/{}", args.passes);
        measured.memory.measure(Path::new("memory"), args.seconds)?;
        measured
            .disk
            .measure(&disk.join(pass.to_string()), args.seconds)?;
        let outcome = measured.shared.measure(&shared, args.seconds);
        // It is memory, and not ours to keep.
        let _ = std::fs::remove_dir_all(&shared);
        outcome?;
        let mut floor = load::load();
        floor.arg("floor").arg(disk.join("floor"));
        let floor = figures(&mut floor)?;
        measured.floor.note_latency(&floor)?;
    }
    std::fs::remove_dir_all(&disk)?;
    Ok(page(&measured))
}

impl Samples {
    fn measure(&mut self, data: &Path, seconds: u64) -> Result<()> {
        let seconds = seconds.to_string();
        let subject = Subject::start(data, &[])?;
        let options = ["--seconds", &seconds, "--rate", RATE];
        // First, while the disk has nothing else to write.
        self.note_latency(&subject.load("publish", &options)?)?;
        let most = subject.load("publish", &["--seconds", &seconds])?;
        self.per_second.push(number(&most, "/perSecond")?);
        Ok(())
    }

    fn note_latency(&mut self, figures: &Value) -> Result<()> {
        let of = |name: &str| number(figures, &format!("/milliseconds/{name}"));
        self.p50.push(of("p50")?);
        self.p99.push(of("p99")?);
        self.p99_of_seconds.push(of("p99OfSeconds")?);
        Ok(())
    }

    fn latency(&self) -> String {
        let columns = [&self.p50, &self.p99, &self.p99_of_seconds];
        columns
            .map(|column| format!("{:.1} ms", median(column.clone())))
            .join(" | ")
    }
}

const INTRODUCTION: &str = "\
100 connections, each in a room of its own with nobody else in it, publish messages of 200 bytes of content and wait for
their acks. Throughput is with up to 64 messages of each connection on their way; latency at 5,000 messages a second of all
together, from when a message was due until its ack was read. Server and load share the machine. `cargo xtask bench publish`
runs it again, which is, for each row, `tidewire serve --messages-per-second 0 --data …` under `load publish ADDRESS` and
`load publish ADDRESS --rate 5000` (`server/examples/load`); figures are medians over the passes, and the ratio is the median of
the passes' ratios to memory. Where other processes have the machine for a moment, the last column shows what a second without
them is like.

The last row is a process that only appends 8 KiB and waits for `fdatasync`, again and again. A message that comes while a
commit is under way waits for the rest of that and for the next one: between one and two `fdatasync` with one commit at a time.";

fn page(measured: &Measured) -> String {
    let ratios = |samples: &Samples| {
        let pairs = samples.per_second.iter().zip(&measured.memory.per_second);
        median(pairs.map(|(one, memory)| one / memory).collect())
    };
    let row = |name: &str, samples: &Samples| {
        format!(
            "| {name} | {:.0} | {:.2} | {} |",
            median(samples.per_second.clone()),
            ratios(samples),
            samples.latency(),
        )
    };
    let lines = [
        "| logs in | messages/s | ratio to memory | ack p50 at 5,000/s | p99 | p99 of a second, median |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
        row("memory (`--data memory`)", &measured.memory),
        row("a directory on the disk", &measured.disk),
        row("a directory in `/dev/shm`", &measured.shared),
        format!(
            "| `fdatasync` by itself, on the disk | | | {} |",
            measured.floor.latency(),
        ),
    ];
    format!("{INTRODUCTION}\n\n{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_of_passes() {
        let samples = |per_second: [f64; 3]| Samples {
            per_second: per_second.to_vec(),
            p50: vec![1.0],
            p99: vec![2.0],
            p99_of_seconds: vec![3.0],
        };
        let measured = Measured {
            memory: samples([100.0, 200.0, 400.0]),
            disk: samples([50.0, 150.0, 100.0]),
            ..Measured::default()
        };
        let page = page(&measured);
        let expected = "| a directory on the disk | 100 | 0.50 | 1.0 ms | 2.0 ms | 3.0 ms |";
        assert!(page.contains(expected), "{page}");
    }
}

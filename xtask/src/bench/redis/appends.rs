//! Appends to logs in Redis, beside `XADD` and `PUBLISH` of the same entries over a connection of the same kind, in turn.

use anyhow::{Context, Result};

use super::super::load::{figures, median, number};
use super::{Redis, Saves, redis_tool, release};
use crate::exec;

/// Rooms, and messages that are sent at a time.
const SHAPES: [(usize, usize); 6] = [
    (1, 64),
    (1, 256),
    (16, 64),
    (16, 256),
    (256, 64),
    (256, 256),
];

/// One way of appending, in each round.
#[derive(Debug, Default, Clone)]
pub(super) struct Samples {
    pub(super) per_second: Vec<f64>,
    /// Processor seconds of Redis for a million messages.
    pub(super) redis: Vec<f64>,
}

/// A row: where, and both ways.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) saves: &'static str,
    pub(super) shape: (usize, usize),
    pub(super) plain: Samples,
    pub(super) log: Samples,
}

const INTRODUCTION: &str = "\
One connection to a redis-server of its own sends messages of 100 bytes of content, a batch at a time and two of those on their way, to rooms in
turn. *Plain* is `XADD` (`MAXLEN ~ 10000`) and `PUBLISH` of each, pipelined; *log* is what a node does: the scripts with idempotency keys, dense
offsets, epochs, retention (10,000 entries, 7 days) and announcements, as many of a batch as one call takes, packed and parsed by the engine's own code
(`server/examples/redis_appends.rs`). Both are run in turn in each round; figures are medians, and the ratio is the median of the rounds' ratios
of messages a second. Redis has one processor and the load the other.";

/// Measures, and returns the part of the page.
pub(super) fn run(rounds: usize, messages: usize) -> Result<String> {
    let mut rows = Vec::new();
    let mut own = Vec::new();
    for saves in Saves::ALL {
        let redis = Redis::start(saves, true)?;
        let mut tool = Vec::new();
        let mut of_saves: Vec<Row> = SHAPES.map(|shape| Row::new(saves, shape)).into();
        for round in 1..=rounds {
            println!("   {}, round {round}/{rounds}", saves.name());
            for row in &mut of_saves {
                let shape = row.shape;
                row.plain.measure(&redis, "plain", shape, messages)?;
                row.log.measure(&redis, "log", shape, messages)?;
            }
            tool.push(redis_benchmark(&redis, messages)?);
        }
        own.push((saves, median(tool)));
        rows.append(&mut of_saves);
    }
    Ok(page(&rows, &own))
}

impl Row {
    fn new(saves: Saves, shape: (usize, usize)) -> Self {
        Self {
            saves: saves.name(),
            shape,
            plain: Samples::default(),
            log: Samples::default(),
        }
    }
}

impl Samples {
    fn measure(
        &mut self,
        redis: &Redis,
        way: &str,
        (rooms, batch): (usize, usize),
        messages: usize,
    ) -> Result<()> {
        let mut load = exec::command("taskset");
        load.args(["--cpu-list", "1"])
            .arg(release("examples/redis_appends"))
            .args([way, &redis.address(), "--pid", &redis.pid().to_string()])
            .args(["--rooms", &rooms.to_string(), "--batch", &batch.to_string()])
            .args(["--messages", &messages.to_string()]);
        let figures = figures(&mut load)?;
        let messages = number(&figures, "/messages")?;
        self.per_second
            .push(messages / number(&figures, "/seconds")?);
        self.redis
            .push(number(&figures, "/redisSeconds")? / messages * 1e6);
        Ok(())
    }
}

/// What redis-benchmark says of `XADD` and of `PUBLISH`, one after the other: so many of both a second.
fn redis_benchmark(redis: &Redis, messages: usize) -> Result<f64> {
    let content = "x".repeat(100);
    let key = "tidewire:{tw:0}:log:room";
    let entry = ["XADD", key, "MAXLEN", "~", "10000", "*", "alice", &content];
    let add = one_command(redis, messages, &entry)?;
    let publish = one_command(redis, messages, &["PUBLISH", key, "1-1"])?;
    Ok(1.0 / (1.0 / add + 1.0 / publish))
}

fn one_command(redis: &Redis, messages: usize, words: &[&str]) -> Result<f64> {
    let mut command = exec::command("taskset");
    let tool = redis_tool("redis-benchmark")?;
    command.args(["--cpu-list", "1"]).arg(tool.get_program());
    command.args(["-h", "127.0.0.1", "-p", &redis.port.to_string(), "--csv"]);
    command.args(["-c", "1", "-P", "64", "-n", &messages.to_string()]);
    let said = exec::output(command.args(words))?;
    per_second(&said).with_context(|| format!("redis-benchmark said {said:?}"))
}

/// The second column of the last line of its table.
fn per_second(csv: &str) -> Option<f64> {
    let row = csv.lines().rfind(|line| !line.is_empty())?;
    // The first is what it ran, which may have commas.
    let figure = row.split("\",\"").nth(1)?;
    figure.trim_matches('"').parse().ok()
}

fn page(rows: &[Row], own: &[(Saves, f64)]) -> String {
    let mut text = format!(
        "## Appends\n\n{INTRODUCTION}\n\n\
        | Redis has | rooms | batch | plain, messages/s | log, messages/s | ratio | plain, Redis' CPU s per million | log, the same |\n\
        |---|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let pairs = row.log.per_second.iter().zip(&row.plain.per_second);
        let ratio = median(pairs.map(|(log, plain)| log / plain).collect());
        text.push_str(&format!(
            "| {} | {} | {} | {:.0} | {:.0} | {:.0} % | {:.2} | {:.2} |\n",
            row.saves,
            row.shape.0,
            row.shape.1,
            median(row.plain.per_second.clone()),
            median(row.log.per_second.clone()),
            ratio * 100.0,
            median(row.plain.redis.clone()),
            median(row.log.redis.clone()),
        ));
    }
    text.push('\n');
    for (saves, figure) in own {
        text.push_str(&format!(
            "`redis-benchmark -c 1 -P 64` of `XADD` and then of `PUBLISH`, one room, {}: {figure:.0} of both a second.\n",
            saves.name()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_of_redis_benchmark_is_found_behind_what_it_ran() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"XADD a, b * c\",\"521739.12\",\"0.1\"\n";
        assert_eq!(per_second(csv), Some(521_739.12));
        assert_eq!(per_second("\"test\""), None);
        assert_eq!(per_second(""), None);
    }

    #[test]
    fn a_ratio_is_the_median_of_those_of_the_rounds() {
        let samples = |per_second: [f64; 3]| Samples {
            per_second: per_second.to_vec(),
            redis: vec![2.0; 3],
        };
        let row = Row {
            saves: "`appendonly no`",
            shape: (16, 64),
            plain: samples([100.0, 200.0, 400.0]),
            log: samples([50.0, 150.0, 100.0]),
        };
        let page = page(&[row], &[(Saves::Nothing, 300.0)]);
        let expected = "| `appendonly no` | 16 | 64 | 200 | 100 | 50 % | 2.00 | 2.00 |";
        assert!(page.contains(expected), "{page}");
        assert!(page.contains("300 of both a second"), "{page}");
    }
}

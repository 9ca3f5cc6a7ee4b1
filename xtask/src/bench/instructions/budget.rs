//! `cargo xtask bench budget`: where a message's instructions and system calls go, from `epoll_wait` to `send`.
//!
//! callgrind names the source file of each instruction, inlined or not; files are put together to the parts that
//! `docs/ARCHITECTURE.md` tells of. Of two runs, one with more messages, the difference counts, as for `instructions`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::drive::Way;
use super::{BEFORE, Build, drive_under};
use crate::{callgrind, exec, paths};

/// How long strace may take to write down what it counted, once the server has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// Parts that cost less than this many instructions a message are put together.
const SMALL: f64 = 3.0;

/// What is of no part, and of parts that are small.
const ELSE: &str = "all else";

const INTRODUCTION: &str = "\
Instructions of the server in user mode for each message of 125 B (single: one in flight; echo: a hundred come together) or
delivery of one (relay: ten followers, a hundred messages together; chat: a hundred followers, one message at a time, JSON, a
log in memory and an offset), by the part of the source that they are of, as callgrind counts them; and system calls, as
strace counts them. `cargo xtask bench budget` counts again; it takes a minute or two.";

/// Beginnings of a source file's path, or of a function's where that is of no file of ours, and the part it is.
const PARTS: [(&str, &str); 26] = [
    (
        "server/src/net/worker/",
        "server: the turn, and what a worker does in it",
    ),
    ("server/src/net/table", "server: the table of connections"),
    (
        "server/src/net/worklist",
        "server: the table of connections",
    ),
    ("slab", "server: the table of connections"),
    ("server/src/net/", "server: the connection and its socket"),
    ("server/src/timer", "server: timers and the clock"),
    ("server/src/clock", "server: timers and the clock"),
    ("server/src/transport/feeds", "server: feeds"),
    ("server/src/transport", "server: HTTP"),
    ("server/src/chat", "server: chat"),
    ("server/src/log", "server: the log"),
    ("server/src/", "server: other"),
    ("protocol/src/mask", "protocol: masks"),
    ("protocol/src/utf8", "protocol: UTF-8"),
    ("protocol/src/frame", "protocol: frame headers"),
    ("protocol/src/send", "protocol: what goes out"),
    ("protocol/src/out", "protocol: what goes out"),
    ("protocol/src/prepared", "protocol: what goes out"),
    ("protocol/src/batch", "protocol: what goes out"),
    ("protocol/src/", "protocol: what comes in, and the state"),
    ("serde_json", "JSON"),
    ("mio", "mio"),
    ("malloc/", "malloc and free"),
    ("sysdeps/unix/sysv/linux", "libc around system calls"),
    ("nptl/cancellation", "libc around system calls"),
    ("string/", "memcpy and the like"),
];

/// The command.
pub(crate) fn run() -> Result<String> {
    callgrind::ensure()?;
    ensure!(
        exec::on_path("strace"),
        "strace counts the system calls and is not here: run `cargo xtask setup`"
    );
    exec::run(&mut exec::cargo(
        "build --release --package tidewire --bin tidewire",
    ))?;
    let mut body = INTRODUCTION.to_owned();
    body.push_str("\n\n## Instructions\n\n");
    body.push_str(&table_of(instructions_of, 1)?);
    body.push_str("\n## System calls\n\n");
    body.push_str(&table_of(system_calls_of, 3)?);
    Ok(body)
}

/// A row for each thing that is counted, a column for each way.
fn table_of(
    count: impl Fn(Way, u64) -> Result<BTreeMap<String, u64>>,
    digits: usize,
) -> Result<String> {
    let mut rows: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (column, way) in Way::ALL.into_iter().enumerate() {
        println!("   counting: {}", way.name());
        let less = count(way, BEFORE)?;
        let more = count(way, BEFORE + way.count())?;
        for (name, more) in more {
            let less = less.get(&name).copied().unwrap_or(0);
            let each = (more as f64 - less as f64) / way.count() as f64;
            let row = rows
                .entry(name)
                .or_insert_with(|| vec![0.0; Way::ALL.len()]);
            row[column] = each;
        }
    }
    Ok(to_markdown(rows, digits))
}

fn to_markdown(rows: BTreeMap<String, Vec<f64>>, digits: usize) -> String {
    let least = if digits == 1 { SMALL } else { 0.001 };
    let mut sum = vec![0.0; Way::ALL.len()];
    let mut small = sum.clone();
    let mut shown = Vec::new();
    for (name, row) in rows {
        add(&mut sum, &row);
        if name != ELSE && row.iter().any(|each| *each >= least) {
            shown.push((name, row));
        } else {
            add(&mut small, &row);
        }
    }
    shown.sort_by(|(_, a), (_, b)| b.iter().sum::<f64>().total_cmp(&a.iter().sum()));
    shown.push((ELSE.to_owned(), small));
    shown.push(("**together**".to_owned(), sum));
    let names: Vec<&str> = Way::ALL.iter().map(|way| way.name()).collect();
    let mut table = format!(
        "| | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for (name, row) in shown {
        let cells: Vec<String> = row.iter().map(|each| format!("{each:.digits$}")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
    }
    table
}

fn add(sum: &mut [f64], row: &[f64]) {
    sum.iter_mut().zip(row).for_each(|(sum, each)| *sum += each);
}

// ---- instructions ----

fn instructions_of(way: Way, messages: u64) -> Result<BTreeMap<String, u64>> {
    let file = paths::target().join("budget.callgrind");
    drive_under(
        callgrind::counting_into(&Build::Release.serve(), &file),
        way,
        messages,
    )?;
    let mut annotate = exec::command("callgrind_annotate");
    let said = exec::output(
        annotate
            .args(["--threshold=100", "--show-percs=no", "--auto=no"])
            .arg(&file),
    )?;
    let mut parts = BTreeMap::new();
    for (count, place) in said.lines().filter_map(counted) {
        *parts.entry(part_of(place).to_owned()).or_insert(0) += count;
    }
    ensure!(
        !parts.is_empty(),
        "callgrind_annotate named nothing: {said}"
    );
    Ok(parts)
}

/// The number and the place of a line as `1,234  file:function [object]`.
fn counted(line: &str) -> Option<(u64, &str)> {
    let (count, place) = line.trim().split_once("  ")?;
    let count = count.replace(',', "").parse().ok()?;
    let place = place.trim();
    place.contains(':').then_some((count, place))
}

fn part_of(place: &str) -> &'static str {
    let (file, function) = place.split_once(':').unwrap_or((place, ""));
    let is_in = |beginning: &&(&str, &str)| file.contains(beginning.0);
    if let Some((_, part)) = PARTS.iter().find(is_in) {
        return part;
    }
    // What is inlined from the standard library is of who uses it.
    let users = [
        ("tidewire_protocol", "protocol: std inlined"),
        ("tidewire", "server: std inlined"),
        ("serde_json", "JSON"),
    ];
    let user = users.iter().find(|(name, _)| function.contains(name));
    user.map_or(ELSE, |(_, part)| part)
}

// ---- system calls ----

fn system_calls_of(way: Way, messages: u64) -> Result<BTreeMap<String, u64>> {
    let file = paths::target().join("budget.strace");
    fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
    let server = Build::Release.serve();
    let mut strace = exec::command("strace");
    // With -D the server is our child, and is told to end.
    strace.args(["-D", "-f", "-qq", "-c", "-o"]).arg(&file);
    strace.arg(server.get_program()).args(server.get_args());
    drive_under(strace, way, messages)?;
    let said = wait_for(&file)?;
    Ok(said.lines().filter_map(called).collect())
}

/// What strace writes once the server has ended.
fn wait_for(file: &Path) -> Result<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let said = fs::read_to_string(file)?;
        if said.trim_end().ends_with("total") {
            return Ok(said);
        }
        ensure!(
            Instant::now() < until,
            "strace has not said what it counted"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The name and the number of calls of a line as `% seconds usecs calls [errors] name`.
fn called(line: &str) -> Option<(String, u64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, calls) = (words.last()?, words.get(3)?.parse().ok()?);
    words.first()?.parse::<f64>().ok()?;
    (*name != "total").then(|| ((*name).to_owned(), calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = "  1,792,014  server/src/net/conn.rs:tidewire::net::worker::Worker::flush [/x/tidewire]";
        let (count, place) = counted(line).expect("a number and a place");
        assert_eq!(count, 1_792_014);
        assert_eq!(part_of(place), "server: the connection and its socket");
        assert_eq!(
            part_of("/rustc/x/library/core/src/option.rs:tidewire_protocol::send"),
            "protocol: std inlined"
        );
        assert_eq!(counted("Ir  file:function"), None);
        assert_eq!(
            called(" 33.21    0.000123           1       100         2 sendto"),
            Some(("sendto".to_owned(), 100))
        );
        assert_eq!(called("100.00    0.1    1   300  2 total"), None);
        assert_eq!(
            called("------ ----------- ----------- --------- --------- ----------------"),
            None
        );
    }
}

//! The lines as Markdown.

use super::cells::Group;
use super::subjects::PEERS;
use super::subjects::Subject::{self, Chat, Disk, LimitA, LimitB, Tidewire};
use super::summary::{Entry, Line};

pub(super) const INTRODUCTION: &str = "\
What a message costs each server: **microseconds of its processor's time**, in user mode and in the kernel, by the kernel's own
account (`schedstat` of all threads, over the time that is measured, by the messages that came back in it). It stays put
where messages a second follow whatever else the machine does. `cargo xtask bench servers` runs it again; `--quick` takes two
minutes.

* *limit* is an epoll server that makes the same system calls and nothing else: no unmasking, no validation, no frames
  (`bench/limit`). Echo: the better one of level- and edge-triggered; fan-out: of a write for each message and one for all
  that a turn brought. The number in brackets is the ratio to it. It has its own way with the kernel, so that a server can be
  a little below it.
* Server and load have a processor each, servers take turns in each round, a figure is the median of the rounds. Every
  server has one thread, or one thread's work. On loopback the sender also does the receiver's part of TCP: about the same
  for all.
* Servers on other crates are as in the crates' own examples (`bench/peers`); those on streams of messages answer what came
  together with one flush. fastwebsockets' echo writes each frame by itself, as its example does.
* uWebSockets is C++ (`bench/peers/uwebsockets`), compiled for any x86-64 as all are; its deflate is with the shared
  compressor. Node's `ws` and socket.io have a runtime with threads of its own; nginx with nchan (one process) and NATS (one
  processor's worth of Go) are Debian's: brokers, which have no echo.
* The load checks every byte of every reply, and in fan-out the order, losses and duplicates of every publisher's messages at
  every follower.
* Latency is at half of what each server can do: as many messages a second as take half of its processor's time, by what one
  costs it with one in flight. They are due at even times (open loop), whether or not the last one has arrived. The load
  reads on a processor of its own; how busy it was is in the JSON.
* *chat* is the whole way of a message: JSON, the room's log, an offset, the ring; *disk* the same with the log on the disk.
  Their messages are longer than the content by some 120 B of JSON.";

/// All tables.
pub(super) fn tables(lines: &[Line]) -> String {
    let of = |groups: &[Group]| -> Vec<&Line> {
        let wanted = |line: &&Line| groups.contains(&line.cell.group);
        lines.iter().filter(wanted).collect()
    };
    let mut page = String::new();
    let mut part = |title: &str, text: String| {
        if !text.is_empty() {
            page.push_str(&format!("## {title}\n\n{text}\n"));
        }
    };
    let echo = of(&[Group::Echo, Group::Deflate]);
    part("Echo: µs a message", table(&echo, &[Tidewire], cost));
    let connect = of(&[Group::Connect]);
    part(
        "Connecting: ms for 1,000 connections",
        table(&connect, &[Tidewire], cost),
    );
    let ours = [Tidewire, Chat, Disk];
    part(
        "Fan-out: µs a delivery",
        table(&of(&[Group::Fanout]), &ours, cost),
    );
    part(
        "Latency of fan-out: ms from when a message was due until the last follower has it, p50 / p99 (p99 to p50) at messages a second",
        table(&of(&[Group::Latency]), &ours, latency),
    );
    part(
        "Idle connections: bytes of resident memory each",
        table(&of(&[Group::Idle, Group::IdleDeflate]), &ours[..2], memory),
    );
    part("In short", verdict(lines));
    part("Failed", failures(lines));
    page
}

/// A column for each server that has a figure in it.
fn table(lines: &[&Line], ours: &[Subject], cell: fn(&Line, &Entry) -> String) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let measured = |subject: &Subject| lines.iter().any(|line| line.of(*subject).is_some());
    let subjects: Vec<_> = ours
        .iter()
        .chain(&PEERS)
        .copied()
        .filter(measured)
        .collect();
    let has_limit = measured(&LimitA) || measured(&LimitB);
    let mut heads = vec![""];
    heads.extend(has_limit.then_some("limit"));
    heads.extend(subjects.iter().map(|subject| subject.name()));
    let mut text = row(heads.iter().map(|head| (*head).to_owned()));
    text.push_str(&format!("|{}\n", "---|".repeat(heads.len())));
    for line in lines {
        let dash = || "–".to_owned();
        let mut cells = vec![line.cell.name.clone()];
        if has_limit {
            cells.push(match line.cell.group == Group::Latency {
                true => line.of(LimitA).map_or_else(dash, |entry| cell(line, entry)),
                false => line.limit().map_or_else(dash, short),
            });
        }
        cells.extend(subjects.iter().map(|subject| match line.of(*subject) {
            None => dash(),
            Some(entry) if entry.median.is_none() => "failed".to_owned(),
            Some(entry) => cell(line, entry),
        }));
        text.push_str(&row(cells.into_iter()));
    }
    text
}

fn row(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

fn cost(line: &Line, entry: &Entry) -> String {
    let median = entry.median.unwrap_or(f64::NAN);
    match line.limit() {
        Some(limit) => format!("{} ({:.2})", short(median), median / limit),
        None => short(median),
    }
}

fn latency(_: &Line, entry: &Entry) -> String {
    let at = |path| entry.median_of(path).unwrap_or(f64::NAN);
    let (p50, p99) = (at("/latency_us/p50"), at("/latency_us/p99"));
    let (rate, ratio) = (at("/rate"), p99 / p50);
    let (p50, p99) = (short(p50 / 1000.0), short(p99 / 1000.0));
    format!("{p50} / {p99} ({ratio:.2}) at {rate:.0}")
}

fn memory(_: &Line, entry: &Entry) -> String {
    let idle = entry.median.unwrap_or(f64::NAN);
    match entry.median_of("/touched_bytes_each") {
        Some(touched) => format!("{idle:.0}; {touched:.0} after an echo of 125 B"),
        None => format!("{idle:.0}"),
    }
}

/// Two or three digits.
pub(in crate::bench) fn short(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// Where Tidewire stands, losses by name.
fn verdict(lines: &[Line]) -> String {
    let mut text = String::new();
    for (subject, what) in [(Tidewire, "Tidewire"), (Chat, "The chat")] {
        // At a fixed rate the cost says how often a server woke up.
        let costs = lines
            .iter()
            .filter(|line| line.cell.group != Group::Latency);
        let ratios = costs.filter_map(|line| {
            let peer = line.best_peer()?;
            let ratio = line.median(subject)? / peer.median?;
            Some((ratio, line, peer.subject.name()))
        });
        let (dearer, cheaper): (Vec<_>, Vec<_>) = ratios.partition(|(ratio, _, _)| *ratio > 1.0);
        let all = dearer.len() + cheaper.len();
        if all == 0 {
            continue;
        }
        let count = cheaper.len();
        text.push_str(&format!(
            "* {what} is at least as cheap as the best peer in {count} of {all} cells.{}\n",
            if dearer.is_empty() { "" } else { " Dearer:" }
        ));
        for (ratio, line, peer) in dearer {
            let name = &line.cell.name;
            text.push_str(&format!("  * {name}: {ratio:.2} of {peer}\n"));
        }
    }
    text
}

fn failures(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        for entry in &line.entries {
            for error in &entry.errors {
                let name = entry.subject.name();
                text.push_str(&format!("* {}, {name}: {error}\n", line.cell.name));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::servers::cells;
    use crate::bench::servers::foreign::Foreign as Other;
    use crate::bench::servers::subjects::Subject::{Foreign, Peer};

    fn entry(subject: Subject, median: Option<f64>) -> Entry {
        Entry {
            subject,
            median,
            figures: vec![json!({ "server_us_each": median })],
            errors: match median {
                Some(_) => Vec::new(),
                None => vec!["it broke".to_owned()],
            },
        }
    }

    fn line() -> Line {
        Line {
            cell: cells::select(true, None).remove(0),
            entries: vec![
                entry(LimitA, Some(4.0)),
                entry(LimitB, Some(5.0)),
                entry(Tidewire, Some(4.2)),
                entry(Peer("axum"), Some(8.0)),
                entry(Foreign(Other::Node), None),
            ],
        }
    }

    #[test]
    fn a_table_has_the_limit_ratios_and_what_failed() {
        let page = tables(&[line()]);
        assert!(
            page.contains("|  | limit | tidewire | axum | node-ws |"),
            "{page}"
        );
        assert!(
            page.contains("| 4.00 | 4.20 (1.05) | 8.00 (2.00) | failed |"),
            "{page}"
        );
        assert!(
            page.contains("as the best peer in 1 of 1 cells.\n"),
            "{page}"
        );
        assert!(page.contains("node-ws: it broke"), "{page}");
    }

    #[test]
    fn a_lost_cell_is_named() {
        let mut line = line();
        line.entries[2].median = Some(8.8);
        assert!(
            verdict(&[line])
                .contains("* echo 125 B binary, 50 connections, 1 in flight: 1.10 of axum")
        );
    }
}

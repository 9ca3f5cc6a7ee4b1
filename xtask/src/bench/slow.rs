//! `cargo xtask bench slow`: what readers that hardly read cost a room, in memory and in the others' latency.

use anyhow::Result;
use serde_json::Value;

use super::load::{self, Subject, directory, number};

/// The scenario is not about giving up slow readers, which the default would do after 30 s.
const LAG_MAX: &str = "10m";

/// The phases as the load calls them, and as the page does.
const PHASES: [(&str, &str); 4] = [
    ("before", "without slow readers"),
    ("coming", "while they come"),
    ("with", "with them"),
    ("after", "after they have gone"),
];

/// The command; returns the page but for its head.
pub(super) fn run() -> Result<String> {
    load::build()?;
    let data = directory()?;
    let subject = Subject::start(&data, &["--lag-max", LAG_MAX])?;
    let figures = subject.load("slow", &["--pid", &subject.pid()])?;
    drop(subject);
    std::fs::remove_dir_all(&data)?;
    page(&figures)
}

const INTRODUCTION: &str = "\
One room, 200 messages a second with 1 KiB of content, 1,000 readers that read; for a part of the time beside them 1,000 that
read a byte a second with a small receive buffer, each leaving after 15 s and coming back for everything from the oldest on. The
run fails if a reader that reads misses a message or is closed. Latency is from when a message was due until a
reader has read it, over all readers; server and load share the machine, so that the ratio counts, not the milliseconds. `cargo
xtask bench slow` runs it again: `tidewire serve --messages-per-second 0 --lag-max 10m --data …` under `load slow ADDRESS`
(`server/examples/load`).";

fn page(figures: &Value) -> Result<String> {
    let before = number(figures, "/phases/before/milliseconds/p99OfSeconds")?;
    let mut lines = vec![
        "| | p50 | p99 | p99 of a second, median | ratio of that | server's CPU |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for (phase, name) in PHASES {
        let of = |what: &str| number(figures, &format!("/phases/{phase}/{what}"));
        let typical = of("milliseconds/p99OfSeconds")?;
        lines.push(format!(
            "| {name} | {:.1} ms | {:.1} ms | {typical:.1} ms | {:.2} | {:.0} % |",
            of("milliseconds/p50")?,
            of("milliseconds/p99")?,
            typical / before,
            of("cpu")? * 100.0,
        ));
    }
    let resident = figures["residentBytes"].as_array();
    let resident = resident.into_iter().flatten().filter_map(Value::as_u64);
    let resident: Vec<_> = resident.map(|bytes| (bytes >> 20).to_string()).collect();
    let by_second = PHASES.iter().filter_map(|(phase, _)| {
        let path = format!("/phases/{phase}/milliseconds/p99BySecond");
        figures.pointer(&path)?.as_array()
    });
    let by_second = by_second.flatten().filter_map(Value::as_f64);
    let by_second: Vec<_> = by_second.map(|p99| format!("{p99:.0}")).collect();
    Ok(format!(
        "{INTRODUCTION}\n\n{}\n\np99 in ms, second by second: {}.\n\nThe server's resident memory in MiB, second by second: {}. {:.0} messages were published, each \
         was read by each of the 1,000; slow readers left {:.0} times.\n",
        lines.join("\n"),
        by_second.join(" "),
        resident.join(" "),
        number(figures, "/published")?,
        number(figures, "/left")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_to_the_time_without_them() {
        let phase = |p99: f64| serde_json::json!({"milliseconds": {"p50": 1.0, "p99": p99, "p99OfSeconds": p99, "p99BySecond": [p99]}, "cpu": 0.5});
        let figures = serde_json::json!({
            "phases": {"before": phase(2.0), "coming": phase(4.0), "with": phase(3.0), "after": phase(2.0)},
            "residentBytes": [3 << 20, 4 << 20], "published": 5, "left": 6,
        });
        let page = page(&figures).expect("all figures are there");
        let expected = "| with them | 1.0 ms | 3.0 ms | 3.0 ms | 1.50 | 50 % |";
        assert!(page.contains(expected), "{page}");
        assert!(page.contains("in MiB, second by second: 3 4."), "{page}");
        assert!(page.contains("in ms, second by second: 2 4 3 2."), "{page}");
    }
}

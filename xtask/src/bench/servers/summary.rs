//! Medians of what was measured, cell by cell.

use serde_json::{Map, Value, json};

use super::cells::{Cell, Group};
use super::rounds::{Measured, figure};
use super::subjects::{PEERS, Subject};

/// A cell and what every server took.
pub(super) struct Line {
    pub(super) cell: Cell,
    pub(super) entries: Vec<Entry>,
}

/// What a server took.
pub(super) struct Entry {
    pub(super) subject: Subject,
    /// The median of the rounds; none if they all failed.
    pub(super) median: Option<f64>,
    /// Of each round that did not.
    pub(super) figures: Vec<Value>,
    pub(super) errors: Vec<String>,
}

/// One line for each cell, in order.
pub(super) fn lines(cells: &[Cell], measured: Vec<Measured>) -> Vec<Line> {
    let line = |cell: &Cell| Line {
        cell: cell.clone(),
        entries: Vec::new(),
    };
    let mut lines: Vec<_> = cells.iter().map(line).collect();
    for measured in measured {
        let line = &mut lines[measured.cell];
        line.entries.push(entry(line.cell.group, measured));
    }
    lines
}

fn entry(group: Group, measured: Measured) -> Entry {
    let (mut figures, mut errors) = (Vec::new(), Vec::new());
    for round in measured.rounds {
        match round {
            Ok(value) => figures.push(value),
            Err(error) => errors.push(error),
        }
    }
    Entry {
        subject: measured.subject,
        median: median(figures.iter().filter_map(|value| figure(group, value))),
        figures,
        errors,
    }
}

/// How many processors programs that do not belong here took, in the median run.
pub(super) fn others(lines: &[Line]) -> Option<f64> {
    let entries = lines.iter().flat_map(|line| &line.entries);
    let figures = entries.flat_map(|entry| &entry.figures);
    median(figures.filter_map(|value| value["others_busy"].as_f64()))
}

/// None of nothing.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Line {
    pub(super) fn of(&self, subject: Subject) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.subject == subject)
    }

    pub(super) fn median(&self, subject: Subject) -> Option<f64> {
        self.of(subject)?.median
    }

    /// The same, with the limit for the first of the two, and none for the second.
    pub(super) fn shown(&self, subject: Subject) -> Option<f64> {
        if subject == Subject::LimitA {
            self.limit()
        } else {
            self.median(subject).filter(|_| subject != Subject::LimitB)
        }
    }

    /// The better of the two.
    pub(super) fn limit(&self) -> Option<f64> {
        let limits = [Subject::LimitA, Subject::LimitB];
        let limits = limits.into_iter().filter_map(|limit| self.median(limit));
        limits.min_by(f64::total_cmp)
    }

    /// The cheapest of those that others have written.
    pub(super) fn best_peer(&self) -> Option<&Entry> {
        let peers = self.entries.iter().filter(|entry| {
            let is_peer = PEERS.contains(&entry.subject);
            is_peer && entry.median.is_some()
        });
        peers.min_by(|a, b| {
            let of = |entry: &Entry| entry.median.unwrap_or(f64::INFINITY);
            of(a).total_cmp(&of(b))
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let servers: Map<_, _> = self.entries.iter().map(Entry::to_json).collect();
        json!({ "cell": self.cell.name, "limit": self.limit(), "servers": servers })
    }
}

impl Entry {
    /// The median of another figure, by the way to it.
    pub(super) fn median_of(&self, path: &str) -> Option<f64> {
        median(
            self.figures
                .iter()
                .filter_map(|value| value.pointer(path)?.as_f64()),
        )
    }

    /// Figures of all rounds, but for the points of memory: those of the last.
    fn to_json(&self) -> (String, Value) {
        let all = |path: &str| -> Vec<_> {
            let values = self.figures.iter().filter_map(|value| value.pointer(path));
            values.filter_map(Value::as_f64).map(rounded).collect()
        };
        let mut told = Map::from_iter([("median".to_owned(), json!(self.median.map(rounded)))]);
        for (name, path) in [
            ("server_us_each", "/server_us_each"),
            ("server_busy", "/server_busy"),
            ("load_busy", "/load_busy"),
            ("per_second", "/per_second"),
            ("rate", "/rate"),
            ("p50_us", "/latency_us/p50"),
            ("p99_us", "/latency_us/p99"),
            ("bytes_each", "/bytes_each"),
            ("touched_bytes_each", "/touched_bytes_each"),
        ] {
            let values = all(path);
            if !values.is_empty() {
                told.insert(name.to_owned(), json!(values));
            }
        }
        if let Some(points) = self.points() {
            told.insert("points".to_owned(), points.clone());
        }
        if !self.errors.is_empty() {
            told.insert("errors".to_owned(), json!(self.errors));
        }
        (self.subject.name().to_owned(), Value::Object(told))
    }

    /// Connections and bytes of resident memory.
    pub(super) fn points(&self) -> Option<&Value> {
        self.figures.last()?.get("points")
    }
}

/// Four digits say all that is known.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::servers::cells;
    use crate::bench::servers::foreign::Foreign;

    fn measured(subject: Subject, figures: &[f64]) -> Measured {
        let round = |figure: &f64| match figure.is_nan() {
            true => Err("it broke".to_owned()),
            false => Ok(json!({ "server_us_each": figure })),
        };
        Measured {
            cell: 0,
            subject,
            rounds: figures.iter().map(round).collect(),
        }
    }

    #[test]
    fn the_median_of_the_rounds_that_worked_counts() {
        let cells = cells::select(true, None);
        let lines = lines(
            &cells[..1],
            vec![
                measured(Subject::LimitA, &[5.0, 3.0, 4.0]),
                measured(Subject::LimitB, &[3.5, f64::NAN, f64::NAN]),
                measured(Subject::Peer("axum"), &[9.0, 7.0, 8.0]),
                measured(Subject::Foreign(Foreign::Node), &[f64::NAN; 3]),
            ],
        );
        let line = &lines[0];
        assert_eq!(line.median(Subject::LimitA), Some(4.0));
        assert_eq!(line.limit(), Some(3.5));
        assert_eq!(line.median(Subject::Foreign(Foreign::Node)), None);
        let best = line.best_peer().map(|entry| entry.subject.name());
        assert_eq!(best, Some("axum"));
        let json = line.to_json();
        assert_eq!(json["servers"]["node-ws"]["errors"][2], "it broke");
        assert_eq!(
            json["servers"]["axum"]["server_us_each"],
            json!([9.0, 7.0, 8.0])
        );
    }

    #[test]
    fn four_digits_stay() {
        assert_eq!(rounded(0.123_456), 0.1235);
        assert_eq!(rounded(98_765.4), 98_770.0);
        assert_eq!(rounded(0.0), 0.0);
    }
}

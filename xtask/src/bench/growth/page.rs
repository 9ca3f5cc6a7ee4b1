//! The tables and the plot.

use super::super::servers::plot::curves::{Chart, Curve};
use super::super::servers::plot::svg;
use super::super::servers::report::short;
use super::Line;

pub(super) const TITLE: &str = "Microseconds for each message against what grows";

pub(super) const INTRODUCTION: &str = "\
What a message costs the server as there is more of something: microseconds of its processor's time, as in [servers](servers.md).
Within a row only the size differs. *spread* is how many times the cheapest the dearest is; up to 1.10 counts as flat.
`cargo xtask bench growth` runs it again.

* A room's history is filled beforehand with short messages, and keeps its length while it is measured: the server's options
  let a room keep so many entries and no more, `--history-entries N --history-bytes 16GiB`, but never fewer than 100.
* Silent connections are held by another process on the load's processor.";

/// A row for each series.
pub(super) fn tables(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let (mut heads, mut costs) = (String::new(), String::new());
        for point in &line.points {
            heads.push_str(&format!(" {} |", count(point.size)));
            costs.push_str(&format!(" {} |", short(point.median())));
        }
        let dashes = "---|".repeat(line.points.len() + 1);
        let (about, spread) = (line.series.about, line.spread());
        let verdict = if spread <= 1.10 {
            "flat"
        } else {
            "**not flat**"
        };
        text.push_str(&format!(
            "{about}:\n\n|{heads} spread |\n|{dashes}\n|{costs} {spread:.2}, {verdict} |\n\n"
        ));
    }
    text
}

/// As people write it.
pub(in crate::bench) fn count(size: u64) -> String {
    let digits = size.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b',')).into_owned()
}

/// None if there is nothing to draw.
pub(super) fn picture(lines: &[Line]) -> Option<String> {
    let curve = |line: &Line| {
        let points = line.points.iter();
        Curve {
            name: line.series.name.to_owned(),
            class: line.series.class,
            points: points
                .map(|point| ((point.size as f64).log10(), point.median()))
                .collect(),
        }
    };
    let tick = |exponent: u32| (f64::from(exponent), count(10_u64.pow(exponent)));
    let chart = Chart {
        x_title: "rooms, connections or entries",
        y_title: "µs",
        x_ticks: (0..=6).map(tick).collect(),
        curves: lines.iter().map(curve).collect(),
    };
    Some(svg::page(TITLE, chart.draw()?))
}

#[cfg(test)]
mod tests {
    use super::super::{Point, series};
    use super::*;

    fn line(costs: &[f64]) -> Line {
        let [series, ..] = series::ALL;
        let points = series.sizes.iter().zip(costs).map(|(size, cost)| Point {
            size: *size,
            costs: vec![*cost],
        });
        Line {
            points: points.collect(),
            series,
        }
    }

    #[test]
    fn what_grows_by_more_than_a_tenth_is_said_so() {
        let flat = tables(&[line(&[10.0, 10.5, 10.9])]);
        assert!(
            flat.contains("| 10 | 100 | 1,000 | spread |\n|---|---|---|---|\n"),
            "{flat}"
        );
        assert!(
            flat.contains("| 10.0 | 10.5 | 10.9 | 1.09, flat |"),
            "{flat}"
        );
        let grown = tables(&[line(&[10.0, 20.0, 15.0])]);
        assert!(grown.contains("2.00, **not flat**"), "{grown}");
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!(
            [1, 999, 1000, 1_000_000].map(count),
            ["1", "999", "1,000", "1,000,000"]
        );
    }
}

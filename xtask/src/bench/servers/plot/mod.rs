//! The pictures of the page: bars beside the limit, cost against size, memory against connections. They are written by
//! hand as SVG, with colours for light and for dark pages.

mod bars;
pub(in crate::bench) mod curves;
pub(in crate::bench) mod svg;

use super::cells::Group;
use super::subjects::Subject::{self, Tidewire};
use super::summary::Line;
use curves::{Chart, Curve};

/// Cells that the bars show.
const ECHO: [&str; 6] = [
    "echo 125 B binary, 50 connections, 1 in flight",
    "echo 125 B ASCII, 50 connections, 32 in flight",
    "echo 1 KiB binary, 50 connections, 32 in flight",
    "echo 16 KiB binary, 50 connections, 32 in flight",
    "echo 64 KiB binary, 50 connections, 32 in flight",
    "echo 1 MiB binary, 50 connections, 1 in flight",
];
const FANOUT: [&str; 6] = [
    "fan-out to 1000, 125 B, 1 publisher, 1 in flight",
    "fan-out to 1000, 125 B, 1 publisher, 16 in flight",
    "fan-out to 1000, 125 B, 16 publishers, 1 in flight",
    "fan-out to 1000, 16 KiB, 1 publisher, 1 in flight",
    "fan-out to 9000, 125 B, 1 publisher, 1 in flight",
    "fan-out to 9000, 125 B, 1 publisher, 16 in flight",
];

/// File, what it shows, and the picture; without those for which nothing was measured.
pub(super) fn all(lines: &[Line]) -> Vec<(String, String, String)> {
    let named = |names: &[&str]| -> Vec<&Line> {
        let find = |name: &&str| lines.iter().find(|line| line.cell.name == **name);
        names.iter().filter_map(find).collect()
    };
    let pictures = [
        (
            "servers-echo.svg",
            "Echo: microseconds of processor time for each message",
            bars::draw(&named(&ECHO)),
        ),
        (
            "servers-fanout.svg",
            "Fan-out: microseconds of processor time for each delivery",
            bars::draw(&named(&FANOUT)),
        ),
        (
            "servers-size.svg",
            "Echo: microseconds for each message against its size",
            size(lines).draw(),
        ),
        (
            "servers-memory.svg",
            "Resident memory against idle connections",
            memory(lines).draw(),
        ),
    ];
    let drawn = pictures.into_iter().filter_map(|(file, about, picture)| {
        let picture = svg::page(about, picture?);
        Some((file.to_owned(), about.to_owned(), picture))
    });
    drawn.collect()
}

/// Many messages in flight: what one costs without the waking up.
fn size(lines: &[Line]) -> Chart {
    let is_shown = |line: &&Line| {
        let name = &line.cell.name;
        line.cell.group == Group::Echo
            && name.contains(" binary, 50 ")
            && !name.ends_with(" 1 in flight")
    };
    let lines: Vec<_> = lines.iter().filter(is_shown).collect();
    let ticks = lines.iter().map(|line| {
        let bytes = line.cell.bytes;
        ((bytes as f64).log2(), super::cells::size(bytes))
    });
    let of = |subject: Subject| {
        let points = lines
            .iter()
            .filter_map(|line| Some(((line.cell.bytes as f64).log2(), line.shown(subject)?)));
        Curve {
            name: subject.name().to_owned(),
            class: subject.name(),
            points: points.collect(),
        }
    };
    Chart {
        x_title: "bytes of a message; 32 in flight on each of 50 connections, of 1 MiB 4",
        y_title: "µs",
        x_ticks: ticks.collect(),
        curves: subjects(of),
    }
}

fn memory(lines: &[Line]) -> Chart {
    let line = lines.iter().find(|line| line.cell.group == Group::Idle);
    let of = |subject: Subject| {
        let points = line.and_then(|line| line.of(subject)?.points()?.as_array());
        let points = points.map_or(&[][..], Vec::as_slice);
        let base = points
            .first()
            .and_then(|point| point[1].as_f64())
            .unwrap_or_default();
        let points = points.iter().skip(1).filter_map(|point| {
            let grown = (point[1].as_f64()? - base) / f64::from(1 << 20);
            // What has not grown has no logarithm.
            (grown > 0.0).then_some((point[0].as_f64()?, grown))
        });
        Curve {
            name: subject.name().to_owned(),
            class: subject.name(),
            points: points.collect(),
        }
    };
    Chart {
        x_title: "idle connections",
        y_title: "MiB above the server without them",
        x_ticks: (1..=9)
            .map(|tick| (f64::from(tick) * 1000.0, format!("{tick},000")))
            .collect(),
        curves: subjects(of),
    }
}

/// The curves of those who have points, ours on top.
fn subjects(of: impl Fn(Subject) -> Curve) -> Vec<Curve> {
    let wanted = super::subjects::ALL
        .into_iter()
        .filter(|subject| !matches!(subject, Subject::LimitB));
    let mut curves: Vec<_> = wanted
        .map(of)
        .filter(|curve| curve.points.len() > 1)
        .collect();
    curves.sort_by_key(|curve| curve.class == Tidewire.name());
    curves
}

//! A panel for each cell, a bar for each server, a line where the limit is.

use super::svg::{Picture, WIDTH, class};
use crate::bench::servers::report::short;
use crate::bench::servers::subjects::{self, Subject};
use crate::bench::servers::summary::Line;

const COLUMNS: usize = 2;
const PANEL: f64 = WIDTH / COLUMNS as f64;
const ROW: f64 = 20.0;
/// Where bars begin, for the names, and how long they are at most, for the figures.
const LEFT: f64 = 130.0;
const LENGTH: f64 = 210.0;

/// Bars end at so many times the limit: who is above it has a mark at its end.
const RATIO_MAX: f64 = 5.0;

/// None if there is nothing to draw.
pub(super) fn draw(lines: &[&Line]) -> Option<Picture> {
    let mut picture = Picture {
        height: 0.0,
        body: String::new(),
    };
    for row in lines.chunks(COLUMNS) {
        let mut height: f64 = 0.0;
        for (column, line) in row.iter().enumerate() {
            let (x, y) = (column as f64 * PANEL, picture.height);
            let (panel, panel_height) = panel(line);
            picture.body.push_str(&format!(
                "<g transform=\"translate({x:.0} {y:.0})\">\n{panel}</g>\n"
            ));
            height = height.max(panel_height);
        }
        picture.height += height;
    }
    (!lines.is_empty()).then_some(picture)
}

fn panel(line: &Line) -> (String, f64) {
    let mut bars = Vec::new();
    for subject in subjects::ALL {
        bars.extend(line.shown(subject).map(|value| (subject, value)));
    }
    let largest = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let end = line
        .limit()
        .map_or(largest, |limit| largest.min(limit * RATIO_MAX));
    let mut text = format!(
        "<text class=\"head\" x=\"20\" y=\"20\">{}</text>\n",
        line.cell.name
    );
    let place = |row: usize| 32.0 + row as f64 * ROW;
    for (row, (subject, value)) in bars.iter().enumerate() {
        text.push_str(&bar(*subject, *value, end, place(row)));
    }
    let bottom = place(bars.len());
    if let Some(limit) = line.limit() {
        let x = LEFT + LENGTH * limit / end;
        text.push_str(&format!(
            "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"28\" y2=\"{bottom:.0}\"/>\n"
        ));
    }
    for (row, (subject, value)) in bars.iter().enumerate() {
        text.push_str(&words(line, *subject, *value, end, place(row)));
    }
    (text, bottom + 16.0)
}

fn length(value: f64, end: f64) -> f64 {
    LENGTH * (value / end).min(1.0)
}

fn bar(subject: Subject, value: f64, end: f64, y: f64) -> String {
    let (class, length) = (class(subject), length(value, end));
    format!(
        "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{length:.1}\" height=\"14\" rx=\"2\"/>\n"
    )
}

/// The name before the bar and the figure behind it, on top of the line of the limit.
fn words(line: &Line, subject: Subject, value: f64, end: f64, y: f64) -> String {
    let name = subject.name();
    let weight = if name.starts_with("tidewire") {
        "ours"
    } else {
        "soft"
    };
    let ratio = line.limit().filter(|_| subject != Subject::LimitA);
    let ratio = ratio.map_or_else(String::new, |limit| format!(" · {:.2}×", value / limit));
    let cut = if value > end * 1.001 { "» " } else { "" };
    let (before, behind) = (LEFT - 8.0, LEFT + length(value, end) + 6.0);
    let base = y + 11.0;
    format!(
        "<text class=\"{weight}\" x=\"{before:.0}\" y=\"{base:.0}\" text-anchor=\"end\">{name}</text>\
         <text class=\"{weight}\" x=\"{behind:.1}\" y=\"{base:.0}\">{cut}{}{ratio}</text>\n",
        short(value)
    )
}

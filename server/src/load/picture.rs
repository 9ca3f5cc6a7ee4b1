//! The picture of a run, as SVG: latency by percentile, with ever rarer ones to the right, and what went on over time. Drawn
//! for light pages; a style sheet in it changes each colour where pages are dark.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::options::Scenario;
use super::plan::Plan;
use super::report::{self, Figures, count, duration, rate};
use super::series::Slot;
use super::tally::Tally;
use crate::histogram::TOLD;

const WIDTH: u32 = 960;
const HEIGHT: u32 = 720;
const TITLE_HEIGHT: u32 = 76;

/// A colour on white, and the one that takes its place on black.
struct Ink {
    light: RGBColor,
    dark: &'static str,
}

const PAGE: Ink = ink(0xff_ff_ff, "#0d1117");
const WORDS: Ink = ink(0x1f_23_28, "#f0f6fc");
const SOFT: Ink = ink(0x59_63_6e, "#9198a1");
const GRID: Ink = ink(0xd1_d9_e0, "#30363d");
const OURS: Ink = ink(0x09_69_da, "#4493f8");
const OTHER: Ink = ink(0xbc_4c_00, "#f0883e");

const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

const fn ink(light: u32, dark: &'static str) -> Ink {
    let light = RGBColor((light >> 16) as u8, (light >> 8) as u8, light as u8);
    Ink { light, dark }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T = ()> = Result<T, Box<dyn Error>>;

/// Draws what was counted.
///
/// # Errors
/// What could not be drawn.
pub(super) fn draw(plan: &Plan, tally: &Tally, figures: &Figures) -> Drawn<String> {
    let mut svg = String::new();
    draw_into(&mut svg, plan, tally, figures)?;
    Ok(with_preamble(&svg, &plan.told()))
}

fn draw_into(svg: &mut String, plan: &Plan, tally: &Tally, figures: &Figures) -> Drawn {
    let page = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    page.fill(&PAGE.light)?;
    let (head, charts) = page.split_vertically(TITLE_HEIGHT);
    let (upper, lower) = charts.split_vertically((HEIGHT - TITLE_HEIGHT) * 11 / 20);
    title(&head, plan, tally, figures)?;
    percentiles(&upper, plan, tally)?;
    over_time(&lower, plan, tally, figures)?;
    page.present()?;
    Ok(())
}

fn font(size: u32, ink: &Ink) -> TextStyle<'static> {
    (FONT, size).into_font().color(&ink.light)
}

fn title(area: &Area<'_>, plan: &Plan, tally: &Tally, figures: &Figures) -> Drawn {
    let bold = (FONT, 18).into_font().style(FontStyle::Bold);
    area.draw(&Text::new(plan.told(), (20, 18), bold.color(&WORDS.light)))?;
    let latencies = report::latencies(plan, tally);
    let figures = match plan.scenario {
        Scenario::Idle => format!(
            "{} of {} open after {:.0} s, {} lost",
            count(figures.open as u64),
            count(plan.connections as u64),
            figures.seconds,
            count(tally.lost)
        ),
        Scenario::Echo | Scenario::Fanout | Scenario::Connect => format!(
            "{} received in {:.1} s, {} a second, {} missing, {} errors; p50 {}, p99 {}, max {}",
            count(tally.received),
            figures.seconds,
            rate(figures.per_second(tally)),
            count(tally.missing()),
            count(tally.errors_total()),
            duration(latencies.quantile(0.5)),
            duration(latencies.quantile(0.99)),
            duration(latencies.max()),
        ),
    };
    area.draw(&Text::new(figures, (20, 46), font(14, &SOFT)))?;
    Ok(())
}

/// Nines: 0 is the median's side, 1 is 90 %, 2 is 99 %, and so on.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

fn percentiles(area: &Area<'_>, plan: &Plan, tally: &Tally) -> Drawn {
    let latencies = report::latencies(plan, tally);
    let about = format!("latency, {}", plan.latency_of());
    if latencies.is_empty() {
        return nothing(area, &about);
    }
    // As many nines as there is something to tell of: one in a thousand of a hundred is none.
    let right = (latencies.count() as f64).log10().ceil().clamp(1.0, 7.0);
    let curve = latencies.curve().into_iter();
    let points: Vec<_> = curve
        .map(|(quantile, time)| (nines(quantile).min(right), time as f64))
        .collect();
    let low = points
        .iter()
        .map(|(_, time)| *time)
        .fold(f64::MAX, f64::min);
    let high = latencies.max() as f64;
    let bottom = 10_f64.powf(low.log10().floor());
    let top = 10_f64.powf(high.log10().ceil()).max(bottom * 10.0);
    let mut chart = ChartBuilder::on(area)
        .caption(about, font(14, &WORDS))
        .margin_left(14)
        .margin_right(38)
        .x_label_area_size(34)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..right, (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .x_labels(8)
        .x_label_formatter(&|nines| percentile(*nines))
        .y_label_formatter(&|time| duration(*time as u64))
        .axis_style(GRID.light)
        .bold_line_style(GRID.light)
        .light_line_style(TRANSPARENT)
        .label_style(font(12, &SOFT))
        .draw()?;
    chart.draw_series(LineSeries::new(points, OURS.light.stroke_width(3)))?;
    for (name, _, quantile) in TOLD {
        let place = (nines(quantile), latencies.quantile(quantile) as f64);
        // At the edge there is no room for its name.
        if place.0 < right - 0.2 {
            let told = format!("{name} {}", duration(place.1 as u64));
            // Below the point and to its right, where a curve that rises is not.
            let style = font(13, &WORDS).pos(Pos::new(HPos::Left, VPos::Top));
            let words = Text::new(told, (5, 8), style);
            let dot = Circle::new((0, 0), 5, OURS.light.filled());
            chart.draw_series([EmptyElement::at(place) + dot + words])?;
        }
    }
    Ok(())
}

fn percentile(nines: f64) -> String {
    if nines.fract() != 0.0 {
        return String::new();
    }
    match nines as usize {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{} %", "9".repeat(more - 2)),
    }
}

/// A name, its colour and width, and its points.
type Curve = (&'static str, &'static Ink, u32, Vec<(f64, f64)>);

/// What changes over time in a scenario. What is expected lies below what came, and is seen where they differ.
fn curves(plan: &Plan, tally: &Tally, seconds: f64) -> (&'static str, Vec<Curve>) {
    let points = |figure: fn(&Slot) -> u64, rate| tally.series.points(seconds, figure, rate);
    let pair = |expected, received| {
        vec![
            (expected, &OTHER, 5, points(|slot| slot.expected, true)),
            (received, &OURS, 2, points(|slot| slot.received, true)),
        ]
    };
    match plan.scenario {
        Scenario::Idle => {
            let open = points(|slot| slot.open, false);
            ("open connections", vec![("open", &OURS, 2, open)])
        }
        Scenario::Connect => ("handshakes a second", pair("begun", "done")),
        Scenario::Echo | Scenario::Fanout => {
            ("messages a second", pair("to be received", "received"))
        }
    }
}

fn over_time(area: &Area<'_>, plan: &Plan, tally: &Tally, figures: &Figures) -> Drawn {
    let seconds = figures.seconds;
    let (about, curves) = curves(plan, tally, seconds);
    let values = curves.iter().flat_map(|(_, _, _, points)| points);
    let high = values.map(|(_, value)| *value).fold(0.0, f64::max);
    if high == 0.0 {
        return nothing(area, about);
    }
    let mut chart = ChartBuilder::on(area)
        .caption(about, font(14, &WORDS))
        .margin_left(14)
        .margin_right(38)
        .margin_bottom(8)
        .x_label_area_size(34)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..seconds, 0.0..high * 1.3)?;
    chart
        .configure_mesh()
        .x_label_formatter(&|second| format!("{} s", (second * 100.0).round() / 100.0))
        .y_label_formatter(&|value| rate(*value))
        .y_labels(6)
        .axis_style(GRID.light)
        .bold_line_style(GRID.light)
        .light_line_style(TRANSPARENT)
        .label_style(font(12, &SOFT))
        .draw()?;
    let has_names = curves.len() > 1;
    for (name, ink, width, points) in curves {
        let line = ink.light.stroke_width(width);
        chart
            .draw_series(LineSeries::new(points, line))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], line));
    }
    if has_names {
        // The scale leaves room for them above all curves.
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(font(12, &SOFT))
            .draw()?;
    }
    Ok(())
}

fn nothing(area: &Area<'_>, about: &str) -> Drawn {
    let (width, height) = area.dim_in_pixel();
    let centre = (width as i32 / 2, height as i32 / 2);
    let style = font(14, &SOFT).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw(&Text::new(format!("{about}: nothing"), centre, style))?;
    Ok(())
}

/// Adds a title, which is what those hear who do not see it, and a rule for each colour, by the attribute that has it.
fn with_preamble(svg: &str, title: &str) -> String {
    let rule = |ink: &Ink| {
        let RGBColor(red, green, blue) = ink.light;
        let (light, dark) = (format!("#{red:02X}{green:02X}{blue:02X}"), ink.dark);
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}\n")
    };
    let inks = [PAGE, WORDS, SOFT, GRID, OURS, OTHER];
    let rules: String = inks.iter().map(rule).collect();
    // Behind the opening tag, which is the first. A plan has no character that XML would take for its own.
    match svg.split_once(">\n") {
        Some((tag, rest)) => format!(
            "{tag} role=\"img\">\n<title>tidewire bench: {title}</title>\n\
             <style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>\n{rest}"
        ),
        None => svg.to_owned(),
    }
}

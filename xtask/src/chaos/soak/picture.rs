//! The picture of a soak: the server's memory over time with its straight line, and its connections and descriptors below.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::samples::{Sample, Samples, Slope};

const SIZE: (u32, u32) = (960, 640);
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";
const WORDS: RGBColor = RGBColor(0x1f, 0x23, 0x28);
const SOFT: RGBColor = RGBColor(0x59, 0x63, 0x6e);
const GRID: RGBColor = RGBColor(0xd1, 0xd9, 0xe0);
const OURS: RGBColor = RGBColor(0x09, 0x69, 0xda);
const OTHER: RGBColor = RGBColor(0xbc, 0x4c, 0x00);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Points = Vec<(f64, f64)>;

/// The picture, as SVG.
pub(super) fn draw(samples: &Samples, warm_up: f64, slope: &Slope) -> Result<String> {
    let mut svg = String::new();
    draw_into(&mut svg, samples, warm_up, slope)
        .map_err(|error| anyhow!("cannot draw: {error}"))?;
    Ok(svg)
}

fn draw_into(
    svg: &mut String,
    samples: &Samples,
    warm_up: f64,
    slope: &Slope,
) -> Result<(), Box<dyn std::error::Error>> {
    let page = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    page.fill(&WHITE)?;
    let (upper, lower) = page.split_vertically(SIZE.1 * 3 / 5);
    let points = |figure: fn(&Sample) -> f64| -> Points {
        samples
            .iter()
            .map(|sample| (sample.minutes(), figure(sample)))
            .collect()
    };
    let on_line = |minutes: f64| (minutes, slope.at_zero + slope.per_hour * minutes / 60.0);
    let line = vec![on_line(warm_up), on_line(samples.minutes())];
    let about = format!("resident memory, MiB; behind the warm-up {slope}");
    chart(
        &upper,
        &about,
        &[
            ("memory", OURS, points(Sample::mebibytes)),
            ("least squares", OTHER, line),
        ],
    )?;
    chart(
        &lower,
        "connections, descriptors",
        &[
            (
                "descriptors",
                OTHER,
                points(|sample| sample.descriptors as f64),
            ),
            (
                "connections",
                OURS,
                points(|sample| sample.connections as f64),
            ),
        ],
    )?;
    page.present()?;
    Ok(())
}

fn chart(
    area: &Area<'_>,
    about: &str,
    curves: &[(&str, RGBColor, Points)],
) -> Result<(), Box<dyn std::error::Error>> {
    let font = |size: u32, colour: &RGBColor| (FONT, size).into_font().color(colour);
    let all = || curves.iter().flat_map(|(_, _, points)| points);
    let right = all().map(|point| point.0).fold(1.0, f64::max);
    let top = all().map(|point| point.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(about, font(15, &WORDS))
        .margin(14)
        .x_label_area_size(30)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..right, 0.0..top * 1.3)?;
    chart
        .configure_mesh()
        .x_label_formatter(&|minutes| format!("{minutes:.0} min"))
        .axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(font(12, &SOFT))
        .draw()?;
    for (name, colour, points) in curves {
        let line = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), line))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], line));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(font(12, &SOFT))
        .draw()?;
    Ok(())
}

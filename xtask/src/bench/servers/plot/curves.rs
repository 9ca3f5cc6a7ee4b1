//! A curve for each server, both named at its end; the vertical scale is a logarithm.

use super::svg::{Picture, WIDTH};
use crate::bench::servers::report::short;

const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 170.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 400.0;

/// Names at the ends are at least so far apart.
const NAME: f64 = 16.0;

pub(in crate::bench) struct Chart {
    pub(in crate::bench) x_title: &'static str,
    pub(in crate::bench) y_title: &'static str,
    /// Where, and what stands there; the first and the last are the ends of the scale.
    pub(in crate::bench) x_ticks: Vec<(f64, String)>,
    pub(in crate::bench) curves: Vec<Curve>,
}

pub(in crate::bench) struct Curve {
    /// What stands at its end.
    pub(in crate::bench) name: String,
    /// Whose colour it has: a server's name.
    pub(in crate::bench) class: &'static str,
    pub(in crate::bench) points: Vec<(f64, f64)>,
}

impl Chart {
    /// None if there is nothing to draw.
    pub(in crate::bench) fn draw(&self) -> Option<Picture> {
        let scale = self.scale()?;
        let mut body = self.frame(&scale);
        for curve in &self.curves {
            let points = curve.points.iter().map(|(x, y)| {
                let (x, y) = (scale.x(*x), scale.y(*y));
                format!("{x:.1},{y:.1}")
            });
            let points: Vec<_> = points.collect();
            let style = match curve.class {
                "limit" => " dashed",
                "tidewire" => " thick",
                _ => "",
            };
            body.push_str(&format!(
                "<polyline class=\"curve{style} {}\" points=\"{}\"/>\n",
                curve.class,
                points.join(" ")
            ));
        }
        body.push_str(&self.names(&scale));
        Some(Picture {
            height: BOTTOM + 50.0,
            body,
        })
    }

    fn scale(&self) -> Option<Scale> {
        let values = || {
            self.curves
                .iter()
                .flat_map(|curve| curve.points.iter().map(|(_, y)| *y))
        };
        let (low, high) = (
            values().fold(f64::MAX, f64::min),
            values().fold(0.0, f64::max),
        );
        let scale = Scale {
            x: (self.x_ticks.first()?.0, self.x_ticks.last()?.0),
            y: (low.log10().floor(), high.log10().ceil()),
        };
        (scale.x.0 < scale.x.1 && scale.y.0 < scale.y.1).then_some(scale)
    }

    fn frame(&self, scale: &Scale) -> String {
        let mut text = format!(
            "<text class=\"soft\" x=\"20\" y=\"8\">{}</text>\n",
            self.y_title
        );
        for exponent in scale.y.0 as i32..=scale.y.1 as i32 {
            let value = 10_f64.powi(exponent);
            let y = scale.y(value);
            let told = if value < 1.0 {
                value.to_string()
            } else {
                format!("{value:.0}")
            };
            text.push_str(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"soft\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{told}</text>\n",
                LEFT - 8.0,
                y + 4.0
            ));
        }
        for (x, told) in &self.x_ticks {
            let x = scale.x(*x);
            text.push_str(&format!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
                 <text class=\"soft\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{told}</text>\n",
                BOTTOM + 18.0
            ));
        }
        text.push_str(&format!(
            "<text class=\"soft\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\n",
            (LEFT + RIGHT) / 2.0,
            BOTTOM + 38.0,
            self.x_title
        ));
        text
    }

    /// At the height of the curve's end, moved down where two would touch, all up where the last would fall off.
    fn names(&self, scale: &Scale) -> String {
        let ends = self.curves.iter().filter_map(|curve| {
            let (_, value) = curve.points.last()?;
            Some((scale.y(*value), curve, *value))
        });
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut last = f64::MIN;
        for end in &mut ends {
            end.0 = end.0.max(last + NAME);
            last = end.0;
        }
        let mut below = BOTTOM;
        for end in ends.iter_mut().rev() {
            end.0 = end.0.min(below);
            below = end.0 - NAME;
        }
        let name = |(y, curve, value): &(f64, &Curve, f64)| {
            let (name, class) = (&curve.name, curve.class);
            let weight = if name.starts_with("tidewire") {
                "ours"
            } else {
                "soft"
            };
            format!(
                "<rect class=\"{class}\" x=\"{:.0}\" y=\"{:.1}\" width=\"10\" height=\"10\" rx=\"2\"/>\
                 <text class=\"{weight}\" x=\"{:.0}\" y=\"{:.1}\">{name} {}</text>\n",
                RIGHT + 8.0,
                y - 5.0,
                RIGHT + 23.0,
                y + 4.0,
                short(*value)
            )
        };
        ends.iter().map(name).collect()
    }
}

/// From values to places.
struct Scale {
    x: (f64, f64),
    /// Powers of ten.
    y: (f64, f64),
}

impl Scale {
    fn x(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (value - self.x.0) / (self.x.1 - self.x.0)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (value.log10() - self.y.0) / (self.y.1 - self.y.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> Chart {
        let curve = |value: &f64| Curve {
            name: "tidewire".to_owned(),
            class: "tidewire",
            points: vec![(0.0, 2.0), (1.0, *value)],
        };
        Chart {
            x_title: "x",
            y_title: "y",
            x_ticks: vec![(0.0, "0".to_owned()), (1.0, "1".to_owned())],
            curves: values.iter().map(curve).collect(),
        }
    }

    #[test]
    fn names_do_not_touch_and_stay_on_the_page() {
        let chart = chart(&[1.0, 1.0, 1.01, 1.02]);
        let scale = chart.scale().expect("there are values");
        let names = chart.names(&scale);
        let mut places: Vec<f64> = names
            .split("<text")
            .skip(1)
            .filter_map(|name| name.split("y=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places.len(), 4);
        assert!(
            places
                .windows(2)
                .all(|pair| pair[1] - pair[0] >= NAME - 0.11)
        );
        assert!(places[3] <= BOTTOM + 5.0, "{places:?}");
    }

    #[test]
    fn nothing_is_no_picture() {
        assert!(chart(&[]).draw().is_none());
    }
}

//! What all pictures share: size, letters, colours.

use crate::bench::servers::foreign::Foreign;
use crate::bench::servers::subjects::Subject;

pub(super) const WIDTH: f64 = 960.0;

/// What is drawn, and how high it is.
pub(in crate::bench) struct Picture {
    pub(in crate::bench) height: f64,
    pub(in crate::bench) body: String,
}

/// A whole file.
pub(in crate::bench) fn page(title: &str, picture: Picture) -> String {
    let (height, body) = (picture.height + 44.0, picture.body);
    let light = rules(|subject| colours(subject).0);
    let dark = rules(|subject| colours(subject).1);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>\n\
         text {{ font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round; paint-order: stroke; }}\n\
         .title {{ font-size: 16px; font-weight: 600; }} .head {{ font-weight: 600; }} .soft {{ fill: #59636e; }} .ours {{ font-weight: 600; }}\n\
         .page {{ fill: #ffffff; }} .grid {{ stroke: #d1d9e0; fill: none; }} .mark {{ stroke: #59636e; stroke-dasharray: 3 3; }}\n\
         .curve {{ fill: none; stroke-width: 1.75; }} .thick {{ stroke-width: 3.5; }} .dashed {{ stroke-dasharray: 6 4; }}\n\
         {light}\
         @media (prefers-color-scheme: dark) {{\n\
         text {{ fill: #f0f6fc; stroke: #0d1117; }} .soft {{ fill: #9198a1; }} .page {{ fill: #0d1117; }} .grid {{ stroke: #30363d; }} .mark {{ stroke: #9198a1; }}\n\
         {dark}}}\n\
         </style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height:.0}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"20\" y=\"30\">{title}</text>\n\
         <g transform=\"translate(0 44)\">\n{body}</g>\n</svg>\n"
    )
}

/// The class that gives a server its colour.
pub(super) fn class(subject: Subject) -> &'static str {
    subject.name()
}

fn rules(colour: impl Fn(Subject) -> &'static str) -> String {
    let rule = |subject: Subject| {
        let (class, colour) = (class(subject), colour(subject));
        format!(
            ".{class} {{ fill: {colour}; }} .curve.{class} {{ fill: none; stroke: {colour}; }}\n"
        )
    };
    let named = crate::bench::servers::subjects::ALL.into_iter();
    named
        .filter(|subject| *subject != Subject::LimitB)
        .map(rule)
        .collect()
}

/// On white, and on black. Ours are blue; the others keep apart from it and from each other.
fn colours(subject: Subject) -> (&'static str, &'static str) {
    match subject {
        Subject::LimitA | Subject::LimitB => ("#818b98", "#7d8590"),
        Subject::Tidewire => ("#0969da", "#4493f8"),
        Subject::Chat => ("#218bff", "#79c0ff"),
        Subject::Disk => ("#80ccff", "#a5d6ff"),
        Subject::Peer("fastwebsockets") => ("#bc4c00", "#f0883e"),
        Subject::Peer("tungstenite") => ("#cf222e", "#ff7b72"),
        Subject::Peer("tokio-websockets") => ("#8250df", "#bc8cff"),
        Subject::Peer("axum") => ("#bf3989", "#f778ba"),
        Subject::Peer(_) => ("#9a6700", "#e3b341"),
        Subject::Foreign(Foreign::Uwebsockets) => ("#57060a", "#ffc1ba"),
        Subject::Foreign(Foreign::Node) => ("#1a7f37", "#3fb950"),
        Subject::Foreign(Foreign::Socketio) => ("#0d5f4f", "#7ee0c6"),
        Subject::Foreign(Foreign::Nchan) => ("#6e7781", "#d0d7de"),
        Subject::Foreign(Foreign::Nats) => ("#3192aa", "#76e3ea"),
    }
}

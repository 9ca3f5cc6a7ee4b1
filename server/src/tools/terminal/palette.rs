//! Colours, where they are wanted: on a terminal, unless `NO_COLOR` says otherwise (no-color.org) or the terminal is a dumb one.

use std::io::{self, IsTerminal as _};

use anstyle::{AnsiColor, Style};

/// Colours for names, all of them readable on black and on white.
const NAMES: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Yellow,
    AnsiColor::Blue,
    AnsiColor::Magenta,
    AnsiColor::Red,
];

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    is_on: bool,
}

impl Palette {
    /// For what is written to standard output.
    pub(crate) fn of_stdout() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            is_on: io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb,
        }
    }

    /// Without colours.
    pub(crate) const fn plain() -> Self {
        Self { is_on: false }
    }

    /// A name, always in the same colour.
    pub(crate) fn name(self, name: &str) -> String {
        let sum = name.bytes().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let color = NAMES[sum % NAMES.len()];
        self.paint(color.on_default().bold(), name)
    }

    /// What matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// What went well.
    pub(crate) fn success(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// What went wrong.
    pub(crate) fn warning(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    /// What is for one reader only.
    pub(crate) fn private(self, text: &str) -> String {
        self.paint(AnsiColor::Magenta.on_default(), text)
    }

    fn paint(self, style: Style, text: &str) -> String {
        if self.is_on && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_text_stays_as_it_is() {
        assert_eq!(Palette::plain().name("ada"), "ada");
        let painted = Palette { is_on: true }.warning("no");
        assert_eq!(painted, "\x1b[31mno\x1b[0m");
        assert_eq!(Palette { is_on: true }.dim(""), "");
    }
}

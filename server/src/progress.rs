//! How far a long command is, on stderr: a bar on a terminal, lines elsewhere. What the lines say is the command's.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The steps of a whole bar.
const STEPS: u64 = 1000;

/// How often a bar is drawn.
const BAR_EVERY: Duration = Duration::from_millis(200);

/// Shows how far it is.
#[derive(Debug)]
pub(crate) struct Progress {
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// None: nothing is shown.
    every: Option<Duration>,
    shown_at: Option<Instant>,
}

impl Progress {
    /// A bar on a terminal; else a line every so often, or with none nothing.
    pub(crate) fn new(line_every: Option<Duration>) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(STEPS);
            let style = ProgressStyle::with_template("{bar:14.cyan/dim} {wide_msg}");
            // The template is a constant, and right; without it the bar only looks otherwise.
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar
        });
        Self {
            every: if bar.is_some() {
                Some(BAR_EVERY)
            } else {
                line_every
            },
            bar,
            shown_at: None,
        }
    }

    /// Shows that `share` of it is done, and the words for it, if it is time for that.
    pub(crate) fn show(&mut self, now: Instant, look: impl FnOnce() -> (f64, String)) {
        let since = *self.shown_at.get_or_insert(now);
        if self
            .every
            .is_none_or(|every| now.duration_since(since) < every)
        {
            return;
        }
        self.shown_at = Some(now);
        let (share, words) = look();
        match &self.bar {
            Some(bar) => {
                bar.set_position((share.clamp(0.0, 1.0) * STEPS as f64) as u64);
                bar.set_message(words);
            }
            // Nobody who listens is no reason not to go on.
            None => drop(writeln!(stderr(), "{words}")),
        }
    }

    /// Takes the bar away: the result follows.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

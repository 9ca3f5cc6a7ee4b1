//! The commands beside `serve`: each reads its arguments, writes to what it is given, and returns what went wrong.

pub mod capture;
pub mod chat;
pub mod config;
mod link;
pub mod log;
pub mod operator;
pub mod pages;
pub mod replay;
pub mod tail;
pub(crate) mod terminal;
pub mod token;
pub mod why;

use std::error::Error;
use std::fmt;

/// Words that make no sense together: exit code 2, as for those that clap refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

/// What went wrong, fit for a terminal: a sentence may quote what a server said.
#[must_use]
pub fn told(error: &dyn Error) -> String {
    terminal::visible(&error.to_string(), terminal::Lines::Indented(2))
}

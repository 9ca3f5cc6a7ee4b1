//! What engines of logs elsewhere have in common: requests of workers become [commands](Command) on links, and answers become what
//! workers hear, once and in order. An engine packs the commands in its own way; `core` does not know how.

mod appends;
mod checks;
mod clock;
mod command;
mod copies;
pub(in crate::log) mod core;
mod fills;
pub(in crate::log) mod guide;
pub(in crate::log) mod lines;
mod links;
mod masters;
mod pages;
mod places;
mod reads;
mod runs;
mod seen;
mod settings;
#[cfg(test)]
mod simulation;
mod tokens;
mod watched;

pub use command::{
    Answer, Appended, Bucket, Command, Extracted, Failure, From, Node, Run, RunState, Stored, Trust,
};
pub use settings::{Ack, Secret, Settings};

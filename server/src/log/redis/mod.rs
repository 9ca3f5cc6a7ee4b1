//! Logs in Redis: a hash each, and beside it what makes offsets dense, keys once and losses known.
//!
//! [`Command`] is what is asked of Redis, atomic each, and [`Answer`] what comes back: the one is packed and the other parsed in
//! `wire`, by scripts that run in Redis. The engine behind the workers' requests is in `engine`.

mod engine;
#[cfg(test)]
mod installed;
mod options;
pub mod wire;

pub use engine::RedisEngine;
pub use options::{RedisOptions, Topology};

use super::shared::{
    Answer, Appended, Bucket, Command, Extracted, Failure, From, Node, Run, RunState, Stored, Trust,
};

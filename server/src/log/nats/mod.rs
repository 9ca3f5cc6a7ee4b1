//! Logs in NATS JetStream: a stream each, whose sequence numbers are the offsets. NATS has no scripts, so what Redis does in one step
//! is here a job of a few requests, in an order that keeps the same promises: [`shared`](super::shared) decides on the same
//! commands and answers for both.

mod appends;
mod engine;
mod exchange;
mod jobs;
mod line;
mod naming;
mod nodes;
mod options;
mod pages;
mod runs;
mod store;
mod streams;
mod text;

pub use engine::NatsEngine;
pub use options::{NatsLogin, NatsOptions};

//! The engine of logs in Redis: behind the workers' requests, before the links.

mod appends;
mod core;
mod links;
mod pages;
mod reads;
mod runs;
mod seen;
#[cfg(test)]
mod simulation;
mod watched;

//! A simulated disk, and a campaign of crashes against a model of what a store has promised.
//!
//! Everything follows from a seed: the same seed does the same, faults and crashes included.

mod campaign;
mod dice;
mod disk;
mod model;

pub use campaign::{Outcome, Violation, run};

#[cfg(test)]
pub(in crate::log) use dice::Dice;

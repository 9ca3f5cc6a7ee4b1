//! Where the logs are, as workers see it: with a thread that has a store, or elsewhere, with a thread that has links to where they are.
//! Either is asked the same way, and answers in an order in which what it says is true.

mod link;
mod names;
mod remote;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use remote::Remote;

use crate::log::{Activity, Broker, Request};
use crate::net::worker::Asked;

/// The thread that workers ask. It ends when this is dropped, after saving what it was given.
#[derive(Debug)]
pub(super) enum Logs {
    /// It has them itself, on a disk or in memory.
    Here(Broker<Asked>),
    /// Others can reach them, too, and append.
    Elsewhere(Remote<Asked>),
}

impl Logs {
    /// Hands over a request. Should the thread be gone, it is never answered.
    pub(super) fn send(&self, request: Request<Asked>) {
        match self {
            Self::Here(broker) => broker.send(request),
            Self::Elsewhere(remote) => remote.send(request),
        }
    }

    /// What the thread counts.
    pub(super) fn activity(&self) -> Arc<Activity> {
        match self {
            Self::Here(broker) => broker.activity(),
            Self::Elsewhere(remote) => remote.activity(),
        }
    }

    /// Whether others append, too, so that it is to hear what is followed.
    pub(super) const fn are_elsewhere(&self) -> bool {
        matches!(self, Self::Elsewhere(..))
    }
}

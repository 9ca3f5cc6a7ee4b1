//! A node's end of all links: the shared half of an engine, whose commands a simulated Redis does as values; or the whole engine of
//! NATS, which speaks bytes.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::Asked;
use crate::clock::Now;
use crate::log::nats::NatsEngine;
use crate::log::remote::{Action, Engine as _, Link};
use crate::log::shared::core::Core;
use crate::log::{Reply, Request};

/// One of them.
pub(in super::super) enum Side {
    Redis(Box<Core<Asked>>),
    Nats(Box<NatsEngine<Asked>>),
}

/// What engines share.
impl Deref for Side {
    type Target = Core<Asked>;

    fn deref(&self) -> &Core<Asked> {
        match self {
            Self::Redis(core) => core,
            Self::Nats(engine) => &engine.core,
        }
    }
}

impl DerefMut for Side {
    fn deref_mut(&mut self) -> &mut Core<Asked> {
        match self {
            Self::Redis(core) => core,
            Self::Nats(engine) => &mut engine.core,
        }
    }
}

impl Side {
    pub(super) fn request(&mut self, request: Request<Asked>, now: Now) {
        match self {
            Self::Redis(core) => core.request(request, now),
            Self::Nats(engine) => engine.request(request, now),
        }
    }

    pub(super) fn closed(&mut self, link: Link, now: Now) {
        match self {
            Self::Redis(core) => core.closed(link, now),
            Self::Nats(engine) => engine.closed(link, "it was cut", now),
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Redis(core) => core.actions.pop_front(),
            Self::Nats(engine) => engine.poll_action(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Redis(core) => core.poll_timeout(),
            Self::Nats(engine) => engine.poll_timeout(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        match self {
            Self::Redis(core) => core.handle_timeout(now),
            Self::Nats(engine) => engine.handle_timeout(now),
        }
    }

    pub(super) fn take_replies(&mut self, replies: &mut Vec<Reply<Asked>>) {
        match self {
            Self::Redis(core) => core.take_replies(replies),
            Self::Nats(engine) => engine.take_replies(replies),
        }
    }
}

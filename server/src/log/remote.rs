//! Logs that are kept elsewhere, by something that several nodes can reach: what an engine of such logs is. An engine is pure: it
//! is told what links brought and what time it is, and tells what they are to take, which links it wants, and what workers hear.
//! `net` has its sockets.
//!
//! Workers see the same as of a [`Store`](super::Store): requests go out, replies come in an order in which they are true. What
//! is different is that others append, too. So a worker [watches](Request::Watch) the logs that its clients follow, and from the
//! first page behind that on it hears of every entry there, by [`Reply::Appended`] or [`Reply::Announced`], each once and in
//! order, as if the log's thread had appended it itself. Where that cannot be, since logs have lost something, it hears
//! [`Reply::Broken`], and reads on by pages, which tell of the gap.

use std::fmt;
use std::time::Instant;

use bytes::BytesMut;

use super::{Reply, Request, Traffic};
use crate::clock::Now;

/// A connection to where the logs are, by the engine's own number; one that was closed is not opened again under the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub u32);

/// Where a link goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            return write!(f, "[{host}]:{port}");
        }
        write!(f, "{host}:{port}")
    }
}

/// What is to be done with a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open it; [`Engine::opened`] or [`Engine::closed`] follows.
    Open(Link, Target),
    /// Close it; nothing follows. What it still has to send is dropped.
    Close(Link),
}

/// Keeps logs elsewhere.
pub trait Engine<C> {
    /// A worker asks. Every request but [`Request::Mark`], [`Request::Rules`], [`Request::Watch`] and [`Request::Unwatch`] is
    /// answered by one reply.
    fn request(&mut self, request: Request<C>, now: Now);

    /// A link is open, and TLS spoken where it is to be.
    fn opened(&mut self, link: Link, now: Now);

    /// A link has brought this.
    fn received(&mut self, link: Link, bytes: &[u8], now: Now);

    /// A link has ended, or could not be opened: why, as a sentence for the log.
    fn closed(&mut self, link: Link, why: &str, now: Now);

    /// What a link is to send: what it has taken is to be removed. Empty for one that is not open.
    fn output(&mut self, link: Link) -> Option<&mut BytesMut>;

    /// The next thing to be done with links.
    fn poll_action(&mut self) -> Option<Action>;

    /// When to call [`handle_timeout`](Self::handle_timeout).
    fn poll_timeout(&self) -> Option<Instant>;

    /// It is as late as that.
    fn handle_timeout(&mut self, now: Now);

    /// Moves the replies since the last call, in order, behind those in `replies`.
    fn take_replies(&mut self, replies: &mut Vec<Reply<C>>);

    /// What went over the links so far.
    fn traffic(&self) -> &Traffic;

    /// This server ends: nothing more will be asked. Others are to know, so that they do not wait for it.
    fn leave(&mut self, now: Now);

    /// Whether a link goes to where logs are; if not, it only tells where that is.
    fn has_logs(&self, link: Link) -> bool {
        let _ = link;
        true
    }

    /// Whether a link is of use: what it is to be let in with was accepted.
    fn is_let_in(&self, link: Link) -> bool;

    /// Whether nothing that was asked waits for an answer: then a server that stops has saved all that it was given.
    fn is_idle(&self) -> bool;
}

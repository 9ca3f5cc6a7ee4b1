//! What the hub knows of tokens: what each connection has shown, and who has yet to show one. It asks [`Access`] and decides
//! nothing itself; without keys it holds nothing, and allows everything.

use std::collections::HashMap;
use std::sync::Arc;

use super::command::Refused;
use super::effect::Joiner;
use crate::auth::{Access, BadToken, Forbidden, Identity, Keys};
use crate::clock::Now;
use crate::ids::ConnId;

/// The tokens of the chat.
#[derive(Debug)]
pub(super) struct Tokens {
    keys: Option<Arc<Keys>>,
    shown: HashMap<ConnId, Access, foldhash::fast::RandomState>,
    /// What who has shown none wanted when it came.
    awaited: HashMap<ConnId, Box<Joiner>, foldhash::fast::RandomState>,
}

impl Tokens {
    pub(super) fn new(keys: Option<Arc<Keys>>) -> Self {
        Self {
            keys,
            shown: HashMap::default(),
            awaited: HashMap::default(),
        }
    }

    /// Newer keys; what was shown before still counts.
    pub(super) fn change_keys(&mut self, keys: Option<Arc<Keys>>) {
        self.keys = keys;
    }

    /// Notes what a connection comes with; gives the joiner back if it may go on.
    pub(super) fn admit(&mut self, conn: ConnId, joiner: Joiner) -> Option<Joiner> {
        if self.keys.is_none() {
            return Some(joiner);
        }
        if joiner.access.identity().is_none() {
            self.awaited.insert(conn, Box::new(joiner));
            return None;
        }
        self.shown.insert(conn, joiner.access.clone());
        Some(joiner)
    }

    /// Whether it has yet to show a token.
    pub(super) fn is_awaited(&self, conn: ConnId) -> bool {
        self.awaited.contains_key(&conn)
    }

    /// What it wanted, now that it has shown one.
    pub(super) fn take_awaited(&mut self, conn: ConnId) -> Option<Joiner> {
        self.awaited.remove(&conn).map(|joiner| *joiner)
    }

    /// What a connection may do.
    pub(super) fn access(&self, conn: ConnId) -> &Access {
        match (&self.keys, self.shown.get(&conn)) {
            (None, _) => &Access::Open,
            (Some(_), Some(access)) => access,
            (Some(_), None) => &Access::Awaited,
        }
    }

    /// Checks a token; `None` where tokens mean nothing.
    pub(super) fn verify(&self, token: &str, now: Now) -> Result<Option<Arc<Identity>>, BadToken> {
        let keys = self.keys.as_ref();
        keys.map(|keys| keys.verify(token, now.unix_ms)).transpose()
    }

    /// A connection has shown a fresh token.
    pub(super) fn renew(&mut self, conn: ConnId, identity: Arc<Identity>) {
        self.shown.insert(conn, Access::Of(identity));
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.shown.remove(&conn);
        self.awaited.remove(&conn);
    }
}

impl From<Forbidden> for Refused {
    fn from(forbidden: Forbidden) -> Self {
        Self {
            code: "forbidden",
            message: forbidden.to_string(),
        }
    }
}

impl From<BadToken> for Refused {
    fn from(bad: BadToken) -> Self {
        Self {
            code: "unauthorized",
            message: bad.to_string(),
        }
    }
}

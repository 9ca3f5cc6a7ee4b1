//! What a token says (RFC 7519 §4), read strictly: a claim of the wrong type refuses the token, since what is not understood must
//! not count as absent. The signature was checked before.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::access::{Grant, Identity};
use super::keys::BadToken;
use crate::ids::UserName;
use crate::log::Pattern;

/// The most entries of `rooms`: as many as a connection may have rooms.
const GRANTS_MAX: usize = 128;

/// The claims that count; others are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    sub: String,
    /// "A JSON numeric value" (RFC 7519 §2, NumericDate), perhaps with a fraction.
    exp: f64,
    #[serde(default, deserialize_with = "not_null")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "not_null")]
    rooms: Option<Vec<Rooms>>,
    #[serde(default)]
    server: bool,
    #[serde(default)]
    admin: bool,
}

#[derive(Debug, Deserialize)]
struct Rooms {
    r#match: String,
    /// Words that we do not know grant nothing.
    can: Vec<String>,
}

/// `null` is of the wrong type: taken for an absent `rooms`, it would grant everything.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Claims {
    /// What they grant at that time.
    pub(super) fn into_identity(
        self,
        leeway: Duration,
        unix_ms: u64,
    ) -> Result<Identity, BadToken> {
        let leeway_ms = leeway.as_millis() as u64;
        let user = UserName::new(&self.sub).map_err(BadToken::Subject)?;
        let expires_ms = millis(self.exp);
        let ends_ms = expires_ms.saturating_add(leeway_ms);
        // "The current date/time MUST be before the expiration date/time listed in the "exp" claim" (RFC 7519 §4.1.4).
        if unix_ms >= ends_ms {
            return Err(BadToken::Expired);
        }
        // "... MUST be after or equal to the not-before date/time listed in the "nbf" claim" (§4.1.5).
        if let Some(nbf) = self.nbf
            && unix_ms.saturating_add(leeway_ms) < millis(nbf)
        {
            return Err(BadToken::NotYet);
        }
        if self
            .rooms
            .as_ref()
            .is_some_and(|rooms| rooms.len() > GRANTS_MAX)
        {
            return Err(BadToken::TooManyRooms);
        }
        let grants = |rooms: Vec<Rooms>| rooms.into_iter().map(Rooms::into_grant).collect();
        Ok(Identity {
            user,
            rooms: self.rooms.map(grants),
            is_server: self.server,
            is_admin: self.admin,
            expires_ms,
            ends_ms,
        })
    }
}

impl Rooms {
    fn into_grant(self) -> Grant {
        let can = |right| self.can.iter().any(|word| word == right);
        Grant {
            join: can("join"),
            publish: can("publish"),
            read: can("read"),
            rooms: Pattern::new(self.r#match),
        }
    }
}

/// Seconds since 1970 in milliseconds; what is below that is 0, and what is above all times the last of them.
fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

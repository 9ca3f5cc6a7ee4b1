//! The token of a request: where it may stand, and what a request without a good one is answered. Whoever reads a token takes it
//! from here, and nobody keeps it.

use std::borrow::Cow;

use tidewire_protocol::handshake::server::Request;

use super::api::Problem;
use super::http::Turn;
use super::query;
use super::response::Response;
use crate::auth::{Access, BadToken, Forbidden};

/// What a browser, which cannot set a header, offers as a subprotocol beside the chat's, with the token behind it.
const PROTOCOL_PREFIX: &str = "tidewire.token.";

/// How a token is asked for (RFC 6750 §3) ...
const CHALLENGE: &str = "Bearer realm=\"tidewire\"";

/// ... of who has shown one: "invalid_token" (§3.1).
const CHALLENGE_AGAIN: &str = "Bearer realm=\"tidewire\", error=\"invalid_token\"";

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unauthorized {
    NoToken,
    Bad(BadToken),
}

/// What a request may do by the token that it shows.
pub(super) fn access(
    request: &Request<'_>,
    query: &str,
    turn: Turn<'_>,
) -> Result<Access, Unauthorized> {
    let Some(keys) = &turn.config.keys else {
        return Ok(Access::Open);
    };
    let token = find(request, query).ok_or(Unauthorized::NoToken)?;
    match keys.verify(&token, turn.unix_ms) {
        Ok(identity) => Ok(Access::Of(identity)),
        Err(bad) => {
            // Whoever has none could fill the disk with it.
            tracing::debug!(
                event = "token_refused",
                why = bad.word(),
                "a token was not accepted"
            );
            Err(Unauthorized::Bad(bad))
        }
    }
}

/// The token: a header counts more than the address, which others may have made.
fn find<'h>(request: &Request<'h>, query: &'h str) -> Option<Cow<'h, str>> {
    let bearer = request.single("authorization").ok().flatten();
    bearer
        .and_then(bearer_token)
        .or_else(|| offered_token(request))
        .map(Cow::Borrowed)
        .or_else(|| query_token(query))
}

/// "Authorization: Bearer" and the token (RFC 6750 §2.1); the name of a scheme has no case (RFC 9110 §11.1).
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim_ascii())
}

fn offered_token<'h>(request: &Request<'h>) -> Option<&'h str> {
    let values = request.values("sec-websocket-protocol");
    values
        .filter_map(|value| str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .find_map(|offer| offer.trim_ascii().strip_prefix(PROTOCOL_PREFIX))
}

fn query_token(query: &str) -> Option<Cow<'_, str>> {
    let named = |(name, value): (Cow<'_, str>, _)| (name == "token").then_some(value);
    let found = query::pairs(query).flatten().find_map(named);
    // A form that was left empty says nothing.
    found.filter(|token: &Cow<'_, str>| !token.is_empty())
}

impl Unauthorized {
    const fn challenge(self) -> &'static str {
        match self {
            Self::NoToken => CHALLENGE,
            Self::Bad(_) => CHALLENGE_AGAIN,
        }
    }

    fn sentence(self) -> String {
        match self {
            Self::NoToken => {
                "Show a token: as \"Authorization: Bearer TOKEN\", or as ?token= in the address."
                    .to_owned()
            }
            Self::Bad(bad) => bad.to_string(),
        }
    }

    /// What a page or a handshake is answered: nothing that follows is read.
    pub(super) fn response(self) -> Response {
        Response::sentence(401, self.sentence())
            .with_header("WWW-Authenticate", self.challenge())
            .closing()
    }

    /// What a request to the API is answered.
    pub(super) fn problem(self) -> Response {
        Response::problem(401, "unauthorized", self.sentence())
            .with_header("WWW-Authenticate", self.challenge())
    }
}

impl From<Forbidden> for Problem {
    fn from(forbidden: Forbidden) -> Self {
        Self::new(403, "forbidden", forbidden.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_protocol::handshake::server::HeaderStorage;

    fn found(query: &str, headers: &str) -> Option<String> {
        let head = format!("GET /ws?{query} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let mut storage = HeaderStorage::default();
        let request = Request::parse(head.as_bytes(), &mut storage).unwrap();
        find(&request, query).map(Cow::into_owned)
    }

    #[test]
    fn a_token_is_found_where_it_may_stand() {
        for (query, headers, token) in [
            ("", "", None),
            ("token=", "", None),
            ("token=a.b.c", "", Some("a.b.c")),
            ("room=r&token=a%2Eb.c", "", Some("a.b.c")),
            ("", "Authorization: Bearer a.b.c\r\n", Some("a.b.c")),
            ("", "authorization: bEARER   a.b.c \r\n", Some("a.b.c")),
            ("", "Authorization: Basic a.b.c\r\n", None),
            (
                "",
                "Sec-WebSocket-Protocol: tidewire.v1.json, tidewire.token.a.b.c\r\n",
                Some("a.b.c"),
            ),
            (
                "",
                "Sec-WebSocket-Protocol: tidewire.v1.json\r\nSec-WebSocket-Protocol: tidewire.token.a.b.c\r\n",
                Some("a.b.c"),
            ),
            ("token=x", "Authorization: Bearer a.b.c\r\n", Some("a.b.c")),
        ] {
            assert_eq!(found(query, headers).as_deref(), token, "{query} {headers}");
        }
    }
}

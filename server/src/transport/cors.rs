//! Which pages of other origins may use the API (the CORS protocol, <https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::fmt;

use tidewire_protocol::handshake::server::Request;

use super::response::{Header, Response};

/// Headers that a page may send beside those that need no asking.
const HEADERS_ALLOWED: &str = "Authorization, Content-Type, If-None-Match, Last-Event-ID, Range";

/// Headers that a page may read beside those that need no asking.
const HEADERS_EXPOSED: &str =
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, Retry-After";

/// How long a browser may remember an answer, in seconds: Firefox keeps up to a day, Chromium two hours.
const MAX_AGE: &str = "7200";

/// What a page of another origin is told.
pub(super) const REFUSED: &str =
    "Pages of this origin may not do that: allow it with --cors-origin.";

/// The origins that are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cors {
    any: bool,
    origins: Vec<String>,
}

/// An origin as browsers send it, or `*` for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// A text is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadOrigin;

impl fmt::Display for BadOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an origin is http:// or https://, a host and perhaps a port, without a path; or *",
        )
    }
}

impl std::error::Error for BadOrigin {}

impl std::str::FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let origin = text.to_ascii_lowercase();
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        let is_host = |host: &str| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
        };
        if origin == "*" || host.is_some_and(is_host) {
            Ok(Self(origin))
        } else {
            Err(BadOrigin)
        }
    }
}

impl Cors {
    /// These are allowed, and no others.
    pub(crate) fn new(origins: &[Origin]) -> Self {
        Self {
            any: origins.iter().any(|origin| origin.0 == "*"),
            origins: origins.iter().map(|origin| origin.0.clone()).collect(),
        }
    }

    /// What every response to this request says.
    pub(super) fn headers(&self, request: &Request<'_>) -> Vec<Header> {
        if self.origins.is_empty() {
            return Vec::new();
        }
        let exposed = ("Access-Control-Expose-Headers", HEADERS_EXPOSED.into());
        if self.any {
            return vec![("Access-Control-Allow-Origin", "*".into()), exposed];
        }
        // Also where no origin was sent or it is not allowed: a cache must not show that answer to another one.
        let mut headers = vec![("Vary", "Origin".into())];
        if let Some(origin) = origin(request).filter(|origin| self.lists(origin)) {
            headers.push(("Access-Control-Allow-Origin", origin.to_owned().into()));
            headers.push(exposed);
        }
        headers
    }

    /// Whether the request may change something: it comes from no page, from one of ours, or from an allowed one. A
    /// browser sends a plain POST of any page without asking first, and names the page's origin. `is_tls`: it came by TLS.
    pub(super) fn may_change(&self, request: &Request<'_>, is_tls: bool) -> bool {
        if request.values("origin").next().is_none() {
            return true;
        }
        let Some(origin) = origin(request) else {
            return false;
        };
        is_ours(request, origin, is_tls) || self.any || self.lists(origin)
    }

    fn lists(&self, origin: &str) -> bool {
        self.origins
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

/// Whether a page of ours sent it. Behind a proxy that rewrites `Host` the browser's own word for it helps, which no page
/// can forge (Fetch Metadata).
fn is_ours(request: &Request<'_>, origin: &str, is_tls: bool) -> bool {
    request.single("sec-fetch-site") == Ok(Some("same-origin"))
        || is_page_of_ours(request, origin, is_tls)
}

/// The same by what the page's origin says. Whoever is on the way of a plain http page can write into it: where we speak TLS it
/// is nobody's. A page by https is ours whatever we speak, since a proxy may have the TLS and not tell.
fn is_page_of_ours(request: &Request<'_>, origin: &str, is_tls: bool) -> bool {
    // "null" has no host, and is no server's origin, not even of one that is called so.
    let Some((scheme, host)) = origin.split_once("://") else {
        return false;
    };
    let is_encrypted = scheme.eq_ignore_ascii_case("https");
    let ours = request.single("host").ok().flatten();
    ours.is_some_and(|ours| ours.eq_ignore_ascii_case(host))
        && (is_encrypted || !(is_tls || came_by_tls(request)))
}

/// Whether a proxy in front says that the browser came by TLS. Anybody's word will do: it only makes us stricter, and a page
/// cannot set headers of a WebSocket, nor those of a request without asking first. Of several hops the first is the browser's.
fn came_by_tls(request: &Request<'_>) -> bool {
    let first = request.values("x-forwarded-proto").next();
    let first = first.and_then(|value| value.split(|byte| *byte == b',').next());
    first.is_some_and(|scheme| scheme.trim_ascii().eq_ignore_ascii_case(b"https"))
        || said_by_forwarded(request)
}

/// The same where the proxy says so in the header of RFC 7239.
fn said_by_forwarded(request: &Request<'_>) -> bool {
    let first = request.values("forwarded").next();
    let first = first.and_then(|value| value.split(|byte| *byte == b',').next());
    let mut pairs = first
        .into_iter()
        .flat_map(|hop| hop.split(|byte| *byte == b';'));
    pairs.any(|pair| {
        let pair = pair.trim_ascii();
        [&b"proto=https"[..], b"proto=\"https\""]
            .iter()
            .any(|https| pair.eq_ignore_ascii_case(https))
    })
}

fn origin<'h>(request: &Request<'h>) -> Option<&'h str> {
    request.single("origin").ok().flatten()
}

/// The answer to OPTIONS; to a preflight it says what [`Cors::headers`] does not.
pub(super) fn options(request: &Request<'_>, allow: String) -> Response {
    let response = Response::empty(204);
    if request
        .values("access-control-request-method")
        .next()
        .is_none()
    {
        return response.with_header("Allow", allow);
    }
    response
        .with_header("Access-Control-Allow-Methods", allow.clone())
        .with_header("Access-Control-Allow-Headers", HEADERS_ALLOWED)
        .with_header("Access-Control-Max-Age", MAX_AGE)
        .with_header("Allow", allow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_protocol::handshake::server::HeaderStorage;

    fn cors(origins: &[&str]) -> Cors {
        let origins: Vec<Origin> = origins.iter().map(|text| text.parse().unwrap()).collect();
        Cors::new(&origins)
    }

    /// What `of` finds out about a POST with these headers.
    fn asked<T>(headers: &str, of: impl FnOnce(&Request<'_>) -> T) -> T {
        let head = format!("POST /api/files HTTP/1.1\r\nHost: chat.example:8080\r\n{headers}\r\n");
        let mut storage = HeaderStorage::default();
        of(&Request::parse(head.as_bytes(), &mut storage).unwrap())
    }

    fn names(headers: &[Header]) -> Vec<&str> {
        headers.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn only_a_listed_origin_is_echoed() {
        let cors = cors(&["https://a.example", "http://localhost:3000"]);
        let headers = asked("Origin: https://a.example\r\n", |request| {
            cors.headers(request)
        });
        assert_eq!(
            headers[1],
            ("Access-Control-Allow-Origin", "https://a.example".into())
        );
        for other in [
            "https://b.example",
            "http://a.example",
            "https://a.example.evil",
            "null",
        ] {
            let line = format!("Origin: {other}\r\n");
            assert_eq!(
                names(&asked(&line, |request| cors.headers(request))),
                ["Vary"],
                "{other}"
            );
        }
        assert_eq!(names(&asked("", |request| cors.headers(request))), ["Vary"]);
    }

    #[test]
    fn nothing_is_said_where_nothing_is_allowed() {
        let headers = asked("Origin: https://a.example\r\n", |request| {
            Cors::default().headers(request)
        });
        assert!(headers.is_empty());
    }

    #[test]
    fn a_page_of_a_stranger_changes_nothing() {
        let may = |cors: &Cors, line: &str| asked(line, |request| cors.may_change(request, false));
        let none = Cors::default();
        assert!(may(&none, ""), "no browser sends it");
        assert!(
            may(&none, "Origin: http://chat.example:8080\r\n"),
            "our own page"
        );
        for stranger in ["https://evil.example", "http://chat.example", "null", ""] {
            assert!(
                !may(&none, &format!("Origin: {stranger}\r\n")),
                "{stranger}"
            );
        }
        assert!(!may(
            &none,
            "Origin: http://chat.example:8080\r\nOrigin: x\r\n"
        ));
        assert!(may(
            &none,
            "Origin: https://x\r\nSec-Fetch-Site: same-origin\r\n"
        ));
        assert!(!may(
            &none,
            "Origin: https://x\r\nSec-Fetch-Site: same-site\r\n"
        ));
        assert!(may(
            &cors(&["https://a.example"]),
            "Origin: https://a.example\r\n"
        ));
        assert!(may(&cors(&["*"]), "Origin: https://evil.example\r\n"));
    }

    #[test]
    fn a_page_that_came_without_tls_is_nobodys_where_there_is_tls() {
        let none = Cors::default();
        let plain = "Origin: http://chat.example:8080\r\n";
        let encrypted = "Origin: https://chat.example:8080\r\n";
        let may = |is_tls: bool, origin: &str, proxy: &str| {
            let headers = format!("{origin}{proxy}");
            asked(&headers, |request| none.may_change(request, is_tls))
        };
        assert!(may(false, plain, "") && !may(true, plain, ""));
        for proxy in [
            "X-Forwarded-Proto: https\r\n",
            "X-Forwarded-Proto: HTTPS, http\r\n",
            "Forwarded: for=192.0.2.1;Proto=https, for=10.0.0.1;proto=http\r\n",
            "Forwarded: proto=\"https\"\r\n",
        ] {
            assert!(!may(false, plain, proxy), "{proxy}");
            assert!(may(false, encrypted, proxy), "{proxy}");
        }
        // A proxy that has the TLS and does not tell, or tells of the hop behind it.
        for proxy in [
            "",
            "X-Forwarded-Proto: http\r\n",
            "Forwarded: proto=http\r\n",
        ] {
            assert!(
                may(false, encrypted, proxy) && may(true, encrypted, proxy),
                "{proxy}"
            );
            assert!(may(false, plain, proxy), "{proxy}");
        }
    }

    #[test]
    fn a_page_without_an_origin_is_nobodys() {
        for (host, origin) in [("null", "null"), ("", ""), ("", "http://x")] {
            let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n");
            let mut storage = HeaderStorage::default();
            let request = Request::parse(head.as_bytes(), &mut storage).unwrap();
            assert!(
                !Cors::default().may_change(&request, false),
                "{host} {origin}"
            );
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for good in [
            "*",
            "https://a.example",
            "HTTP://LOCALHOST:1",
            "http://[::1]:80",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "https://",
            "https://a/",
            "ftp://a",
            "https://a\r\nX: y",
            "null",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(BadOrigin), "{bad}");
        }
    }
}

//! The server's half of the handshake (RFC 6455 §4.2): reads a request, refuses it or accepts it.
//!
//! A server that speaks HTTP on the same port uses [`Request`] for that too; [`Upgrade::from_request`] is where WebSocket
//! begins.

use std::fmt;

use super::head::HEADERS_MAX;
use super::header::Extension;
use super::{VERSION, accept_key, header, is_valid_key};

/// Room for the headers of one request; lend it to [`Request::parse`].
#[derive(Debug)]
pub struct HeaderStorage<'h>([httparse::Header<'h>; HEADERS_MAX]);

impl Default for HeaderStorage<'_> {
    fn default() -> Self {
        Self([httparse::EMPTY_HEADER; HEADERS_MAX])
    }
}

/// An HTTP/1.1 request head.
#[derive(Debug, Clone, Copy)]
pub struct Request<'h> {
    /// The method, as it was sent.
    pub method: &'h str,
    /// The request target, as it was sent; see [`path_and_query`](Self::path_and_query).
    pub target: &'h str,
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub minor_version: u8,
    headers: &'h [httparse::Header<'h>],
}

/// The head is not a legal HTTP/1.1 request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedRequest;

impl fmt::Display for MalformedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed HTTP request")
    }
}

impl std::error::Error for MalformedRequest {}

impl<'h> Request<'h> {
    /// Reads a whole head, as [`HeadReader`](super::head::HeadReader) returns it.
    ///
    /// # Errors
    /// The head does not follow RFC 9112, has no Host or several (§3.2), or its target is for another host.
    pub fn parse(
        head: &'h [u8],
        storage: &'h mut HeaderStorage<'h>,
    ) -> Result<Self, MalformedRequest> {
        // [6455-10.7-1]
        let mut parsed = httparse::Request::new(&mut storage.0);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(used)) if used == head.len() => {}
            _ => return Err(MalformedRequest),
        }
        let (Some(method), Some(target), Some(minor_version)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(MalformedRequest);
        };
        let request = Self {
            method,
            target,
            minor_version,
            headers: parsed.headers,
        };
        request.check_host()?;
        request.path_and_query().map(|_| request)
    }

    /// All values of a header, in order, names compared without case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The value of a header that may stand there once.
    ///
    /// # Errors
    /// It is there more than once, or is not UTF-8.
    pub fn single(&self, name: &str) -> Result<Option<&'h str>, MalformedRequest> {
        let mut values = self.values(name);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        match (str::from_utf8(value), values.next()) {
            (Ok(value), None) => Ok(Some(value)),
            _ => Err(MalformedRequest),
        }
    }

    /// Whether one of the header's comma-separated elements is `element`, compared without case.
    #[must_use]
    pub fn lists(&self, name: &str, element: &str) -> bool {
        self.values(name)
            .filter_map(|value| str::from_utf8(value).ok())
            .flat_map(header::list)
            .any(|listed| listed.eq_ignore_ascii_case(element))
    }

    /// The path and the query (without `?`) of the target, in origin-form or absolute-form (RFC 9112 §3.2).
    ///
    /// # Errors
    /// The target has another form, or is for another host than the Host header names.
    pub fn path_and_query(&self) -> Result<(&'h str, &'h str), MalformedRequest> {
        // The target is "a relative URI [...] or [...] an absolute http/https URI" (RFC 6455 §4.1).
        let (path, query) = match strip_scheme(self.target) {
            None => split_query(self.target),
            Some(rest) => {
                let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                if !self
                    .single("host")?
                    .is_some_and(|host| host.eq_ignore_ascii_case(authority))
                {
                    return Err(MalformedRequest);
                }
                match split_query(rest) {
                    ("", query) => ("/", query),
                    path_and_query => path_and_query,
                }
            }
        };
        if path.starts_with('/') || path == "*" {
            Ok((path, query))
        } else {
            Err(MalformedRequest)
        }
    }

    /// The length of the body that follows the head, in bytes.
    ///
    /// # Errors
    /// The length is not certain: a transfer coding (none is supported), or Content-Length doubled or not a number.
    pub fn body_bytes(&self) -> Result<u64, MalformedRequest> {
        if self.values("transfer-encoding").next().is_some() {
            return Err(MalformedRequest);
        }
        match self.single("content-length")? {
            None => Ok(0),
            // `parse` alone would take "+5".
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| MalformedRequest)
            }
            Some(_) => Err(MalformedRequest),
        }
    }

    /// Whether the connection is to be kept open after the answer (RFC 9112 §9.3).
    #[must_use]
    pub fn wants_keep_alive(&self) -> bool {
        if self.minor_version == 0 {
            self.lists("connection", "keep-alive")
        } else {
            !self.lists("connection", "close")
        }
    }

    /// "A server MUST respond with a 400 status code to any HTTP/1.1 request message that lacks a Host header field and to
    /// any request message that contains more than one Host header field line or a Host header field with an invalid
    /// field value" (RFC 9112 §3.2).
    fn check_host(&self) -> Result<(), MalformedRequest> {
        match self.single("host")? {
            None if self.minor_version > 0 => Err(MalformedRequest),
            Some(host) if !host.bytes().all(header::may_stand_in_host) => Err(MalformedRequest),
            Some(_) | None => Ok(()),
        }
    }
}

fn strip_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn split_query(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// Why a request does not become a WebSocket connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not a GET request.
    Method,
    /// Older than HTTP/1.1.
    HttpVersion,
    /// `Upgrade` does not list `websocket`, or `Connection` does not list `upgrade`.
    NoUpgrade,
    /// `Sec-WebSocket-Version` is not there once, or is not 13.
    Version,
    /// `Sec-WebSocket-Key` is not there once, or is not 16 bytes in base64.
    Key,
    /// `Sec-WebSocket-Protocol` has an element that is not a token.
    Protocols,
    /// `Sec-WebSocket-Extensions` does not follow its grammar.
    Extensions,
    /// A handshake has no body.
    Body,
}

impl Refusal {
    /// The HTTP status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        // "SHOULD return an appropriate HTTP [RFC2616] status code" (§10.7). [6455-10.7-3]
        match self {
            Self::Method => 405,
            Self::NoUpgrade | Self::Version => 426,
            Self::HttpVersion | Self::Key | Self::Protocols | Self::Extensions | Self::Body => 400,
        }
    }

    /// The headers that tell the client what would have been right.
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Method => &[("Allow", "GET")],
            // "The server MUST send an Upgrade header field in a 426 response" (RFC 9110 §15.5.22).
            Self::NoUpgrade => &[("Upgrade", "websocket")],
            // "|Sec-WebSocket-Version| header field indicating the version(s) the server is capable of" (§4.2.2).
            // [6455-4.2.2-4, 6455-4.4-1]
            Self::Version => &[("Sec-WebSocket-Version", VERSION), ("Upgrade", "websocket")],
            Self::HttpVersion | Self::Key | Self::Protocols | Self::Extensions | Self::Body => &[],
        }
    }

    /// The first of the [`headers`](Self::headers), which says the most.
    #[must_use]
    pub const fn header(self) -> Option<(&'static str, &'static str)> {
        match self.headers() {
            [first, ..] => Some(*first),
            [] => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "A WebSocket handshake is a GET request.",
            Self::HttpVersion => "A WebSocket handshake needs HTTP/1.1.",
            Self::NoUpgrade => {
                "This address speaks WebSocket: send \"Upgrade: websocket\" and \"Connection: Upgrade\"."
            }
            Self::Version => "Only version 13 of the WebSocket protocol is spoken here.",
            Self::Key => "Sec-WebSocket-Key must be there once, with 16 bytes in base64.",
            Self::Protocols => "Sec-WebSocket-Protocol must be a list of tokens.",
            Self::Extensions => "Sec-WebSocket-Extensions does not follow the grammar of RFC 6455, section 9.1.",
            Self::Body => "A WebSocket handshake has no body.",
        })
    }
}

impl std::error::Error for Refusal {}

/// A request to become a WebSocket connection, with everything in it that RFC 6455 §4.2.1 asks for.
#[derive(Debug, Clone)]
pub struct Upgrade<'h> {
    key: &'h str,
    protocols: Vec<&'h str>,
    extensions: Vec<Extension<'h>>,
}

impl<'h> Upgrade<'h> {
    /// Whether the request means to be an upgrade at all: a path that serves a page as well asks this first.
    #[must_use]
    pub fn is_asked_by(request: &Request<'_>) -> bool {
        request.lists("upgrade", "websocket")
    }

    /// Checks the request against §4.2.1.
    ///
    /// # Errors
    /// The first rule that it does not follow.
    pub fn from_request(request: &Request<'h>) -> Result<Self, Refusal> {
        // "MUST stop processing the client's handshake and return an HTTP response with an appropriate error code"
        // (§4.2.1). [6455-4.2.1-1, 6455-4.2.2-1]
        if request.method != "GET" {
            return Err(Refusal::Method);
        }
        if request.minor_version == 0 {
            return Err(Refusal::HttpVersion);
        }
        if !Self::is_asked_by(request) || !request.lists("connection", "upgrade") {
            return Err(Refusal::NoUpgrade);
        }
        if request.single("sec-websocket-version") != Ok(Some(VERSION)) {
            return Err(Refusal::Version);
        }
        let Ok(Some(key)) = request.single("sec-websocket-key") else {
            return Err(Refusal::Key);
        };
        if !is_valid_key(key) {
            return Err(Refusal::Key);
        }
        if request.body_bytes() != Ok(0) {
            return Err(Refusal::Body);
        }
        let extensions = extensions(request)?;
        Ok(Self {
            key,
            protocols: protocols(request)?,
            extensions,
        })
    }

    /// The client's key, which the answer is computed from: 16 bytes in base64.
    #[must_use]
    pub const fn key(&self) -> &'h str {
        self.key
    }

    /// The extensions that the client offers, in its order of preference: [`DeflateConfig::accept`] answers them.
    ///
    /// [`DeflateConfig::accept`]: crate::DeflateConfig::accept
    #[must_use]
    pub fn extensions(&self) -> &[Extension<'h>] {
        &self.extensions
    }

    /// The subprotocols that the client asks for, in its order of preference.
    #[must_use]
    pub fn protocols(&self) -> &[&'h str] {
        &self.protocols
    }

    /// The first of `supported` that the client asks for; "compared case-sensitively" (§4.2.2 leaves the choice to us).
    #[must_use]
    pub fn choose_protocol<'s>(&self, supported: &[&'s str]) -> Option<&'s str> {
        // "The value chosen MUST be derived from the client's handshake" (§4.2.2). [6455-4.2.2-6]
        supported
            .iter()
            .copied()
            .find(|protocol| self.protocols.contains(protocol))
    }

    /// Appends the response that opens the connection (§4.2.2), with the subprotocol and the extensions that were chosen.
    pub fn accept(&self, protocol: Option<&str>, extensions: Option<&str>, out: &mut Vec<u8>) {
        // [6455-4.2.2-10]
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(accept_key(self.key).as_bytes());
        // "MUST NOT send back a |Sec-WebSocket-Protocol| header field" where none was chosen (§4.2.2). [6455-4.2.2-7]
        if let Some(protocol) = protocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(protocol.as_bytes());
        }
        if let Some(extensions) = extensions {
            out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
            out.extend_from_slice(extensions.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// The offers of all header lines, in order: several lines mean the same as one (§9.1). What is malformed is refused.
/// [6455-9.1-1, 6455-8.1-1]
fn extensions<'h>(request: &Request<'h>) -> Result<Vec<Extension<'h>>, Refusal> {
    let mut offers = Vec::new();
    for value in request.values("sec-websocket-extensions") {
        let value = str::from_utf8(value).map_err(|_| Refusal::Extensions)?;
        offers.extend(header::extensions(value).map_err(|_| Refusal::Extensions)?);
    }
    Ok(offers)
}

/// "The elements that comprise this value MUST be non-empty strings with characters [...] not including separator
/// characters" (§4.1). [6455-8.1-1]
fn protocols<'h>(request: &Request<'h>) -> Result<Vec<&'h str>, Refusal> {
    let mut protocols = Vec::new();
    for value in request.values("sec-websocket-protocol") {
        let value = str::from_utf8(value).map_err(|_| Refusal::Protocols)?;
        protocols.extend(header::list(value));
    }
    if protocols.iter().all(|protocol| header::is_token(protocol)) {
        Ok(protocols)
    } else {
        Err(Refusal::Protocols)
    }
}

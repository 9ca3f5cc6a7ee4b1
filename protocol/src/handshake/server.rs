//! The server's half of the handshake (RFC 6455 §4.2): reads a request, refuses it or accepts it.
//!
//! A server that speaks HTTP on the same port uses [`Request`] for that too; [`Upgrade::from_request`] is where WebSocket
//! begins.

use std::fmt;

use super::head::HEADERS_MAX;
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

impl<'h> Request<'h> {
    /// Reads a whole head, as [`HeadReader`](super::head::HeadReader) returns it.
    ///
    /// # Errors
    /// The head does not follow RFC 9112, has no Host or several (§3.2), or its target is for another host.
    pub fn parse(
        head: &'h [u8],
        storage: &'h mut HeaderStorage<'h>,
    ) -> Result<Self, MalformedRequest> {
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
        let origin_form = match strip_prefix_ignore_case(self.target, "http://") {
            None => self.target,
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                if !self
                    .single("host")?
                    .is_some_and(|host| host.eq_ignore_ascii_case(authority))
                {
                    return Err(MalformedRequest);
                }
                if path.is_empty() { "/" } else { path }
            }
        };
        if !origin_form.starts_with('/') && origin_form != "*" {
            return Err(MalformedRequest);
        }
        Ok(origin_form.split_once('?').unwrap_or((origin_form, "")))
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
    /// any request message that contains more than one Host header field line" (RFC 9112 §3.2).
    fn check_host(&self) -> Result<(), MalformedRequest> {
        match self.single("host")? {
            None if self.minor_version > 0 => Err(MalformedRequest),
            Some(host) if host.contains([',', ' ', '/', '@']) => Err(MalformedRequest),
            Some(_) | None => Ok(()),
        }
    }
}

fn strip_prefix_ignore_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
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
        match self {
            Self::Method => 405,
            Self::NoUpgrade | Self::Version => 426,
            Self::HttpVersion | Self::Key | Self::Protocols | Self::Extensions | Self::Body => 400,
        }
    }

    /// The header that tells the client what would have been right.
    #[must_use]
    pub const fn header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Method => Some(("Allow", "GET")),
            // "A server that sends a 426 response MUST send an Upgrade header field" (RFC 9110 §15.5.22).
            Self::NoUpgrade => Some(("Upgrade", "websocket")),
            // "|Sec-WebSocket-Version| header field indicating the version(s) the server is capable of" (§4.2.2).
            Self::Version => Some(("Sec-WebSocket-Version", VERSION)),
            Self::HttpVersion | Self::Key | Self::Protocols | Self::Extensions | Self::Body => None,
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
        check_extensions(request)?;
        Ok(Self {
            key,
            protocols: protocols(request)?,
        })
    }

    /// The subprotocols that the client asks for, in its order of preference.
    #[must_use]
    pub fn protocols(&self) -> &[&'h str] {
        &self.protocols
    }

    /// The first of `supported` that the client asks for; "compared case-sensitively" (§4.2.2 leaves the choice to us).
    #[must_use]
    pub fn choose_protocol<'s>(&self, supported: &[&'s str]) -> Option<&'s str> {
        supported
            .iter()
            .copied()
            .find(|protocol| self.protocols.contains(protocol))
    }

    /// Appends the response that opens the connection (§4.2.2), with the subprotocol that was chosen.
    pub fn accept(&self, protocol: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(accept_key(self.key).as_bytes());
        if let Some(protocol) = protocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(protocol.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// The offers are read, so that a malformed one is refused; none is accepted, so that none is answered (§9.1).
fn check_extensions(request: &Request<'_>) -> Result<(), Refusal> {
    for value in request.values("sec-websocket-extensions") {
        let value = str::from_utf8(value).map_err(|_| Refusal::Extensions)?;
        header::extensions(value).map_err(|_| Refusal::Extensions)?;
    }
    Ok(())
}

/// "The elements that comprise this value MUST be non-empty strings with characters [...] not including separator
/// characters" (§4.1).
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

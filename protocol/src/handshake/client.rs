//! The client's half of the handshake (RFC 6455 §4.1): builds the request, checks the response.

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use rand::RngExt as _;

use crate::deflate::{DeflateAgreement, DeflateConfig, EXTENSION_NAME};
use crate::entropy::strong_entropy;

use super::head::{HEADERS_MAX, HeadError, HeadLimits, HeadReader};
use super::server::Upgrade;
use super::{BASE64, VERSION, accept_key, header};

/// What to ask a server for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// The value of `Host`: name or address, and the port unless it is the scheme's own.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// The subprotocols wanted, best first.
    pub protocols: &'a [&'a str],
    /// The value of `Origin`, which browsers send.
    pub origin: Option<&'a str>,
    /// Whether to offer permessage-deflate, and how.
    pub deflate: Option<&'a DeflateConfig>,
    /// Further headers: `Authorization`, `Cookie`, `User-Agent`.
    pub headers: &'a [(&'a str, &'a str)],
}

/// A handshake that waits for its response.
#[derive(Debug)]
pub struct Handshake {
    expected_accept: String,
    protocols: Vec<String>,
    deflate: Option<DeflateConfig>,
    reader: HeadReader,
    /// A handshake that failed stays failed.
    failed: Option<HandshakeError>,
}

/// What the server agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What was agreed on about permessage-deflate: hand it to [`Connection::enable_deflate`].
    ///
    /// [`Connection::enable_deflate`]: crate::Connection::enable_deflate
    pub deflate: Option<DeflateAgreement>,
    /// The subprotocol that the server chose.
    pub protocol: Option<String>,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeError {
    /// The head breaks a limit or is no HTTP.
    Head(HeadError),
    /// The head is not a legal HTTP/1.1 response.
    Malformed,
    /// The server answered with another status than 101.
    Status(u16),
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not list `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not fit our key.
    Accept,
    /// The server uses an extension that was not asked for.
    UnaskedExtension,
    /// The server's extensions do not follow the grammar, or are no answer to our offer.
    Extensions,
    /// The server chose a subprotocol that was not asked for, or several.
    UnaskedProtocol,
}

/// A part of the [`Target`] would break out of its place in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTarget;

/// 16 random bytes for [`Handshake::start`]: "selected randomly for each connection" (§4.1).
#[must_use]
pub fn random_nonce() -> [u8; 16] {
    // [6455-4.1-26]
    strong_entropy().random()
}

impl Handshake {
    /// Appends the request to `out`.
    ///
    /// # Errors
    /// A field of `target` has a byte that does not belong there, such as a line end.
    pub fn start(
        target: &Target<'_>,
        nonce: [u8; 16],
        out: &mut Vec<u8>,
    ) -> Result<Self, InvalidTarget> {
        check_target(target)?;
        // Every line that §4.1 asks for, in its order.
        // [6455-4.1-17, 6455-4.1-18, 6455-4.1-19, 6455-4.1-20, 6455-4.1-21, 6455-4.1-22, 6455-4.1-23, 6455-4.1-24]
        // [6455-4.1-25, 6455-4.1-27, 6455-4.1-28, 6455-4.1-29, 7692-5-1]
        let key = BASE64.encode(nonce);
        push_line(out, &["GET ", target.path, " HTTP/1.1"]);
        push_line(out, &["Host: ", target.host]);
        push_line(out, &["Upgrade: websocket"]);
        push_line(out, &["Connection: Upgrade"]);
        push_line(out, &["Sec-WebSocket-Key: ", &key]);
        push_line(out, &["Sec-WebSocket-Version: ", VERSION]);
        if let Some(origin) = target.origin {
            push_line(out, &["Origin: ", origin]);
        }
        if !target.protocols.is_empty() {
            push_line(
                out,
                &["Sec-WebSocket-Protocol: ", &target.protocols.join(", ")],
            );
        }
        if let Some(deflate) = target.deflate {
            push_line(out, &["Sec-WebSocket-Extensions: ", &deflate.offer()]);
        }
        for (name, value) in target.headers {
            push_line(out, &[name, ": ", value]);
        }
        push_line(out, &[]);
        Ok(Self {
            expected_accept: accept_key(&key),
            deflate: target.deflate.cloned(),
            protocols: target
                .protocols
                .iter()
                .map(|&protocol| protocol.to_owned())
                .collect(),
            failed: None,
            reader: HeadReader::new(HeadLimits::default()),
        })
    }

    /// A handshake whose request somebody else sent: whoever looks on checks the response as that client has to.
    #[must_use]
    pub fn observe(upgrade: &Upgrade<'_>) -> Self {
        let offers = upgrade.extensions();
        // Whatever else the offer said is between those two: the widest takes each answer that it may have led to.
        let widest = DeflateConfig {
            server_context_takeover: true,
            client_context_takeover: true,
            ..DeflateConfig::default()
        };
        let is_ours = |offer: &header::Extension<'_>| offer.name == EXTENSION_NAME;
        let protocols = upgrade.protocols().iter();
        Self {
            expected_accept: accept_key(upgrade.key()),
            protocols: protocols.map(|&protocol| protocol.to_owned()).collect(),
            deflate: offers.iter().any(is_ours).then_some(widest),
            failed: None,
            reader: HeadReader::new(HeadLimits::default()),
        }
    }

    /// Takes bytes until the response is whole; `None` while it is not. What is behind it, frames, stays in `input`.
    ///
    /// # Errors
    /// The first check of §4.1 that the response does not pass; the same error again for whatever follows.
    pub fn handle_input(
        &mut self,
        input: &mut &mut [u8],
    ) -> Result<Option<Response>, HandshakeError> {
        // Nothing but the request is sent before the response is whole and good (§4.1), and one that is not ends it
        // (§7.2.1). [6455-4.1-1, 6455-4.1-32, 6455-7.2.1-1]
        if let Some(error) = self.failed {
            return Err(error);
        }
        let checked = match self.reader.handle_input(input) {
            Ok(None) => Ok(None),
            Ok(Some(head)) => self.check_response(&head).map(Some),
            Err(error) => Err(HandshakeError::Head(error)),
        };
        checked.inspect_err(|&error| self.failed = Some(error))
    }

    /// "The client MUST validate the server's response" (§4.1). [6455-4.1-33, 6455-4.1-39]
    fn check_response(&self, head: &[u8]) -> Result<Response, HandshakeError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head_parsed = httparse::Response::new(&mut headers);
        if !matches!(head_parsed.parse(head), Ok(httparse::Status::Complete(_))) {
            return Err(HandshakeError::Malformed);
        }
        check_status(&head_parsed)?;
        let headers = Headers(head_parsed.headers);
        check_upgrade(headers)?;
        self.check_accept(headers)?;
        Ok(Response {
            deflate: self.check_extensions(headers)?,
            protocol: self.check_protocol(headers)?,
        })
    }

    /// "If [...] the |Sec-WebSocket-Accept| contains a value other than the base64-encoded SHA-1 of the concatenation of
    /// the |Sec-WebSocket-Key| [...] with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" [...], the client MUST
    /// _Fail the WebSocket Connection_." [6455-4.1-36]
    fn check_accept(&self, headers: Headers<'_>) -> Result<(), HandshakeError> {
        if headers
            .values("sec-websocket-accept")
            .eq([self.expected_accept.as_str()])
        {
            Ok(())
        } else {
            Err(HandshakeError::Accept)
        }
    }

    /// "If the response includes a |Sec-WebSocket-Extensions| header field and this header field indicates the use of an
    /// extension that was not present in the client's handshake [...] the client MUST _Fail the WebSocket Connection_."
    /// [6455-4.1-37, 6455-9.1-5]
    fn check_extensions(
        &self,
        headers: Headers<'_>,
    ) -> Result<Option<DeflateAgreement>, HandshakeError> {
        let values = || headers.values("sec-websocket-extensions");
        match &self.deflate {
            Some(offered) => check_deflate(offered, values()),
            None if values().flat_map(header::list).next().is_some() => {
                Err(HandshakeError::UnaskedExtension)
            }
            None => Ok(None),
        }
    }

    /// "If [...] this header field indicates the use of a subprotocol that was not present in the client's handshake [...]
    /// the client MUST _Fail the WebSocket Connection_." [6455-4.1-38]
    fn check_protocol(&self, headers: Headers<'_>) -> Result<Option<String>, HandshakeError> {
        let mut chosen = headers
            .values("sec-websocket-protocol")
            .flat_map(header::list);
        match (chosen.next(), chosen.next()) {
            (None, _) => Ok(None),
            (Some(protocol), None) if self.protocols.iter().any(|asked| asked == protocol) => {
                Ok(Some(protocol.to_owned()))
            }
            (Some(_), _) => Err(HandshakeError::UnaskedProtocol),
        }
    }
}

/// The headers of a response.
#[derive(Clone, Copy)]
struct Headers<'h>(&'h [httparse::Header<'h>]);

impl<'h> Headers<'h> {
    fn values(self, name: &'static str) -> impl Iterator<Item = &'h str> {
        let named = self
            .0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name));
        // A value that cannot be read is not one that was agreed on: no check takes the replacement character.
        named.map(|header| str::from_utf8(header.value).unwrap_or("\u{fffd}"))
    }
}

/// "If the status code received from the server is not 101, the client handles the response per HTTP procedures."
fn check_status(head: &httparse::Response<'_, '_>) -> Result<(), HandshakeError> {
    match (head.version, head.code) {
        // HTTP/1.0 knows no upgrade (RFC 9110 §7.8).
        (Some(1), Some(101)) => Ok(()),
        (_, None | Some(101)) => Err(HandshakeError::Malformed),
        (_, Some(status)) => Err(HandshakeError::Status(status)),
    }
}

fn check_upgrade(headers: Headers<'_>) -> Result<(), HandshakeError> {
    // "If [...] the |Upgrade| header field contains a value that is not an ASCII case-insensitive match for the value
    // "websocket", the client MUST _Fail the WebSocket Connection_." [6455-4.1-34]
    let mut upgrade = headers.values("upgrade");
    let is_websocket = upgrade
        .next()
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if !is_websocket || upgrade.next().is_some() {
        return Err(HandshakeError::Upgrade);
    }
    // "If [...] the |Connection| header field doesn't contain a token that is an ASCII case-insensitive match for the
    // value "Upgrade", the client MUST _Fail the WebSocket Connection_." [6455-4.1-35]
    let mut connection = headers.values("connection").flat_map(header::list);
    if connection.any(|token| token.eq_ignore_ascii_case("upgrade")) {
        Ok(())
    } else {
        Err(HandshakeError::Connection)
    }
}

/// "If the agreed parameters [...] are invalid, [...] the client MUST _Fail the WebSocket Connection_" (RFC 7692 §5.1, §7.1).
/// [6455-9.1-1]
fn check_deflate<'v>(
    offered: &DeflateConfig,
    values: impl Iterator<Item = &'v str>,
) -> Result<Option<DeflateAgreement>, HandshakeError> {
    let mut answers = Vec::new();
    for value in values {
        answers.extend(header::extensions(value).map_err(|_| HandshakeError::Extensions)?);
    }
    offered
        .check_response(&answers)
        .map_err(|_| HandshakeError::Extensions)
}

fn push_line(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// "MUST be valid according to the specification of WebSocket URIs" (§4.1), which have no fragment (§3); subprotocols are
/// tokens "and MUST all be unique strings". [6455-4.1-2, 6455-4.1-3, 6455-4.1-30, 6455-4.1-31]
fn check_target(target: &Target<'_>) -> Result<(), InvalidTarget> {
    let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_value = |text: &str| {
        text.bytes()
            .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
    };
    let legal = !target.host.is_empty()
        && target.host.bytes().all(header::may_stand_in_host)
        && target.path.starts_with('/')
        && is_visible(target.path)
        && !target.path.contains('#')
        && target.origin.is_none_or(is_value)
        && target
            .protocols
            .iter()
            .all(|protocol| header::is_token(protocol))
        && are_unique(target.protocols)
        && target
            .headers
            .iter()
            .all(|(name, value)| header::is_token(name) && is_value(value));
    if legal { Ok(()) } else { Err(InvalidTarget) }
}

fn are_unique(protocols: &[&str]) -> bool {
    let mut seen = HashSet::new();
    protocols.iter().all(|protocol| seen.insert(protocol))
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Malformed => f.write_str("malformed HTTP response"),
            Self::Status(status) => {
                write!(f, "the server answered with status {status} instead of 101")
            }
            Self::Upgrade => f.write_str("the response does not upgrade to websocket"),
            Self::Connection => {
                f.write_str("the response's Connection header does not list upgrade")
            }
            Self::Accept => f.write_str("the server's accept key does not fit our key"),
            Self::UnaskedExtension => {
                f.write_str("the server uses an extension that was not asked for")
            }
            Self::Extensions => f.write_str("the server's extensions are no answer to our offer"),
            Self::UnaskedProtocol => {
                f.write_str("the server chose a subprotocol that was not asked for")
            }
        }
    }
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field of the request has a byte that does not belong there")
    }
}

impl std::error::Error for HandshakeError {}
impl std::error::Error for InvalidTarget {}

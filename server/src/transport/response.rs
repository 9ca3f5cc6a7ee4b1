//! HTTP/1.1 responses: status, headers, body, in bytes.

use std::borrow::Cow;

use serde::Serialize;
use tidewire_protocol::handshake::head::HeadError;
use tidewire_protocol::handshake::server::Refusal;

use super::assets::Asset;
use super::date::Date;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What pages may load: our own files and our own WebSocket, nothing from elsewhere, no inline script; and nobody frames them.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data: blob:; media-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What an answer that is no page may load if it is shown as one: nothing.
const ANSWER_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What no page of ours needs; the clipboard it may write to.
const PERMISSIONS_POLICY: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// A header's name and value.
pub(super) type Header = (&'static str, Cow<'static, str>);

/// A response to be encoded.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    status: u16,
    content_type: &'static str,
    content: Content,
    headers: Vec<Header>,
    /// The last response of its connection.
    pub(super) closes: bool,
}

#[derive(Debug, Clone)]
enum Content {
    /// Not even a length: 204 and 304.
    None,
    Bytes(Cow<'static, [u8]>),
    /// So many bytes, which follow the head piece by piece.
    Stream(u64),
    /// These bytes, and more as they come, until the connection ends.
    Endless {
        first: Vec<u8>,
        /// Something is said now and then when there is nothing to say.
        beats: bool,
    },
}

/// How a response is sent, beside what it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner<'a> {
    pub(super) keep_alive: bool,
    /// It answers a HEAD request.
    pub(super) head_only: bool,
    /// Headers that the request, not the answer, brought about.
    pub(super) headers: &'a [Header],
    pub(super) date: &'a Date,
}

impl Response {
    fn new(status: u16, content_type: &'static str, content: Content) -> Self {
        Self {
            status,
            content_type,
            content,
            headers: Vec::new(),
            closes: false,
        }
    }

    /// An answer in one sentence.
    pub(super) fn sentence(status: u16, sentence: impl Into<String>) -> Self {
        let body = sentence.into() + "\n";
        Self::new(status, TEXT, Content::Bytes(body.into_bytes().into()))
    }

    /// An answer that is all in its head.
    pub(super) fn empty(status: u16) -> Self {
        Self::new(status, "", Content::None)
    }

    /// A JSON document that is true now and not later.
    pub(super) fn json(document: String) -> Self {
        Self::new(200, JSON, Content::Bytes(document.into_bytes().into()))
            .with_header("Cache-Control", "no-store")
    }

    /// Numbers that are true now and not later.
    pub(super) fn text(content_type: &'static str, text: String) -> Self {
        Self::new(200, content_type, Content::Bytes(text.into_bytes().into()))
            .with_header("Cache-Control", "no-store")
    }

    /// [`json`](Self::json) of a value, with a status.
    pub(super) fn value(status: u16, value: &impl Serialize) -> Self {
        // Strings, numbers and lists of them have no way to fail.
        let document = serde_json::to_string(value).unwrap_or_default() + "\n";
        Self {
            status,
            ..Self::json(document)
        }
    }

    /// An error of the API: `{"error":{"code","message"}}`; `code` is a stable word, `message` a sentence.
    pub(crate) fn problem(status: u16, code: &'static str, message: impl AsRef<str>) -> Self {
        let message = message.as_ref();
        let error = serde_json::json!({"error": {"code": code, "message": message}});
        let response = Self::value(status, &error);
        match status {
            503 => response.with_header("Retry-After", "5"),
            _ => response,
        }
    }

    /// So many bytes, which [`Http::send_body`](super::Http::send_body) brings later.
    pub(super) fn stream(status: u16, content_type: &'static str, bytes: u64) -> Self {
        Self::new(status, content_type, Content::Stream(bytes))
    }

    /// Its status.
    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// These bytes, and what [`Http::push`](super::Http::push) brings later, until the connection ends.
    pub(super) fn event_stream(content_type: &'static str, first: Vec<u8>) -> Self {
        let content = Content::Endless { first, beats: true };
        Self::new(200, content_type, content).closing()
    }

    /// Whether it asks for a token, or for a better one.
    pub(super) const fn is_unauthorized(&self) -> bool {
        self.status == 401
    }

    /// What [`Http::push`](super::Http::push) brings later, and not a byte more, until the connection ends.
    pub(super) fn growing(content_type: &'static str) -> Self {
        let content = Content::Endless {
            first: Vec::new(),
            beats: false,
        };
        Self::new(200, content_type, content).closing()
    }

    /// Whether more comes as long as the connection is there; and if so, whether it has a heartbeat.
    pub(super) const fn endless(&self) -> Option<bool> {
        match self.content {
            Content::Endless { beats, .. } => Some(beats),
            Content::None | Content::Bytes(_) | Content::Stream(_) => None,
        }
    }

    /// An embedded file; browsers ask again each time, since a newer server may have a newer one.
    pub(super) fn asset(asset: &Asset) -> Self {
        Self::new(200, asset.content_type, Content::Bytes(asset.body.into()))
            .with_header("Cache-Control", "no-cache")
            .with_header("Content-Security-Policy", PAGE_POLICY)
            .with_header("Permissions-Policy", PERMISSIONS_POLICY)
            // No other window gets a handle to one in which somebody chats.
            .with_header("Cross-Origin-Opener-Policy", "same-origin")
    }

    /// A handshake that does not become a WebSocket connection. A proxy may take it for one all the same and pass on
    /// whatever follows, so that nothing that follows is read as a request.
    pub(super) fn refusal(refusal: Refusal) -> Self {
        let mut response = Self::sentence(refusal.status(), refusal.to_string()).closing();
        let headers = refusal.headers().iter();
        response
            .headers
            .extend(headers.map(|&(name, value)| (name, value.into())));
        response
    }

    /// A head that broke a limit or is no HTTP.
    pub(super) fn bad_head(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::malformed(),
            HeadError::StartLineTooLong => {
                Self::sentence(414, "The request line is longer than 8 KiB.")
            }
            HeadError::TooLarge => Self::sentence(
                431,
                "A header is longer than 8 KiB, or all together are longer than 16 KiB.",
            ),
            HeadError::TooManyHeaders => Self::sentence(431, "There are more than 100 headers."),
        }
    }

    pub(super) fn malformed() -> Self {
        Self::sentence(400, "This is not a well-formed HTTP/1.1 request.")
    }

    pub(super) fn with_header(
        mut self,
        name: &'static str,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Makes it the last one of its connection.
    pub(super) const fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Bytes that are to follow the head, beyond those that [`encode`](Self::encode) writes.
    pub(super) const fn stream_bytes(&self) -> u64 {
        match self.content {
            Content::Stream(bytes) => bytes,
            Content::None | Content::Bytes(_) | Content::Endless { .. } => 0,
        }
    }

    /// Appends the bytes, those of a stream apart.
    pub(super) fn encode(&self, manner: Manner<'_>, out: &mut Vec<u8>) {
        let (status, reason) = (self.status, reason(self.status));
        out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
        let mut line = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        };
        line("Date", manner.date.as_str());
        if !matches!(self.content, Content::None) {
            line("Content-Type", self.content_type);
            line("X-Content-Type-Options", "nosniff");
            // An address may have a token in it.
            line("Referrer-Policy", "no-referrer");
            if !self.has_header("Content-Security-Policy") {
                line("Content-Security-Policy", ANSWER_POLICY);
            }
        }
        if let Some(bytes) = self.content_length() {
            line("Content-Length", &bytes.to_string());
        }
        for (name, value) in self.headers.iter().chain(manner.headers) {
            line(name, value);
        }
        line("Connection", self.connection(manner.keep_alive));
        out.extend_from_slice(b"\r\n");
        match &self.content {
            Content::Bytes(body) if !manner.head_only => out.extend_from_slice(body),
            Content::Endless { first, .. } if !manner.head_only => out.extend_from_slice(first),
            Content::None | Content::Stream(_) | Content::Bytes(_) | Content::Endless { .. } => {}
        }
    }

    const fn content_length(&self) -> Option<u64> {
        match &self.content {
            Content::None | Content::Endless { .. } => None,
            Content::Bytes(Cow::Borrowed(body)) => Some(body.len() as u64),
            Content::Bytes(Cow::Owned(body)) => Some(body.len() as u64),
            Content::Stream(bytes) => Some(*bytes),
        }
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| *known == name)
    }

    /// "A sender that generates an Upgrade header field MUST also send an 'upgrade' connection option" (RFC 9110 §7.8).
    fn connection(&self, keep_alive: bool) -> &'static str {
        match (self.has_header("Upgrade"), keep_alive) {
            (false, true) => "keep-alive",
            (false, false) => "close",
            (true, true) => "Upgrade, keep-alive",
            (true, false) => "Upgrade, close",
        }
    }
}

/// All connections are taken: "If the server does not wish to accept this connection, it MUST return an appropriate HTTP
/// error code" (RFC 6455 §4.2.2). [6455-4.2.2-3]
pub(crate) fn overloaded() -> Response {
    Response::sentence(503, OVERLOADED).with_header("Retry-After", "5")
}

/// What [`overloaded`] says.
pub(super) const OVERLOADED: &str = "All connections are taken: try again in some seconds.";

/// A response in bytes, for a socket that is closed at once.
pub(crate) fn last_response(response: &Response, date: &Date) -> Vec<u8> {
    let manner = Manner {
        keep_alive: false,
        head_only: false,
        headers: &[],
        date,
    };
    let mut bytes = Vec::new();
    response.encode(manner, &mut bytes);
    bytes
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}

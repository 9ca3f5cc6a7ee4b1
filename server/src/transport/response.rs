//! HTTP/1.1 responses: status, headers, body, in bytes.

use std::borrow::Cow;

use tidewire_protocol::handshake::head::HeadError;
use tidewire_protocol::handshake::server::Refusal;

use super::assets::Asset;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What pages may load: our own files and our own WebSocket, nothing from elsewhere, no inline script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// A response to be encoded.
#[derive(Debug, Clone)]
pub(super) struct Response {
    status: u16,
    content_type: &'static str,
    body: Cow<'static, [u8]>,
    headers: Vec<(&'static str, &'static str)>,
    /// The last response of its connection.
    pub(super) closes: bool,
}

impl Response {
    /// An answer in one sentence.
    pub(super) fn sentence(status: u16, sentence: impl Into<String>) -> Self {
        let body = sentence.into() + "\n";
        Self {
            status,
            content_type: TEXT,
            body: Cow::Owned(body.into_bytes()),
            headers: Vec::new(),
            closes: false,
        }
    }

    /// A JSON document that is true now and not later.
    pub(super) fn json(document: String) -> Self {
        let headers = vec![("Cache-Control", "no-store")];
        Self {
            status: 200,
            content_type: JSON,
            body: Cow::Owned(document.into_bytes()),
            headers,
            closes: false,
        }
    }

    /// An embedded file; browsers ask again each time, since a newer server may have a newer one.
    pub(super) fn asset(asset: &Asset) -> Self {
        let headers = vec![
            ("Cache-Control", "no-cache"),
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            ("Referrer-Policy", "no-referrer"),
        ];
        Self {
            status: 200,
            content_type: asset.content_type,
            body: Cow::Borrowed(asset.body),
            headers,
            closes: false,
        }
    }

    /// A handshake that does not become a WebSocket connection. A proxy may take it for one all the same and pass on
    /// whatever follows, so that nothing that follows is read as a request.
    pub(super) fn refusal(refusal: Refusal) -> Self {
        let mut response = Self::sentence(refusal.status(), refusal.to_string());
        response.headers.extend(refusal.headers());
        response.closes = true;
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

    pub(super) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Appends the bytes; `head_only` answers a HEAD request.
    pub(super) fn encode(&self, keep_alive: bool, head_only: bool, out: &mut Vec<u8>) {
        let reason = reason(self.status);
        let (status, length, content_type) = (self.status, self.body.len(), self.content_type);
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             X-Content-Type-Options: nosniff\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let upgrade = self.headers.iter().any(|(name, _)| *name == "Upgrade");
        // "A sender that generates an Upgrade header field MUST also send an 'upgrade' connection option" (RFC 9110 §7.8).
        out.extend_from_slice(if upgrade {
            b"Connection: Upgrade, "
        } else {
            b"Connection: "
        });
        out.extend_from_slice(if keep_alive {
            b"keep-alive\r\n\r\n"
        } else {
            b"close\r\n\r\n"
        });
        if !head_only {
            out.extend_from_slice(&self.body);
        }
    }
}

/// All connections are taken: "If the server does not wish to accept this connection, it MUST return an appropriate HTTP
/// error code" (RFC 6455 §4.2.2). [6455-4.2.2-3]
pub(super) fn overloaded() -> Response {
    Response::sentence(503, "All connections are taken: try again in some seconds.")
        .with_header("Retry-After", "5")
}

/// [`overloaded`] in bytes, for a socket that is closed at once.
pub(crate) fn overloaded_response() -> Vec<u8> {
    let mut bytes = Vec::new();
    overloaded().encode(false, false, &mut bytes);
    bytes
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

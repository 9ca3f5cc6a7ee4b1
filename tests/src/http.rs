//! A small HTTP/1.1 client that shows exactly what came: one connection, raw requests, responses one by one.

use std::net::SocketAddr;

use crate::wire::{End, Wire};

/// One response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The body, by `Content-Length` or to the end of the connection.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header that comes at most once.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(
            values.next().is_none(),
            "the header {name} came twice: {:?}",
            self.headers
        );
        value
    }

    /// The body as text.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The body as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }

    /// Whether the server announced to close the connection.
    #[must_use]
    pub fn announces_close(&self) -> bool {
        let options = self.header("connection").unwrap_or_default();
        // A 426 names two: "Upgrade, close" (RFC 9110 §7.8).
        options
            .split(',')
            .any(|option| option.trim().eq_ignore_ascii_case("close"))
    }
}

/// One connection that speaks HTTP.
#[derive(Debug)]
pub struct HttpConnection {
    /// The connection below.
    pub wire: Wire,
}

impl HttpConnection {
    /// Connects.
    #[must_use]
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self {
            wire: Wire::open(address),
        }
    }

    /// Sends a request with a `Host` header, other `headers` as written, and no body.
    #[track_caller]
    pub fn request(&mut self, method: &str, target: &str, headers: &str) {
        self.wire.send(
            format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes(),
        );
    }

    /// Sends a request with a body and its length.
    #[track_caller]
    pub fn request_with_body(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) {
        let length = format!("Content-Length: {}\r\n{headers}", body.len());
        self.request(method, target, &length);
        self.wire.send(body);
    }

    /// Reads the response to a request that was not HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_if_any().unwrap_or_else(|end| {
            panic!("the server ended the connection ({end:?}) without a response")
        })
    }

    /// Reads the response, or says how the connection ended before its first byte.
    ///
    /// # Errors
    ///
    /// How the connection ended, if no byte of a response came.
    #[track_caller]
    pub fn response_if_any(&mut self) -> Result<Response, End> {
        self.read_response(true)
    }

    /// Reads the response to a HEAD request: a head that may announce a body, and no body.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.read_response(false).unwrap_or_else(|end| {
            panic!("the server ended the connection ({end:?}) without a response")
        })
    }

    #[track_caller]
    fn read_response(&mut self, with_body: bool) -> Result<Response, End> {
        let head_length = loop {
            if let Some(at) = self
                .wire
                .inbox
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break at + 4;
            }
            if let Err(end) = self.wire.receive() {
                assert!(
                    self.wire.inbox.is_empty(),
                    "the response was cut off: {:?}",
                    self.wire.unread()
                );
                return Err(end);
            }
        };
        let head =
            String::from_utf8(self.wire.take(head_length)).expect("a response head in UTF-8");
        let mut response = parse_head(&head);
        if with_body && response.status >= 200 && !matches!(response.status, 204 | 304) {
            response.body = self.read_body(&response);
        }
        Ok(response)
    }

    #[track_caller]
    fn read_body(&mut self, response: &Response) -> Vec<u8> {
        assert_eq!(
            response.header("transfer-encoding"),
            None,
            "the test client reads no chunked bodies"
        );
        let Some(length) = response.header("content-length") else {
            self.wire.receive_to_end();
            return std::mem::take(&mut self.wire.inbox);
        };
        let length: usize = length.parse().expect("a Content-Length that is a number");
        while self.wire.inbox.len() < length {
            let end = self.wire.receive();
            assert!(
                end.is_ok(),
                "the body was cut off ({end:?}): {:?}",
                self.wire.unread()
            );
        }
        self.wire.take(length)
    }

    /// Reads to the end and asserts that nothing more came.
    #[track_caller]
    pub fn expect_end(&mut self) -> End {
        let end = self.wire.receive_to_end();
        assert!(
            self.wire.inbox.is_empty(),
            "more came than one response: {:?}",
            self.wire.unread()
        );
        end
    }
}

#[track_caller]
fn parse_head(head: &str) -> Response {
    let mut lines = head.split("\r\n");
    let status_line = lines.next().expect("a status line");
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok());
    let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("this is no header: {line:?}"));
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Response {
        status: status.unwrap_or_else(|| panic!("this is no status line: {status_line:?}")),
        headers: headers.collect(),
        body: Vec::new(),
    }
}

/// Gets `target` over a connection of its own.
#[must_use]
#[track_caller]
pub fn get(address: SocketAddr, target: &str) -> Response {
    let mut connection = HttpConnection::open(address);
    connection.request("GET", target, "Connection: close\r\n");
    connection.response()
}

/// Sends a request with a body over a connection of its own.
#[must_use]
#[track_caller]
pub fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Response {
    let mut connection = HttpConnection::open(address);
    connection.request_with_body(method, target, headers, body);
    connection.response()
}

/// Asserts that a response is an error of the API with this status and code, in one sentence of JSON.
#[track_caller]
pub fn assert_problem(response: &Response, status: u16, code: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body = response.json();
    assert_eq!(body["error"]["code"], code, "{body}");
    let sentence = body["error"]["message"].as_str().expect("a message");
    assert!(sentence.contains(' ') && sentence.ends_with('.'), "{body}");
}

/// Sends raw bytes over a connection of its own and returns the first response.
#[must_use]
#[track_caller]
pub fn exchange(address: SocketAddr, request: &[u8]) -> Response {
    let mut connection = HttpConnection::open(address);
    connection.wire.send(request);
    connection.response()
}

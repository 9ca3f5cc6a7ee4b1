//! Where a server is: `ws://HOST[:PORT][/PATH]`, `wss://` with TLS, or a part of that.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// The address of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address, and the port unless it is 80, or 443 with TLS: the value of `Host`.
    pub host: String,
    /// Where the WebSocket is; `/ws` if not said.
    pub path: String,
    /// `wss://` or `https://`.
    pub is_tls: bool,
}

/// A text that is no such address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadAddress {
    /// A scheme that is neither `ws` nor `http`.
    Scheme(String),
    /// It names no host.
    NoHost,
    /// What is behind the colon is no port.
    Port(String),
    /// It has a query or a fragment: the query is the client's.
    Query,
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(scheme) => {
                write!(
                    f,
                    "{scheme}:// is not spoken here: write ws://HOST:PORT, or wss:// for TLS"
                )
            }
            Self::NoHost => f.write_str("there is no host: write ws://HOST:PORT"),
            Self::Port(port) => write!(f, "{port:?} is no port: write ws://HOST:PORT"),
            Self::Query => f.write_str("leave out what begins with ? or #"),
        }
    }
}

impl std::error::Error for BadAddress {}

impl Address {
    /// Reads an address; the scheme, the port and the path may be left out.
    ///
    /// # Errors
    /// Something in it is not understood.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let (is_tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("ws" | "http", rest)) => (false, rest),
            Some(("wss" | "https", rest)) => (true, rest),
            Some((scheme, _)) => return Err(BadAddress::Scheme(scheme.to_owned())),
        };
        if rest.contains(['?', '#']) {
            return Err(BadAddress::Query);
        }
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if matches!(path, "" | "/") {
            "/ws"
        } else {
            path
        };
        let (name, port) = split_port(host);
        if name.is_empty() {
            return Err(BadAddress::NoHost);
        }
        if let Some(port) = port
            && port.parse::<u16>().is_err()
        {
            return Err(BadAddress::Port(port.to_owned()));
        }
        Ok(Self {
            host: host.to_owned(),
            path: path.to_owned(),
            is_tls,
        })
    }

    /// The name or address alone, which the server's certificate is for.
    #[must_use]
    pub fn name(&self) -> &str {
        let (name, _) = split_port(&self.host);
        name.trim_start_matches('[').trim_end_matches(']')
    }

    /// Asks the system for an address to connect to; waits for the name service.
    ///
    /// # Errors
    /// There is none.
    pub fn resolve(&self) -> io::Result<SocketAddr> {
        Ok(self.resolve_all()?[0])
    }

    /// Asks the system for all addresses, at least one: `localhost` may have two, of which a server listens on one.
    ///
    /// # Errors
    /// There is none.
    pub fn resolve_all(&self) -> io::Result<Vec<SocketAddr>> {
        let (_, port) = split_port(&self.host);
        let default = if self.is_tls { 443 } else { 80 };
        let port = port.map_or(Ok(default), str::parse).unwrap_or_default();
        let found: Vec<_> = (self.name(), port).to_socket_addrs()?.collect();
        if found.is_empty() {
            let why = "the name has no address";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        Ok(found)
    }
}

/// Name and port; the colons of `[::1]` separate none.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_port_and_path_may_be_left_out() {
        for (text, host, path) in [
            ("wss://a:1/chat", "a:1", "/chat"),
            ("https://a:1", "a:1", "/ws"),
            ("ws://a:1/chat", "a:1", "/chat"),
            ("http://a:1/", "a:1", "/ws"),
            ("a", "a", "/ws"),
            ("127.0.0.1:8080", "127.0.0.1:8080", "/ws"),
            ("ws://[::1]:80", "[::1]:80", "/ws"),
            ("ws://[::1]", "[::1]", "/ws"),
        ] {
            let address = Address {
                host: host.to_owned(),
                path: path.to_owned(),
                is_tls: text.starts_with("wss") || text.starts_with("https"),
            };
            assert_eq!(Address::parse(text), Ok(address), "{text}");
        }
        let local = Address::parse("ws://[::1]:81").unwrap();
        assert_eq!(local.resolve().unwrap(), "[::1]:81".parse().unwrap());
        assert_eq!(local.name(), "::1");
        let encrypted = Address::parse("wss://127.0.0.1").unwrap();
        assert_eq!(encrypted.resolve().unwrap().port(), 443);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, error) in [
            ("ftp://a", BadAddress::Scheme("ftp".to_owned())),
            ("ws://", BadAddress::NoHost),
            ("ws://:1", BadAddress::NoHost),
            ("a:b", BadAddress::Port("b".to_owned())),
            ("a:70000", BadAddress::Port("70000".to_owned())),
            ("ws://a/?x", BadAddress::Query),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
        }
    }
}

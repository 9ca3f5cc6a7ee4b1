//! Whose a connection is, where a proxy stands before the server: what proxies say in a PROXY protocol header before the first
//! byte, or in a header of each request, and whom of them to believe. Pure: texts and bytes in, addresses out.

mod forwarded;
mod gate;
mod proxy_protocol;

use std::net::IpAddr;

use ipnet::IpNet;
use tidewire_protocol::handshake::server::Request;

pub(crate) use gate::{Gate, TurnedAway, too_many};
pub(crate) use proxy_protocol::{HEADER_BYTES_MAX, NotProxied, Preface, parse as parse_preface};

use self::forwarded::{Hop, forwarded_hops, x_forwarded_hops};

/// Which header of a request names its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: 203.0.113.7, 10.0.0.1`, which nearly all proxies write.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=203.0.113.7, for="[2001:db8::1]"` (RFC 7239).
    Forwarded,
    /// None.
    None,
}

/// The proxies that are believed, and how they name a client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    /// Their addresses.
    pub(crate) trusted: Vec<IpNet>,
    /// The header; exactly one, since a proxy passes on the other as its client wrote it.
    pub(crate) header: ForwardedHeader,
    /// They begin each connection with a PROXY protocol header.
    pub(crate) proxy_protocol: bool,
}

impl Proxies {
    /// Whether this is the address of one.
    pub(crate) fn is_trusted(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }

    /// Whose a request is that came from a trusted proxy at `peer`: the last hop, looking back from us, that is no trusted
    /// proxy itself. What stands before it is the client's own word, and proves nothing. Where a proxy names no address, it is
    /// the client.
    fn client(&self, peer: IpAddr, request: &Request<'_>) -> IpAddr {
        // A line that is no text names nobody.
        let lines = |name| {
            let values = request.values(name);
            values.map(|line| str::from_utf8(line).unwrap_or_default())
        };
        let hops = match self.header {
            ForwardedHeader::XForwardedFor => x_forwarded_hops(lines("x-forwarded-for")),
            ForwardedHeader::Forwarded => forwarded_hops(lines("forwarded")),
            ForwardedHeader::None => Vec::new(),
        };
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            match hop {
                Hop::Address(ip) => client = ip.to_canonical(),
                Hop::Hidden => break,
            }
            if !self.is_trusted(client) {
                break;
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_protocol::handshake::server::HeaderStorage;

    fn client(header: ForwardedHeader, lines: &str) -> String {
        let proxies = Proxies {
            trusted: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            header,
            proxy_protocol: false,
        };
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut storage = HeaderStorage::default();
        let request = Request::parse(head.as_bytes(), &mut storage).unwrap();
        let peer = "10.0.0.1".parse().unwrap();
        proxies.client(peer, &request).to_string()
    }

    #[test]
    fn the_last_hop_that_is_no_proxy_of_ours_is_the_client() {
        for (lines, expected) in [
            ("", "10.0.0.1"),
            ("X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7"),
            ("X-Forwarded-For: 203.0.113.7, 10.0.0.2\r\n", "203.0.113.7"),
            // What a client writes itself is before what a proxy adds.
            ("X-Forwarded-For: 127.0.0.1, 203.0.113.7\r\n", "203.0.113.7"),
            ("X-Forwarded-For: x, 203.0.113.7\r\n", "203.0.113.7"),
            (
                "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.7, ::1\r\n",
                "203.0.113.7",
            ),
            // All are ours: the first of them asks.
            ("X-Forwarded-For: 10.3.3.3, 10.2.2.2\r\n", "10.3.3.3"),
            // Nobody knows who stands behind the one that says nothing.
            (
                "X-Forwarded-For: 203.0.113.7, unknown, 10.2.2.2\r\n",
                "10.2.2.2",
            ),
            ("X-Forwarded-For: 203.0.113.7,\r\n", "10.0.0.1"),
            ("X-Forwarded-For: ::ffff:203.0.113.7\r\n", "203.0.113.7"),
            ("Forwarded: for=203.0.113.7\r\n", "10.0.0.1"),
        ] {
            let found = client(ForwardedHeader::XForwardedFor, lines);
            assert_eq!(found, expected, "{lines}");
        }
    }

    #[test]
    fn the_header_of_rfc_7239_is_read_where_it_is_the_one() {
        for (lines, expected) in [
            ("Forwarded: for=203.0.113.7;proto=https\r\n", "203.0.113.7"),
            (
                "Forwarded: for=127.0.0.1, for=\"[2001:db8::17]:4711\"\r\nForwarded: for=10.1.1.1\r\n",
                "2001:db8::17",
            ),
            ("Forwarded: for=203.0.113.7, for=_hidden\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 203.0.113.7\r\n", "10.0.0.1"),
        ] {
            let found = client(ForwardedHeader::Forwarded, lines);
            assert_eq!(found, expected, "{lines}");
        }
        let both = "X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\n";
        assert_eq!(client(ForwardedHeader::None, both), "10.0.0.1");
    }
}

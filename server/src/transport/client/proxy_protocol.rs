//! The PROXY protocol, versions 1 and 2 (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>): what a load balancer
//! says of a connection before its first byte. Strict: what is not exactly as specified is no header, since a proxy has no
//! reason to vary it and somebody else might.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header. Version 1 has 107 bytes; version 2 asks for 536, which is what a TCP segment holds in any case: 16 of
/// head, 36 of addresses, and room for the notes that proxies add.
pub(crate) const HEADER_BYTES_MAX: usize = 536;

/// "Assuming a worst case, the line is 107 characters including the CRLF" (§2.1).
const LINE_BYTES_MAX: usize = 107;

/// "The binary header format starts with a constant 12 bytes block" (§2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length.
const HEAD_BYTES: usize = 16;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preface {
    /// A header of so many bytes.
    Complete {
        /// Its bytes.
        used: usize,
        /// Who connected to the proxy; nobody, where it connected for itself, as for a health check.
        client: Option<SocketAddr>,
    },
    /// The beginning of one.
    Partial,
}

/// These bytes are no header, and do not begin one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotProxied;

/// Reads the header at the beginning of a connection.
///
/// # Errors
/// There is none.
pub(crate) fn parse(bytes: &[u8]) -> Result<Preface, NotProxied> {
    let begins = |with: &[u8]| {
        let len = bytes.len().min(with.len());
        bytes[..len] == with[..len]
    };
    if begins(SIGNATURE) {
        parse_binary(bytes)
    } else if begins(b"PROXY ") {
        parse_line(bytes)
    } else {
        Err(NotProxied)
    }
}

// ---- version 1 ----

fn parse_line(bytes: &[u8]) -> Result<Preface, NotProxied> {
    let window = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        let is_over = window.len() == LINE_BYTES_MAX;
        // A line of another kind need not be waited for.
        let is_text = window
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\r'));
        return if is_over || !is_text {
            Err(NotProxied)
        } else {
            Ok(Preface::Partial)
        };
    };
    let line = str::from_utf8(&window[..end]).map_err(|_| NotProxied)?;
    Ok(Preface::Complete {
        used: end + 2,
        client: client_of_line(line)?,
    })
}

fn client_of_line(line: &str) -> Result<Option<SocketAddr>, NotProxied> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        // "the receiver must ignore anything presented before the CRLF is found" (§2.1).
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4", source, destination, from, to] => {
            let (_, _) = (address::<Ipv4Addr>(destination)?, port(to)?);
            Ok(Some((address::<Ipv4Addr>(source)?, port(from)?).into()))
        }
        ["PROXY", "TCP6", source, destination, from, to] => {
            let (_, _) = (address::<Ipv6Addr>(destination)?, port(to)?);
            Ok(Some((address::<Ipv6Addr>(source)?, port(from)?).into()))
        }
        _ => Err(NotProxied),
    }
}

fn address<A: std::str::FromStr>(text: &str) -> Result<A, NotProxied> {
    text.parse().map_err(|_| NotProxied)
}

/// "a decimal integer in the range [0..65535] inclusive", where "heading zeroes are not permitted" (§2.1).
fn port(text: &str) -> Result<u16, NotProxied> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeroes = text.len() > 1 && text.starts_with('0');
    if !is_decimal || has_zeroes {
        return Err(NotProxied);
    }
    text.parse().map_err(|_| NotProxied)
}

// ---- version 2 ----

fn parse_binary(bytes: &[u8]) -> Result<Preface, NotProxied> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Ok(Preface::Partial);
    };
    let [.., command, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if HEAD_BYTES + length > HEADER_BYTES_MAX {
        return Err(NotProxied);
    }
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(NotProxied),
    };
    let addresses = match family {
        // Unspecified; and over TCP: IPv4, IPv6, a UNIX socket. This is no datagram.
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(NotProxied),
    };
    if length < addresses && !is_local {
        return Err(NotProxied);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Preface::Partial);
    };
    let client = if is_local {
        None
    } else {
        client_of(family, body)
    };
    Ok(Preface::Complete {
        used: HEAD_BYTES + length,
        client,
    })
}

fn client_of(family: u8, body: &[u8]) -> Option<SocketAddr> {
    let (ip, ports) = match family {
        0x11 => (IpAddr::from(*body.first_chunk::<4>()?), body.get(8..)?),
        0x21 => (IpAddr::from(*body.first_chunk::<16>()?), body.get(32..)?),
        // Somebody on the proxy's own machine.
        _ => return None,
    };
    let port = u16::from_be_bytes(*ports.first_chunk()?);
    Some((ip, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(used: usize, client: Option<&str>) -> Result<Preface, NotProxied> {
        let client = client.map(|client| client.parse().unwrap());
        Ok(Preface::Complete { used, client })
    }

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family], &length, body].concat()
    }

    fn v4() -> Vec<u8> {
        binary(
            0x21,
            0x11,
            &[203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x34, 0, 80],
        )
    }

    #[test]
    fn the_lines_of_the_specification_are_read() {
        for (line, client) in [
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                Some("255.255.255.255:65535"),
            ),
            (
                "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
            ),
            ("PROXY UNKNOWN\r\n", None),
            (
                "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                None,
            ),
            (
                "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
                Some("192.168.0.1:56324"),
            ),
        ] {
            let with_more = format!("{line}GET / HTTP/1.1\r\n");
            assert_eq!(
                parse(with_more.as_bytes()),
                complete(line.len(), client),
                "{line}"
            );
        }
    }

    #[test]
    fn binary_headers_are_read() {
        assert_eq!(parse(&v4()), complete(28, Some("203.0.113.7:4660")));
        let mut body = [0; 36];
        body[..2].copy_from_slice(&[0x20, 1]);
        body[15] = 9;
        body[33] = 80;
        assert_eq!(
            parse(&binary(0x21, 0x21, &body)),
            complete(52, Some("[2001::9]:80"))
        );
        // With notes behind the addresses, and more behind that.
        let noted = binary(
            0x21,
            0x11,
            &[&[1, 2, 3, 4, 0, 0, 0, 0, 0, 9, 0, 0][..], &[4, 0, 1, 0]].concat(),
        );
        let with_more = [&noted[..], b"\x16\x03\x01"].concat();
        assert_eq!(parse(&with_more), complete(32, Some("1.2.3.4:9")));
        // A proxy that speaks for itself, or for somebody without an address.
        assert_eq!(parse(&binary(0x20, 0x00, &[])), complete(16, None));
        assert_eq!(parse(&binary(0x20, 0x11, &[0; 12])), complete(28, None));
        assert_eq!(parse(&binary(0x21, 0x00, &[9; 7])), complete(23, None));
        assert_eq!(parse(&binary(0x21, 0x31, &[0; 216])), complete(232, None));
    }

    #[test]
    fn a_beginning_is_waited_for() {
        for whole in [
            v4(),
            b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n".to_vec(),
        ] {
            for len in 0..whole.len() {
                assert_eq!(parse(&whole[..len]), Ok(Preface::Partial), "{len}");
            }
            assert!(matches!(parse(&whole), Ok(Preface::Complete { .. })));
        }
    }

    #[test]
    fn what_is_not_exactly_as_specified_is_no_header() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
            "PROXY\r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n",
            "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
            "PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.256 1 1\r\n",
            "PROXY TCP4 1.2.3.04 1.2.3.4 1 1\r\n",
            "PROXY TCP4 ::1 ::1 1 1\r\n",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
            "PROXY TCP6 [::1] ::1 1 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 01\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
            "PROXY UNKNOWN \0",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(NotProxied), "{line:?}");
        }
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
        assert_eq!(parse(endless.as_bytes()), Err(NotProxied));
        for (command, family) in [
            (0x11, 0x11),
            (0x22, 0x11),
            (0x21, 0x12),
            (0x21, 0x41),
            (0x20, 0x01),
        ] {
            assert_eq!(parse(&binary(command, family, &[0; 36])), Err(NotProxied));
        }
        // Too short for the addresses; and longer than anybody needs, which is known from its head.
        assert_eq!(parse(&binary(0x21, 0x21, &[0; 35])), Err(NotProxied));
        let long = binary(0x21, 0x11, &[0; HEADER_BYTES_MAX - HEAD_BYTES + 1]);
        assert_eq!(parse(&long[..HEAD_BYTES]), Err(NotProxied));
        assert!(parse(&long[..HEAD_BYTES - 1]).is_ok());
        let longest = binary(0x21, 0x11, &[0; HEADER_BYTES_MAX - HEAD_BYTES]);
        assert_eq!(
            parse(&longest),
            complete(HEADER_BYTES_MAX, Some("0.0.0.0:0"))
        );
    }

    #[test]
    fn however_it_is_cut_or_changed_it_is_read_or_refused() {
        let mut seed = 7_u32;
        for _ in 0..200_000 {
            let mut bytes = if seed & 64 == 0 {
                v4()
            } else {
                b"PROXY TCP4 1.2.3.4 4.3.2.1 1 65535\r\nx".to_vec()
            };
            for _ in 0..=seed % 3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % bytes.len();
                bytes[at] = (seed >> 24) as u8;
            }
            bytes.truncate((seed >> 4) as usize % (bytes.len() + 1));
            if let Ok(Preface::Complete { used, .. }) = parse(&bytes) {
                assert!(used <= bytes.len());
            }
        }
    }
}

//! The hops that `X-Forwarded-For` and `Forwarded` (RFC 7239) name, in the order in which they stand there. Whom of them to
//! believe is not decided here.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    /// By its address.
    Address(IpAddr),
    /// As something else: `unknown`, a name of its own, or nothing that can be read.
    Hidden,
}

impl From<Option<IpAddr>> for Hop {
    fn from(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Hidden, Self::Address)
    }
}

/// The hops of `X-Forwarded-For`, whose lines are one list. There is no standard for it: an address may have a port, and one
/// of IPv6 brackets.
pub(super) fn x_forwarded_hops<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Hop> {
    let elements = lines.flat_map(|line| line.split(','));
    elements
        .map(|element| node(element.trim()).into())
        .collect()
}

/// The hops of `Forwarded`: "for" of each element (RFC 7239 §4), "hidden" where it has none or is not well-formed.
pub(super) fn forwarded_hops<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Hop> {
    let elements = lines.flat_map(|line| split_outside_quotes(line, ','));
    elements
        .map(|element| forwarded_for(element).into())
        .collect()
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_outside_quotes(element, ';') {
        let (name, value) = pair.trim().split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            // "Each parameter MUST NOT occur more than once per field-value" (§4).
            if found.is_some() {
                return None;
            }
            found = Some(unquote(value)?);
        }
    }
    node(&found?)
}

/// A token as it is, or what a quoted string holds (RFC 9110 §5.6.4).
fn unquote(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else {
        return Some(value.to_owned());
    };
    let inner = inner.strip_suffix('"')?;
    let (mut text, mut is_escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            '\\' if !is_escaped => is_escaped = true,
            '"' if !is_escaped => return None,
            _ => {
                text.push(c);
                is_escaped = false;
            }
        }
    }
    (!is_escaped).then_some(text)
}

/// The parts between separators that stand in no quoted string.
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return c == separator && !is_quoted,
        }
        false
    })
}

/// An address, with a port or without: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    if let Some(ip) = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        return ip.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    }
    // "node-port = port / obfport" (§6): `192.0.2.1:_port`.
    let (address, port) = text.rsplit_once(':')?;
    port.starts_with('_').then(|| node(address)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(lines: &[&str]) -> Vec<String> {
        let shown = |hop| match hop {
            Hop::Address(ip) => ip.to_string(),
            Hop::Hidden => "-".to_owned(),
        };
        forwarded_hops(lines.iter().copied())
            .into_iter()
            .map(shown)
            .collect()
    }

    #[test]
    fn the_examples_of_rfc_7239_are_read() {
        for (line, expected) in [
            ("for=\"_gazonk\"", &["-"][..]),
            ("For=\"[2001:db8:cafe::17]:4711\"", &["2001:db8:cafe::17"]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60"]),
            (
                "for=192.0.2.43, for=198.51.100.17",
                &["192.0.2.43", "198.51.100.17"],
            ),
            ("for=_hidden, for=_SEVKISEK", &["-", "-"]),
            (
                "for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown",
                &["192.0.2.43", "2001:db8:cafe::17", "-"],
            ),
        ] {
            assert_eq!(hops(&[line]), expected, "{line}");
        }
        // "is equivalent to" (§7.1).
        let lines = ["for=192.0.2.43", "for=\"[2001:db8:cafe::17]\", for=unknown"];
        assert_eq!(hops(&lines), ["192.0.2.43", "2001:db8:cafe::17", "-"]);
    }

    #[test]
    fn what_is_quoted_separates_nothing() {
        let line = r#"host="a, for=192.0.2.1; \" for=192.0.2.2";for="192.0.2.3:80""#;
        assert_eq!(hops(&[line]), ["192.0.2.3"]);
    }

    #[test]
    fn what_is_not_well_formed_is_nobody() {
        for line in [
            "",
            "for",
            "for=",
            "for=\"192.0.2.1",
            "for=192.0.2.1\"",
            "for=192.0.2.1;for=192.0.2.2",
            "for=192.0.2.1;",
            "for=2001:db8::1::2",
            "for=\"[2001:db8::1\"",
            "for=\"[192.0.2.1]\"",
            "for=\"192.0.2.1\\\"",
            "proto=https",
        ] {
            assert_eq!(hops(&[line]), ["-"], "{line}");
        }
    }

    #[test]
    fn addresses_are_written_in_many_ways() {
        let line = "192.0.2.1, 192.0.2.2:80 ,2001:db8::1,[2001:db8::2],[2001:db8::3]:80, 192.0.2.4:_x, x, 1.2.3, 1.2.3.4.5";
        let expected = [
            Some("192.0.2.1"),
            Some("192.0.2.2"),
            Some("2001:db8::1"),
            Some("2001:db8::2"),
            Some("2001:db8::3"),
            Some("192.0.2.4"),
            None,
            None,
            None,
        ];
        let expected = expected.map(|ip| Hop::from(ip.map(|ip| ip.parse::<IpAddr>().unwrap())));
        assert_eq!(x_forwarded_hops([line].into_iter()), expected);
        assert_eq!(x_forwarded_hops([].into_iter()), []);
    }
}

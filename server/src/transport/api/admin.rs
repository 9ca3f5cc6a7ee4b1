//! Who may operate the server: see what others say, and end what they do.

use std::net::IpAddr;

use tidewire_protocol::handshake::server::Request;

/// Whether a request may operate the server: one from this machine, to a name of this machine. A page of somebody else's, which
/// a name that leads here makes a page of this server, is told apart by that name.
pub(crate) fn may_operate(peer: IpAddr, host: &str) -> bool {
    peer.is_loopback() && is_loopback_name(host)
}

/// The host that a request names, and whether a page asked for it that is not ours: such a page cannot read the answer, but it
/// could have the work done.
pub(super) fn asked_by(request: &Request<'_>) -> (String, bool) {
    let host = request.single("host").ok().flatten().unwrap_or_default();
    let site = request.single("sec-fetch-site").ok().flatten();
    let is_foreign = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    (host.to_owned(), is_foreign)
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_by_one_of_its_names_operates() {
        let here = "127.0.0.1".parse().unwrap();
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(may_operate(here, host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "10.0.0.1",
            "[::2]",
        ] {
            assert!(!may_operate(here, host), "{host}");
        }
        assert!(!may_operate("10.0.0.1".parse().unwrap(), "localhost"));
    }
}

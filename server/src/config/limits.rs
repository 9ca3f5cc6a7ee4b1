//! The settings of limits: what a connection, a user and an address may do, what memory there is, and which proxies are
//! believed when they say whose a connection is. `docs/LIMITS.md` has all limits in one table.

use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;

use super::values::size;
use crate::limit::{AddressLimits, Allowance, Rate};
pub use crate::transport::ForwardedHeader;
use crate::transport::Proxies;

/// What a message may have on average where bytes are limited by the number of messages.
const BYTES_PER_MESSAGE: u64 = 64 << 10;

/// What all connections of a user may send, in what one may.
const USER_FACTOR: u64 = 20;

/// What a sender of the relay may send, in what a chat client may: nothing of it is parsed, or goes to the disk.
const RELAY_FACTOR: u64 = 100;

/// What all connections of an address may send: a company or a provider may stand behind it.
const ADDRESS_FACTOR: u64 = 50;

/// Limits, trusted proxies and the memory budget.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits and proxies (0 means no limit)")]
pub struct LimitOptions {
    /// Bytes a second that a chat or relay client may send, twice as many at once [default: 64 KiB for each of
    /// --messages-per-second]
    #[arg(long, env = "TIDEWIRE_BYTES_PER_SECOND", value_name = "SIZE", value_parser = size_or_zero)]
    pub bytes_per_second: Option<u64>,
    /// Connections that a user may have at once
    #[arg(
        long,
        env = "TIDEWIRE_USER_CONNECTIONS",
        value_name = "N",
        default_value_t = 1024
    )]
    pub user_connections: u32,
    /// Places in rooms that a user's connections may have together
    #[arg(
        long,
        env = "TIDEWIRE_USER_ROOMS",
        value_name = "N",
        default_value_t = 8192
    )]
    pub user_rooms: u32,
    /// Messages a second that a user may send, over all connections and HTTP [default: 20 times --messages-per-second]
    #[arg(long, env = "TIDEWIRE_USER_MESSAGES_PER_SECOND", value_name = "N")]
    pub user_messages_per_second: Option<u64>,
    /// Bytes a second that a user may send [default: 20 times --bytes-per-second]
    #[arg(long, env = "TIDEWIRE_USER_BYTES_PER_SECOND", value_name = "SIZE", value_parser = size_or_zero)]
    pub user_bytes_per_second: Option<u64>,
    /// Connections that an address may have at once; addresses of loopback and of trusted proxies are not limited
    #[arg(
        long,
        env = "TIDEWIRE_ADDRESS_CONNECTIONS",
        value_name = "N",
        default_value_t = 2048
    )]
    pub address_connections: u32,
    /// New connections a second of an address, twice as many at once
    #[arg(
        long,
        env = "TIDEWIRE_ADDRESS_CONNECTIONS_PER_SECOND",
        value_name = "N",
        default_value_t = 200
    )]
    pub address_connections_per_second: u32,
    /// Messages a second that may come from an address [default: 50 times --messages-per-second]
    #[arg(long, env = "TIDEWIRE_ADDRESS_MESSAGES_PER_SECOND", value_name = "N")]
    pub address_messages_per_second: Option<u64>,
    /// Bytes of messages a second that may come from an address [default: 50 times --bytes-per-second]
    #[arg(long, env = "TIDEWIRE_ADDRESS_BYTES_PER_SECOND", value_name = "SIZE", value_parser = size_or_zero)]
    pub address_bytes_per_second: Option<u64>,
    /// Memory that the process may have: above 85 % new connections are turned away, above 95 % those that hold the most are
    /// closed [default: 80 % of what the control group or the machine has]
    #[arg(long, env = "TIDEWIRE_MEMORY_MAX", value_name = "SIZE", value_parser = size_or_zero)]
    pub memory_max: Option<u64>,
    /// A proxy that is believed when it says whose a connection is: an address or a network, as `10.0.0.0/8`; may be given
    /// several times
    #[arg(
        long = "trusted-proxy",
        env = "TIDEWIRE_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = network
    )]
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which a trusted proxy names the client
    #[arg(
        long,
        env = "TIDEWIRE_FORWARDED_HEADER",
        value_name = "HEADER",
        default_value = "x-forwarded-for"
    )]
    pub forwarded_header: ForwardedHeader,
    /// Trusted proxies begin each connection with a PROXY protocol header, version 1 or 2
    #[arg(long, env = "TIDEWIRE_PROXY_PROTOCOL")]
    pub proxy_protocol: bool,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            bytes_per_second: None,
            user_connections: 1024,
            user_rooms: 8192,
            user_messages_per_second: None,
            user_bytes_per_second: None,
            address_connections: 2048,
            address_connections_per_second: 200,
            address_messages_per_second: None,
            address_bytes_per_second: None,
            memory_max: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::XForwardedFor,
            proxy_protocol: false,
        }
    }
}

impl LimitOptions {
    /// Whether they make sense together.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return Err("--proxy-protocol is for trusted proxies: name them with --trusted-proxy");
        }
        Ok(())
    }

    /// What a connection may send, where it may send so many messages a second.
    pub(crate) fn connection(&self, messages_per_second: u32) -> Allowance {
        let messages = u64::from(messages_per_second);
        let bytes = self
            .bytes_per_second
            .unwrap_or(messages * BYTES_PER_MESSAGE);
        allowance(messages, bytes)
    }

    /// What a sender of the relay may send, which is not stored: held back by TCP above that, it loses nothing.
    pub(crate) fn relay(&self, messages_per_second: u32) -> Allowance {
        self.several(messages_per_second, RELAY_FACTOR, None, None)
    }

    /// What all connections of a user may send.
    pub(crate) fn user(&self, messages_per_second: u32) -> Allowance {
        let (messages, bytes) = (self.user_messages_per_second, self.user_bytes_per_second);
        self.several(messages_per_second, USER_FACTOR, messages, bytes)
    }

    /// What an address may have.
    pub(crate) fn address(&self, messages_per_second: u32) -> AddressLimits {
        let Self {
            address_messages_per_second: messages,
            address_bytes_per_second: bytes,
            ..
        } = *self;
        AddressLimits {
            connections_max: self.address_connections,
            connecting: Rate::per_second(self.address_connections_per_second as f32),
            sending: self.several(messages_per_second, ADDRESS_FACTOR, messages, bytes),
            exempt: self.trusted_proxies.clone(),
        }
    }

    /// Who is believed.
    pub(crate) fn proxies(&self) -> Proxies {
        Proxies {
            trusted: self.trusted_proxies.clone(),
            header: self.forwarded_header,
            proxy_protocol: self.proxy_protocol,
        }
    }

    fn several(
        &self,
        messages_per_second: u32,
        factor: u64,
        messages: Option<u64>,
        bytes: Option<u64>,
    ) -> Allowance {
        let one = self.connection(messages_per_second);
        let times = |rate: Rate| (rate.per_second as u64).saturating_mul(factor);
        let messages = messages.unwrap_or(times(one.messages));
        allowance(messages, bytes.unwrap_or(times(one.bytes)))
    }
}

const fn allowance(messages: u64, bytes: u64) -> Allowance {
    Allowance {
        messages: Rate::per_second(messages as f32),
        bytes: Rate::per_second(bytes as f32),
    }
}

/// A number of bytes, or 0 for no limit.
fn size_or_zero(text: &str) -> Result<u64, String> {
    if text == "0" { Ok(0) } else { size(text) }
}

/// A network, or an address alone.
fn network(text: &str) -> Result<IpNet, String> {
    let alone = text.parse::<IpAddr>().ok().map(IpNet::from);
    alone
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "write an address or a network: 10.0.0.1, 10.0.0.0/8, 2001:db8::/32".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_follows_from_what_a_connection_may_send() {
        let options = LimitOptions::default();
        let rates =
            |allowance: Allowance| (allowance.messages.per_second, allowance.bytes.per_second);
        assert_eq!(rates(options.connection(100)), (100.0, 6_553_600.0));
        assert_eq!(rates(options.user(100)), (2000.0, 131_072_000.0));
        assert_eq!(rates(options.address(100).sending), (5000.0, 327_680_000.0));
        // No limit for one is no limit for many, unless that is said.
        assert!(options.connection(0).is_none() && options.user(0).is_none());
        let said = LimitOptions {
            user_messages_per_second: Some(7),
            address_bytes_per_second: Some(9),
            ..options
        };
        assert_eq!(rates(said.user(0)), (7.0, 0.0));
        assert_eq!(rates(said.address(0).sending), (0.0, 9.0));
    }

    #[test]
    fn networks_and_sizes_are_read() {
        assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert_eq!(network("2001:db8::/32").unwrap().prefix_len(), 32);
        for bad in ["", "10.0.0.0/33", "proxy", "10.0.0"] {
            assert!(network(bad).is_err(), "{bad}");
        }
        assert_eq!((size_or_zero("0"), size_or_zero("1KiB")), (Ok(0), Ok(1024)));
        assert!(size_or_zero("00").is_err());
    }
}

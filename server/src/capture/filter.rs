//! What a capture is about: which connections belong to it, and which may yet.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::ids::{ConnId, LogName, RoomName, UserName};

/// What a connection has to be like; what is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// It is in this room now.
    pub(crate) room: Option<RoomName>,
    /// It is this user's.
    pub(crate) user: Option<UserName>,
    /// It comes from here.
    pub(crate) address: Option<Network>,
    /// It is this one.
    pub(crate) connection: Option<ConnId>,
}

/// Whether a connection belongs to a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    /// It does not say yet who it is, or may enter the room.
    NotYet,
    Never,
}

impl Filter {
    /// Whether a connection belongs to the capture that follows these logs, among them its user's.
    pub(crate) fn fit(&self, conn: ConnId, ip: IpAddr, logs: &[LogName]) -> Fit {
        let is_here = self.address.as_ref().is_none_or(|network| network.has(ip));
        let is_it = self.connection.is_none_or(|id| id == conn);
        if !(is_here && is_it) {
            return Fit::Never;
        }
        let follows = |log: LogName| logs.contains(&log);
        let is_in = self.room.as_ref().is_none_or(|room| follows(room.log()));
        let is_hers = self.user.as_ref().is_none_or(|user| follows(user.log()));
        if is_in && is_hers {
            Fit::Yes
        } else {
            Fit::NotYet
        }
    }
}

/// As it stands in the query of an address, not encoded: for people.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.room.as_ref().map(|room| format!("room {room}")),
            self.user.as_ref().map(|user| format!("user {user}")),
            self.address
                .as_ref()
                .map(|network| format!("address {network}")),
            self.connection
                .map(|connection| format!("connection {connection}")),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            f.write_str("all connections")
        } else {
            f.write_str(&parts.join(", "))
        }
    }
}

/// An address, or all of a network: `192.0.2.7`, `10.0.0.0/8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network(IpNet);

impl Network {
    fn has(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alone = text.parse().map(|ip: IpAddr| ip.to_canonical().into());
        alone
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| "is no address: write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONN: ConnId = ConnId {
        index: 5,
        generation: 12,
    };

    fn fit(filter: &Filter, logs: &[LogName]) -> Fit {
        filter.fit(CONN, [10, 1, 2, 3].into(), logs)
    }

    #[test]
    fn everything_that_is_said_has_to_be_so() {
        let (room, user) = (RoomName::new("harbour"), UserName::new("alice"));
        let (room, user) = (room.unwrap(), user.unwrap());
        let (in_room, hers) = (room.log(), user.log());
        let both = Filter {
            room: Some(room),
            user: Some(user),
            ..Filter::default()
        };
        assert_eq!(fit(&Filter::default(), &[]), Fit::Yes);
        assert_eq!(fit(&both, &[in_room.clone(), hers.clone()]), Fit::Yes);
        assert_eq!(fit(&both, std::slice::from_ref(&in_room)), Fit::NotYet);
        assert_eq!(fit(&both, std::slice::from_ref(&hers)), Fit::NotYet);
        let elsewhere = Filter {
            address: Some("10.2.0.0/16".parse().unwrap()),
            ..both.clone()
        };
        assert_eq!(
            fit(&elsewhere, &[in_room.clone(), hers.clone()]),
            Fit::Never
        );
        let other = Filter {
            connection: Some("c-5-13".parse().unwrap()),
            ..both
        };
        assert_eq!(fit(&other, &[in_room, hers]), Fit::Never);
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["10.0.0.0/8", "2001:db8::/32", "10.1.2.3/32"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        let mapped: Network = "::ffff:10.1.2.3".parse().unwrap();
        assert!(mapped.has([10, 1, 2, 3].into()));
        for text in ["", "10", "10.0.0.0/33", "localhost"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}

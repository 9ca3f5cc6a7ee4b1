//! Whose a connection is: an address and a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address and a port, in less room than `SocketAddr` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct Peer {
    pub(in crate::net) ip: IpAddr,
    pub(in crate::net) port: u16,
}

impl From<Peer> for SocketAddr {
    fn from(peer: Peer) -> Self {
        Self::new(peer.ip, peer.port)
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        // An IPv4 peer of a listener for both is one address however it came.
        Self {
            ip: address.ip().to_canonical(),
            port: address.port(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

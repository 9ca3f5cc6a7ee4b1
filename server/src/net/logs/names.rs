//! Names' addresses. The system's resolver blocks, so each name has a thread for as long as that takes; an address has none.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::thread::Builder;

use crate::log::remote::Target;

/// Look-ups at once: a name service that does not answer holds each for some ten seconds, and links are asked for again meanwhile.
const LOOKUPS_MAX: usize = 8;

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

/// What a name was found to stand for.
pub(super) type Found = io::Result<Vec<SocketAddr>>;

/// The look-ups that go on.
#[derive(Debug, Default)]
pub(super) struct Names {
    running: usize,
}

impl Names {
    /// What needs no look-up.
    pub(super) fn address(target: &Target) -> Option<SocketAddr> {
        let address: IpAddr = target.host.parse().ok()?;
        Some(SocketAddr::new(address, target.port))
    }

    /// Looks a name up; `then` is called by another thread.
    ///
    /// # Errors
    /// Too many look-ups go on, or the system has no thread left.
    pub(super) fn look_up(
        &mut self,
        target: &Target,
        then: impl FnOnce(Found) + Send + 'static,
    ) -> io::Result<()> {
        if self.running == LOOKUPS_MAX {
            return Err(io::Error::new(
                ErrorKind::ResourceBusy,
                "the name service does not answer",
            ));
        }
        let target = target.clone();
        let run = move || {
            let found = (target.host.as_str(), target.port).to_socket_addrs();
            then(found.map(|addresses| addresses.take(ADDRESSES_MAX).collect()));
        };
        Builder::new().name("names".to_owned()).spawn(run)?;
        self.running += 1;
        Ok(())
    }

    /// One has ended.
    pub(super) const fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

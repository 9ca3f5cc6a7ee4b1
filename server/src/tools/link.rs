//! How a command comes to its server: the address that was typed, a session of its own, and the sentence for when nobody is there.

use std::error::Error;

use crate::client::{Address, Driver, End, Identity, Tls, Trust};

/// A client of the server at `url` that has not connected yet.
///
/// # Errors
/// The address is none, its name has no address, or TLS is to be spoken and nobody is trusted.
pub(super) fn driver(
    url: &str,
    trust: &Trust,
    user: Option<String>,
    token: Option<String>,
) -> Result<Server, Box<dyn Error>> {
    let address = Address::parse(url)?;
    let tls = Tls::new(&address, trust)?;
    let to = address
        .resolve_all()
        .map_err(|error| format!("cannot find {}: {error}", address.host))?;
    let (host, addresses) = (address.host.clone(), to.len());
    let identity = Identity {
        user,
        token,
        // With the numbers of its messages, what makes sending twice harmless: nobody else may have it.
        session: format!("{:016x}", rand::random::<u64>()),
        address,
        to,
        tls,
    };
    Ok(Server {
        driver: Driver::new(identity)?,
        host,
        addresses,
    })
}

/// A server and the client that goes there.
#[derive(Debug)]
pub(super) struct Server {
    /// The client and its loop.
    pub(super) driver: Driver,
    /// The server, as it is called.
    pub(super) host: String,
    /// How many addresses it has: where all of them failed at the start, it is not there.
    pub(super) addresses: usize,
}

impl Server {
    /// What to say where no address of it welcomes anybody.
    pub(super) fn unreachable(&self, why: &str) -> String {
        format!(
            "cannot connect to {}: {why}: is a server running there?",
            self.host
        )
    }
}

/// Whether nobody is to come back after this: the token has expired, or another connection has the session.
pub(super) const fn is_final(end: &End) -> bool {
    matches!(end.code, 4001 | 4003)
}

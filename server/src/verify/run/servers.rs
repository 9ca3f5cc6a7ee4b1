//! The servers that are loaded, found once.

use std::net::SocketAddr;

use crate::client::{Address, Tls};
use crate::verify::error::VerifyError;
use crate::verify::options::Options;

/// One of those that are loaded.
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) to: Vec<SocketAddr>,
    pub(super) tls: Option<Tls>,
}

/// Finds those that are to be loaded.
pub(super) fn servers(options: &Options) -> Result<Vec<Server>, VerifyError> {
    let find = |url: &String| {
        let address = Address::parse(url).map_err(VerifyError::Address)?;
        let tls = Tls::new(&address, &options.trust).map_err(VerifyError::Trust)?;
        let to = address
            .resolve_all()
            .map_err(|error| VerifyError::Io("find the server", error))?;
        Ok(Server { address, to, tls })
    };
    options.urls.iter().map(find).collect()
}

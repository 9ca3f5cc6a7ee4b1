//! The settings of what is spoken.

use crate::transport::dialect::{Protocol, Protocols};

/// What the server speaks.
#[derive(Debug, Clone, clap::Args)]
pub struct ProtocolOptions {
    /// Protocols that the chat is spoken in; JSON always is
    #[arg(
        help_heading = "Web",
        long,
        env = "TIDEWIRE_PROTOCOLS",
        value_name = "PROTOCOL",
        value_delimiter = ',',
        default_value = "json,protobuf,mqtt"
    )]
    pub protocols: Vec<Protocol>,
}

impl Default for ProtocolOptions {
    fn default() -> Self {
        Self {
            protocols: Protocol::ALL.to_vec(),
        }
    }
}

impl ProtocolOptions {
    pub(crate) fn all(&self) -> Protocols {
        self.protocols.iter().copied().collect()
    }
}

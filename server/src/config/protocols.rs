//! The settings of what is spoken.

use crate::transport::dialect::{Protocol, Protocols};
use crate::transport::socket_io::{Dictionary, EventName};

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
        default_value = "json,protobuf,mqtt,socket.io"
    )]
    pub protocols: Vec<Protocol>,
    /// What an event of Socket.IO is called, as "msg=chat message"; may be given for each
    #[arg(
        help_heading = "Web",
        long = "socketio-event",
        env = "TIDEWIRE_SOCKETIO_EVENT",
        value_name = "EVENT=NAME",
        value_delimiter = ','
    )]
    pub socketio_events: Vec<EventName>,
    /// Give clients of Socket.IO what their state is recovered by: an offset with each event
    #[arg(
        help_heading = "Web",
        long,
        env = "TIDEWIRE_SOCKETIO_RECOVERY",
        value_name = "BOOL",
        action = clap::ArgAction::Set,
        default_value_t = true
    )]
    pub socketio_recovery: bool,
}

impl Default for ProtocolOptions {
    fn default() -> Self {
        Self {
            protocols: Protocol::ALL.to_vec(),
            socketio_events: Vec::new(),
            socketio_recovery: true,
        }
    }
}

impl ProtocolOptions {
    pub(crate) fn all(&self) -> Protocols {
        self.protocols.iter().copied().collect()
    }

    /// What events of Socket.IO are called.
    pub(crate) fn dictionary(&self) -> Dictionary {
        Dictionary::new(&self.socketio_events)
    }
}

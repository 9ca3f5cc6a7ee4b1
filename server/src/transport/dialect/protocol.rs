//! What a server speaks in its chat, by the names that the configuration has for it.

use clap::ValueEnum;

/// A protocol that the chat is spoken in. JSON is always there: the page and whoever comes over HTTP speak it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// The chat's own, as JSON.
    Json,
    /// The same as Protobuf.
    Protobuf,
    /// MQTT 3.1.1 and 5, at /mqtt.
    Mqtt,
    /// Socket.IO, at /socket.io/.
    #[value(name = "socket.io")]
    SocketIo,
    /// What the official suites of Engine.IO and Socket.IO are run against, at /engine.io/ and /socket.io/: an echo, and no chat.
    Conformance,
}

impl Protocol {
    /// All that a chat is spoken in.
    pub const ALL: [Self; 4] = [Self::Json, Self::Protobuf, Self::Mqtt, Self::SocketIo];
}

/// Those that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protocols(u8);

impl Protocols {
    /// The subprotocols of the chat's address; of several that are offered the first here is spoken.
    #[must_use]
    pub const fn of_the_chat(self) -> &'static [&'static str] {
        use crate::transport::{json::PROTOCOL as JSON, protobuf::PROTOCOL as PROTOBUF};
        if self.speaks(Protocol::Protobuf) {
            &[PROTOBUF, JSON]
        } else {
            &[JSON]
        }
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn speaks(self, protocol: Protocol) -> bool {
        self.0 & bit(protocol) != 0
    }
}

impl FromIterator<Protocol> for Protocols {
    fn from_iter<I: IntoIterator<Item = Protocol>>(protocols: I) -> Self {
        let bits = protocols.into_iter().map(bit);
        Self(bits.fold(bit(Protocol::Json), |all, one| all | one))
    }
}

const fn bit(protocol: Protocol) -> u8 {
    1 << protocol as u8
}

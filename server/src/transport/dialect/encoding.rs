//! Encodings that many connections share: an event or an entry is encoded at most once in each, when the first one needs it.

use std::sync::OnceLock;

use tidewire_protocol::{Message, Prepared};

use crate::chat::{Event, Shown};
use crate::log::Entry;
use crate::transport::{mqtt, protobuf, socket_io};

/// Which bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A text message with the JSON of docs/PROTOCOL.md.
    Json,
    /// A binary message, as docs/tidewire.v1.proto says.
    Protobuf,
    /// A PUBLISH of MQTT 3.1.1 at QoS 0; of entries only.
    Mqtt3,
    /// The same of MQTT 5.
    Mqtt5,
    /// A text message, as docs/SOCKETIO.md says, with these names for events.
    SocketIo(socket_io::Dictionary),
}

/// How many there are beside JSON, which nearly everybody speaks.
const OTHERS: usize = 4;

impl Encoding {
    /// Its place among those.
    const fn place(self) -> Option<usize> {
        match self {
            Self::Json => None,
            Self::Protobuf => Some(0),
            Self::Mqtt3 => Some(1),
            Self::Mqtt5 => Some(2),
            Self::SocketIo(_) => Some(3),
        }
    }

    /// Whether an entry is one message in it.
    #[must_use]
    pub fn is_one_message(self, entry: &Entry) -> bool {
        match self {
            Self::Json | Self::Protobuf | Self::Mqtt3 | Self::Mqtt5 => true,
            Self::SocketIo(_) => !socket_io::has_binary(&entry.draft.content),
        }
    }

    /// A log's entry, as its followers get it, where it [is one message](Self::is_one_message).
    #[must_use]
    pub fn of_entry(self, entry: &Entry) -> Prepared {
        match self {
            Self::Json => Prepared::new(&Message::text(&Shown::new(entry).to_text())),
            Self::Protobuf => Prepared::new(&Message::binary(&protobuf::entry(entry))),
            Self::Mqtt3 => mqtt::message_of_3(entry),
            Self::Mqtt5 => mqtt::message_of_5(entry),
            Self::SocketIo(names) => Prepared::new(&Message::text(&socket_io::entry(entry, names))),
        }
    }

    /// Anything else that connections are told.
    #[must_use]
    pub fn of_event(self, event: &Event) -> Prepared {
        match self {
            // A session is told the event itself, and encodes no other.
            Self::Json | Self::Mqtt3 | Self::Mqtt5 => {
                Prepared::new(&Message::text(&event.to_text()))
            }
            Self::Protobuf => Prepared::new(&Message::binary(&protobuf::event(event))),
            // Each session has its own way to tell it, so that nobody asks.
            Self::SocketIo(_) => Prepared::new(&Message::text(&event.to_text())),
        }
    }
}

/// The encodings of one thing. Nearly always it is JSON and nothing else.
#[derive(Debug, Default)]
pub(in crate::transport) struct Encodings {
    json: OnceLock<Prepared>,
    others: OnceLock<Box<[OnceLock<Prepared>; OTHERS]>>,
}

impl Encodings {
    pub(in crate::transport) const fn new() -> Self {
        Self {
            json: OnceLock::new(),
            others: OnceLock::new(),
        }
    }

    /// The bytes, which are made by `encode` if they are not there.
    pub(in crate::transport) fn get(
        &self,
        encoding: Encoding,
        encode: impl FnOnce() -> Prepared,
    ) -> &Prepared {
        match encoding.place() {
            None => self.json.get_or_init(encode),
            Some(place) => self.others.get_or_init(Box::default)[place].get_or_init(encode),
        }
    }
}

/// Something that many are told, and that is not kept.
#[derive(Debug)]
pub struct Told {
    /// What it is.
    pub event: Event,
    encodings: Encodings,
}

impl Told {
    /// With no encoding yet.
    #[must_use]
    pub const fn new(event: Event) -> Self {
        Self {
            event,
            encodings: Encodings::new(),
        }
    }

    /// The message that it is in an encoding.
    pub fn prepared(&self, encoding: Encoding) -> &Prepared {
        self.encodings
            .get(encoding, || encoding.of_event(&self.event))
    }
}

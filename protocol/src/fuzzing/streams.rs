//! Whole streams: what one end does with whatever the other sends, however it is cut.

use std::sync::Arc;

use super::{any_time, drain};
use crate::{
    CloseCode, Config, Connection, DeflateAgreement, DeflateConfig, Delivery, Event, Message,
    Piece, Side, Transport,
};

/// A server that reads the bytes whole and one that reads them in pieces see the same and answer the same, and so does one
/// that hands its messages over in pieces.
///
/// The first nine bytes choose the limits, whether messages may be compressed, what the application does, and the sizes of
/// the pieces; the rest is what the client sends.
pub fn server_stream(data: &[u8]) {
    stream(Side::Server, data);
}

/// The same for a client, and what a server sends.
pub fn client_stream(data: &[u8]) {
    stream(Side::Client, data);
}

fn stream(side: Side, data: &[u8]) {
    let Some((&[limit, fragments, application, ref sizes @ ..], bytes)) =
        data.split_first_chunk::<9>()
    else {
        return;
    };
    let setup = Setup {
        side,
        limit,
        fragments,
        application,
    };
    let whole = setup.observe(Delivery::Whole, bytes, &[bytes.len().max(1)]);
    let sizes = sizes.map(|size| usize::from(size) + 1);
    assert_eq!(setup.observe(Delivery::Whole, bytes, &sizes), whole);
    if setup.wants_pieces() {
        assert_eq!(setup.observe(Delivery::Pieces, bytes, &sizes), whole);
    }
}

/// The first bytes of an input.
struct Setup {
    side: Side,
    /// The limits of a message and a frame: four bits each.
    limit: u8,
    /// The limit of fragments less one (six bits), and compression: each message by itself, with context, none, none.
    fragments: u8,
    /// Bits 0 to 2: close when this many messages came; 0 is never. Bit 3: hand messages over in pieces too. Bit 4: throw
    /// little away at the end.
    application: u8,
}

/// The events, the bytes sent, and what is to become of the transport.
type Observed = (Vec<Event<'static>>, Vec<u8>, Transport);

impl Setup {
    const fn wants_pieces(&self) -> bool {
        self.application & 8 != 0
    }

    const fn lingers_briefly(&self) -> bool {
        self.application & 16 != 0
    }

    fn config(&self, delivery: Delivery) -> Config {
        let default = Config::default();
        Config {
            frame_bytes_max: 16 << (self.limit & 0xf),
            message_bytes_max: 16 << (self.limit >> 4),
            fragments_max: u32::from(self.fragments & 0x3f) + 1,
            linger_bytes_max: if self.lingers_briefly() {
                8
            } else {
                default.linger_bytes_max
            },
            delivery,
            ..default
        }
    }

    /// A connection, with permessage-deflate if it is asked for.
    fn connect(&self, delivery: Delivery) -> Connection {
        let (now, config) = (any_time(), Arc::new(self.config(delivery)));
        let mut connection = match self.side {
            Side::Server => Connection::server(config, now),
            Side::Client => Connection::client_with_keys(config, now, || [1, 2, 3, 4]),
        };
        let takeover = match self.fragments >> 6 {
            0 => false,
            1 => true,
            _ => return connection,
        };
        // Only the peer's messages: compressing what is echoed would take more time than all that is tested here.
        let agreement = DeflateAgreement {
            server_no_context_takeover: !takeover || self.side == Side::Server,
            client_no_context_takeover: !takeover || self.side == Side::Client,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let config = DeflateConfig {
            compress_bytes_min: usize::MAX,
            ..DeflateConfig::default()
        };
        connection.enable_deflate(&config, agreement);
        connection
    }

    fn observe(&self, delivery: Delivery, bytes: &[u8], sizes: &[usize]) -> Observed {
        let now = any_time();
        let mut connection = self.connect(delivery);
        let mut application = Application::new(self.application & 7);
        let mut bytes = bytes.to_vec();
        let (mut rest, mut sent) = (&mut bytes[..], Vec::new());
        for &size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at_mut(size.min(rest.len()));
            let mut input = piece;
            while let Some(event) = connection.handle_input(&mut input, now) {
                application.handle(event, &mut connection);
            }
            assert!(input.is_empty(), "the connection left input behind");
            drain(&mut connection, &mut sent);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        connection.handle_eof(now);
        let end = connection.poll_event().into_iter();
        end.for_each(|event| application.handle(event, &mut connection));
        drain(&mut connection, &mut sent);
        assert_eq!(application.ends(), 1, "a connection ends once");
        if self.lingers_briefly() {
            // What is unsent when the patience ends is given up: how much, depends on the pieces.
            sent.clear();
        }
        (application.events, sent, connection.transport())
    }
}

/// Echoes, and closes at its message if it has one.
struct Application {
    events: Vec<Event<'static>>,
    /// What came of a message that is handed over in pieces.
    begun: Option<Message<'static>>,
    /// How many messages it takes before it closes; 0: any number.
    patience: u8,
}

impl Application {
    const fn new(patience: u8) -> Self {
        Self {
            events: Vec::new(),
            begun: None,
            patience,
        }
    }

    fn handle(&mut self, event: Event<'_>, connection: &mut Connection) {
        let mut event = event.into_owned();
        if let Event::Piece(piece) = event {
            let Some(message) = self.put_together(piece) else {
                return;
            };
            event = Event::Message(message);
        }
        if let Event::Message(message) = &event {
            // Refused once somebody has begun to close, which is right.
            let _ = connection.send(message);
            if self.patience == 1 {
                let _ = connection.close(CloseCode::NORMAL, "enough", any_time());
            }
            self.patience = self.patience.saturating_sub(1);
        }
        self.events.push(event);
    }

    /// The whole message, once its last piece is there.
    fn put_together(&mut self, piece: Piece<'static>) -> Option<Message<'static>> {
        assert_eq!(piece.first, self.begun.is_none());
        let message = match self.begun.take() {
            Some(begun) => joined(begun, &piece.content),
            None => piece.content,
        };
        if piece.last {
            return Some(message);
        }
        self.begun = Some(message);
        None
    }

    fn ends(&self) -> usize {
        let closed = |event: &&Event<'_>| matches!(event, Event::Closed(_));
        self.events.iter().filter(closed).count()
    }
}

/// A message and its next piece, which is of the same kind.
pub(super) fn joined(mut message: Message<'static>, piece: &Message<'_>) -> Message<'static> {
    match (&mut message, piece) {
        (Message::Text(text), Message::Text(piece)) => text.to_mut().push_str(piece),
        (Message::Binary(bytes), Message::Binary(piece)) => bytes.to_mut().extend_from_slice(piece),
        (Message::Text(_), Message::Binary(_)) | (Message::Binary(_), Message::Text(_)) => {
            panic!("a piece of another kind than its message")
        }
    }
    message
}

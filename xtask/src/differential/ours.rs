//! What this project's protocol crate makes of a sequence.

use std::sync::Arc;
use std::time::Instant;

use tidewire_protocol::{
    Config, Connection, DeflateAgreement, DeflateConfig, Error, Event as Ours, Message,
};

use super::outcome::{End, Event, Outcome};
use super::sequence::{BYTES_MAX, Deflate, Sequence};

/// The outcome, and what is known beyond it.
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    /// How many bytes each event took.
    pub(super) seen: Vec<usize>,
    /// The rule that was broken, and how many bytes it took to see it.
    pub(super) failure: Option<(Error, usize)>,
}

/// Reads the sequence whole and byte by byte, which must be the same.
pub(super) fn judge(sequence: &Sequence, now: Instant) -> Judged {
    let judged = read(sequence, 1, now);
    let whole = read(sequence, sequence.bytes.len().max(1), now);
    assert_eq!(
        judged.outcome, whole.outcome,
        "the pieces made a difference"
    );
    judged
}

fn read(sequence: &Sequence, size: usize, now: Instant) -> Judged {
    let mut connection = server(sequence.deflate, now);
    let mut bytes = sequence.bytes.clone();
    let (mut judged, mut seen) = (Judged::default(), 0);
    for piece in bytes.chunks_mut(size) {
        seen += piece.len();
        let mut input = piece;
        while let Some(event) = connection.handle_input(&mut input, now) {
            judged.take(event, seen);
        }
    }
    judged
}

fn server(deflate: Deflate, now: Instant) -> Connection {
    let config = Config {
        frame_bytes_max: BYTES_MAX,
        message_bytes_max: BYTES_MAX,
        ..Config::default()
    };
    let mut connection = Connection::server(Arc::new(config), now);
    if deflate != Deflate::Off {
        connection.enable_deflate(&DeflateConfig::default(), agreement(deflate));
    }
    connection
}

/// The same for both ends.
pub(super) const fn agreement(deflate: Deflate) -> DeflateAgreement {
    let alone = matches!(deflate, Deflate::EachAlone);
    DeflateAgreement {
        server_no_context_takeover: alone,
        client_no_context_takeover: alone,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    }
}

impl Default for Judged {
    fn default() -> Self {
        Self {
            outcome: Outcome {
                events: Vec::new(),
                end: End::Open,
            },
            seen: Vec::new(),
            failure: None,
        }
    }
}

impl Judged {
    fn take(&mut self, event: Ours<'_>, seen: usize) {
        let event = match event {
            Ours::Message(Message::Text(text)) => Event::Text(text.as_bytes().to_vec()),
            Ours::Message(Message::Binary(bytes)) => Event::Binary(bytes.into_owned()),
            Ours::Ping(payload) => Event::Ping(payload.into_owned()),
            Ours::Pong(payload) => Event::Pong(payload.into_owned()),
            Ours::Piece(_) => panic!("messages are wanted whole"),
            Ours::Closed(closed) => {
                self.outcome.end = match (&closed.error, &closed.received) {
                    (Some(error), _) => {
                        self.failure = Some((*error, seen));
                        End::Failed(error.close_code().get())
                    }
                    (None, received) => End::Closed {
                        code: closed.code(),
                        reason: received
                            .as_ref()
                            .map(|frame| frame.reason.clone().into_bytes())
                            .unwrap_or_default(),
                    },
                };
                return;
            }
        };
        self.outcome.events.push(event);
        self.seen.push(seen);
    }
}

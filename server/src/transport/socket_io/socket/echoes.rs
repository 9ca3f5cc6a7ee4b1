//! What the official suite of Socket.IO expects of a server: two namespaces, `/` and `/custom`, that tell a client what it connected
//! with (`auth`), send a `message` back as `message-back`, and acknowledge a `message-with-ack` with its arguments.

use std::time::Instant;

use super::packet::{Assembler, Kind, MAIN, Packet, Whole, head};
use crate::transport::dialect::Out;
use crate::transport::socket_io::app::End;
use crate::transport::socket_io::engine::{Body, Line};

/// The namespaces that there are.
const NAMESPACES: [&str; 2] = [MAIN, "/custom"];

/// The largest message, attachments included: what the suites expect to be told.
pub(crate) const ECHO_BYTES_MAX: usize = 1_000_000;

/// Where a client is.
#[derive(Debug)]
pub(crate) struct Echoes {
    sid: String,
    assembler: Assembler,
    /// Whether it is in each of [`NAMESPACES`].
    is_in: [bool; 2],
    /// Until when it may be in none.
    until: Option<Instant>,
}

impl Echoes {
    /// A client that is nowhere yet.
    pub(crate) fn new(sid: String) -> Self {
        Self {
            sid,
            assembler: Assembler::default(),
            is_in: [false; 2],
            until: None,
        }
    }

    pub(in crate::transport::socket_io) const fn opened(&mut self, until: Instant) {
        self.until = Some(until);
    }

    pub(in crate::transport::socket_io) const fn due_at(&self) -> Option<Instant> {
        self.until
    }

    pub(in crate::transport::socket_io) const fn held_bytes(&self) -> usize {
        self.assembler.held_bytes()
    }

    pub(in crate::transport::socket_io) fn message(
        &mut self,
        body: &Body<'_>,
        line: &mut Line,
        out: &mut Out,
    ) -> Result<(), End> {
        let mut assembler = std::mem::take(&mut self.assembler);
        let done = assembler.take(body, ECHO_BYTES_MAX, |whole| self.packet(&whole, line, out));
        self.assembler = assembler;
        match done {
            Ok(None) => Ok(()),
            Ok(Some(done)) => done,
            Err(_) => Err(End::BadPacket),
        }
    }

    fn packet(&mut self, whole: &Whole<'_>, line: &mut Line, out: &mut Out) -> Result<(), End> {
        let packet = &whole.packet;
        let place = NAMESPACES
            .iter()
            .position(|known| *known == packet.namespace);
        let is_in = place.and_then(|place| self.is_in.get_mut(place));
        match (packet.kind, is_in) {
            (Kind::Connect, Some(is_in)) => {
                *is_in = true;
                self.until = None;
                let data = if packet.data.is_empty() {
                    "{}"
                } else {
                    packet.data
                };
                let connected = head(Kind::Connect, 0, packet.namespace, None);
                let sid = format!("{}{}", self.sid, place.unwrap_or_default());
                line.send_text(format!("{connected}{{\"sid\":\"{sid}\"}}"), out);
                let event = head(Kind::Event, 0, packet.namespace, None);
                line.send_text(format!("{event}[\"auth\",{data}]"), out);
            }
            (Kind::Connect, None) => {
                let refused = head(Kind::ConnectError, 0, packet.namespace, None);
                let text = format!("{refused}{{\"message\":\"Invalid namespace\"}}");
                line.send_text(text, out);
            }
            (Kind::Disconnect, Some(is_in)) => *is_in = false,
            (Kind::Event, Some(true)) => echo(packet, &whole.attachments, line, out),
            (Kind::Ack | Kind::ConnectError, Some(true)) => {}
            (Kind::Event | Kind::Ack | Kind::ConnectError, Some(false)) => {
                return Err(End::BadPacket);
            }
            (Kind::Disconnect | Kind::Event | Kind::Ack | Kind::ConnectError, None) => {
                return Err(End::BadPacket);
            }
        }
        Ok(())
    }
}

fn echo(packet: &Packet<'_>, attachments: &[Vec<u8>], line: &mut Line, out: &mut Out) {
    let args = packet.args().unwrap_or_default();
    let Some((name, args)) = args.split_first() else {
        return;
    };
    let args: Vec<_> = args.iter().map(|arg| arg.get()).collect();
    let (count, namespace) = (attachments.len(), packet.namespace);
    let text = match (name.get(), packet.id) {
        ("\"message\"", _) => {
            let args: Vec<_> = [r#""message-back""#].into_iter().chain(args).collect();
            let head = head(Kind::Event, count, namespace, None);
            format!("{head}[{}]", args.join(","))
        }
        ("\"message-with-ack\"", Some(id)) => {
            let head = head(Kind::Ack, count, namespace, Some(id));
            format!("{head}[{}]", args.join(","))
        }
        _ => return,
    };
    line.send_text(text, out);
    for attachment in attachments {
        line.send_binary(attachment.clone(), out);
    }
}

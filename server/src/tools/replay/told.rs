//! What a replay tells, for people a line each, for programs a JSON object each.

use std::io::{self, Write};

use serde::Serialize;
use tidewire_protocol::{Error, PeerError, Side};

use crate::tools::terminal::{Lines, visible};

/// Characters of a text that are shown to people.
const SHOWN_MAX: usize = 200;

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Told {
    /// A connection was seen for the first time.
    Connection { client: String, server: String },
    /// Who captured it noted this.
    Comment { text: String },
    /// A request over HTTP.
    Request { method: String, target: String },
    /// An answer over HTTP.
    Response { status: u16 },
    /// The handshake is done.
    Handshake {
        protocol: Option<String>,
        deflate: Option<String>,
    },
    /// A frame's header.
    Frame {
        from: &'static str,
        opcode: &'static str,
        fin: bool,
        compressed: bool,
        masked: bool,
        length: u64,
    },
    /// A whole text message.
    Text { from: &'static str, text: String },
    /// A whole binary message; its first bytes in hexadecimal.
    Binary {
        from: &'static str,
        bytes: usize,
        begins: String,
    },
    /// The payload of a ping or a pong, in hexadecimal.
    Control {
        from: &'static str,
        kind: &'static str,
        payload: String,
    },
    /// A Close frame.
    Close {
        from: &'static str,
        code: Option<u16>,
        reason: String,
    },
    /// A rule is broken.
    Error {
        from: &'static str,
        what: String,
        section: &'static str,
        close_code: Option<u16>,
    },
    /// Something about the capture.
    Note { text: String },
    /// The end of the connection.
    End { verdict: String, broken: bool },
}

/// Writes what is told.
pub(super) struct Printer<'o> {
    out: &'o mut dyn Write,
    is_json: bool,
}

#[derive(Serialize)]
struct Line<'t> {
    connection: u64,
    /// Seconds since the first packet.
    time: f64,
    #[serde(flatten)]
    told: &'t Told,
}

impl<'o> Printer<'o> {
    pub(super) fn new(out: &'o mut dyn Write, is_json: bool) -> Self {
        Self { out, is_json }
    }

    pub(super) fn tell(&mut self, connection: u64, time: f64, told: &Told) -> io::Result<()> {
        if self.is_json {
            let line = Line {
                connection,
                time,
                told,
            };
            serde_json::to_writer(&mut *self.out, &line)?;
            return writeln!(self.out);
        }
        let words = visible(&told.words(), Lines::One);
        writeln!(self.out, "#{connection} {time:>11.6}  {words}")
    }
}

impl Told {
    fn words(&self) -> String {
        match self {
            Self::Connection { client, server } => format!("{client} → {server}"),
            Self::Comment { text } => format!("  ({text})"),
            Self::Request { method, target } => format!("client  {method} {target}"),
            Self::Response { status } => format!("server  {status}"),
            Self::Handshake { protocol, deflate } => {
                let mut words = "server  101, a WebSocket".to_owned();
                for what in [protocol, deflate].into_iter().flatten() {
                    words = format!("{words}, {what}");
                }
                words
            }
            Self::Frame {
                from,
                opcode,
                fin,
                compressed,
                masked,
                length,
            } => {
                let mut words = format!("{from}  {opcode}, {length} bytes");
                for (is_so, word) in [
                    (*fin, ", FIN"),
                    (*masked, ", masked"),
                    (*compressed, ", compressed"),
                ] {
                    words.push_str(if is_so { word } else { "" });
                }
                words
            }
            Self::Text { from, text } => format!("{from}    \"{}\"", shortened(text)),
            Self::Binary {
                from,
                bytes,
                begins,
            } => format!("{from}    {bytes} bytes: {begins}"),
            Self::Control {
                from,
                kind,
                payload,
            } => format!("{from}    {kind} {payload}"),
            Self::Close { from, code, reason } => match code {
                None => format!("{from}    closes without a code"),
                Some(code) => format!("{from}    closes with {code} \"{reason}\""),
            },
            Self::Error {
                from,
                what,
                section,
                close_code,
            } => {
                let code =
                    close_code.map_or_else(String::new, |code| format!(", close code {code}"));
                format!("{from}  BREAKS {section}: {what}{code}")
            }
            Self::Note { text } => format!("  {text}"),
            Self::End { verdict, .. } => format!("= {verdict}"),
        }
    }
}

fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(SHOWN_MAX).collect();
    let left = chars.count();
    if left > 0 {
        shown.push_str(&format!("… and {left} more characters"));
    }
    shown
}

/// The first bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8], max: usize) -> String {
    let shown = bytes.iter().take(max);
    let mut text: String = shown.map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > max {
        text.push('…');
    }
    text
}

pub(super) const fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// Where the rule stands that was broken; none if it is only a limit of ours.
pub(super) const fn section(error: &Error) -> Option<&'static str> {
    let Error::Peer(error) = error else {
        return None;
    };
    Some(match error {
        PeerError::ReservedBits
        | PeerError::ReservedOpcode(_)
        | PeerError::NonMinimalLength
        | PeerError::LengthTopBit => "RFC 6455 §5.2",
        PeerError::UnmaskedFrame | PeerError::MaskedFrame => "RFC 6455 §5.1",
        PeerError::FragmentedControl | PeerError::ControlTooLong => "RFC 6455 §5.5",
        PeerError::NothingToContinue | PeerError::UnfinishedMessage => "RFC 6455 §5.4",
        PeerError::InvalidUtf8 => "RFC 6455 §8.1",
        PeerError::CorruptDeflate => "RFC 7692 §7.2.2",
        PeerError::TruncatedCloseCode => "RFC 6455 §5.5.1",
        PeerError::InvalidCloseCode(_) => "RFC 6455 §7.4",
    })
}

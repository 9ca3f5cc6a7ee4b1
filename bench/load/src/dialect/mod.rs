//! How a server is spoken to that has a protocol of its own inside its messages, or none of messages at all.

pub(crate) mod http;
pub(crate) mod mqtt;
mod protobuf;

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

pub(crate) use self::protobuf::content as protobuf_content;
use crate::frame::{self, Offer};
use crate::net;

/// What messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Speech {
    /// What the template says, one in each WebSocket message
    Plain,
    /// The same in a stream of bytes: the server puts several messages into one, or one into several
    Lines,
    /// MQTT 3.1.1, QoS 0: packets in a stream of bytes
    Mqtt,
    /// Tidewire's chat as docs/tidewire.v1.proto says
    Protobuf,
    /// Followers have an event stream (Server-Sent Events); publishers speak by the template
    Events,
    /// Followers poll Tidewire's `/poll`; publishers speak by the template
    Poll,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Dialect {
    /// What messages are
    #[arg(long, value_enum, default_value_t = Speech::Plain)]
    pub(crate) speak: Speech,
    /// What is said after the handshake, a message each; `\r\n` ends a line
    #[arg(long)]
    hello: Vec<String>,
    /// Messages are binary
    #[arg(long)]
    binary: bool,
    /// The room, where `--speak` says how one is named
    #[arg(long, default_value = "bench")]
    room: String,
}

impl Dialect {
    pub(crate) const fn opcode(&self) -> u8 {
        let is_binary = matches!(self.speak, Speech::Mqtt | Speech::Protobuf);
        match self.binary || is_binary {
            true => frame::BINARY,
            false => frame::TEXT,
        }
    }

    /// What is asked for in the handshake.
    pub(crate) const fn offer(&self, deflate: bool) -> Offer {
        let subprotocol = match self.speak {
            Speech::Mqtt => Some("mqtt"),
            Speech::Protobuf => Some("tidewire.v1.protobuf"),
            Speech::Plain | Speech::Lines | Speech::Events | Speech::Poll => None,
        };
        Offer {
            deflate,
            subprotocol,
        }
    }

    /// Whether followers come by HTTP, and publishers by another path.
    pub(crate) const fn is_http(&self) -> bool {
        matches!(self.speak, Speech::Events | Speech::Poll)
    }

    /// Says what is to be said first, if there is anything; clients have numbers, by which those are known that need a name.
    pub(crate) fn greet(&self, socket: &OwnedFd, number: usize) -> Result<()> {
        let mut hello: Vec<_> = self
            .hello
            .iter()
            .map(|text| lines(text).into_bytes())
            .collect();
        if self.speak == Speech::Mqtt {
            hello.push(mqtt::connect(&format!("bench-{number}"))?);
            hello.push(mqtt::subscribe(&self.room)?);
        }
        let mut out = Vec::new();
        for message in &hello {
            frame::push(&mut out, self.opcode(), false, message, frame::key(0));
        }
        let sent = net::send(socket, &out)?;
        ensure!(sent == out.len(), "an empty socket is full");
        Ok(())
    }

    /// What stands in front of what a message of so many bytes says, and behind it. `template` has `{}` for that, and may have
    /// `{len}` for how long it is.
    pub(crate) fn envelope(&self, template: &str, bytes: usize) -> Result<(Vec<u8>, Vec<u8>)> {
        match self.speak {
            Speech::Mqtt => Ok((mqtt::publish_head(&self.room, bytes)?, Vec::new())),
            Speech::Protobuf => Ok(protobuf::envelope(&self.room, bytes)),
            Speech::Plain | Speech::Lines | Speech::Events | Speech::Poll => {
                let template = lines(template).replace("{len}", &bytes.to_string());
                let (before, behind) = template.split_once("{}").context("a template with {}")?;
                Ok((before.into(), behind.into()))
            }
        }
    }
}

/// With ends of lines for `\r\n`: a command line has none.
fn lines(text: &str) -> String {
    text.replace("\\r\\n", "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(speak: Speech) -> Dialect {
        Dialect {
            speak,
            hello: Vec::new(),
            binary: false,
            room: "r".to_owned(),
        }
    }

    #[test]
    fn a_template_is_filled_and_needs_its_place() {
        let plain = dialect(Speech::Lines);
        let (before, behind) = plain.envelope(r"PUB r {len}\r\n{}\r\n", 40).unwrap();
        assert_eq!(before, b"PUB r 40\r\n");
        assert_eq!(behind, b"\r\n");
        assert!(plain.envelope("no place", 40).is_err());
    }

    #[test]
    fn who_has_bytes_for_messages_sends_them_as_binary() {
        assert_eq!(dialect(Speech::Plain).opcode(), frame::TEXT);
        assert_eq!(dialect(Speech::Mqtt).opcode(), frame::BINARY);
        assert_eq!(dialect(Speech::Protobuf).opcode(), frame::BINARY);
    }
}

//! Properties of MQTT 5 (§2.2.2), as clients send them. Each packet may have some of them, each of them once, apart from User
//! Properties.

use super::reason::{Bad, forbidden, malformed};
use super::topic::is_plain;
use super::wire::Reader;

/// The name of the User Property that is a message's own number: its idempotency key, with user and client id.
pub(super) const SEQ: &str = "seq";

/// Which properties a packet may have: a bit for each identifier.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed(u64);

impl Allowed {
    pub(super) const CONNECT: Self =
        Self::of(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
    pub(super) const WILL: Self = Self::of(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]);
    pub(super) const PUBLISH: Self = Self::of(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26]);
    pub(super) const ACK: Self = Self::of(&[0x1F, 0x26]);
    pub(super) const SUBSCRIBE: Self = Self::of(&[0x0B, 0x26]);
    pub(super) const UNSUBSCRIBE: Self = Self::of(&[0x26]);
    pub(super) const DISCONNECT: Self = Self::of(&[0x11, 0x1F, 0x26]);

    const fn of(ids: &[u8]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < ids.len() {
            bits |= 1 << ids[index];
            index += 1;
        }
        Self(bits)
    }
}

/// Those that mean something here, or to who gets the message; all others are read and let go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties<'a> {
    /// The payload is UTF-8, as its sender says.
    pub(super) is_text: bool,
    pub(super) subscription_id: Option<u32>,
    /// Seconds.
    pub(super) session_expiry: Option<u32>,
    pub(super) has_authentication: bool,
    /// Seconds.
    pub(super) will_delay: Option<u32>,
    pub(super) receive_max: Option<u16>,
    pub(super) topic_alias: Option<u16>,
    pub(super) packet_bytes_max: Option<u32>,
    /// Whether reasons are to be told in words.
    pub(super) no_problem_information: bool,
    pub(super) content_type: Option<&'a str>,
    pub(super) response_topic: Option<&'a str>,
    pub(super) correlation_data: Option<&'a [u8]>,
    /// User Properties: names and values.
    pub(super) user: Vec<(&'a str, &'a str)>,
}

impl<'a> Properties<'a> {
    /// Reads them from behind their length.
    ///
    /// # Errors
    /// One cannot be read, does not belong there, or is there twice.
    pub(super) fn read(reader: &mut Reader<'a>, allowed: Allowed) -> Result<Self, Bad> {
        let length = reader.varint()?;
        let mut inside = Reader::new(reader.take(length as usize)?);
        let (mut properties, mut seen) = (Self::default(), 0_u64);
        while !inside.is_empty() {
            let id = inside.varint()?;
            let bit = 1_u64.checked_shl(id).unwrap_or(0);
            if bit & KNOWN.0 == 0 {
                return Err(malformed("a property is unknown"));
            }
            if bit & allowed.0 == 0 {
                return Err(forbidden("a property does not belong to its packet"));
            }
            if bit & seen != 0 && id != 0x26 {
                return Err(forbidden("a property is there twice"));
            }
            seen |= bit;
            properties.take(id as u8, &mut inside)?;
        }
        Ok(properties)
    }

    /// The number that its sender gave the message: the last one that is said.
    pub(super) fn seq(&self) -> Option<&'a str> {
        let mut user = self.user.iter().rev();
        user.find_map(|(name, value)| (*name == SEQ).then_some(*value))
    }

    fn take(&mut self, id: u8, inside: &mut Reader<'a>) -> Result<(), Bad> {
        match id {
            0x01 => self.is_text = flag(inside)?,
            0x0B => {
                let number = positive(inside.varint()?, "a subscription identifier is 0")?;
                self.subscription_id = Some(number);
            }
            0x11 => self.session_expiry = Some(inside.four()?),
            0x15 => {
                inside.text()?;
                self.has_authentication = true;
            }
            0x17 => self.no_problem_information = !flag(inside)?,
            0x18 => self.will_delay = Some(inside.four()?),
            0x19 => {
                flag(inside)?;
            }
            0x21 => self.receive_max = Some(positive(inside.two()?, "Receive Maximum is 0")?),
            0x22 => {
                inside.two()?;
            }
            0x23 => self.topic_alias = Some(inside.two()?),
            0x26 => self.user.push((inside.text()?, inside.text()?)),
            0x27 => {
                let bytes = positive(inside.four()?, "Maximum Packet Size is 0")?;
                self.packet_bytes_max = Some(bytes);
            }
            0x02 => {
                inside.four()?;
            }
            0x03 => self.content_type = Some(inside.text()?),
            0x08 => self.response_topic = Some(response_topic(inside)?),
            0x09 => self.correlation_data = Some(inside.binary()?),
            0x16 => {
                inside.binary()?;
            }
            // A Reason String.
            _ => {
                inside.text()?;
            }
        }
        Ok(())
    }
}

/// Every property that a client may send somewhere, and those that only a server does.
const KNOWN: Allowed = Allowed::of(&[
    0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x11, 0x12, 0x13, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1C,
    0x1F, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A,
]);

fn flag(inside: &mut Reader<'_>) -> Result<bool, Bad> {
    match inside.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(forbidden("a property is neither 0 nor 1")),
    }
}

/// "The Response Topic MUST NOT contain wildcard characters" (§3.3.2.3.5).
fn response_topic<'a>(inside: &mut Reader<'a>) -> Result<&'a str, Bad> {
    let topic = inside.text()?;
    if !is_plain(topic) {
        return Err(forbidden("a response topic has a wildcard"));
    }
    Ok(topic)
}

fn positive<N: Default + PartialEq>(number: N, why: &'static str) -> Result<N, Bad> {
    if number == N::default() {
        return Err(forbidden(why));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::super::reason::Reason;
    use super::*;

    fn read(bytes: &[u8], allowed: Allowed) -> Result<Properties<'_>, Bad> {
        Properties::read(&mut Reader::new(bytes), allowed)
    }

    #[test]
    fn what_means_something_is_kept() {
        let bytes = [
            25, 0x11, 0, 0, 0, 9, 0x21, 0, 5, 0x27, 0, 0, 1, 0, 0x17, 0, 0x26, 0, 3, b's', b'e',
            b'q', 0, 2, b'4', b'2', 0xFF,
        ];
        let properties = read(&bytes, Allowed::CONNECT).unwrap();
        let expected = Properties {
            session_expiry: Some(9),
            receive_max: Some(5),
            packet_bytes_max: Some(256),
            no_problem_information: true,
            user: vec![("seq", "42")],
            ..Properties::default()
        };
        assert_eq!(properties.seq(), Some("42"));
        assert_eq!(properties, expected);
    }

    #[test]
    fn one_that_is_wrong_ends_the_connection() {
        let table: [(&[u8], Allowed, Reason); 9] = [
            (
                &[6, 0x08, 0, 3, b'a', b'/', b'+'],
                Allowed::PUBLISH,
                Reason::ProtocolError,
            ),
            (&[1, 0x3F], Allowed::CONNECT, Reason::MalformedPacket),
            (&[2, 0xFF, 0x01], Allowed::CONNECT, Reason::MalformedPacket),
            (&[3, 0x21, 0, 0], Allowed::CONNECT, Reason::ProtocolError),
            (
                &[6, 0x21, 0, 1, 0x21, 0, 1],
                Allowed::CONNECT,
                Reason::ProtocolError,
            ),
            (&[3, 0x23, 0, 1], Allowed::CONNECT, Reason::ProtocolError),
            (&[2, 0x01, 2], Allowed::PUBLISH, Reason::ProtocolError),
            (&[2, 0x0B, 0], Allowed::SUBSCRIBE, Reason::ProtocolError),
            (&[9, 0x11, 0], Allowed::CONNECT, Reason::MalformedPacket),
        ];
        for (bytes, allowed, reason) in table {
            assert_eq!(
                read(bytes, allowed).unwrap_err().reason,
                reason,
                "{bytes:x?}"
            );
        }
    }
}

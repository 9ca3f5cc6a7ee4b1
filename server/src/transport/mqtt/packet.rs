//! Packets that clients send (MQTT 3.1.1 and 5.0 §3). A value of one of these types is a packet that the standard allows: what is in it
//! was checked, apart from what depends on what came before.

use bytes::Bytes;

use super::properties::{Allowed, Properties};
use super::reason::{Bad, Reason, forbidden, malformed};
use super::wire::{Frame, Reader};

/// Filters that one SUBSCRIBE or UNSUBSCRIBE may have.
const FILTERS_MAX: usize = 1024;

/// Which MQTT is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.1.1.
    Three,
    Five,
}

/// How certainly a message arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::enum_variant_names, reason = "the names are the standard's")]
pub(super) enum QoS {
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

impl QoS {
    pub(super) fn of(bits: u8) -> Result<Self, Bad> {
        match bits {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            _ => Err(malformed("a QoS is 3")),
        }
    }

    pub(super) const fn bits(self) -> u8 {
        self as u8
    }
}

/// What a client said.
#[derive(Debug, PartialEq)]
pub(super) enum Packet<'a> {
    Connect(Connect<'a>),
    Publish(Publish<'a>),
    Acknowledged(Acknowledged),
    Subscribe(Subscribe<'a>),
    Unsubscribe(Unsubscribe<'a>),
    Ping,
    Disconnect(Disconnect),
    Authenticate,
}

#[derive(Debug, PartialEq)]
pub(super) struct Connect<'a> {
    pub(super) version: Version,
    pub(super) clean: bool,
    /// Seconds; 0 means for ever.
    pub(super) keep_alive: u16,
    pub(super) properties: Properties<'a>,
    pub(super) client: &'a str,
    pub(super) will: Option<Will<'a>>,
    pub(super) user: Option<&'a str>,
    pub(super) password: Option<&'a [u8]>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Will<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) properties: Properties<'a>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Publish<'a> {
    pub(super) dup: bool,
    pub(super) qos: QoS,
    pub(super) topic: &'a str,
    /// 0 at QoS 0, which has none.
    pub(super) id: u16,
    pub(super) properties: Properties<'a>,
    pub(super) payload: &'a [u8],
}

/// Which answer to a message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// PUBACK.
    Acknowledge,
    /// PUBREC.
    Received,
    /// PUBREL.
    Release,
    /// PUBCOMP.
    Complete,
}

#[derive(Debug, PartialEq)]
pub(super) struct Acknowledged {
    pub(super) answer: Answer,
    pub(super) id: u16,
    /// A reason that says that it failed.
    pub(super) failed: bool,
}

#[derive(Debug, PartialEq)]
pub(super) struct Subscribe<'a> {
    pub(super) id: u16,
    pub(super) properties: Properties<'a>,
    pub(super) filters: Vec<(&'a str, Options)>,
}

/// How a subscription is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) qos: QoS,
    /// Not what its own connection publishes.
    pub(super) no_local: bool,
    pub(super) retained: Retained,
}

/// When a subscriber is sent the retained message (MQTT 5.0 §3.8.3.1, Retain Handling).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retained {
    Always,
    IfNew,
    Never,
}

#[derive(Debug, PartialEq)]
pub(super) struct Unsubscribe<'a> {
    pub(super) id: u16,
    pub(super) filters: Vec<&'a str>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Disconnect {
    /// Its will is to be published all the same.
    pub(super) with_will: bool,
    pub(super) session_expiry: Option<u32>,
}

/// Reads a packet. A CONNECT says its version itself, and it is the only one before others.
///
/// # Errors
/// It is not what the standard says.
pub(super) fn decode(frame: &Frame, version: Version) -> Result<Packet<'_>, Bad> {
    let Frame { first, body } = frame;
    let (kind, flags) = (first >> 4, first & 0x0F);
    let mut reader = Reader::new(body);
    // "If invalid flags are received, the receiver MUST close the Network Connection" (3.1.1 §2.2.2).
    let wanted = if matches!(kind, 6 | 8 | 10) { 2 } else { 0 };
    if kind != 3 && flags != wanted {
        return Err(malformed("the flags of a packet are wrong"));
    }
    match kind {
        1 => connect(&mut reader).map(Packet::Connect),
        3 => publish(flags, &mut reader, version).map(Packet::Publish),
        4 => acknowledged(Answer::Acknowledge, &mut reader, version),
        5 => acknowledged(Answer::Received, &mut reader, version),
        6 => acknowledged(Answer::Release, &mut reader, version),
        7 => acknowledged(Answer::Complete, &mut reader, version),
        8 => subscribe(&mut reader, version).map(Packet::Subscribe),
        10 => unsubscribe(&mut reader, version).map(Packet::Unsubscribe),
        12 => empty(body, Packet::Ping),
        14 => disconnect(&mut reader, version).map(Packet::Disconnect),
        15 if version == Version::Five => Ok(Packet::Authenticate),
        _ => Err(malformed("no client sends such a packet")),
    }
}

fn empty<'a>(body: &Bytes, packet: Packet<'a>) -> Result<Packet<'a>, Bad> {
    Reader::new(body).end().map(|()| packet)
}

/// The version that a CONNECT names, where that is all that can be told of it: it is answered in its own language.
pub(super) fn version_of(frame: &Frame) -> Option<u8> {
    let mut reader = Reader::new(&frame.body);
    (frame.first == 0x10 && reader.text().is_ok()).then(|| reader.byte().ok())?
}

fn connect<'a>(reader: &mut Reader<'a>) -> Result<Connect<'a>, Bad> {
    let unsupported = Bad {
        reason: Reason::UnsupportedProtocolVersion,
        why: "the server speaks MQTT 3.1.1 and 5",
    };
    let name = reader.text()?;
    let version = match (name, reader.byte()?) {
        ("MQTT", 4) => Version::Three,
        ("MQTT", 5) => Version::Five,
        _ => return Err(unsupported),
    };
    let flags = reader.byte()?;
    // "The Server MUST validate that the reserved flag in the CONNECT packet is set to 0" (§3.1.2.3).
    if flags & 1 != 0 {
        return Err(malformed("the reserved flag of CONNECT is set"));
    }
    let [has_user, has_password, has_will, is_clean] =
        [0x80, 0x40, 0x04, 0x02].map(|bit| flags & bit != 0);
    let (will_qos, will_retain) = (flags >> 3 & 3, flags & 0x20 != 0);
    QoS::of(will_qos)?;
    if !has_will && (will_qos > 0 || will_retain) {
        return Err(malformed("CONNECT says how a will is that it has not"));
    }
    if version == Version::Three && has_password && !has_user {
        return Err(malformed("CONNECT has a password and no user name"));
    }
    let keep_alive = reader.two()?;
    let properties = properties(reader, version, Allowed::CONNECT)?;
    let client = reader.text()?;
    let will = has_will.then(|| will(reader, version)).transpose()?;
    let user = has_user.then(|| reader.text()).transpose()?;
    let password = has_password.then(|| reader.binary()).transpose()?;
    reader.end()?;
    Ok(Connect {
        version,
        clean: is_clean,
        keep_alive,
        properties,
        client,
        will,
        user,
        password,
    })
}

fn will<'a>(reader: &mut Reader<'a>, version: Version) -> Result<Will<'a>, Bad> {
    Ok(Will {
        properties: properties(reader, version, Allowed::WILL)?,
        topic: reader.text()?,
        payload: reader.binary()?,
    })
}

fn publish<'a>(flags: u8, reader: &mut Reader<'a>, version: Version) -> Result<Publish<'a>, Bad> {
    let (dup, qos) = (flags & 8 != 0, QoS::of(flags >> 1 & 3)?);
    // "The DUP flag MUST be set to 0 for all QoS 0 messages" (§3.3.1.1).
    if dup && qos == QoS::AtMostOnce {
        return Err(malformed("a message of QoS 0 is said to come again"));
    }
    let topic = reader.text()?;
    let id = if qos == QoS::AtMostOnce {
        0
    } else {
        reader.packet_id()?
    };
    let properties = properties(reader, version, Allowed::PUBLISH)?;
    Ok(Publish {
        dup,
        qos,
        topic,
        id,
        properties,
        payload: reader.rest(),
    })
}

fn acknowledged<'a>(
    answer: Answer,
    reader: &mut Reader<'a>,
    version: Version,
) -> Result<Packet<'a>, Bad> {
    let id = reader.packet_id()?;
    let mut failed = false;
    // "The Reason Code and Property Length can be omitted" (§3.4.2.1).
    if version == Version::Five && !reader.is_empty() {
        failed = reader.byte()? >= 0x80;
        if !reader.is_empty() {
            Properties::read(reader, Allowed::ACK)?;
        }
    }
    reader.end()?;
    Ok(Packet::Acknowledged(Acknowledged { answer, id, failed }))
}

fn subscribe<'a>(reader: &mut Reader<'a>, version: Version) -> Result<Subscribe<'a>, Bad> {
    let id = reader.packet_id()?;
    let properties = properties(reader, version, Allowed::SUBSCRIBE)?;
    let mut filters = Vec::new();
    while !reader.is_empty() {
        let filter = reader.text()?;
        filters.push((filter, options(reader.byte()?, version)?));
        enough(filters.len())?;
    }
    if filters.is_empty() {
        return Err(forbidden("SUBSCRIBE has no topic filter"));
    }
    Ok(Subscribe {
        id,
        properties,
        filters,
    })
}

fn options(byte: u8, version: Version) -> Result<Options, Bad> {
    let reserved = if version == Version::Five { 0xC0 } else { 0xFC };
    if byte & reserved != 0 {
        return Err(malformed("a reserved bit of a subscription is set"));
    }
    let retained = match byte >> 4 & 3 {
        0 => Retained::Always,
        1 => Retained::IfNew,
        2 => Retained::Never,
        _ => return Err(forbidden("a Retain Handling is 3")),
    };
    Ok(Options {
        qos: QoS::of(byte & 3)?,
        no_local: byte & 4 != 0,
        retained,
    })
}

fn unsubscribe<'a>(reader: &mut Reader<'a>, version: Version) -> Result<Unsubscribe<'a>, Bad> {
    let id = reader.packet_id()?;
    properties(reader, version, Allowed::UNSUBSCRIBE)?;
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push(reader.text()?);
        enough(filters.len())?;
    }
    if filters.is_empty() {
        return Err(forbidden("UNSUBSCRIBE has no topic filter"));
    }
    Ok(Unsubscribe { id, filters })
}

const fn enough(filters: usize) -> Result<(), Bad> {
    if filters > FILTERS_MAX {
        return Err(Bad {
            reason: Reason::PacketTooLarge,
            why: "a packet has more than 1,024 topic filters",
        });
    }
    Ok(())
}

fn disconnect(reader: &mut Reader<'_>, version: Version) -> Result<Disconnect, Bad> {
    let (mut with_will, mut session_expiry) = (false, None);
    if version == Version::Five && !reader.is_empty() {
        // "The Client wishes to disconnect but requires that the Server also publishes its Will Message" (§3.14.2.1);
        // any other code than 0 means that it did not end as it should.
        with_will = reader.byte()? != 0;
        if !reader.is_empty() {
            session_expiry = Properties::read(reader, Allowed::DISCONNECT)?.session_expiry;
        }
    }
    reader.end()?;
    Ok(Disconnect {
        with_will,
        session_expiry,
    })
}

fn properties<'a>(
    reader: &mut Reader<'a>,
    version: Version,
    allowed: Allowed,
) -> Result<Properties<'a>, Bad> {
    match version {
        Version::Three => Ok(Properties::default()),
        Version::Five => Properties::read(reader, allowed),
    }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;

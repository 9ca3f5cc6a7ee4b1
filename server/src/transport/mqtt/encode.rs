//! Packets that the server sends (MQTT 3.1.1 and 5.0 §3).

use super::about::About;
use super::packet::{Answer, QoS, Version};
use super::reason::Reason;
use super::wire::{put_binary, put_text, put_varint};

/// Payload Format Indicator.
const PAYLOAD_FORMAT: u8 = 0x01;
/// Content Type.
const CONTENT_TYPE: u8 = 0x03;
/// Response Topic.
const RESPONSE_TOPIC: u8 = 0x08;
/// Correlation Data.
const CORRELATION_DATA: u8 = 0x09;
/// Subscription Identifier.
const SUBSCRIPTION_ID: u8 = 0x0B;
/// Reason String.
const REASON_STRING: u8 = 0x1F;
/// User Property.
const USER_PROPERTY: u8 = 0x26;

/// What a CONNACK tells a client that is let in.
#[derive(Debug)]
pub(super) struct Welcome<'a> {
    pub(super) session_present: bool,
    /// Seconds, where they are not what the client asked for.
    pub(super) session_expiry: Option<u32>,
    pub(super) receive_max: u16,
    pub(super) packet_bytes_max: u32,
    pub(super) topic_alias_max: u16,
    /// The client id, where the server chose it.
    pub(super) client: Option<&'a str>,
}

/// A CONNACK that lets a client in.
pub(super) fn welcome(version: Version, welcome: &Welcome<'_>) -> Vec<u8> {
    let mut body = vec![welcome.session_present.into(), 0];
    if version == Version::Five {
        let mut properties = Vec::new();
        if let Some(seconds) = welcome.session_expiry {
            properties.push(0x11);
            properties.extend_from_slice(&seconds.to_be_bytes());
        }
        properties.push(0x21);
        properties.extend_from_slice(&welcome.receive_max.to_be_bytes());
        properties.push(0x27);
        properties.extend_from_slice(&welcome.packet_bytes_max.to_be_bytes());
        properties.push(0x22);
        properties.extend_from_slice(&welcome.topic_alias_max.to_be_bytes());
        if let Some(client) = welcome.client {
            properties.push(0x12);
            put_text(client, &mut properties);
        }
        // Shared Subscription Available: no.
        properties.extend_from_slice(&[0x2A, 0]);
        put_properties(&properties, &mut body);
    }
    packet(0x20, &body)
}

/// A CONNACK that does not.
pub(super) fn refusal(version: Version, reason: Reason, why: &str) -> Vec<u8> {
    match version {
        Version::Three => packet(0x20, &[0, reason.return_code()]),
        Version::Five => {
            let mut body = vec![0, reason.code()];
            put_reason(why, &mut body);
            packet(0x20, &body)
        }
    }
}

/// What a PUBLISH says beside topic and payload.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) version: Version,
    pub(super) qos: QoS,
    pub(super) dup: bool,
    pub(super) retain: bool,
    /// None is sent at QoS 0.
    pub(super) id: u16,
    pub(super) subscription_ids: &'a [u32],
    /// What was missed before it.
    pub(super) gap: Option<&'a str>,
}

impl Head<'_> {
    /// The plainest: the same for all who get it so.
    pub(super) const fn plain(version: Version) -> Self {
        Self {
            version,
            qos: QoS::AtMostOnce,
            dup: false,
            retain: false,
            id: 0,
            subscription_ids: &[],
            gap: None,
        }
    }
}

/// A PUBLISH.
pub(super) fn publish(head: &Head<'_>, about: &About<'_>, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut properties = Vec::new();
    if head.version == Version::Five {
        for id in head.subscription_ids {
            properties.push(SUBSCRIPTION_ID);
            put_varint(*id as usize, &mut properties);
        }
        put_about(about, &mut properties);
        if let Some(gap) = head.gap {
            properties.push(USER_PROPERTY);
            put_text("gap", &mut properties);
            put_text(gap, &mut properties);
        }
    }
    let mut body = Vec::with_capacity(topic.len() + payload.len() + properties.len() + 16);
    put_text(topic, &mut body);
    if head.qos > QoS::AtMostOnce {
        body.extend_from_slice(&head.id.to_be_bytes());
    }
    if head.version == Version::Five {
        put_properties(&properties, &mut body);
    }
    body.extend_from_slice(payload);
    let flags = u8::from(head.dup) << 3 | head.qos.bits() << 1 | u8::from(head.retain);
    packet(0x30 | flags, &body)
}

/// A PUBACK, PUBREC, PUBREL or PUBCOMP. A reason is told to who speaks 5.
pub(super) fn answer(
    version: Version,
    answer: Answer,
    id: u16,
    reason: Reason,
    why: &str,
) -> Vec<u8> {
    let first = match answer {
        Answer::Acknowledge => 0x40,
        Answer::Received => 0x50,
        Answer::Release => 0x62,
        Answer::Complete => 0x70,
    };
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::Five && reason != Reason::Success {
        body.push(reason.code());
        put_reason(why, &mut body);
    }
    packet(first, &body)
}

/// A SUBACK.
pub(super) fn subscribed(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    // "Failure" is all that 3.1.1 knows (§3.9.3).
    let code = |code: &u8| match version {
        Version::Three => (*code).min(0x80),
        Version::Five => *code,
    };
    let codes: Vec<u8> = codes.iter().map(code).collect();
    acknowledge_filters(0x90, version, id, &codes)
}

/// An UNSUBACK.
pub(super) fn unsubscribed(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    match version {
        Version::Three => packet(0xB0, &id.to_be_bytes()),
        Version::Five => acknowledge_filters(0xB0, version, id, codes),
    }
}

fn acknowledge_filters(first: u8, version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::Five {
        body.push(0);
    }
    body.extend_from_slice(codes);
    packet(first, &body)
}

/// A PINGRESP.
pub(super) fn pong() -> Vec<u8> {
    packet(0xD0, &[])
}

/// A DISCONNECT, which only a server of 5 sends.
pub(super) fn disconnect(reason: Reason, why: &str) -> Vec<u8> {
    let mut body = vec![reason.code()];
    put_reason(why, &mut body);
    packet(0xE0, &body)
}

fn put_about(about: &About<'_>, properties: &mut Vec<u8>) {
    if about.is_text {
        properties.extend_from_slice(&[PAYLOAD_FORMAT, 1]);
    }
    if let Some(kind) = &about.content_type {
        properties.push(CONTENT_TYPE);
        put_text(kind, properties);
    }
    if let Some(topic) = &about.response_topic {
        properties.push(RESPONSE_TOPIC);
        put_text(topic, properties);
    }
    if let Some(data) = &about.correlation_data {
        properties.push(CORRELATION_DATA);
        put_binary(data, properties);
    }
    for (name, value) in &about.user_properties {
        properties.push(USER_PROPERTY);
        put_text(name, properties);
        put_text(value, properties);
    }
}

fn put_reason(why: &str, body: &mut Vec<u8>) {
    let mut properties = Vec::new();
    if !why.is_empty() {
        properties.push(REASON_STRING);
        put_text(why, &mut properties);
    }
    put_properties(&properties, body);
}

fn put_properties(properties: &[u8], body: &mut Vec<u8>) {
    put_varint(properties.len(), body);
    body.extend_from_slice(properties);
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 5);
    bytes.push(first);
    put_varint(body.len(), &mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_as_the_standard_has_them() {
        let (three, five) = (Version::Three, Version::Five);
        let head = Head {
            qos: QoS::AtLeastOnce,
            dup: true,
            id: 10,
            ..Head::plain(three)
        };
        let plain = publish(&Head::plain(five), &About::default(), "a/b", b"hi");
        let table: [(Vec<u8>, &[u8]); 11] = [
            (
                publish(&head, &About::default(), "a/b", b"hi"),
                b"\x3a\x09\0\x03a/b\0\x0ahi",
            ),
            (plain, b"\x30\x08\0\x03a/b\0hi"),
            (
                refusal(three, Reason::NotAuthorized, "no"),
                b"\x20\x02\0\x05",
            ),
            (
                refusal(five, Reason::NotAuthorized, "no"),
                b"\x20\x08\0\x87\x05\x1f\0\x02no",
            ),
            (
                answer(three, Answer::Acknowledge, 258, Reason::QuotaExceeded, "x"),
                b"\x40\x02\x01\x02",
            ),
            (
                answer(five, Answer::Received, 258, Reason::QuotaExceeded, ""),
                b"\x50\x04\x01\x02\x97\0",
            ),
            (
                answer(five, Answer::Release, 1, Reason::Success, ""),
                b"\x62\x02\0\x01",
            ),
            (subscribed(three, 1, &[1, 0x87]), b"\x90\x04\0\x01\x01\x80"),
            (subscribed(five, 1, &[1, 0x87]), b"\x90\x05\0\x01\0\x01\x87"),
            (unsubscribed(three, 1, &[0]), b"\xb0\x02\0\x01"),
            (disconnect(Reason::SessionTakenOver, ""), b"\xe0\x02\x8e\0"),
        ];
        for (bytes, expected) in table {
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn what_is_special_about_a_message_is_in_its_properties() {
        let head = Head {
            subscription_ids: &[1, 200],
            gap: Some("x"),
            retain: true,
            ..Head::plain(Version::Five)
        };
        let expected = b"\x31\x14\0\x01t\x0e\x0b\x01\x0b\xc8\x01\x26\0\x03gap\0\x01xhi";
        assert_eq!(publish(&head, &About::default(), "t", b"hi"), expected);
        let head = Head {
            version: Version::Three,
            ..head
        };
        assert_eq!(
            publish(&head, &About::default(), "t", b"hi"),
            b"\x31\x05\0\x01thi"
        );
    }

    #[test]
    fn what_its_sender_said_of_a_message_is_in_its_properties() {
        let about = About {
            is_text: true,
            content_type: Some("t".into()),
            response_topic: Some("r".into()),
            correlation_data: Some(vec![0xFF]),
            user_properties: vec![("a".into(), "b".into())],
        };
        let head = Head::plain(Version::Five);
        let expected =
            b"\x30\x1b\0\x01t\x15\x01\x01\x03\0\x01t\x08\0\x01r\x09\0\x01\xff\x26\0\x01a\0\x01bhi";
        assert_eq!(publish(&head, &about, "t", b"hi"), expected);
        let head = Head::plain(Version::Three);
        assert_eq!(publish(&head, &about, "t", b"hi"), b"\x30\x05\0\x01thi");
    }
}

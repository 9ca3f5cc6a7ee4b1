//! What a client sends, and what it gets, as bytes; and which subjects match.

use bytes::{Buf as _, Bytes, BytesMut};

use super::stream::Message;

/// What a client has said.
pub(super) enum Said {
    /// Something that changes nothing.
    Nothing,
    Ping,
    Subscribe(String, u64),
    Unsubscribe(u64),
    /// And to where it is answered.
    Publish(Message, String),
}

/// The next thing that is there whole.
pub(super) fn next(unread: &mut BytesMut) -> Option<Said> {
    let end = unread.windows(2).position(|two| two == b"\r\n")?;
    let line = std::str::from_utf8(&unread[..end])
        .expect("a client sends text")
        .to_owned();
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let said = match words[..] {
        ["PING"] => Said::Ping,
        ["SUB", subject, number] => Said::Subscribe(subject.to_owned(), parse(number)),
        ["UNSUB", number] => Said::Unsubscribe(parse(number)),
        ["PUB", subject, ref rest @ .., size] => {
            return publish(unread, end + 2, subject, rest, 0, size);
        }
        ["HPUB", subject, ref rest @ .., headers, size] => {
            let headers = parse(headers) as usize;
            return publish(unread, end + 2, subject, rest, headers, size);
        }
        ["CONNECT", ..] | ["PONG"] => Said::Nothing,
        _ => panic!("no client says {line:?}"),
    };
    unread.advance(end + 2);
    Some(said)
}

fn publish(
    unread: &mut BytesMut,
    begin: usize,
    subject: &str,
    reply: &[&str],
    headers: usize,
    size: &str,
) -> Option<Said> {
    let size = parse(size) as usize;
    if unread.len() < begin + size + 2 {
        return None;
    }
    let whole = unread.get(begin..begin + size)?;
    let (block, body) = whole.split_at(headers);
    let block = std::str::from_utf8(block).expect("headers are text");
    let block = block.strip_prefix("NATS/1.0\r\n").unwrap_or(block);
    let message = Message {
        subject: subject.to_owned(),
        headers: block.strip_suffix("\r\n").unwrap_or(block).to_owned(),
        body: Bytes::copy_from_slice(body),
    };
    let said = Said::Publish(message, reply.first().copied().unwrap_or("").to_owned());
    unread.advance(begin + size + 2);
    Some(said)
}

fn parse(number: &str) -> u64 {
    number.parse().expect("a client says a number")
}

/// A message for a subscription.
pub(super) fn message(subject: &str, number: u64, headers: &str, body: &[u8]) -> Bytes {
    message_with(subject, number, "", headers, body)
}

/// One with a first line of its own.
pub(super) fn message_with(
    subject: &str,
    number: u64,
    status: &str,
    headers: &str,
    body: &[u8],
) -> Bytes {
    let mut bytes = Vec::new();
    if status.is_empty() && headers.is_empty() {
        bytes.extend(format!("MSG {subject} {number} {}\r\n", body.len()).bytes());
    } else {
        let first = if status.is_empty() {
            "NATS/1.0\r\n"
        } else {
            status
        };
        let block = format!("{first}{headers}\r\n");
        let (some, all) = (block.len(), block.len() + body.len());
        bytes.extend(format!("HMSG {subject} {number} {some} {all}\r\n{block}").bytes());
    }
    bytes.extend(body);
    bytes.extend(b"\r\n");
    bytes.into()
}

/// Whether a subject is one of those that `wanted` names, with `*` and `>`.
pub(super) fn matches(wanted: &str, subject: &str) -> bool {
    let mut parts = subject.split('.');
    for part in wanted.split('.') {
        match (part, parts.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(other)) if part == other => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

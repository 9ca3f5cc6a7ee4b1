//! What a subscription brings.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate's values are of many kinds, of which few are an answer"
)]

use redis::{PushKind, Value};

use super::answer::{failure, outcome, text};
use super::naming::Naming;
use crate::ids::LogName;
use crate::log::Position;
use crate::log::redis::{Appended, Failure};
use crate::log::remote::Target;

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// From now on this log is heard of.
    Subscribed(LogName),
    /// It is not any more: as was asked, or since its slot is elsewhere now.
    Unsubscribed(LogName),
    /// There is more in a log.
    Announced {
        /// The log.
        log: LogName,
        /// Up to there.
        head: Position,
    },
    /// A log has lost something and begun a new era.
    Broken(LogName),
    /// A Sentinel says that another is the primary now.
    Switched {
        /// What the Sentinel calls it.
        name: String,
        /// Where it is.
        target: Target,
    },
    /// The link is alive.
    Pong,
    /// It was refused.
    Failed(Failure),
    /// Nothing that was asked for.
    Other,
}

/// What a reply on a subscription's link says.
#[must_use]
pub fn heard(reply: &Value, naming: &Naming) -> Heard {
    let parts = match reply {
        Value::ServerError(error) => return Heard::Failed(failure(error)),
        Value::Push { kind, data } => {
            let kind = match kind {
                PushKind::Message => "message",
                PushKind::SMessage => "smessage",
                PushKind::Subscribe => "subscribe",
                PushKind::SSubscribe => "ssubscribe",
                PushKind::Unsubscribe => "unsubscribe",
                PushKind::SUnsubscribe => "sunsubscribe",
                _ => return Heard::Other,
            };
            return message(kind, data, naming).unwrap_or(Heard::Other);
        }
        Value::Array(parts) => parts,
        // `PING` is answered so where RESP 3 is spoken.
        value => {
            return match text(value) {
                Some("PONG") => Heard::Pong,
                _ => Heard::Other,
            };
        }
    };
    let heard = parts
        .split_first()
        .and_then(|(kind, data)| message(text(kind)?, data, naming));
    heard.unwrap_or(Heard::Other)
}

fn message(kind: &str, data: &[Value], naming: &Naming) -> Option<Heard> {
    if kind == "pong" {
        return Some(Heard::Pong);
    }
    let channel = text(data.first()?)?;
    let log = || naming.log_of(channel.as_bytes());
    match kind {
        "subscribe" | "ssubscribe" => log().map(Heard::Subscribed),
        "unsubscribe" | "sunsubscribe" => log().map(Heard::Unsubscribed),
        "message" if channel == "+switch-master" => switched(text(data.get(1)?)?),
        "message" | "smessage" => announced(log()?, data.get(1)?),
        _ => None,
    }
}

/// `broken`, or a part of what an append is answered: one new message, at the head.
fn announced(log: LogName, payload: &Value) -> Option<Heard> {
    if text(payload) == Some("broken") {
        return Some(Heard::Broken(log));
    }
    let Value::BulkString(payload) = payload else {
        return None;
    };
    match outcome(payload)? {
        (Appended::At(head), 1) => Some(Heard::Announced { log, head }),
        _ => None,
    }
}

/// `name old-host old-port host port`.
fn switched(payload: &str) -> Option<Heard> {
    let mut words = payload.split(' ');
    let name = words.next()?.to_owned();
    let host = words.nth(2)?.to_owned();
    let port = words.next()?.parse().ok()?;
    let target = Target { host, port };
    Some(Heard::Switched { name, target })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn heard_of(reply: &[u8]) -> Heard {
        let naming = Naming {
            prefix: "tw:".to_owned(),
            node: "n1".to_owned(),
            sharded: false,
        };
        heard(&redis::parse_redis_value(reply).unwrap(), &naming)
    }

    #[test]
    fn announcements_tell_the_log_and_its_head() {
        let log = LogName::new("a").unwrap();
        let head = Position {
            epoch: Epoch::new(77),
            offset: 5,
        };
        for kind in [
            "*3\r\n$7\r\nmessage",
            "*3\r\n$8\r\nsmessage",
            ">3\r\n$7\r\nmessage",
        ] {
            let message = |payload: &[u8]| {
                let length = payload.len();
                let head = format!("{kind}\r\n$15\r\ntw:{{tw:1}}:log:a\r\n${length}\r\n");
                heard_of(&[head.as_bytes(), payload, b"\r\n"].concat())
            };
            let announced = Heard::Announced {
                log: log.clone(),
                head,
            };
            let part = |what: u8, count: u16, offset: u64| {
                let numbers = [&[what][..], &count.to_le_bytes(), &77_u32.to_le_bytes()].concat();
                let times = [offset.to_le_bytes(), [0; 8]].concat();
                [numbers, times].concat()
            };
            assert_eq!(message(&part(0, 1, 5)), announced);
            assert_eq!(message(b"broken"), Heard::Broken(log.clone()));
            for other in [
                part(1, 1, 5),
                part(0, 2, 5),
                part(0, 1, 0),
                part(0, 1, 1 << 60),
            ] {
                assert_eq!(message(&other), Heard::Other);
            }
            assert_eq!(message(b"5-77"), Heard::Other);
            assert_eq!(message(&part(0, 1, 5)[..22]), Heard::Other);
            assert_eq!(message(&[part(0, 1, 5), vec![0]].concat()), Heard::Other);
        }
        let confirmed = b"*3\r\n$9\r\nsubscribe\r\n$15\r\ntw:{tw:1}:log:a\r\n:1\r\n";
        assert_eq!(heard_of(confirmed), Heard::Subscribed(log.clone()));
        let moved = b"*3\r\n$12\r\nsunsubscribe\r\n$15\r\ntw:{tw:1}:log:a\r\n:0\r\n";
        assert_eq!(heard_of(moved), Heard::Unsubscribed(log));
    }

    #[test]
    fn what_is_no_announcement_is_told_apart() {
        assert_eq!(heard_of(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"), Heard::Pong);
        assert_eq!(heard_of(b"+PONG\r\n"), Heard::Pong);
        let refused = Failure::Refused("NOPERM no".to_owned());
        assert_eq!(heard_of(b"-NOPERM no\r\n"), Heard::Failed(refused));
        let switched = b"*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$27\r\nmain 10.0.0.1 1 10.0.0.2 63\r\n";
        let target = Target {
            host: "10.0.0.2".to_owned(),
            port: 63,
        };
        let name = "main".to_owned();
        assert_eq!(heard_of(switched), Heard::Switched { name, target });
        for other in [
            &b"*0\r\n"[..],
            b"*1\r\n$7\r\nmessage\r\n",
            b":1\r\n",
            b"$-1\r\n",
        ] {
            assert_eq!(heard_of(other), Heard::Other);
        }
    }
}

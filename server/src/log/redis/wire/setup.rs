//! What the answers to [errands](super::Errand) say: which process of Redis this is, how it saves, where others are.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate's values are of many kinds, of which few are an answer"
)]

use redis::Value;

use super::answer::{failure, list, not_understood, number, text};
use crate::log::redis::Failure;
use crate::log::remote::Target;

/// A process of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What it calls itself, another each time it starts.
    pub run_id: String,
    /// Its version: major and minor. Scripts need 7.0.
    pub version: (u32, u32),
    /// It has been a replica, which may have missed the end of what its primary had: whatever it saves itself, it is none that had
    /// saved each message.
    pub was_replica: bool,
    /// What time it is there, in milliseconds since 1970, if it says so.
    pub unix_ms: Option<u64>,
}

/// The primaries of a cluster: the first and the last slot of each part, and where it is. An empty host is that of the link.
pub type Slots = Vec<(u16, u16, Target)>;

/// Whether an errand was done that has nothing to tell.
///
/// # Errors
/// What Redis said.
pub fn done(reply: &Value) -> Result<(), Failure> {
    checked(reply).map(|_| ())
}

/// What [`Errand::Info`](super::Errand::Info) tells.
///
/// # Errors
/// What Redis said.
pub fn process(reply: &Value) -> Result<Process, Failure> {
    let info = text(checked(reply)?).ok_or_else(not_understood)?;
    let field = |name: &str| {
        let lines = info.lines();
        let mut fields = lines.filter_map(|line| line.trim_end().split_once(':'));
        fields.find_map(|(found, value)| (found == name).then_some(value))
    };
    let run_id = field("run_id").filter(|id| !id.is_empty());
    let version = field("redis_version").and_then(|version| {
        let mut parts = version.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    });
    let (Some(run_id), Some(version)) = (run_id, version) else {
        return Err(not_understood());
    };
    let before = field("master_replid2").unwrap_or_default();
    Ok(Process {
        run_id: run_id.to_owned(),
        version,
        was_replica: before.bytes().any(|byte| byte != b'0'),
        unix_ms: field("server_time_usec")
            .and_then(|time| time.parse::<u64>().ok())
            .map(|time| time / 1000),
    })
}

/// Whether each message is on the disk before it is answered, as [`Errand::Config`](super::Errand::Config) tells. A refusal (hosted
/// ones do not let us ask) is a no.
#[must_use]
pub fn saves_always(reply: &Value) -> bool {
    let pairs: Vec<(&str, &str)> = match reply {
        Value::Map(pairs) => {
            let texts = pairs.iter();
            texts
                .filter_map(|(key, value)| text(key).zip(text(value)))
                .collect()
        }
        value => {
            let pairs = list(value).unwrap_or_default().chunks_exact(2);
            pairs
                .filter_map(|pair| text(pair.first()?).zip(text(pair.get(1)?)))
                .collect()
        }
    };
    pairs.contains(&("appendonly", "yes")) && pairs.contains(&("appendfsync", "always"))
}

/// On how many disks, or replicas: of [`Errand::Wait`](super::Errand::Wait), `(0, replicas)`; of
/// [`Errand::WaitAof`](super::Errand::WaitAof), whether on the primary's (0 or 1), and on how many replicas'.
///
/// # Errors
/// What Redis said.
pub fn saved_by(reply: &Value) -> Result<(u64, u64), Failure> {
    let reply = checked(reply)?;
    let counts = match list(reply) {
        Some([local, replicas]) => number(local).zip(number(replicas)),
        Some(_) => None,
        None => number(reply).map(|replicas| (0, replicas)),
    };
    counts.ok_or_else(not_understood)
}

/// Whether this is a primary, as [`Errand::Role`](super::Errand::Role) tells.
///
/// # Errors
/// What Redis said.
pub fn is_primary(reply: &Value) -> Result<bool, Failure> {
    let role = list(checked(reply)?).and_then(<[Value]>::first);
    let role = role.and_then(text).ok_or_else(not_understood)?;
    Ok(role == "master")
}

/// Where a Sentinel knows the primary; `None`: it knows none of that name.
///
/// # Errors
/// What it said.
pub fn sentinel_primary(reply: &Value) -> Result<Option<Target>, Failure> {
    let reply = checked(reply)?;
    if matches!(reply, Value::Nil) {
        return Ok(None);
    }
    let place = list(reply).and_then(target);
    place.map(Some).ok_or_else(not_understood)
}

/// Which parts of a cluster are where.
///
/// # Errors
/// What Redis said.
pub fn slots(reply: &Value) -> Result<Slots, Failure> {
    let parts = list(checked(reply)?).ok_or_else(not_understood)?;
    let part = |part: &Value| {
        let part = list(part)?;
        let (first, last) = (number(part.first()?)?, number(part.get(1)?)?);
        Some((first, last, target(list(part.get(2)?)?)?))
    };
    let slots = parts.iter().map(part).collect::<Option<_>>();
    slots.ok_or_else(not_understood)
}

/// The place that `MOVED` or `ASK` names: `host:port`. An empty host is that of the link.
#[must_use]
pub fn moved_to(place: &str) -> Option<Target> {
    let (host, port) = place.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Target {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

/// `host port …`; a cluster that does not know its names says nothing, or `?`.
fn target(parts: &[Value]) -> Option<Target> {
    let host = match parts.first()? {
        Value::Nil => "",
        value => text(value)?,
    };
    let port = number(parts.get(1)?)?;
    let host = if host == "?" { "" } else { host }.to_owned();
    Some(Target { host, port })
}

fn checked(reply: &Value) -> Result<&Value, Failure> {
    match reply {
        Value::ServerError(error) => Err(failure(error)),
        reply => Ok(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(reply: &[u8]) -> Value {
        redis::parse_redis_value(reply).unwrap()
    }

    fn at(host: &str, port: u16) -> Target {
        Target {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn a_process_that_was_promoted_has_not_saved_each_message() {
        let info = |replid2: &str| {
            let text = format!(
                "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nserver_time_usec:1234567\r\nx\r\nmaster_replid2:{replid2}\r\n"
            );
            process(&Value::BulkString(text.into_bytes()))
        };
        let process = |was_replica| Process {
            run_id: "abc".to_owned(),
            version: (7, 0),
            was_replica,
            unix_ms: Some(1234),
        };
        assert_eq!(info(&"0".repeat(40)), Ok(process(false)));
        assert_eq!(info("00a0"), Ok(process(true)));
        let loading = parsed(b"-LOADING Redis is loading\r\n");
        let unable = Failure::Unable("LOADING Redis is loading".to_owned());
        assert_eq!(super::process(&loading), Err(unable.clone()));
        assert_eq!(done(&loading), Err(unable));
        assert_eq!(super::process(&parsed(b"+OK\r\n")), Err(not_understood()));
    }

    #[test]
    fn what_redis_saves_is_known_or_taken_for_little() {
        let list = |only, sync| {
            let text = format!("*4\r\n+appendfsync\r\n+{sync}\r\n+appendonly\r\n+{only}\r\n");
            saves_always(&parsed(text.as_bytes()))
        };
        assert!(list("yes", "always"));
        assert!(!list("no", "always"));
        assert!(!list("yes", "everysec"));
        let map = parsed(b"%2\r\n+appendonly\r\n+yes\r\n+appendfsync\r\n+always\r\n");
        assert!(saves_always(&map));
        assert!(!saves_always(&parsed(b"-ERR unknown command\r\n")));
    }

    #[test]
    fn waits_tell_how_many_have_it() {
        assert_eq!(saved_by(&parsed(b":2\r\n")), Ok((0, 2)));
        assert_eq!(saved_by(&parsed(b"*2\r\n:1\r\n:0\r\n")), Ok((1, 0)));
        assert_eq!(saved_by(&parsed(b"*0\r\n")), Err(not_understood()));
    }

    #[test]
    fn places_are_read_from_all_who_know_them() {
        let slots_reply =
            b"*2\r\n*3\r\n:0\r\n:5460\r\n*3\r\n$9\r\n127.0.0.1\r\n:7001\r\n$1\r\na\r\n\
            *4\r\n:5461\r\n:16383\r\n*2\r\n$-1\r\n:7002\r\n*2\r\n$1\r\nr\r\n:7003\r\n";
        let expected = vec![
            (0, 5460, at("127.0.0.1", 7001)),
            (5461, 16383, at("", 7002)),
        ];
        assert_eq!(slots(&parsed(slots_reply)), Ok(expected));
        let refused = parsed(b"-ERR This instance has cluster support disabled\r\n");
        assert!(matches!(slots(&refused), Err(Failure::Refused(_))));
        let primary = parsed(b"*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n");
        assert_eq!(sentinel_primary(&primary), Ok(Some(at("10.0.0.1", 6379))));
        assert_eq!(sentinel_primary(&parsed(b"*-1\r\n")), Ok(None));
        assert_eq!(moved_to("127.0.0.1:7001"), Some(at("127.0.0.1", 7001)));
        assert_eq!(moved_to("::1:7001"), Some(at("::1", 7001)));
        assert_eq!(moved_to(":7001"), Some(at("", 7001)));
        assert_eq!(moved_to("x"), None);
        assert_eq!(
            is_primary(&parsed(b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n")),
            Ok(true)
        );
        assert_eq!(is_primary(&parsed(b"*1\r\n$5\r\nslave\r\n")), Ok(false));
    }
}

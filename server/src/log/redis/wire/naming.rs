//! What keys and channels are called. All of a bucket have its hash tag, so that one script may use them, and a cluster keeps them
//! together.

use crate::ids::{CANARY_LOG, LogName};
use crate::log::redis::Bucket;

/// How many slots a cluster has.
const SLOTS: u16 = 16_384;

/// The number in each bucket's hash tag. Their slots are all over the range, one in each of so many equal parts, so that primaries that
/// have equal parts of it have as many buckets each, and one more or less at most.
const TAGS: [u8; Bucket::COUNT] = [21, 10, 0, 61, 20, 11, 1, 60, 23, 12, 2, 63, 22, 13, 3, 62];

/// How this node calls things in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// What all names begin with.
    pub prefix: String,
    /// This node: the canary's log is not shared.
    pub node: String,
    /// Announcements are sharded, as a cluster wants them (`SPUBLISH`).
    pub sharded: bool,
}

impl Naming {
    /// The slot of all that is of a bucket, in a cluster: what has the same may share a call.
    #[must_use]
    pub fn slot_of(bucket: Bucket) -> u16 {
        slot(format!("{{tw:{}}}", tag(bucket)).as_bytes())
    }

    /// The hash of records, of a bucket's logs and its run.
    #[must_use]
    pub fn heads(&self, bucket: Bucket) -> String {
        self.of_bucket(bucket, "heads")
    }

    /// The hash of up to where owners have seen their logs.
    #[must_use]
    pub fn marks(&self, bucket: Bucket) -> String {
        self.of_bucket(bucket, "marks")
    }

    /// A log's hash, and the channel where it is announced: those do not get into each other's way. Its record and its mark are
    /// called so in their bucket's hashes, too.
    #[must_use]
    pub fn log(&self, log: &LogName) -> String {
        let tag = tag(Bucket::of(log));
        let name = self.field(log);
        format!("{}{{tw:{tag}}}:log:{name}", self.prefix)
    }

    /// Whether one call of a script may use the keys of both buckets. Where there is one server it may.
    #[must_use]
    pub(super) fn share_calls(&self, one: Bucket, other: Bucket) -> bool {
        one == other || !self.sharded
    }

    /// The hash of nodes; it is with the first bucket.
    #[must_use]
    pub fn nodes(&self) -> String {
        format!("{}{{tw:{}}}:nodes", self.prefix, TAGS[0])
    }

    /// How a log is called in its bucket: a node has a canary of its own. No name has a NUL, so no other log is called so.
    fn field(&self, log: &LogName) -> String {
        if log.as_str() == CANARY_LOG {
            format!("{CANARY_LOG}\0{}", self.node)
        } else {
            log.as_str().to_owned()
        }
    }

    /// The log that a channel announces.
    #[must_use]
    pub fn log_of(&self, channel: &[u8]) -> Option<LogName> {
        let channel = std::str::from_utf8(channel).ok()?;
        let rest = channel.strip_prefix(&self.prefix)?.strip_prefix("{tw:")?;
        let (_, name) = rest.split_once("}:log:")?;
        let own = name
            .strip_suffix(&self.node)
            .and_then(|name| name.strip_suffix('\0'));
        LogName::saved(own.unwrap_or(name)).ok()
    }

    /// What announces.
    pub(super) const fn publish(&self) -> &'static str {
        if self.sharded { "SPUBLISH" } else { "PUBLISH" }
    }

    fn of_bucket(&self, bucket: Bucket, what: &str) -> String {
        format!("{}{{tw:{}}}:{what}", self.prefix, tag(bucket))
    }
}

fn tag(bucket: Bucket) -> u8 {
    TAGS[usize::from(bucket.number())]
}

/// The slot of a key in a cluster: CRC16 of what is between its first braces, or of all of it.
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    };
    crc16(tag().unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc: u16, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming() -> Naming {
        Naming {
            prefix: "tidewire:".to_owned(),
            node: "n1".to_owned(),
            sharded: false,
        }
    }

    #[test]
    fn a_channel_tells_its_log_and_each_node_has_its_own_canary() {
        let naming = naming();
        for log in [
            LogName::new("a:b}{log:").unwrap(),
            LogName::new("@alice").unwrap(),
            LogName::broadcast(),
            LogName::cluster(),
            LogName::canary(),
        ] {
            assert_eq!(naming.log_of(naming.log(&log).as_bytes()), Some(log));
        }
        let other = Naming {
            node: "n2".to_owned(),
            ..naming.clone()
        };
        let canary = naming.log(&LogName::canary());
        assert_eq!(other.log_of(canary.as_bytes()), None);
        assert_eq!(naming.log_of(b"tidewire:x"), None);
        assert_eq!(naming.log_of(b"\xff"), None);
    }

    #[test]
    fn each_bucket_is_in_a_part_of_its_own() {
        for bucket in Bucket::all() {
            let part = Naming::slot_of(bucket) / (SLOTS / Bucket::COUNT as u16);
            assert_eq!(part, u16::from(bucket.number()));
        }
    }

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        let naming = naming();
        let log = LogName::new("a").unwrap();
        let bucket = Bucket::of(&log);
        for key in [naming.log(&log), naming.heads(bucket), naming.marks(bucket)] {
            assert_eq!(slot(key.as_bytes()), Naming::slot_of(bucket), "{key}");
        }
    }
}

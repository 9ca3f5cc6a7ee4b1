//! What streams and subjects are called. A name of ours may have any character, a part of a subject may not: those that it may not
//! have are written as `=` and their two hexadecimal digits.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::ids::{CANARY_LOG, LogName};
use crate::log::{Draft, Epoch};

/// A part of a subject is not longer: streams are named with one, and their names have an end.
const TOKEN_MAX: usize = 160;

/// The second part of subjects: of logs, of what is announced of them, and the same of canaries, of which each node has its own.
const KINDS: [[&str; 2]; 2] = [["log", "said"], ["canary", "canary-said"]];

/// What the last part of an announcement says of a log that has lost something.
const BROKEN: &str = "=broken";

/// How this node calls things in NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Naming {
    prefix: String,
    node: String,
}

impl Naming {
    pub(super) fn new(prefix: &str, node: &str) -> Self {
        Self {
            prefix: token(prefix.trim_end_matches([':', '.'])),
            node: node.to_owned(),
        }
    }

    /// The stream of what is known beside the logs.
    pub(super) fn state(&self) -> String {
        format!("{}_state", self.prefix)
    }

    /// A record in it.
    pub(super) fn record(&self, name: &str) -> String {
        format!("{}.state.{name}", self.prefix)
    }

    /// What a log's record is called: this says that there was one.
    pub(super) fn born(&self, log: &LogName) -> String {
        if is_canary(log) {
            return Self::canary_born(&token(&self.node));
        }
        format!("born.{}", self.token(log))
    }

    /// That of a node's canary, by the node's part in the name of its stream.
    pub(super) fn canary_born(node: &str) -> String {
        format!("born-canary.{node}")
    }

    /// And this up to where its owner has seen it.
    pub(super) fn mark(&self, log: &LogName) -> String {
        format!("mark.{}", self.token(log))
    }

    /// The stream of nodes that are there.
    pub(super) fn nodes(&self) -> String {
        format!("{}_nodes", self.prefix)
    }

    /// A node in it; all of them.
    pub(super) fn node(&self, name: Option<&str>) -> String {
        let name = name.map_or_else(|| ">".to_owned(), token);
        format!("{}.node.{name}", self.prefix)
    }

    /// A log's stream.
    pub(super) fn stream(&self, log: &LogName) -> String {
        let [kind, _] = kinds(log);
        format!("{}_{kind}_{}", self.prefix, self.token(log))
    }

    /// The subjects of all that its log has and had.
    pub(super) fn log(&self, log: &LogName) -> String {
        let [kind, _] = kinds(log);
        format!("{}.{kind}.{}.>", self.prefix, self.token(log))
    }

    /// The subjects that it takes messages by in an era: who does not know of it reaches nobody.
    pub(super) fn era(&self, log: &LogName, epoch: Epoch) -> String {
        let [kind, _] = kinds(log);
        format!("{}.{kind}.{}.{epoch}.>", self.prefix, self.token(log))
    }

    /// Where a message is published, and, for one with a number, whether it is there already, is asked.
    pub(super) fn message(&self, draft: &Draft, epoch: Epoch) -> String {
        self.key(draft, &epoch.to_string())
    }

    /// The same in all eras.
    pub(super) fn in_any_era(&self, draft: &Draft) -> String {
        self.key(draft, "*")
    }

    fn key(&self, draft: &Draft, epoch: &str) -> String {
        let log = self.token(&draft.log);
        let (from, session) = (token(draft.from.as_str()), token(draft.session.as_str()));
        let [kind, _] = kinds(&draft.log);
        let mut subject = format!("{}.{kind}.{log}.{epoch}.{from}.{session}", self.prefix);
        if let Some(seq) = &draft.seq {
            subject.push('.');
            subject.push_str(&token(seq.get()));
        }
        subject
    }

    /// The epoch of an entry, by the subject that it was published or announced with.
    pub(super) fn epoch(subject: &str) -> Option<Epoch> {
        // The prefix has no dots.
        let epoch = subject.split('.').nth(3)?;
        u32::from_str_radix(epoch, 16).ok().map(Epoch::new)
    }

    /// Where a log's entries are announced.
    pub(super) fn said(&self, log: &LogName) -> String {
        let [_, said] = kinds(log);
        format!("{}.{said}.{}.>", self.prefix, self.token(log))
    }

    /// And that it has lost something.
    pub(super) fn broken(&self, log: &LogName) -> String {
        let [_, said] = kinds(log);
        format!("{}.{said}.{}.{BROKEN}", self.prefix, self.token(log))
    }

    /// Whether a subject says so.
    pub(super) fn is_broken(subject: &str) -> bool {
        subject.rsplit('.').next() == Some(BROKEN)
    }

    /// The subjects of all nodes' canaries.
    pub(super) fn canaries(&self) -> String {
        let [_, [kind, _]] = KINDS;
        format!("{}.{kind}.>", self.prefix)
    }

    /// The stream of a node's canary.
    pub(super) fn canary_of(&self, node: &str) -> String {
        let [_, [kind, _]] = KINDS;
        format!("{}_{kind}_{}", self.prefix, token(node))
    }

    /// Which node's canary a stream is: the node's part of its name.
    pub(super) fn canary_node<'a>(&self, stream: &'a str) -> Option<&'a str> {
        let [_, [kind, _]] = KINDS;
        stream
            .strip_prefix(&self.prefix)?
            .strip_prefix('_')?
            .strip_prefix(kind)?
            .strip_prefix('_')
    }

    /// A node has a canary of its own.
    fn token(&self, log: &LogName) -> String {
        token(if is_canary(log) {
            &self.node
        } else {
            log.as_str()
        })
    }
}

fn is_canary(log: &LogName) -> bool {
    log.as_str() == CANARY_LOG
}

fn kinds(log: &LogName) -> [&'static str; 2] {
    KINDS[usize::from(is_canary(log))]
}

/// A name as a part of a subject, or of a stream's name.
fn token(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(byte.into());
        } else {
            let _ = write!(token, "={byte:02x}");
        }
    }
    if token.len() > TOKEN_MAX {
        let digest = Sha256::digest(name.as_bytes());
        token.truncate(TOKEN_MAX - 66);
        token.push_str("==");
        for byte in digest {
            let _ = write!(token, "{byte:02x}");
        }
    }
    if token.is_empty() {
        token.push('=');
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::store_tests::draft;

    #[test]
    fn a_name_is_one_part_of_a_subject_and_no_two_are_the_same() {
        for (name, expected) in [
            ("room-1", "room-1"),
            ("a.b", "a=2eb"),
            ("=2e", "=3d2e"),
            ("*", "=2a"),
            ("", "="),
            ("é", "=c3=a9"),
        ] {
            assert_eq!(token(name), expected);
        }
        let long = |last: char| token(&format!("{}{last}", "é".repeat(60)));
        assert_ne!(long('a'), long('b'));
        assert_eq!(long('a').len(), TOKEN_MAX);
    }

    #[test]
    fn each_node_has_a_canary_of_its_own_that_no_room_is_called_like() {
        let naming = Naming::new("tidewire:", "n.1");
        let canary = LogName::canary();
        let room = LogName::new("n.1").unwrap();
        assert_eq!(naming.stream(&canary), naming.canary_of("n.1"));
        assert_eq!(naming.canary_node(&naming.stream(&canary)), Some("n=2e1"));
        assert_eq!(naming.canary_node(&naming.stream(&room)), None);
        for name in [
            Naming::stream,
            Naming::log,
            Naming::said,
            Naming::broken,
            Naming::born,
        ] {
            assert_ne!(name(&naming, &canary), name(&naming, &room));
        }
    }

    #[test]
    fn the_epoch_of_an_entry_is_in_its_subject() {
        let naming = Naming::new("tidewire:", "n1");
        let draft = draft("a.b", "1");
        let subject = naming.message(&draft, Epoch::new(0xbeef));
        assert!(
            subject.starts_with("tidewire.log.a=2eb.0000beef."),
            "{subject}"
        );
        assert_eq!(Naming::epoch(&subject), Some(Epoch::new(0xbeef)));
        assert!(Naming::is_broken(&naming.broken(&draft.log)));
        assert!(!Naming::is_broken(&subject));
    }
}
